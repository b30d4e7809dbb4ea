//! Which server of an upstream is next: round robin, leaving out for a while what keeps refusing
//! connections. Decides only; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Connect failures in a row after which a server is left out.
const FAILURES_MAX: u32 = 3;

/// How long a server is left out before it is tried again.
const EJECTION: Duration = Duration::from_secs(10);

/// The servers of one upstream, by their place in the configuration.
#[derive(Debug)]
pub(super) struct Balance {
    servers: Vec<Health>,
    next: usize,
}

#[derive(Clone, Debug, Default)]
struct Health {
    /// Connect failures since the last connection that came about.
    failures: u32,
    ejected_until: Option<Instant>,
}

impl Health {
    fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }
}

impl Balance {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            servers: vec![Health::default(); servers],
            next: 0,
        }
    }

    /// The next server in turn that is not in `tried`; one that is left out only if there is no
    /// other. None when every server was tried.
    pub(super) fn pick(&mut self, tried: &[usize], now: Instant) -> Option<usize> {
        let count = self.servers.len();
        let first = self.next;
        let turns = || {
            (0..count)
                .map(|step| (first + step) % count)
                .filter(|at| !tried.contains(at))
        };
        let is_ejected = |at: &usize| self.servers.get(*at).is_some_and(|s| s.is_ejected(now));
        let picked = turns()
            .find(|at| !is_ejected(at))
            .or_else(|| turns().next())?;
        self.next = (picked + 1) % count;
        Some(picked)
    }

    /// A connection to server `at` came about.
    pub(super) fn succeeded(&mut self, at: usize) {
        if let Some(server) = self.servers.get_mut(at) {
            *server = Health::default();
        }
    }

    /// No connection to server `at` came about. Answers whether it is left out from now on; the
    /// last one that is left never is. After its time is over one more failure is enough.
    pub(super) fn failed(&mut self, at: usize, now: Instant) -> bool {
        let others_left = self
            .servers
            .iter()
            .enumerate()
            .any(|(other, server)| other != at && !server.is_ejected(now));
        let Some(server) = self.servers.get_mut(at) else {
            return false;
        };
        server.failures = server.failures.saturating_add(1);
        if server.failures < FAILURES_MAX || !others_left || server.is_ejected(now) {
            return false;
        }
        server.ejected_until = Some(now + EJECTION);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(balance: &mut Balance, count: usize, now: Instant) -> Vec<usize> {
        (0..count).filter_map(|_| balance.pick(&[], now)).collect()
    }

    fn fail(balance: &mut Balance, at: usize, times: u32, now: Instant) -> bool {
        (0..times).any(|_| balance.failed(at, now))
    }

    #[test]
    fn servers_take_turns() {
        let now = Instant::now();
        assert_eq!(picks(&mut Balance::new(3), 7, now), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(picks(&mut Balance::new(1), 3, now), [0, 0, 0]);
    }

    #[test]
    fn a_server_that_was_tried_is_not_picked_again() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        assert_eq!(balance.pick(&[0], now), Some(1));
        assert_eq!(balance.pick(&[0, 1], now), None);
    }

    #[test]
    fn three_connect_failures_in_a_row_leave_a_server_out_for_a_while() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        assert!(!fail(&mut balance, 0, FAILURES_MAX - 1, now));
        assert!(balance.failed(0, now));
        assert_eq!(picks(&mut balance, 3, now), [1, 1, 1]);
        let later = now + EJECTION;
        assert_eq!(picks(&mut balance, 2, later), [0, 1]);
    }

    #[test]
    fn a_server_that_comes_back_needs_one_failure_to_go_and_one_success_to_stay() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        assert!(fail(&mut balance, 0, FAILURES_MAX, now));
        let later = now + EJECTION;
        assert!(balance.failed(0, later));
        balance.succeeded(0);
        assert_eq!(picks(&mut balance, 2, later), [0, 1]);
        assert!(!balance.failed(0, later));
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        for _ in 0..5 {
            assert!(!fail(&mut balance, 0, FAILURES_MAX - 1, now));
            balance.succeeded(0);
        }
    }

    #[test]
    fn the_last_server_is_never_left_out() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        assert!(fail(&mut balance, 0, FAILURES_MAX, now));
        assert!(!fail(&mut balance, 1, 10, now));
        assert_eq!(picks(&mut balance, 2, now), [1, 1]);
        assert!(!fail(&mut Balance::new(1), 0, 10, now));
    }

    #[test]
    fn a_server_that_is_left_out_is_the_last_resort_of_a_retry() {
        let (mut balance, now) = (Balance::new(2), Instant::now());
        assert!(fail(&mut balance, 0, FAILURES_MAX, now));
        assert_eq!(balance.pick(&[1], now), Some(0));
    }
}
