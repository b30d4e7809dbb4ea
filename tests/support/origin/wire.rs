//! One connection, read and written as HTTP/1.1 by hand.

use std::io;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Received;
use super::reply::{Content, End, Reply};

/// The largest request head this origin reads, in bytes.
const HEAD_BYTES_MAX: usize = 256 * 1024;

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// One connection, read and written as HTTP/1.1 by hand.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    buffer: BytesMut,
}

impl Wire {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            buffer: BytesMut::new(),
        }
    }

    /// The next request, or none when the other side has closed.
    pub(super) async fn request(&mut self, connection: usize) -> io::Result<Option<Received>> {
        let Some(head) = self.until(b"\r\n\r\n").await? else {
            return Ok(None);
        };
        let head = String::from_utf8(head.to_vec()).map_err(io::Error::other)?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().parse();
        let target = words.next().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name: HeaderName = name.parse().map_err(io::Error::other)?;
            headers.append(name, value.trim().parse().map_err(io::Error::other)?);
        }
        let content = self.content(&headers).await?;
        Ok(Some(Received {
            method: method.map_err(io::Error::other)?,
            target,
            headers,
            content,
            connection,
        }))
    }

    async fn content(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        if headers.contains_key(http::header::TRANSFER_ENCODING) {
            return self.chunks().await;
        }
        let length = headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        self.exactly(length.unwrap_or(0)).await
    }

    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut content = BytesMut::new();
        loop {
            let line = self.until(b"\r\n").await?.unwrap_or_default();
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(content.freeze());
            }
            content.extend_from_slice(&chunk[..size]);
        }
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Option<Bytes>> {
        loop {
            let found = self.buffer.windows(end.len()).position(|w| w == end);
            if let Some(at) = found {
                return Ok(Some(self.buffer.split_to(at + end.len()).freeze()));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of the request is too long"));
            }
            if self.transport.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.buffer.len() < length {
            if self.transport.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Waits until the other side closes the connection.
    pub(super) async fn closed(&mut self) -> io::Result<()> {
        while self.transport.read_buf(&mut self.buffer).await? > 0 {}
        Ok(())
    }

    /// Whether the connection stays open.
    pub(super) async fn answer(&mut self, reply: Reply, head_only: bool) -> io::Result<bool> {
        let mut left = match reply.end {
            End::CutAfter(bytes) | End::StallAfter(bytes) => bytes,
            End::KeepOpen | End::Close | End::Vanish => usize::MAX,
        };
        let breaks_off = left != usize::MAX;
        let head = head_of(&reply);
        match reply.content {
            Content::Raw(bytes) => self.write(&bytes).await?,
            Content::Whole(content) => {
                self.write(&head).await?;
                if !head_only {
                    self.write(&content[..content.len().min(left)]).await?;
                }
            }
            Content::Pieces(mut pieces) => {
                self.write(&head).await?;
                while left > 0 && !head_only {
                    let Some(piece) = pieces.recv().await else {
                        break;
                    };
                    let piece = piece.slice(..piece.len().min(left));
                    left -= piece.len();
                    let size = format!("{:x}\r\n", piece.len());
                    let chunk = [size.as_bytes(), &piece, b"\r\n"].concat();
                    self.write(&chunk).await?;
                }
                if !breaks_off && !head_only {
                    self.write(b"0\r\n\r\n").await?;
                }
            }
        }
        if matches!(reply.end, End::StallAfter(_)) {
            self.closed().await?;
        }
        Ok(reply.end == End::KeepOpen)
    }

    /// Says that nothing more comes.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.transport.shutdown().await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }
}

/// Status line and fields. Framing fields are added where they belong, unless the reply has its
/// own.
fn head_of(reply: &Reply) -> Vec<u8> {
    let status = reply.status;
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &reply.headers {
        head.extend_from_slice(name.as_ref());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let contentless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match &reply.content {
        _ if reply.headers.contains_key(http::header::CONTENT_LENGTH) => {}
        Content::Whole(_) if contentless => {}
        Content::Whole(content) => {
            head.extend_from_slice(format!("content-length: {}\r\n", content.len()).as_bytes());
        }
        Content::Pieces(_) => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Content::Raw(_) => {}
    }
    if reply.end == End::Close {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
