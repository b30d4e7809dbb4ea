//! What the log hears of an upstream that fails: the first failure, then a sum now and then, and
//! that it answers again.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::{Error, Kind};

/// Between two words about the same upstream.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// One upstream's failures.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Failing>>);

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    said: Instant,
    /// Failures that nothing was said of.
    silent: u64,
}

impl Trouble {
    pub(super) fn failed(&self, upstream: &str, error: &Error) {
        if matches!(
            error.kind,
            Kind::InvalidRequest | Kind::RequestBody | Kind::RequestTimeout
        ) {
            return; // The client's fault.
        }
        let now = Instant::now();
        let mut failing = self.0.lock();
        let before = match &mut *failing {
            Some(known) if now.duration_since(known.said) < SAID_EVERY => {
                known.silent += 1;
                return;
            }
            Some(known) => {
                known.said = now;
                std::mem::take(&mut known.silent)
            }
            None => {
                *failing = Some(Failing {
                    since: now,
                    said: now,
                    silent: 0,
                });
                0
            }
        };
        drop(failing);
        tracing::warn!(upstream, %error, before, "the origin fails");
    }

    pub(super) fn answered(&self, upstream: &str) {
        let Some(failing) = self.0.lock().take() else {
            return;
        };
        let seconds = failing.since.elapsed().as_secs();
        let failures = failing.silent;
        tracing::info!(upstream, seconds, failures, "the origin answers again");
    }

    #[cfg(test)]
    fn silent(&self) -> Option<u64> {
        self.0.lock().map(|failing| failing.silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_origin_is_told_of_once_in_a_while() {
        let trouble = Trouble::default();
        let error = Error::new(Kind::Connect);
        for _ in 0..100 {
            trouble.failed("cms", &error);
        }
        assert_eq!(trouble.silent(), Some(99));
        tokio::time::advance(SAID_EVERY).await;
        trouble.failed("cms", &error);
        assert_eq!(trouble.silent(), Some(0), "the 99 were told of");
        trouble.answered("cms");
        assert_eq!(trouble.silent(), None);
    }

    #[test]
    fn a_clients_fault_is_no_trouble_of_the_origins() {
        let trouble = Trouble::default();
        trouble.failed("cms", &Error::new(Kind::RequestBody));
        assert_eq!(trouble.silent(), None);
    }
}
