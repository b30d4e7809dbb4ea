//! The deadlines of one connection: request heads, idleness, clients that take nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;
use super::activity::Activity;
use super::stalled;
use crate::telemetry::server::Limit;

/// A client that takes less than this within a timeout takes nothing, in bytes. More than the
/// PING frames of that time, so that they keep no connection open.
const PROGRESS_BYTES_MIN: u64 = 256;

/// How long a connection that is to be closed, with no request in flight, may take to go.
const PARTING_MAX: Duration = Duration::from_secs(5);

/// How long a connection that has not said a word may still do so while the server drains.
pub(super) const FIRST_WORD_MAX: Duration = Duration::from_secs(1);

/// How long an HTTP/1 connection must have been quiet, once the server drains, to be closed. A
/// client that keeps it for its next request may be sending that just now, and could not tell
/// whether it was received; until then a request is answered, with `Connection: close`. At most half
/// of the time to drain.
const QUIET: Duration = Duration::from_secs(1);

/// How often to look at most.
const LOOK_MIN: Duration = Duration::from_millis(1);

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Stay,
    /// Close it as its protocol closes connections: because of a limit, or because the server
    /// drains.
    Close(Option<Limit>),
    /// Drop it now, because of a limit or because it is taking leave for too long.
    Cut(Option<Limit>),
}

/// Looks at an [`Activity`] from time to time. A deadline is noticed up to a quarter late.
#[derive(Debug)]
pub(super) struct Watch {
    activity: Arc<Activity>,
    header_timeout: Duration,
    idle_timeout: Duration,
    quiet: Duration,
    opened: Instant,
    draining: Option<Instant>,
    closing: Option<Instant>,
    head_open: Option<Instant>,
    /// When something was last seen to have happened, and the counts of then.
    progress: Instant,
    events: u64,
    sent: u64,
    /// When the age of the pieces that are held last changed.
    aged: Instant,
    /// Bytes that a client must take within the idle timeout while there is something to take;
    /// since when there has been, and the count of then.
    least: u64,
    taking: Option<(Instant, u64)>,
}

impl Watch {
    pub(super) fn new(activity: Arc<Activity>, limits: &Limits, now: Instant) -> Self {
        Self {
            activity,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            quiet: QUIET.min(limits.drain / 2).max(LOOK_MIN),
            opened: now,
            draining: None,
            closing: None,
            head_open: None,
            progress: now,
            events: 0,
            sent: 0,
            aged: now,
            least: stalled::least(limits),
            taking: None,
        }
    }

    /// How often to look.
    pub(super) fn interval(&self) -> Duration {
        let shortest = self.header_timeout.min(self.idle_timeout).min(PARTING_MAX);
        (shortest / 4).max(LOOK_MIN)
    }

