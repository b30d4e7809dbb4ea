//! The right to serve what is stored, while it runs.
//!
//! Whoever knows all purges may serve what they left. An instance that shares its purge log knows
//! them only while others would wait for it: until its lease ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::atomics::{AtomicU64, Ordering};
use crate::clock::{Boottime, SystemBoottime, Uptime};
use crate::sabotage::{Rule, breaks};

/// See the module. Reading it takes one load, and a look at the clock where it can end.
pub struct Lease {
    /// Nanoseconds of uptime until which it runs. [`FOREVER`]: it never ends.
    until: AtomicU64,
    clock: Arc<dyn Boottime>,
}

const FOREVER: u64 = u64::MAX;

impl Lease {
    /// Of an instance that is alone with its log.
    pub fn unlimited() -> Self {
        Self {
            until: AtomicU64::new(FOREVER),
            clock: Arc::new(SystemBoottime),
        }
    }

    /// One that has still to be granted.
    pub fn not_granted(clock: Arc<dyn Boottime>) -> Self {
        Self {
            until: AtomicU64::new(0),
            clock,
        }
    }

    pub fn runs(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        let is_endless = until == FOREVER || (breaks(Rule::Lease) && until > 0);
        is_endless || self.clock.uptime().as_nanos() < until
    }

    /// How long it still runs; [`Duration::MAX`]: it never ends.
    pub fn left(&self) -> Duration {
        match self.until.load(Ordering::Acquire) {
            FOREVER => Duration::MAX,
            until => Uptime::from_nanos(until).since(self.clock.uptime()),
        }
    }

    /// What it goes by.
    pub fn uptime(&self) -> Uptime {
        self.clock.uptime()
    }

    /// It runs until `end`, or as long as it did before if that is longer.
    pub fn extend(&self, end: Uptime) {
        self.until.fetch_max(end.as_nanos(), Ordering::AcqRel);
    }

    /// It ends now.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("runs", &self.runs()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SkippingBoottime;

    #[test]
    fn it_runs_until_its_end_by_a_clock_that_does_not_sleep() {
        let clock = Arc::new(SkippingBoottime::default());
        let lease = Lease::not_granted(Arc::clone(&clock) as Arc<dyn Boottime>);
        assert!(!lease.runs());
        lease.extend(lease.uptime().after(Duration::from_secs(60)));
        assert!(lease.runs());
        clock.skip(Duration::from_secs(61));
        assert!(!lease.runs());
    }

    #[test]
    fn an_answer_that_comes_late_does_not_shorten_it() {
        let lease = Lease::not_granted(Arc::new(SystemBoottime));
        let now = lease.uptime();
        lease.extend(now.after(Duration::from_secs(60)));
        lease.extend(now);
        assert!(lease.runs());
        lease.end();
        assert!(!lease.runs());
        assert!(Lease::unlimited().runs());
    }
}
