//! Interim responses (RFC 9110 §15.2) on their way from an origin to the client that waits.
//!
//! hyper's server sends none. On HTTP/1.1 a connection serves one request at a time, and while the
//! handler of a request has not answered, hyper has nothing of its response to write: then, and
//! only then, the bytes of an interim response may go out between two messages. [`Interims`] knows
//! when that is, because handler and wire run in the connection's own task. What comes together
//! with the answer goes right before it, if all that came before the request is known to be out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};

use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderName, StatusCode};
use parking_lot::Mutex;

use crate::fields::connection;

/// Interim responses of one exchange that are passed on, and the bytes of one of them.
pub const RESPONSES_MAX: usize = 8;
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024;

/// The interim responses of one client connection.
#[derive(Debug, Default)]
pub struct Interims {
    /// Odd while a request is with its handler; counts up by two for each.
    turn: AtomicU64,
    /// Somebody may have something for the request of this turn.
    expected: AtomicBool,
    /// Something is left of a turn that has ended.
    left: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The turn that the rest belongs to.
    turn: u64,
    responses: usize,
    bytes: Vec<u8>,
    /// Since the turn began all was written that came before it.
    is_next: bool,
    /// The connection's task.
    waker: Option<Waker>,
}

/// What became of an interim response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passed {
    Sent,
    /// 100 is sent by whoever asks for the content (RFC 9110 §10.1.1), 101 is final here.
    NotForClient,
    /// The client speaks HTTP/1.0, which has none, or HTTP/2, over which none can be sent here.
    Version,
    /// There were [`RESPONSES_MAX`] of them, or it has more than [`RESPONSE_BYTES_MAX`].
    TooMany,
    /// The response was there already, or the client has gone.
    Late,
}

impl Passed {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotForClient => "not_for_client",
            Self::Version => "version",
            Self::TooMany => "limit",
            Self::Late => "late",
        }
    }
}

impl Interims {
    /// A request of HTTP/1.1 is with its handler now. To be called by the connection's task.
    pub fn begin(&self) {
        // Only this task writes it, so that no read-modify-write is needed.
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn | 1, Ordering::Release);
    }

    /// The handler has answered, and nothing of that is written yet.
    pub fn end(&self) {
        let turn = self.turn.load(Ordering::Relaxed);
        if turn & 1 == 1 {
            self.turn.store(turn.wrapping_add(1), Ordering::Release);
        }
        if self.expected.load(Ordering::Relaxed) {
            self.expected.store(false, Ordering::Relaxed);
            let mut queue = self.queue.lock();
            if queue.is_next && !queue.bytes.is_empty() {
                queue.waker = None;
                self.left.store(true, Ordering::Relaxed);
            } else {
                *queue = Queue::default();
            }
        }
    }

    /// What came so late that it has to be sent right before the answer. To be called before
    /// anything is written.
    pub fn take_left(&self) -> Option<Vec<u8>> {
        if self.expected.load(Ordering::Relaxed) {
            // A 100, of which only a part may go out.
            self.queue.lock().is_next = false;
        }
        if !self.left.load(Ordering::Relaxed) {
            return None;
        }
        self.left.store(false, Ordering::Relaxed);
        let queue = std::mem::take(&mut *self.queue.lock());
        let is_of_this_answer = self.turn.load(Ordering::Relaxed) == queue.turn.wrapping_add(1);
        (is_of_this_answer && queue.is_next).then_some(queue.bytes)
    }

    /// What is to be sent now. To be called when all is written that is to be, so that it comes
    /// between two messages. Wakes `cx` when there is more.
    pub fn take(&self, cx: &Context<'_>) -> Option<Vec<u8>> {
        if !self.expected.load(Ordering::Relaxed) {
            return None;
        }
        let mut queue = self.queue.lock();
        if !self.is_turn(queue.turn) {
            return None;
        }
        queue.is_next = true;
        match &mut queue.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        (!queue.bytes.is_empty()).then(|| std::mem::take(&mut queue.bytes))
    }

    fn is_turn(&self, turn: u64) -> bool {
        turn & 1 == 1 && self.turn.load(Ordering::Acquire) == turn
    }

    fn expect(&self) -> Option<u64> {
        let turn = self.turn.load(Ordering::Acquire);
        if !self.is_turn(turn) {
            return None;
        }
        self.expected.store(true, Ordering::Relaxed);
        let mut queue = self.queue.lock();
        if queue.turn != turn {
            *queue = Queue {
                turn,
                ..Queue::default()
            };
        }
        Some(turn)
    }

    fn push(&self, turn: u64, response: &[u8]) -> Passed {
        let mut queue = self.queue.lock();
        if queue.turn != turn || !self.is_turn(turn) {
            return Passed::Late;
        }
        if queue.responses >= RESPONSES_MAX {
            return Passed::TooMany;
        }
        queue.responses += 1;
        queue.bytes.extend_from_slice(response);
        if let Some(waker) = &queue.waker {
            waker.wake_by_ref();
        }
        Passed::Sent
    }
}

