//! Streams whose client does not take their response, while others of its connection go on.
//!
//! hyper waits for a window as long as the client likes. Each stream of HTTP/2 is a task, so its
//! task gives it up: dropped, it is reset (RFC 9113 §6.4). A stream that never has to wait for its
//! client costs nothing here but a look at two words.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use crate::telemetry::server::Limit;

/// A stream is looked at so many times per timeout: a deadline is noticed up to a quarter late.
const LOOKS: u32 = 4;

/// What the body of a stream's response has done.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Bytes of content it gave out.
    given: u64,
    /// The next move is the client's.
    is_waiting: bool,
}

tokio::task_local! {
    static PROGRESS: Cell<Progress>;
}

/// What is asked of those who read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A quarter of the timeout.
    look: Duration,
    /// Bytes that must be taken within the timeout.
    least: u64,
}

impl Pace {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            look: (limits.idle_timeout / LOOKS).max(Duration::from_millis(1)),
            least: least(limits),
        }
    }
}

/// Bytes that a client must take within `idle_timeout` while there is something to take.
pub(super) fn least(limits: &Limits) -> u64 {
    limits
        .send_rate_min
        .saturating_mul(limits.idle_timeout.as_secs())
}

/// The body of the stream whose task this is gave out `given` bytes, or has nothing to give.
pub(super) fn note(given: Option<usize>) {
    // Outside of a stream, that is for HTTP/1, the watch of the connection suffices.
    let _outside = PROGRESS.try_with(|progress| {
        let mut now = progress.get();
        now.is_waiting = given.is_some();
        now.given += u64::try_from(given.unwrap_or_default()).unwrap_or_default();
        progress.set(now);
    });
}

/// Runs a stream to its end, or until its client has not taken what it should have.
pub(super) async fn watched(stream: impl Future<Output = ()>, pace: Pace) -> Result<(), Limit> {
    let watched = async {
        let mut stream = pin!(stream);
        let mut watch: Option<Watch> = None;
        std::future::poll_fn(|cx| {
            if stream.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let progress = PROGRESS.with(Cell::get);
            if !progress.is_waiting {
                watch = None;
                return Poll::Pending;
            }
            watch
                .get_or_insert_with(|| Watch::new(pace, progress))
                .poll(cx, progress)
                .map(Err)
        })
        .await
    };
    PROGRESS.scope(Cell::default(), watched).await
}

/// Looks at a stream that waits for its client.
struct Watch {
    pace: Pace,
    timer: Pin<Box<Sleep>>,
    /// Looks since the client last took anything, and what had been given out then.
    quiet: u32,
    given: u64,
    /// Looks since the rate was last checked, and what had been given out then.
    looks: u32,
    given_before: u64,
}

impl Watch {
    fn new(pace: Pace, progress: Progress) -> Self {
        Self {
            pace,
            timer: Box::pin(sleep(pace.look)),
            quiet: 0,
            given: progress.given,
            looks: 0,
            given_before: progress.given,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, progress: Progress) -> Poll<Limit> {
        while self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.pace.look);
            if let Some(limit) = self.look(progress.given) {
                return Poll::Ready(limit);
            }
        }
        Poll::Pending
    }

    fn look(&mut self, given: u64) -> Option<Limit> {
        if given == self.given {
            self.quiet += 1;
        } else {
            (self.quiet, self.given) = (0, given);
        }
        self.looks += 1;
        if self.quiet >= LOOKS {
            return Some(Limit::Stalled);
        }
        if self.looks < LOOKS {
            return None;
        }
        let taken = given - self.given_before;
        (self.looks, self.given_before) = (0, given);
        (taken < self.pace.least).then_some(Limit::SlowReader)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn pace() -> Pace {
        Pace::of(&Limits {
            idle_timeout: TIMEOUT,
            send_rate_min: 10,
            ..Limits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_client_is_given_up() {
        let start = Instant::now();
        let stream = async {
            note(Some(100_000));
            pending().await
        };
        assert_eq!(watched(stream, pace()).await, Err(Limit::Stalled));
        assert!((TIMEOUT..=TIMEOUT * 5 / 4).contains(&start.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_content_is_not() {
        let stream = async {
            note(Some(100_000));
            note(None);
            sleep(TIMEOUT * 9).await;
        };
        assert_eq!(watched(stream, pace()).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_must_keep_to_the_least_rate() {
        let reading = |bytes: usize| async move {
            for _ in 0..20 {
                note(Some(bytes));
                sleep(TIMEOUT / 10).await;
            }
        };
        assert_eq!(watched(reading(100), pace()).await, Ok(()));
        let slow = watched(reading(10), pace()).await;
        assert_eq!(slow, Err(Limit::SlowReader));
    }
}
