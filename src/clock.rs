//! The only file that reads the wall clock, and the clock that runs while the machine sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// `seconds` since the Unix epoch, as HTTP dates have them; saturates.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The span since `earlier`, or zero when `earlier` is later (RFC 9111 §4.2.3: `max(0, …)`).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point moved forward; saturates.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

/// Source of wall-clock time for the rooms that do I/O. Pure rooms take a [`Timestamp`] argument.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(millis(since_epoch))
    }
}

/// A clock that stands still until it is told to move: what tests inject.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub const fn starting_at(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.as_millis()))
    }

    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A point on a clock that is never set and that runs while the process, or the machine, sleeps:
/// nanoseconds since the machine started. Two machines have nothing of it in common but its rate.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Uptime(u64);

impl Uptime {
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span since `earlier`, or zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This point moved forward; saturates.
    pub fn after(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// This point moved back, to zero at most.
    pub fn before(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// Source of [`Uptime`]. Leases go by it: `Instant` stands still while the machine sleeps.
pub trait Boottime: Send + Sync + 'static {
    fn uptime(&self) -> Uptime;
}

/// The machine's `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemBoottime;

impl Boottime for SystemBoottime {
    fn uptime(&self) -> Uptime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
        Uptime(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// The machine's clock, moved forward by as much as a test says: what a process sees that was
/// suspended meanwhile.
#[derive(Debug, Default)]
pub struct SkippingBoottime(AtomicU64);

impl SkippingBoottime {
    pub fn skip(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Boottime for SkippingBoottime {
    fn uptime(&self) -> Uptime {
        let skipped = Duration::from_nanos(self.0.load(Ordering::SeqCst));
        SystemBoottime.uptime().after(skipped)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_never_goes_below_zero() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn the_uptime_runs() {
        let clock = SkippingBoottime::default();
        let before = clock.uptime();
        clock.skip(Duration::from_secs(7));
        assert!(clock.uptime().since(before) >= Duration::from_secs(7));
        assert!(SystemBoottime.uptime() < clock.uptime());
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let end = Timestamp::from_millis(u64::MAX).after(Duration::from_secs(1));
        assert_eq!(end.as_millis(), u64::MAX);
    }
}
