//! The retry budget of an upstream: repetitions are a part of what is asked anyway, so that they
//! never multiply the load on one that is in trouble.

use parking_lot::Mutex;
use tokio::time::Instant;

/// What is looked back upon, in seconds.
const WINDOW_SECONDS: u64 = 10;

/// Repetitions that are allowed however little is asked, per second of the window.
const FLOOR_PER_SECOND: u64 = 10;

/// Shared by the exchanges of an upstream.
#[derive(Debug)]
pub(super) struct Reserve {
    ledger: Mutex<Ledger>,
    began: Instant,
}

/// The decisions; time is an argument, in seconds.
#[derive(Debug)]
struct Ledger {
    percent: u64,
    /// By the second modulo the window.
    seconds: [Second; WINDOW_SECONDS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    which: u64,
    requests: u64,
    retries: u64,
}

impl Reserve {
    pub(super) fn new(percent: u32, now: Instant) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(percent)),
            began: now,
        }
    }

    /// A request has come.
    pub(super) fn earn(&self) {
        self.ledger.lock().earn(self.second());
    }

    /// Takes what one repetition costs, if it is there.
    #[must_use]
    pub(super) fn spend(&self) -> bool {
        self.ledger.lock().spend(self.second())
    }

    fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

impl Ledger {
    fn new(percent: u32) -> Self {
        Self {
            percent: percent.into(),
            seconds: Default::default(),
        }
    }

    fn earn(&mut self, now: u64) {
        if let Some(second) = self.at(now) {
            second.requests += 1;
        }
    }

    fn spend(&mut self, now: u64) -> bool {
        let of_window = |second: &&Second| now < second.which + WINDOW_SECONDS;
        let window = self.seconds.iter().filter(of_window);
        let (requests, retries) = window.fold((0, 0), |(requests, retries), second| {
            (requests + second.requests, retries + second.retries)
        });
        let allowed = requests * self.percent / 100 + FLOOR_PER_SECOND * WINDOW_SECONDS;
        if retries >= allowed {
            return false;
        }
        if let Some(second) = self.at(now) {
            second.retries += 1;
        }
        true
    }

    fn at(&mut self, now: u64) -> Option<&mut Second> {
        let at = usize::try_from(now % WINDOW_SECONDS).ok()?;
        let second = self.seconds.get_mut(at)?;
        if second.which != now {
            *second = Second {
                which: now,
                ..Second::default()
            };
        }
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: u64 = FLOOR_PER_SECOND * WINDOW_SECONDS;

    fn spend_all(ledger: &mut Ledger, now: u64) -> u64 {
        (0..10_000).take_while(|_| ledger.spend(now)).count() as u64
    }

    #[test]
    fn repetitions_are_a_part_of_the_requests_and_a_floor() {
        let mut ledger = Ledger::new(20);
        assert_eq!(spend_all(&mut ledger, 0), FLOOR);
        for _ in 0..1000 {
            ledger.earn(0);
        }
        assert_eq!(spend_all(&mut ledger, 0), 200);
        assert_eq!(spend_all(&mut ledger, WINDOW_SECONDS - 1), 0);
    }

    #[test]
    fn what_was_earned_and_spent_is_forgotten_after_the_window() {
        let mut ledger = Ledger::new(50);
        for second in 0..WINDOW_SECONDS {
            for _ in 0..10 {
                ledger.earn(second);
            }
        }
        assert_eq!(spend_all(&mut ledger, WINDOW_SECONDS - 1), FLOOR + 50);
        let later = 2 * WINDOW_SECONDS - 1;
        assert_eq!(spend_all(&mut ledger, later), FLOOR);
        assert_eq!(spend_all(&mut ledger, 100 * WINDOW_SECONDS), FLOOR);
    }

    #[test]
    fn without_a_percentage_the_floor_remains() {
        let mut ledger = Ledger::new(0);
        for _ in 0..1000 {
            ledger.earn(3);
        }
        assert_eq!(spend_all(&mut ledger, 3), FLOOR);
    }
}
