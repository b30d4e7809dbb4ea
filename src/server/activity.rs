//! What happens on one connection, counted where it happens and looked at by its watch.
//!
//! Nothing here reads a clock: the hot path only counts, and the watch, which wakes a few times
//! per timeout, asks whether the counts have moved.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::frames::Flood;
use super::head::{Flaw, HeadReader};
use super::holding::{Holding, PIECE_BYTES, held};
use super::stalled;
use crate::body::{Body, BodyError};
use crate::budget::Budget;

/// Counts of one connection since it was opened.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests received.
    pub(super) requests: AtomicU64,
    /// Requests whose response has not been handed to hyper completely.
    pub(super) in_flight: AtomicU64,
    /// Of these: those for which the next move is the client's.
    pub(super) waiting: AtomicU64,
    /// Requests ended, and pieces of responses taken.
    pub(super) events: AtomicU64,
    /// Bytes received and sent, after TLS.
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    /// The client does not take what is there to be sent.
    pub(super) blocked: AtomicBool,
    /// A request head has begun and is not complete.
    pub(super) head_open: AtomicBool,
    /// HTTP/2 has refused a request head for its size before anybody saw it.
    pub(super) has_oversize: AtomicBool,
    /// Requests of HTTP/2 refused since this was last asked.
    refused: AtomicUsize,
    /// Counts how often the connection's task had its turn.
    pub(super) turn: AtomicU64,
    /// What the requests in flight hold in memory.
    pub(super) holding: Holding,
    /// Milliseconds that the connection has been open, as its watch saw last.
    pub(super) millis: AtomicU64,
    /// The number of the first HTTP/1 request to refuse; 0 = none.
    flawed: AtomicU64,
    flaw: AtomicU64,
    /// The flood for which the connection was cut; 0 = none.
    flood: AtomicU8,
}

impl Activity {
    /// Of a connection that takes its memory from `budget`.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            holding: Holding::new(budget),
            ..Self::default()
        }
    }

    /// A request was received; in flight until the returned token is dropped. Fails with the flaw
    /// of its head, where its head has one.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, Result<(), Flaw>) {
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        self.in_flight.fetch_add(1, Relaxed);
        let token = InFlight {
            activity: Arc::clone(self),
            waiting: false,
            head_bytes: 0,
        };
        let flawed = self.flawed.load(Relaxed);
        if flawed == 0 || number < flawed {
            return (token, Ok(()));
        }
        (token, Err(flaw_from(self.flaw.load(Relaxed))))
    }

    /// Publishes what the reader of HTTP/1 heads has found so far.
    pub(super) fn note(&self, head: &HeadReader) {
        self.head_open.store(head.is_open(), Relaxed);
        if let Some((number, flaw)) = head.flaw() {
            self.flaw.store(flaw as u64, Relaxed);
            self.flawed.store(number, Relaxed);
        }
    }

    /// The connection's task has its turn: it reads, writes and begins requests.
    pub(super) fn begin_turn(&self) {
        // No other task writes it.
        self.turn.store(self.turn.load(Relaxed) + 1, Relaxed);
    }

    /// A request was refused for what it is.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Requests refused since this was last asked.
    pub(super) fn take_refused(&self) -> usize {
        match self.refused.load(Relaxed) {
            0 => 0,
            _ => self.refused.swap(0, Relaxed),
        }
    }

    /// The client floods us.
    pub(super) fn note_flood(&self, flood: Flood) {
        self.flood.store(flood as u8, Relaxed);
    }

    pub(super) fn flood(&self) -> Option<Flood> {
        let flood = self.flood.load(Relaxed);
        Flood::ALL.into_iter().find(|known| *known as u8 == flood)
    }
}

fn flaw_from(number: u64) -> Flaw {
    [Flaw::BareLf, Flaw::TwoLengths]
        .into_iter()
        .find(|flaw| *flaw as u64 == number)
        .unwrap_or(Flaw::Length)
}

/// A request in flight. Moves from the request to the body of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    waiting: bool,
    /// What its head holds in memory, as far as it is counted.
    head_bytes: u64,
}

impl InFlight {
    /// The request's head is held; whether it is too much with all others of the connection. A
    /// request alone may hold what any request may.
    pub(super) fn hold_head(&mut self, bytes: u64, most: u64) -> bool {
        self.head_bytes += bytes;
        let all = self.activity.holding.hold_head(bytes);
        all <= most || all == self.head_bytes
    }

    pub(super) fn let_go_of_head(&mut self) {
        let bytes = std::mem::take(&mut self.head_bytes);
        if bytes > 0 {
            self.activity.holding.let_go_of_head(bytes);
        }
    }

    fn wait_for_client(&mut self, waiting: bool) {
        match (self.waiting, waiting) {
            (false, true) => self.activity.waiting.fetch_add(1, Relaxed),
            (true, false) => self.activity.waiting.fetch_sub(1, Relaxed),
            _ => return,
        };
        self.waiting = waiting;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.wait_for_client(false);
        self.let_go_of_head();
        self.activity.events.fetch_add(1, Relaxed);
        self.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The body of a response that keeps its request in flight.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    request: InFlight,
    /// For HTTP/2, which is given content in pieces: the rest of the last frame.
    rest: Option<Bytes>,
}

impl TrackedBody {
    pub(super) fn new(body: Body, request: InFlight) -> Self {
        Self {
            body,
            request,
            rest: None,
        }
    }

    /// For a stream of HTTP/2, where one may stall while others go on.
    pub(super) fn in_pieces(mut self) -> Self {
        self.rest = Some(Bytes::new());
        self
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(rest) = &mut self.rest else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        if rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => *rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => {
                    stalled::note(None);
                    return other;
                }
            }
        }
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        stalled::note(Some(piece.len()));
        let piece = held(piece, &self.request.activity);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn rest_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, Bytes::len)
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = this.poll_piece(cx);
        if frame.is_ready() {
            this.request.activity.events.fetch_add(1, Relaxed);
        }
        this.request.wait_for_client(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest_bytes() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = u64::try_from(self.rest_bytes()).unwrap_or(u64::MAX);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_body_is_gone() {
        let activity = Arc::new(Activity::default());
        let (token, flaw) = activity.begin();
        assert_eq!(flaw, Ok(()));
        let mut body = TrackedBody::new(Body::full("x"), token);
        assert_eq!(activity.waiting.load(Relaxed), 0);
        assert!(body.frame().await.is_some());
        assert_eq!(activity.waiting.load(Relaxed), 1);
        assert_eq!(activity.in_flight.load(Relaxed), 1);
        drop(body);
        assert_eq!(activity.waiting.load(Relaxed), 0);
        assert_eq!(activity.in_flight.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn a_stream_of_http_2_gets_its_content_in_pieces() {
        let activity = Arc::new(Activity::default());
        let content = vec![b'x'; 2 * PIECE_BYTES + 1];
        let body = TrackedBody::new(Body::full(content.clone()), activity.begin().0);
        let mut body = body.in_pieces();
        assert_eq!(body.size_hint().exact(), Some(content.len() as u64));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            assert_eq!(body.is_end_stream(), pieces.len() == 3);
        }
        assert_eq!(pieces.concat(), content);
    }

    #[test]
    fn requests_before_the_flawed_one_are_served() {
        let activity = Arc::new(Activity::default());
        let mut head = HeadReader::default();
        head.read(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\n");
        activity.note(&head);
        assert_eq!(activity.begin().1, Ok(()));
        assert_eq!(activity.begin().1, Err(Flaw::BareLf));
        assert_eq!(activity.begin().1, Err(Flaw::BareLf));
    }
}