    /// The server drains: the connection is to close once it is quiet. Returns how often to look.
    pub(super) fn drain(&mut self, now: Instant) -> Duration {
        self.draining.get_or_insert(now);
        self.quiet
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// The connection was asked to close.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now);
    }

    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        self.note_progress(now);
        self.note_time(now);
        let activity = &self.activity;
        let in_flight = activity.in_flight.load(Relaxed);
        let quiet = now.saturating_duration_since(self.progress);
        let is_stalled = activity.blocked.load(Relaxed)
            || (in_flight > 0 && activity.waiting.load(Relaxed) >= in_flight);
        if is_stalled && quiet >= self.idle_timeout {
            return Verdict::Cut(Some(Limit::Stalled));
        }
        if self.is_slow(now, is_stalled) {
            return Verdict::Cut(Some(Limit::SlowReader));
        }
        if self.has_old_pieces(now) {
            let limit = Limit::Stalled;
            return match self.closing {
                None => Verdict::Close(Some(limit)),
                Some(_) => Verdict::Cut(Some(limit)),
            };
        }
        let activity = &self.activity;
        if in_flight > 0 {
            return Verdict::Stay;
        }
        let is_silent = activity.received.load(Relaxed) == 0;
        let first_head = (activity.requests.load(Relaxed) == 0 && is_silent).then_some(self.opened);
        let expired = |since: Instant, span| now.saturating_duration_since(since) >= span;
        if self
            .head_open
            .or(first_head)
            .is_some_and(|since| expired(since, self.header_timeout))
        {
            return Verdict::Cut(Some(Limit::HeaderTimeout));
        }
        let is_quiet = |since: Instant| {
            self.head_open.is_none() && expired(since.max(self.progress), self.quiet)
        };
        match self.closing.or(self.draining) {
            Some(closing) if is_silent && expired(closing, FIRST_WORD_MAX) => Verdict::Cut(None),
            Some(draining) if self.closing.is_none() => match is_quiet(draining) {
                true => Verdict::Close(None),
                false => Verdict::Stay,
            },
            Some(closing)
                if expired(
                    closing.max(self.progress),
                    PARTING_MAX.min(self.idle_timeout),
                ) =>
            {
                Verdict::Cut(None)
            }
            None if quiet >= self.idle_timeout => Verdict::Close(Some(Limit::Idle)),
            _ => Verdict::Stay,
        }
    }

    fn note_time(&self, now: Instant) {
        let open = now.saturating_duration_since(self.opened).as_millis();
        let millis = u64::try_from(open).unwrap_or(u64::MAX);
        self.activity.millis.store(millis, Relaxed);
        self.activity.holding.settle();
    }

    /// Whether a client that had something to take all the time took less than it must.
    fn is_slow(&mut self, now: Instant, has_to_take: bool) -> bool {
        let sent = self.activity.sent.load(Relaxed);
        let (since, before) = *self.taking.get_or_insert((now, sent));
        if has_to_take && now.saturating_duration_since(since) < self.idle_timeout {
            return false;
        }
        self.taking = has_to_take.then_some((now, sent));
        has_to_take && sent.saturating_sub(before) < self.least
    }

    /// Whether HTTP/2 has held a piece of a response for longer than the idle timeout: the last of
    /// its stream, which has no task any more that could be given up.
    fn has_old_pieces(&mut self, now: Instant) -> bool {
        let is_due = now.saturating_duration_since(self.aged) >= self.idle_timeout / 4;
        if is_due {
            self.aged = now;
        }
        is_due && self.activity.holding.age()
    }

    fn note_progress(&mut self, now: Instant) {
        let requests = self.activity.requests.load(Relaxed);
        let events = requests + self.activity.events.load(Relaxed);
        let sent = self.activity.sent.load(Relaxed);
        let is_new_head = events != self.events;
        if is_new_head || sent.saturating_sub(self.sent) >= PROGRESS_BYTES_MIN {
            (self.events, self.sent, self.progress) = (events, sent, now);
        }
        let head_open =
            self.activity.head_open.load(Relaxed) && self.activity.in_flight.load(Relaxed) == 0;
        self.head_open = match self.head_open {
            Some(since) if head_open && !is_new_head => Some(since),
            _ => head_open.then_some(now),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);

    fn watch() -> (Arc<Activity>, Watch, Instant) {
        let activity = Arc::new(Activity::default());
        let limits = Limits {
            header_timeout: HEADER,
            idle_timeout: IDLE,
            send_rate_min: 0,
            ..Limits::default()
        };
        let now = Instant::now();
        let watch = Watch::new(Arc::clone(&activity), &limits, now);
        (activity, watch, now)
    }

    #[tokio::test]
    async fn a_silent_connection_is_cut_after_the_header_timeout() {
        let (_, mut watch, start) = watch();
        assert_eq!(watch.look(start + HEADER / 2), Verdict::Stay);
        let verdict = watch.look(start + HEADER);
        assert_eq!(verdict, Verdict::Cut(Some(Limit::HeaderTimeout)));
    }

    #[tokio::test]
    async fn a_slow_head_is_cut_however_often_it_sends_a_byte() {
        let (activity, mut watch, start) = watch();
        activity.received.fetch_add(1, Relaxed);
        drop(activity.begin());
        activity.head_open.store(true, Relaxed);
        let mut verdict = Verdict::Stay;
        for second in 0..=11 {
            activity.received.fetch_add(1, Relaxed);
            verdict = watch.look(start + Duration::from_secs(second));
        }
        assert_eq!(verdict, Verdict::Cut(Some(Limit::HeaderTimeout)));
    }

    #[tokio::test]
    async fn a_connection_between_requests_is_closed_after_the_idle_timeout() {
        let (activity, mut watch, start) = watch();
        activity.received.fetch_add(1, Relaxed);
        drop(activity.begin());
        let later = start + HEADER;
        assert_eq!(watch.look(later), Verdict::Stay);
        assert_eq!(watch.look(later + IDLE / 2), Verdict::Stay);
        activity.sent.fetch_add(PROGRESS_BYTES_MIN - 1, Relaxed);
        assert_eq!(watch.look(later + IDLE), Verdict::Close(Some(Limit::Idle)));
    }

    #[tokio::test]
    async fn a_request_may_wait_for_its_answer_but_not_for_a_client_that_takes_nothing() {
        let (activity, mut watch, start) = watch();
        let (request, _) = activity.begin();
        assert_eq!(watch.look(start), Verdict::Stay);
        assert_eq!(watch.look(start + IDLE * 9), Verdict::Stay);
        activity.waiting.fetch_add(1, Relaxed);
        activity.events.fetch_add(1, Relaxed);
        assert_eq!(watch.look(start + IDLE * 10), Verdict::Stay);
        activity.sent.fetch_add(PROGRESS_BYTES_MIN, Relaxed);
        assert_eq!(watch.look(start + IDLE * 11), Verdict::Stay);
        let verdict = watch.look(start + IDLE * 12);
        assert_eq!(verdict, Verdict::Cut(Some(Limit::Stalled)));
        activity.waiting.fetch_sub(1, Relaxed);
        drop(request);
    }

    #[tokio::test]
    async fn a_client_that_takes_less_than_the_least_rate_is_cut() {
        for (rate, verdict) in [
            (101, Verdict::Stay),
            (99, Verdict::Cut(Some(Limit::SlowReader))),
        ] {
            let (activity, mut watch, start) = watch();
            watch.least = 100 * IDLE.as_secs();
            let (request, _) = activity.begin();
            activity.waiting.fetch_add(1, Relaxed);
            for quarter in 0..4 {
                assert_eq!(watch.look(start + IDLE / 4 * quarter), Verdict::Stay);
                activity.sent.fetch_add(rate * IDLE.as_secs() / 4, Relaxed);
            }
            assert_eq!(watch.look(start + IDLE), verdict, "{rate}");
            activity.waiting.fetch_sub(1, Relaxed);
            drop(request);
        }
    }

    #[tokio::test]
    async fn parting_has_an_end() {
        let (activity, mut watch, start) = watch();
        activity.received.fetch_add(1, Relaxed);
        watch.close(start);
        assert_eq!(watch.look(start + FIRST_WORD_MAX), Verdict::Stay);
        assert_eq!(watch.look(start + PARTING_MAX), Verdict::Cut(None));
    }

    #[tokio::test]
    async fn a_connection_that_drains_is_closed_when_it_is_quiet() {
        let (activity, mut watch, start) = watch();
        activity.received.fetch_add(1, Relaxed);
        drop(activity.begin());
        assert_eq!(watch.look(start), Verdict::Stay);
        watch.drain(start);
        assert_eq!(watch.look(start + QUIET / 2), Verdict::Stay);
        drop(activity.begin());
        assert_eq!(watch.look(start + QUIET), Verdict::Stay);
        activity.head_open.store(true, Relaxed);
        assert_eq!(watch.look(start + QUIET * 2), Verdict::Stay);
        activity.head_open.store(false, Relaxed);
        assert_eq!(watch.look(start + QUIET * 3), Verdict::Close(None));
        watch.close(start + QUIET * 3);
        assert_eq!(watch.look(start + QUIET * 4), Verdict::Stay);
    }

    #[tokio::test]
    async fn a_connection_that_never_spoke_does_not_hold_up_the_drain() {
        let (_, mut watch, start) = watch();
        watch.close(start);
        assert_eq!(watch.look(start + FIRST_WORD_MAX), Verdict::Cut(None));
    }
}
