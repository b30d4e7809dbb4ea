//! Whether one server is to be asked: what its answers to clients and the checks say of it. Decides
//! only; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::care::Share;

/// What a weight of 1 counts, so that a share of it can be told.
const FULL: u64 = 1000;

#[derive(Debug)]
pub(super) struct Health {
    max_fails: u32,
    fail_timeout: Duration,
    slow_start: Duration,
    standing: Standing,
    /// The checks have found it to be down.
    is_down: bool,
    /// Checks in a row that say otherwise.
    contrary: u32,
    /// Since when it grows to its full weight.
    back_since: Option<Instant>,
}

/// What the answers to clients say.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// So many failures in a row, the first of them then.
    In { fails: u32, since: Instant },
    /// Nobody asks it before then.
    Out { until: Instant },
    /// One request asks whether it is there again; nobody else does before then.
    Trial { until: Instant },
}

/// How many checks in a row it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    pub(super) healthy: u32,
    pub(super) unhealthy: u32,
}

impl Health {
    pub(super) const fn new(share: &Share, slow_start: Duration, now: Instant) -> Self {
        Self {
            max_fails: share.max_fails,
            fail_timeout: share.fail_timeout,
            slow_start,
            standing: Standing::In {
                fails: 0,
                since: now,
            },
            is_down: false,
            contrary: 0,
            back_since: None,
        }
    }

    /// Whether others are asked in its place.
    pub(super) fn is_out(&self, now: Instant) -> bool {
        self.is_down
            || match self.standing {
                Standing::In { .. } => false,
                Standing::Out { until } | Standing::Trial { until } => now < until,
            }
    }

    /// Whether it has neither been left out nor found down since its last good word.
    pub(super) const fn is_up(&self) -> bool {
        !self.is_down && matches!(self.standing, Standing::In { .. })
    }

    /// A request goes to it. After its time is over, one does, and the others wait for its outcome.
    pub(super) fn picked(&mut self, now: Instant) {
        if let Standing::Out { until } | Standing::Trial { until } = self.standing
            && now >= until
        {
            let until = now + self.fail_timeout;
            self.standing = Standing::Trial { until };
        }
    }

    /// It has answered. Says whether it is back by that.
    pub(super) fn succeeded(&mut self, now: Instant) -> bool {
        let was_out = !matches!(self.standing, Standing::In { .. });
        if was_out {
            self.back_since = Some(now);
        }
        self.standing = Standing::In {
            fails: 0,
            since: now,
        };
        was_out && !self.is_down
    }

    /// It has failed. Says whether it is left out from now on, which it never is unless `may_go`.
    /// One failure after its time is over is enough.
    pub(super) fn failed(&mut self, now: Instant, may_go: bool) -> bool {
        let is_over = match &mut self.standing {
            Standing::In { fails, since } => {
                if *fails == 0 || now.duration_since(*since) > self.fail_timeout {
                    (*fails, *since) = (0, now);
                }
                *fails = fails.saturating_add(1);
                self.max_fails > 0 && *fails >= self.max_fails && may_go
            }
            // Of a request that had gone there before.
            Standing::Out { .. } => false,
            Standing::Trial { .. } => true,
        };
        if is_over {
            let until = now + self.fail_timeout;
            self.standing = Standing::Out { until };
        }
        is_over
    }

    /// A check has ended. Says what the server is from now on, if that is something else.
    pub(super) fn checked(&mut self, is_good: bool, now: Instant, of: Thresholds) -> Option<bool> {
        if is_good != self.is_down {
            self.contrary = 0;
            return None;
        }
        self.contrary = self.contrary.saturating_add(1);
        if self.contrary < if is_good { of.healthy } else { of.unhealthy } {
            return None;
        }
        self.contrary = 0;
        self.is_down = !is_good;
        if is_good {
            self.back_since = Some(now);
            self.standing = Standing::In {
                fails: 0,
                since: now,
            };
        }
        Some(is_good)
    }

