//! The log in the process: what there is without Redis. Every receipt is complete at once, because
//! this instance is the only one.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Purge;
use super::history::{Deliveries, Receipts};
use super::log::{Log, LogError, Wait};
use super::receipt::{InstanceState, Receipt, ReceiptId, State};
use crate::clock::{Clock, Timestamp};
use crate::entry::purges::Purges;
use crate::entry::scope::Scope;
use crate::exchange::Position;
use crate::telemetry::purge::PurgeMetrics;

/// See the module.
pub struct LocalLog {
    purges: Arc<Purges>,
    clock: Arc<dyn Clock>,
    instance: Box<str>,
    metrics: PurgeMetrics,
    records: Mutex<Records>,
}

/// Holding it is the right to append: records are applied in the order of their positions.
struct Records {
    last: Position,
    receipts: Receipts,
    deliveries: Deliveries,
}

impl LocalLog {
    /// Continues where `purges` stands. Nobody else may apply anything to it.
    pub fn new(
        purges: Arc<Purges>,
        clock: Arc<dyn Clock>,
        instance: impl Into<Box<str>>,
        metrics: PurgeMetrics,
    ) -> Self {
        let last = purges.fence().position;
        metrics.applied(last.ordinal());
        Self {
            purges,
            clock,
            instance: instance.into(),
            metrics,
            records: Mutex::new(Records {
                last,
                receipts: Receipts::default(),
                deliveries: Deliveries::default(),
            }),
        }
    }

    /// Appends and applies `purge`. Takes time in proportion to its scopes, and waits for nothing
    /// but other appends.
    pub fn record(&self, purge: &Purge) -> Receipt {
        let scopes: Vec<String> = purge.scopes().iter().map(ToString::to_string).collect();
        let asked_at = self.clock.now();
        let mut records = self.records.lock();
        if let Some(first) = records.first_receipt(purge, asked_at) {
            drop(records);
            self.metrics.duplicate();
            return Receipt {
                duplicate: true,
                ..first
            };
        }
        let position = records.last.next();
        self.purges.apply(position, purge.mode(), purge.scopes());
        records.last = position;
        if let Some(delivery) = purge.delivery() {
            records.deliveries.add(delivery, position, asked_at);
        }
        let receipt = self.receipt_of(purge, scopes, position, asked_at);
        records.receipts.add(receipt.clone());
        // Under the lock, so that the gauge never goes back.
        self.metrics.applied(position.ordinal());
        drop(records);
        count(&self.metrics, purge);
        receipt
    }

    fn receipt_of(
        &self,
        purge: &Purge,
        scopes: Vec<String>,
        position: Position,
        asked_at: Timestamp,
    ) -> Receipt {
        let applied = self.clock.now().since(asked_at).as_millis();
        Receipt {
            id: ReceiptId {
                generation: self.purges.generation(),
                position,
            },
            state: State::Complete,
            mode: purge.mode(),
            scopes,
            instances: vec![InstanceState {
                name: self.instance.clone(),
                applied_ms: Some(u64::try_from(applied).unwrap_or(u64::MAX)),
            }],
            duplicate: false,
        }
    }
}

/// Counts a purge that was taken on.
pub(super) fn count(metrics: &PurgeMetrics, purge: &Purge) {
    let (source, mode) = (purge.cause().as_str(), purge.mode().as_str());
    metrics.purged(source, mode);
    for scope in purge.scopes() {
        metrics.scope(kind(scope));
    }
}

impl Records {
    /// The receipt that was given for the same delivery. A delivery whose receipt is forgotten is
    /// purged again.
    fn first_receipt(&mut self, purge: &Purge, now: Timestamp) -> Option<Receipt> {
        let position = self.deliveries.position(purge.delivery()?, now)?;
        self.receipts.at(position).cloned()
    }
}

impl Log for LocalLog {
    async fn append_and_wait(&self, purge: Purge, _: Wait) -> Result<Receipt, LogError> {
        Ok(self.record(&purge))
    }

    async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, LogError> {
        if id.generation != self.purges.generation() {
            return Ok(None);
        }
        Ok(self.records.lock().receipts.at(id.position).cloned())
    }
}

impl std::fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalLog")
            .field("instance", &self.instance)
            .field("fence", &self.purges.fence())
            .finish_non_exhaustive()
    }
}

