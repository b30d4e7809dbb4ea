//! The one body type of every response that leaves, and of every request that is forwarded.

pub mod charged;
pub mod slice;
pub mod tee;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Why a body broke off. It ends the exchange; it is never shown to a client.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

type BoxedStream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

/// Content on its way: nothing, one piece that is there already, or a stream of pieces.
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Stream(BoxedStream),
}

impl Body {
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    pub fn full(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        if content.is_empty() {
            return Self::empty();
        }
        Self(Inner::Full(content))
    }

    pub fn stream<B>(stream: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        if stream.is_end_stream() {
            return Self::empty();
        }
        Self(Inner::Stream(Box::pin(ErrorInto { stream })))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(content) => {
                let content = std::mem::take(content);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(content))))
            }
            Inner::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(_) => false,
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(content) => {
                SizeHint::with_exact(u64::try_from(content.len()).unwrap_or(u64::MAX))
            }
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Inner::Empty => "Body::Empty",
            Inner::Full(_) => "Body::Full",
            Inner::Stream(_) => "Body::Stream",
        })
    }
}

pin_project_lite::pin_project! {
    struct ErrorInto<B> {
        #[pin]
        stream: B,
    }
}

impl<B> HttpBody for ErrorInto<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.project()
            .stream
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}
