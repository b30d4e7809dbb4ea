//! A Redis that is treated as if it could not be reached, for a while: what an operator drills.
//!
//! It ends by itself, whoever began it and whatever became of them.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest outage.
pub const OUTAGE_MAX: Duration = Duration::from_secs(600);

/// See the module. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Outage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Nothing: there is none, nor will be one that has begun already.
    until: watch::Sender<Option<Instant>>,
    on: Gauge,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            until: watch::Sender::new(None),
            on: Gauge::default(),
        }
    }
}

impl Outage {
    /// Adds a gauge to `registry`, which gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "drill_redis_down",
            "1 while Redis is treated as unreachable, because an operator wants to see it",
            self.0.on.clone(),
        );
    }

    /// Begins one of this length, at most [`OUTAGE_MAX`], in place of one that there is. Zero ends
    /// it.
    pub fn begin(&self, span: Duration) {
        let span = span.min(OUTAGE_MAX);
        let until = (!span.is_zero()).then(|| Instant::now() + span);
        self.0.until.send_replace(until);
        self.0.on.set(i64::from(until.is_some()));
    }

    /// How long it still lasts; nothing: there is none.
    pub fn left(&self) -> Option<Duration> {
        let until = (*self.0.until.borrow())?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// For the metrics.
    pub fn look_up_gauge(&self) {
        self.0.on.set(i64::from(self.left().is_some()));
    }

    /// Waits until there is one.
    pub async fn begun(&self) {
        let mut until = self.0.until.subscribe();
        while self.left().is_none() {
            // The sender is there as long as this.
            let _changed = until.changed().await;
        }
    }

    /// Waits until there is none.
    pub async fn ended(&self) {
        let mut changes = self.0.until.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            let Some(until) = until.filter(|until| *until > Instant::now()) else {
                break;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                _changed = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself() {
        let outage = Outage::default();
        assert_eq!(outage.left(), None);
        outage.begin(Duration::from_secs(5));
        outage.begun().await;
        assert_eq!(outage.left(), Some(Duration::from_secs(5)));
        let began = Instant::now();
        outage.ended().await;
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        assert_eq!(outage.left(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_ended_before_and_has_a_bound() {
        let outage = Outage::default();
        outage.begin(Duration::MAX);
        assert_eq!(outage.left(), Some(OUTAGE_MAX));
        let waiting = tokio::spawn({
            let outage = outage.clone();
            async move { outage.ended().await }
        });
        tokio::task::yield_now().await;
        outage.begin(Duration::ZERO);
        waiting.await.unwrap();
        assert_eq!(outage.left(), None);
    }
}
