//! Content that passes through: its trailers cleaned, a stream of events counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Shared;
use crate::body::{Body, BodyError};
use crate::fetch::OriginBody;
use crate::fields::{media_type, trailer};
use crate::telemetry::upgrade::{Closed, Open};

/// Passes on what comes, piece by piece, at the reader's pace.
pub(super) struct Passing<B> {
    content: B,
    events: Option<Open>,
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> Passing<B> {
    pub(super) const fn new(content: B) -> Self {
        let events = None;
        Self { content, events }
    }

    fn ended(&mut self, by: Closed) {
        if let Some(mut events) = self.events.take() {
            events.ends_by(by);
        }
    }
}

impl Shared {
    /// The content of a response with these fields, on its way to its client.
    pub(super) fn passing(&self, content: OriginBody, fields: &HeaderMap) -> Body {
        let mut passing = Passing::new(content);
        if media_type::is_event_stream(fields) {
            passing.events = Some(self.metrics.upgrades.stream());
        }
        Body::stream(passing)
    }
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> HttpBody for Passing<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.content).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            trailer::strip(trailers);
        }
        match &polled {
            Poll::Ready(Some(Err(_))) => self.ended(Closed::Broken),
            Poll::Ready(_) if self.content.is_end_stream() => self.ended(Closed::Origin),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