/// Where the interim responses to one request go. An extension of the request that is sent to an
/// origin.
#[derive(Clone, Debug)]
pub struct Relay {
    to: Option<(Arc<Interims>, u64)>,
    /// Fields that are between the origin and us.
    withheld: Arc<[HeaderName]>,
}

impl Relay {
    /// For the request that is with its handler on this connection: to be made before it answers.
    /// Where it speaks another version than HTTP/1.1, nothing will be sent.
    pub fn new(interims: &Arc<Interims>, withheld: &[HeaderName]) -> Self {
        Self {
            to: interims.expect().map(|turn| (Arc::clone(interims), turn)),
            withheld: withheld.into(),
        }
    }

    /// Sends an interim response on, without what is for one hop.
    pub fn pass(&self, status: StatusCode, headers: &HeaderMap) -> Passed {
        if !status.is_informational() || matches!(status.as_u16(), 100 | 101) {
            return Passed::NotForClient;
        }
        let Some((interims, turn)) = &self.to else {
            return Passed::Version;
        };
        let mut headers = headers.clone();
        connection::strip_hop_by_hop(&mut headers);
        for name in self.withheld.iter().chain(&[CONTENT_LENGTH, SET_COOKIE]) {
            headers.remove(name);
        }
        let response = written(status, &headers);
        if response.len() > RESPONSE_BYTES_MAX {
            return Passed::TooMany;
        }
        interims.push(*turn, &response)
    }
}

/// As RFC 9112 §4 has it.
fn written(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        text.extend_from_slice(name.as_ref());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: StatusCode = StatusCode::EARLY_HINTS;

    fn hints() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("link", "</a.css>; rel=preload"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-length", "3"),
            ("surrogate-key", "a"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn taken(interims: &Interims) -> Option<String> {
        let cx = Context::from_waker(Waker::noop());
        interims.take(&cx).map(|b| String::from_utf8(b).unwrap())
    }

    #[test]
    fn what_is_for_the_client_is_there_between_the_messages() {
        let interims = Arc::new(Interims::default());
        interims.begin();
        let relay = Relay::new(&interims, &[HeaderName::from_static("surrogate-key")]);
        assert_eq!(taken(&interims), None);
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Sent);
        let sent = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
        assert_eq!(taken(&interims).as_deref(), Some(sent));
        assert_eq!(taken(&interims), None);
    }

    #[test]
    fn nothing_goes_out_once_the_handler_has_answered() {
        let interims = Arc::new(Interims::default());
        interims.begin();
        let relay = Relay::new(&interims, &[]);
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Sent);
        interims.end();
        assert_eq!(taken(&interims), None);
        assert_eq!(interims.take_left(), None, "who knows what is written?");
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Late);
        interims.begin();
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Late);
        let next = Relay::new(&interims, &[]);
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Late);
        assert_eq!(next.pass(HINTS, &hints()), Passed::Sent);
    }

    #[test]
    fn what_comes_together_with_the_answer_goes_before_it() {
        let interims = Arc::new(Interims::default());
        interims.begin();
        let relay = Relay::new(&interims, &[]);
        assert_eq!(taken(&interims), None);
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Sent);
        interims.end();
        let left = interims.take_left();
        assert!(left.unwrap().starts_with(b"HTTP/1.1 103 "));
        assert_eq!(interims.take_left(), None);
    }

    #[test]
    fn nothing_is_put_into_the_middle_of_a_100() {
        let interims = Arc::new(Interims::default());
        interims.begin();
        let relay = Relay::new(&interims, &[]);
        assert_eq!(taken(&interims), None);
        assert_eq!(interims.take_left(), None, "now a part of it is written");
        assert_eq!(relay.pass(HINTS, &hints()), Passed::Sent);
        interims.end();
        assert_eq!(interims.take_left(), None);
    }

    #[test]
    fn their_number_and_size_are_bounded_and_some_are_nobodys() {
        let interims = Arc::new(Interims::default());
        assert_eq!(
            Relay::new(&interims, &[]).pass(HINTS, &hints()),
            Passed::Version
        );
        interims.begin();
        let relay = Relay::new(&interims, &[]);
        for status in [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS] {
            assert_eq!(relay.pass(status, &hints()), Passed::NotForClient);
        }
        let mut large = HeaderMap::new();
        large.insert("link", "a".repeat(RESPONSE_BYTES_MAX).parse().unwrap());
        assert_eq!(relay.pass(HINTS, &large), Passed::TooMany);
        for _ in 0..RESPONSES_MAX {
            assert_eq!(relay.pass(HINTS, &hints()), Passed::Sent);
        }
        assert_eq!(relay.pass(HINTS, &hints()), Passed::TooMany);
    }
}
