//! What happens on one connection, counted where it happens and looked at by its watch.
//!
//! Nothing here reads a clock: the hot path only counts, and the watch, which wakes a few times
//! per timeout, asks whether the counts have moved.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::head::{Flaw, HeadReader};
use crate::body::{Body, BodyError};

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
    /// An HTTP/1 head has begun and is not complete.
    pub(super) head_open: AtomicBool,
    /// The number of the first HTTP/1 request to refuse; 0 = none.
    flawed: AtomicU64,
    flaw: AtomicU64,
}

impl Activity {
    /// A request was received; in flight until the returned token is dropped. Fails with the flaw
    /// of its head, where its head has one.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, Result<(), Flaw>) {
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        self.in_flight.fetch_add(1, Relaxed);
        let token = InFlight {
            activity: Arc::clone(self),
            waiting: false,
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
}

impl InFlight {
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
        self.activity.events.fetch_add(1, Relaxed);
        self.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The body of a response that keeps its request in flight.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    request: InFlight,
}

impl TrackedBody {
    pub(super) fn new(body: Body, request: InFlight) -> Self {
        Self { body, request }
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
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_ready() {
            this.request.activity.events.fetch_add(1, Relaxed);
        }
        this.request.wait_for_client(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
