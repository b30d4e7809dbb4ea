//! The content of an origin server's response, as it arrives.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::error::{Error, Kind};
use super::limit::Place;
use super::link::Arriving;
use super::loan::Lender;
use super::roster::Seat;
use crate::body::BodyError;
use crate::telemetry::origin::UpstreamMetrics;

/// How long the reader of one response may keep it waiting, in all, before the response holds no
/// place at the upstream any more. The places are there to spare the CMS work, and a CMS that waits
/// for a slow client works no more; without this, a handful of slow clients would keep everybody
/// else away from it. Until then a CMS with few workers is not asked for more than it can do. Well
/// below the default `queue_timeout` of 10 s: whoever waits behind slow readers still gets a place.
const READER_PATIENCE: Duration = Duration::from_secs(3);

/// Content on its way from an origin server.
///
/// It holds the exchange's place at the upstream until it has ended or is dropped, or its reader
/// has kept it waiting for ten seconds in all; dropped early it closes the connection. Its errors are [`Error`]s with [`Kind::ResponseStalled`] (nothing
/// came for `idle_timeout` while somebody was waiting for it) or [`Kind::ResponseIncomplete`] (the
/// connection ended before the content did, RFC 9112 §8). Content that is delimited by the end of
/// the connection cannot be told from content that broke off, unless TLS says so.
#[derive(Debug)]
pub struct OriginBody {
    /// What is delivered before the content that is on its way.
    before: Option<Bytes>,
    /// None once the content has ended, well or not.
    incoming: Option<Arriving>,
    held: Option<Held>,
    reader: Reader,
    idle_timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether somebody waits and the deadline runs.
    waiting: bool,
}

/// What belongs to the exchange for as long as it lasts.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: Option<Place>,
    pub(super) _lender: Lender,
    pub(super) seat: Seat,
    pub(super) metrics: UpstreamMetrics,
}

/// How long the reader has kept the content waiting.
#[derive(Debug, Default)]
struct Reader {
    kept_waiting: Duration,
    /// When it was given the last piece; none while it waits for one.
    has_piece_since: Option<Instant>,
}

impl Reader {
    fn took_piece(&mut self) {
        self.has_piece_since = Some(Instant::now());
    }

    /// Answers whether it has been too slow.
    fn asked_for_more(&mut self) -> bool {
        if let Some(since) = self.has_piece_since.take() {
            self.kept_waiting += since.elapsed();
        }
        self.kept_waiting > READER_PATIENCE
    }
}

impl OriginBody {
    pub(super) fn new(incoming: Arriving, held: Held, idle_timeout: Duration) -> Self {
        let ended = incoming.is_end_stream();
        Self {
            before: None,
            incoming: Some(incoming),
            held: (!ended).then_some(held),
            reader: Reader::default(),
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

    fn spare_slow_readers_place(&mut self) {
        if let Some(held) = &mut self.held
            && held.place.is_some()
            && self.reader.asked_for_more()
        {
            held.place = None;
            held.metrics.pool().slow_reader();
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
        this.spare_slow_readers_place();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = false;
                this.reader.took_piece();
                if this.incoming.as_ref().is_some_and(HttpBody::is_end_stream) {
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
        self.before.is_none() && self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if self.before.is_some() {
            return SizeHint::default();
        }
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_the_reader_takes_between_two_pieces_counts_against_it() {
        let mut reader = Reader::default();
        for _ in 0..10 {
            reader.took_piece();
            tokio::time::advance(READER_PATIENCE / 10).await;
            assert!(!reader.asked_for_more());
            // The origin's turn, also when it is asked again meanwhile.
            tokio::time::advance(READER_PATIENCE).await;
            assert!(!reader.asked_for_more());
        }
        reader.took_piece();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(reader.asked_for_more());
    }
}
