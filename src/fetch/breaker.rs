//! The circuit breaker of an upstream: after enough failures in a row nobody waits for it, until
//! one request has found that it answers again.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::care;
use crate::telemetry::servers::{BreakerMetrics, BreakerState};

/// Shared by the exchanges of an upstream.
#[derive(Debug)]
pub(super) struct Breaker {
    switch: Mutex<Switch>,
    upstream: Box<str>,
    metrics: BreakerMetrics,
}

/// Leave for one exchange. Dropped without a word, it says nothing about the upstream.
#[derive(Debug)]
#[must_use]
pub(super) struct Leave {
    breaker: Arc<Breaker>,
    /// It is the one that finds out.
    is_probe: bool,
}

/// The decisions; time is an argument.
#[derive(Debug)]
struct Switch {
    settings: care::Breaker,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Failures in a row.
    Closed(u32),
    Open {
        until: Instant,
    },
    /// One exchange finds out whether the upstream answers.
    HalfOpen,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Admission {
    Free,
    Probe,
    Refused,
}

impl Breaker {
    pub(super) fn new(
        upstream: Box<str>,
        settings: care::Breaker,
        metrics: BreakerMetrics,
    ) -> Self {
        metrics.state(BreakerState::Closed);
        Self {
            switch: Mutex::new(Switch::new(settings)),
            upstream,
            metrics,
        }
    }

    /// Whether [`Breaker::leave`] would be refused now. Takes nothing.
    pub(super) fn is_open(&self) -> bool {
        self.switch.lock().is_open(Instant::now())
    }

    pub(super) fn leave(self: &Arc<Self>) -> Option<Leave> {
        let admission = self.switch.lock().admit(Instant::now());
        let is_probe = match admission {
            Admission::Refused => return None,
            Admission::Probe => {
                self.metrics.state(BreakerState::HalfOpen);
                true
            }
            Admission::Free => false,
        };
        Some(Leave {
            breaker: Arc::clone(self),
            is_probe,
        })
    }
}

impl Leave {
    /// The upstream has answered.
    pub(super) fn succeeded(mut self) {
        let breaker = &self.breaker;
        if breaker.switch.lock().succeeded(self.is_probe) {
            breaker.metrics.state(BreakerState::Closed);
            let upstream = &*breaker.upstream;
            tracing::info!(upstream, "the origin answers again: the breaker is closed");
        }
        self.is_probe = false;
    }

    /// The upstream has failed.
    pub(super) fn failed(mut self) {
        let breaker = &self.breaker;
        let mut switch = breaker.switch.lock();
        let has_opened = switch.failed(self.is_probe, Instant::now());
        let seconds = switch.settings.open_for.as_secs_f64();
        drop(switch);
        if has_opened {
            breaker.metrics.opened();
            if !self.is_probe {
                let upstream = &*breaker.upstream;
                tracing::warn!(upstream, seconds, "the origin fails: the breaker is open");
            }
        }
        self.is_probe = false;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.switch.lock().abandoned(Instant::now());
            self.breaker.metrics.state(BreakerState::Open);
        }
    }
}

impl Switch {
    const fn new(settings: care::Breaker) -> Self {
        Self {
            settings,
            state: State::Closed(0),
        }
    }

    fn is_open(&self, now: Instant) -> bool {
        match self.state {
            State::Closed(_) => false,
            State::Open { until } => now < until,
            State::HalfOpen => true,
        }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        if self.is_open(now) {
            return Admission::Refused;
        }
        if matches!(self.state, State::Closed(_)) {
            return Admission::Free;
        }
        self.state = State::HalfOpen;
        Admission::Probe
    }

    /// Says whether it closes by that. While it is open, answers to what had left before say only
    /// how the upstream was.
    const fn succeeded(&mut self, is_probe: bool) -> bool {
        if is_probe || matches!(self.state, State::Closed(_)) {
            self.state = State::Closed(0);
        }
        is_probe
    }

    /// Says whether it opens by that.
    fn failed(&mut self, is_probe: bool, now: Instant) -> bool {
        let opens = match &mut self.state {
            State::Closed(failures) => {
                *failures = failures.saturating_add(1);
                self.settings.failures > 0 && *failures >= self.settings.failures
            }
            State::Open { .. } | State::HalfOpen => is_probe,
        };
        if opens {
            let until = now + self.settings.open_for;
            self.state = State::Open { until };
        }
        opens
    }

    /// The probe was given up before it knew: the next request is one.
    const fn abandoned(&mut self, now: Instant) {
        self.state = State::Open { until: now };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn switch(failures: u32) -> Switch {
        Switch::new(care::Breaker {
            failures,
            open_for: PAUSE,
        })
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let (mut switch, now) = (switch(3), Instant::now());
        for _ in 0..2 {
            assert!(!switch.failed(false, now));
            assert!(!switch.failed(false, now));
            assert!(!switch.succeeded(false));
        }
        assert!(!switch.failed(false, now));
        assert!(!switch.failed(false, now));
        assert_eq!(switch.admit(now), Admission::Free);
        assert!(switch.failed(false, now));
        assert_eq!(switch.admit(now), Admission::Refused);
        assert!(switch.is_open(now));
    }

    #[test]
    fn half_open_it_lets_one_through() {
        let (mut switch, now) = (switch(1), Instant::now());
        assert!(switch.failed(false, now));
        let later = now + PAUSE;
        assert!(!switch.is_open(later));
        assert_eq!(switch.admit(later), Admission::Probe);
        assert_eq!(switch.admit(later), Admission::Refused);
        assert_eq!(switch.admit(later + 100 * PAUSE), Admission::Refused);
        assert!(switch.failed(true, later));
        assert_eq!(switch.admit(later), Admission::Refused);
        assert_eq!(switch.admit(later + PAUSE), Admission::Probe);
        assert!(switch.succeeded(true));
        assert_eq!(switch.admit(later + PAUSE), Admission::Free);
    }

    #[test]
    fn what_had_left_before_neither_closes_it_nor_keeps_it_open() {
        let (mut switch, now) = (switch(1), Instant::now());
        assert!(switch.failed(false, now));
        let later = now + Duration::from_secs(4);
        assert!(!switch.failed(false, later));
        assert!(!switch.succeeded(false));
        assert!(switch.is_open(later));
        assert!(!switch.is_open(now + PAUSE), "not longer either");
        assert_eq!(switch.admit(now + PAUSE), Admission::Probe);
        assert!(!switch.succeeded(false));
        assert_eq!(switch.admit(now + PAUSE), Admission::Refused);
    }

    #[test]
    fn a_probe_that_was_given_up_is_followed_by_another() {
        let (mut switch, now) = (switch(1), Instant::now());
        assert!(switch.failed(false, now));
        let later = now + PAUSE;
        assert_eq!(switch.admit(later), Admission::Probe);
        switch.abandoned(later);
        assert_eq!(switch.admit(later), Admission::Probe);
    }

    #[test]
    fn without_a_limit_it_never_opens() {
        let (mut switch, now) = (switch(0), Instant::now());
        assert!((0..1000).all(|_| !switch.failed(false, now)));
        assert_eq!(switch.admit(now), Admission::Free);
    }
}
