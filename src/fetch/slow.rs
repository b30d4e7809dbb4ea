//! What the log hears of an upstream that is slow: a line per exchange, within bounds.

use std::time::Duration;

use http::{HeaderValue, Request};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::Error;
use crate::telemetry::origin::UpstreamMetrics;

/// Lines per second and upstream. The rest is counted.
const LINES_PER_SECOND_MAX: u32 = 5;

/// Characters of a path that are shown.
const PATH_MAX: usize = 256;

/// One upstream's slow exchanges.
#[derive(Debug)]
pub(super) struct Slow {
    /// Zero = off.
    threshold: Duration,
    said: Mutex<Said>,
}

#[derive(Debug)]
struct Said {
    since: Instant,
    lines: u32,
    /// Slow exchanges that nothing was said of.
    silent: u64,
}

/// What of a request is told of.
#[derive(Debug)]
pub(super) struct Told {
    began: Instant,
    path: Box<str>,
    /// The trace or id that the request goes to the origin with.
    id: Option<HeaderValue>,
}

impl Slow {
    pub(super) fn new(threshold: Duration, now: Instant) -> Self {
        Self {
            threshold,
            said: Mutex::new(Said {
                since: now,
                lines: 0,
                silent: 0,
            }),
        }
    }

    /// Nothing where it is off.
    pub(super) fn watch<B>(&self, request: &Request<B>) -> Option<Told> {
        if self.threshold.is_zero() {
            return None;
        }
        let headers = request.headers();
        let id = ["x-request-id", "traceparent"]
            .into_iter()
            .find_map(|name| headers.get(name));
        Some(Told {
            began: Instant::now(),
            path: request.uri().path().chars().take(PATH_MAX).collect(),
            id: id.cloned(),
        })
    }

    /// The head of the response is there, or will not come.
    pub(super) fn ended(
        &self,
        told: Option<Told>,
        outcome: Result<&str, &Error>,
        upstream: &str,
        metrics: &UpstreamMetrics,
    ) {
        let Some(told) = told else { return };
        let elapsed = told.began.elapsed();
        if elapsed < self.threshold {
            return;
        }
        metrics.care().slow();
        let Some(before) = self.said.lock().say(Instant::now()) else {
            return;
        };
        let (server, error) = match outcome {
            Ok(server) => (server, ""),
            Err(error) => (
                error.server.as_deref().unwrap_or_default(),
                error.kind.label(),
            ),
        };
        let id = told.id.as_ref().and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default();
        let (path, milliseconds) = (&*told.path, elapsed.as_millis());
        tracing::warn!(
            upstream,
            server,
            path,
            milliseconds,
            error,
            id,
            before,
            "the origin is slow"
        );
    }
}

impl Said {
    /// Whether one more line may be said, and how many slow exchanges were not told of before it.
    fn say(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= LINES_PER_SECOND_MAX {
            self.silent += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_what_was_left_out_is_summed_up() {
        let now = Instant::now();
        let mut said = Said {
            since: now,
            lines: 0,
            silent: 0,
        };
        let lines = (0..100).filter_map(|_| said.say(now)).count();
        assert_eq!(lines, 5);
        let later = now + Duration::from_secs(1);
        assert_eq!(said.say(later), Some(95));
        assert_eq!(said.say(later), Some(0));
    }

    #[test]
    fn off_it_looks_at_nothing() {
        let slow = Slow::new(Duration::ZERO, Instant::now());
        assert!(slow.watch(&Request::new(())).is_none());
    }

    #[test]
    fn the_query_is_not_told_of() {
        let slow = Slow::new(Duration::from_secs(1), Instant::now());
        let request = Request::get("/a/b?token=secret").header("x-request-id", "7");
        let told = slow.watch(&request.body(()).unwrap()).unwrap();
        assert_eq!(&*told.path, "/a/b");
        assert_eq!(told.id.unwrap(), "7");
    }
}
