//! Counting the content that responses take to their clients.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::context::Context;
use crate::body::{Body, BodyError};
use crate::telemetry::cache::CacheMetrics;

/// Counts the content of `response` for its route: at once where its length is known, else piece by
/// piece.
pub(super) fn counted(
    response: Response<Body>,
    metrics: &Arc<CacheMetrics>,
    context: &Context<'_>,
) -> Response<Body> {
    let route = context.route.map(|route| route.index);
    if let Some(length) = response.body().size_hint().exact() {
        if let Some(bytes) = metrics.bytes(route) {
            bytes.inc_by(length);
        }
        return response;
    }
    response.map(|body| {
        Body::stream(Counted {
            body,
            metrics: Arc::clone(metrics),
            route,
        })
    })
}

struct Counted {
    body: Body,
    metrics: Arc<CacheMetrics>,
    route: Option<usize>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let piece = frame.as_ref().and_then(|frame| frame.as_ref().ok());
        if let Some(piece) = piece.and_then(Frame::data_ref)
            && let Some(bytes) = self.metrics.bytes(self.route)
        {
            bytes.inc_by(piece.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