    /// What `weight` counts now, at least 1: less than its full value while the server grows.
    pub(super) fn weigh(&self, weight: u32, now: Instant) -> u64 {
        let full = u64::from(weight) * FULL;
        let grown = self.back_since.map(|since| now.duration_since(since));
        match grown {
            Some(grown) if grown < self.slow_start => {
                let part = grown.as_secs_f64() / self.slow_start.as_secs_f64();
                // Thousandths of a weight: the fraction is of no interest.
                ((full as f64 * part) as u64).max(1)
            }
            _ => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const THRESHOLDS: Thresholds = Thresholds {
        healthy: 2,
        unhealthy: 3,
    };

    fn health(max_fails: u32, slow_start: Duration, now: Instant) -> Health {
        let share = Share {
            max_fails,
            fail_timeout: TIMEOUT,
            ..Share::default()
        };
        Health::new(&share, slow_start, now)
    }

    #[test]
    fn failures_in_a_row_within_their_time_leave_a_server_out_for_as_long() {
        let now = Instant::now();
        let mut health = health(3, Duration::ZERO, now);
        assert!(!health.failed(now, true));
        assert!(!health.failed(now, true));
        assert!(!health.is_out(now));
        assert!(health.failed(now + TIMEOUT, true));
        assert!(health.is_out(now + TIMEOUT));
        assert!(!health.is_up());
        assert!(!health.is_out(now + 2 * TIMEOUT));
    }

    #[test]
    fn failures_far_apart_or_around_a_success_are_not_counted_together() {
        let mut now = Instant::now();
        let mut health = health(2, Duration::ZERO, now);
        for _ in 0..5 {
            assert!(!health.failed(now, true));
            now += TIMEOUT + Duration::from_millis(1);
        }
        for _ in 0..5 {
            assert!(!health.failed(now, true));
            assert!(!health.succeeded(now), "it was never out");
        }
    }

    #[test]
    fn without_a_limit_nothing_leaves_a_server_out() {
        let now = Instant::now();
        let mut health = health(0, Duration::ZERO, now);
        assert!((0..100).all(|_| !health.failed(now, true)));
    }

    #[test]
    fn after_its_time_one_request_asks_and_the_others_wait_for_its_outcome() {
        let start = Instant::now();
        let mut health = health(1, Duration::ZERO, start);
        assert!(health.failed(start, true));
        let later = start + TIMEOUT;
        assert!(!health.is_out(later));
        health.picked(later);
        assert!(health.is_out(later), "one asks");
        assert!(!health.is_out(later + TIMEOUT), "the one was lost");
        health.picked(later + TIMEOUT);
        assert!(health.failed(later + TIMEOUT, true), "one is enough");
        health.picked(later + 2 * TIMEOUT);
        assert!(health.succeeded(later + 2 * TIMEOUT));
        assert!(!health.is_out(later + 2 * TIMEOUT));
        assert!(health.is_up());
    }

    #[test]
    fn checks_in_a_row_take_a_server_out_and_bring_it_back() {
        let now = Instant::now();
        let mut health = health(1, Duration::ZERO, now);
        let mut check = |good| health.checked(good, now, THRESHOLDS);
        for good in [true, false, false, true, false, false] {
            assert_eq!(check(good), None);
        }
        assert_eq!(check(false), Some(false));
        for good in [false, true, false, true] {
            assert_eq!(check(good), None);
        }
        assert_eq!(check(true), Some(true));
        assert!(!health.is_out(now));
    }

    #[test]
    fn a_server_that_is_down_is_out_however_it_answers_clients() {
        let now = Instant::now();
        let mut health = health(1, Duration::ZERO, now);
        for _ in 0..THRESHOLDS.unhealthy {
            health.checked(false, now, THRESHOLDS);
        }
        assert!(!health.succeeded(now));
        assert!(health.is_out(now + 100 * TIMEOUT));
    }

    #[test]
    fn the_weight_of_a_server_that_is_back_grows_evenly() {
        let start = Instant::now();
        let mut health = health(1, Duration::from_secs(100), start);
        assert_eq!(health.weigh(2, start), 2 * FULL, "it was never away");
        health.failed(start, true);
        health.succeeded(start);
        let after = |seconds| health.weigh(2, start + Duration::from_secs(seconds));
        assert_eq!(after(0), 1);
        assert_eq!(after(25), FULL / 2);
        assert_eq!(after(50), FULL);
        assert_eq!(after(100), 2 * FULL);
        assert_eq!(after(1000), 2 * FULL);
    }
}