const fn kind(scope: &Scope) -> &'static str {
    match scope {
        Scope::Everything => "everything",
        Scope::Host(_) => "host",
        Scope::Prefix { .. } => "prefix",
        Scope::Path { .. } => "path",
        Scope::Url { .. } => "url",
        Scope::Tag(_) => "tag",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::entry::purges::Mode;
    use crate::exchange::Generation;
    use crate::purge::Cause;
    use std::time::Duration;

    struct Stage {
        purges: Arc<Purges>,
        clock: Arc<ManualClock>,
        metrics: PurgeMetrics,
        log: LocalLog,
    }

    fn stage() -> Stage {
        let purges = Arc::new(Purges::new(Generation::new(0x4f)));
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_secs(1_000)));
        let metrics = PurgeMetrics::unregistered();
        let log = LocalLog::new(
            Arc::clone(&purges),
            Arc::clone(&clock) as Arc<dyn Clock>,
            "edge-1",
            metrics.clone(),
        );
        Stage {
            purges,
            clock,
            metrics,
            log,
        }
    }

    fn purge(tag: &str) -> Purge {
        Purge::new(vec![Scope::tag(tag)], Mode::Hard, Cause::Admin).unwrap()
    }

    #[test]
    fn a_receipt_is_complete_and_names_this_instance() {
        let stage = stage();
        let receipt = stage.log.record(&purge("a"));
        assert_eq!(receipt.id.to_string(), "000000000000004f-1");
        assert!(receipt.is_complete() && !receipt.duplicate);
        assert_eq!(receipt.scopes, ["tag:a"]);
        assert_eq!(&*receipt.instances[0].name, "edge-1");
        assert_eq!(receipt.instances[0].applied_ms, Some(0));
        assert_eq!(stage.purges.fence().position, Position::new(1));
    }

    #[tokio::test]
    async fn receipts_can_be_asked_for_in_their_generation_only() {
        let stage = stage();
        let receipt = stage.log.append(purge("a")).await.unwrap();
        assert_eq!(
            stage.log.receipt(receipt.id).await,
            Ok(Some(receipt.clone()))
        );
        let elsewhere = ReceiptId {
            generation: Generation::new(9),
            ..receipt.id
        };
        assert_eq!(stage.log.receipt(elsewhere).await, Ok(None));
        let future = ReceiptId {
            position: Position::new(2),
            ..receipt.id
        };
        assert_eq!(stage.log.receipt(future).await, Ok(None));
    }

    #[test]
    fn a_repeated_delivery_gets_the_first_receipt_and_appends_nothing() {
        let stage = stage();
        let first = stage.log.record(&purge("a").delivered_as("demo/msg_1"));
        stage.log.record(&purge("b"));
        let again = stage.log.record(&purge("other").delivered_as("demo/msg_1"));
        assert!(again.duplicate);
        assert_eq!((again.id, &again.scopes), (first.id, &first.scopes));
        assert_eq!(stage.purges.fence().position, Position::new(2));
        assert_eq!(stage.metrics.duplicate_count(), 1);
        let other = stage.log.record(&purge("a").delivered_as("demo/msg_2"));
        assert!(!other.duplicate);
    }

    #[test]
    fn the_same_purge_without_a_delivery_is_appended_again() {
        let stage = stage();
        stage.log.record(&purge("a"));
        assert!(!stage.log.record(&purge("a")).duplicate);
        assert_eq!(stage.purges.fence().position, Position::new(2));
    }

    #[test]
    fn a_delivery_that_was_forgotten_is_purged_again() {
        let stage = stage();
        stage.log.record(&purge("a").delivered_as("demo/msg_1"));
        stage.clock.advance(Duration::from_secs(24 * 3600 + 1));
        let again = stage.log.record(&purge("a").delivered_as("demo/msg_1"));
        assert!(!again.duplicate);
        assert_eq!(again.id.position, Position::new(2));
    }

    #[test]
    fn purges_are_counted_by_source_and_mode() {
        let stage = stage();
        stage.log.record(&purge("a"));
        assert_eq!(stage.metrics.purged_count("admin", "hard"), 1);
        assert_eq!(stage.metrics.purged_count("admin", "soft"), 0);
    }
}
