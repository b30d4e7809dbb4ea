//! The content of an origin server's response, as it arrives.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::error::{Error, Kind};
use super::limit::Place;
use super::loan::Lender;
use super::roster::Seat;
use crate::body::BodyError;
use crate::telemetry::origin::UpstreamMetrics;

/// Content on its way from an origin server.
///
/// It holds the exchange's place at the upstream until it has ended or is dropped; dropped early
/// it closes the connection. Its errors are [`Error`]s with [`Kind::ResponseStalled`] (nothing
/// came for `idle_timeout` while somebody was waiting for it) or [`Kind::ResponseIncomplete`] (the
/// connection ended before the content did, RFC 9112 §8). Content that is delimited by the end of
/// the connection cannot be told from content that broke off, unless TLS says so.
#[derive(Debug)]
pub struct OriginBody {
    /// What is delivered before the content that is on its way.
    before: Option<Bytes>,
    /// None once the content has ended, well or not.
    incoming: Option<Incoming>,
    held: Option<Held>,
    idle_timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether somebody waits and the deadline runs.
    waiting: bool,
}

/// What belongs to the exchange for as long as it lasts.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) _place: Place,
    pub(super) _lender: Lender,
    pub(super) seat: Seat,
    pub(super) metrics: UpstreamMetrics,
}

impl OriginBody {
    pub(super) fn new(incoming: Incoming, held: Held, idle_timeout: Duration) -> Self {
        let ended = incoming.is_end_stream();
        Self {
            before: None,
            incoming: Some(incoming),
            held: (!ended).then_some(held),
            idle_timeout,
            deadline: None,
            waiting: false,
        }
    }

    /// The same content behind `before`, which is there already.
    #[must_use]
    pub fn preceded_by(mut self, before: Bytes) -> Self {
        self.before = Some(before).filter(|before| !before.is_empty());
        self
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.idle_timeout;
        match &mut self.deadline {
            Some(deadline) if self.waiting => deadline.as_mut().poll(cx),
            Some(deadline) => {
                self.waiting = true;
                deadline.set(sleep(patience));
                deadline.as_mut().poll(cx)
            }
            none => {
                self.waiting = true;
                none.insert(Box::pin(sleep(patience))).as_mut().poll(cx)
            }
        }
    }

    fn end(&mut self) {
        self.incoming = None;
        self.held = None;
        self.deadline = None;
    }

    fn break_off(&mut self, mut error: Error) -> BodyError {
        if let Some(held) = &self.held {
            held.metrics.body_broken(error.kind.label());
            error = error.at(held.seat.name());
        }
        self.end();
        error.into()
    }
}

impl HttpBody for OriginBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(before) = this.before.take() {
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = false;
                if this.incoming.as_ref().is_some_and(Incoming::is_end_stream) {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = Error::from_source(Kind::ResponseIncomplete, error);
                Poll::Ready(Some(Err(this.break_off(error))))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_deadline(cx).map(|()| {
                let error = this.break_off(Error::new(Kind::ResponseStalled));
                Some(Err(error))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_none() && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if self.before.is_some() {
            return SizeHint::default();
        }
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}
