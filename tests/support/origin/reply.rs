//! What the origin does with one request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::mpsc;

/// What the origin does with one request. Afterwards the connection stays open for the next one,
/// unless the reply says otherwise.
#[must_use]
pub(crate) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    pub(super) end: End,
}

pub(super) enum Content {
    /// With `Content-Length`.
    Whole(Bytes),
    /// Chunked; pieces as they come.
    Pieces(mpsc::Receiver<Bytes>),
    /// Instead of a response: these bytes.
    Raw(Bytes),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    KeepOpen,
    Close,
    /// Closes without having said so.
    Vanish,
    /// After so many bytes of the content: closes.
    CutAfter(usize),
    /// After so many bytes of the content: sends nothing more until the other side has gone.
    StallAfter(usize),
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            content: Content::Whole(Bytes::new()),
            end: End::KeepOpen,
        }
    }

    /// 200 with `Content-Length`.
    pub(crate) fn ok(content: impl Into<Bytes>) -> Self {
        Self::new(200).content(content)
    }

    pub(crate) fn content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = Content::Whole(content.into());
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap();
        self
    }

    /// Whether it is a 304.
    pub(crate) fn is_not_modified(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    /// Adds a field; may be called again with the same name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// 200, chunked, whose content comes from the other end of the channel: each message is one
    /// chunk, and dropping the sender ends the content.
    pub(crate) fn pieces() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, pieces) = mpsc::channel(16);
        let mut reply = Self::new(200);
        reply.content = Content::Pieces(pieces);
        (sender, reply)
    }

    /// 200, chunked, with these chunks.
    pub(crate) fn chunked(chunks: &[&str]) -> Self {
        let (sender, pieces) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender
                .try_send(Bytes::copy_from_slice(chunk.as_bytes()))
                .unwrap();
        }
        let mut reply = Self::new(200);
        reply.content = Content::Pieces(pieces);
        reply
    }

    /// These bytes instead of a response; then the connection is closed.
    pub(crate) fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut reply = Self::new(200).close();
        reply.content = Content::Raw(bytes.into());
        reply
    }

    /// Never answers; the connection stays open until the other side closes it.
    pub(crate) fn silent() -> Self {
        let mut reply = Self::raw("");
        reply.end = End::StallAfter(0);
        reply
    }

    /// Closes the connection without an answer.
    pub(crate) fn hang_up() -> Self {
        Self::raw("")
    }

    /// Closes the connection after the response, with `Connection: close`.
    pub(crate) fn close(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Closes the connection after the response, which does not say so.
    pub(crate) fn vanish(mut self) -> Self {
        self.end = End::Vanish;
        self
    }

    /// Breaks off: sends only `bytes` of the content, then closes the connection. Chunked content
    /// ends without its last chunk.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::CutAfter(bytes);
        self
    }

    /// Stalls: sends only `bytes` of the content, then nothing until the other side has gone.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.end = End::StallAfter(bytes);
        self
    }
}
