//! What the shared purge log says about itself: whether this instance may serve what it holds, and
//! how long purges take to reach all instances.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A clone counts into the same.
#[derive(Clone, Debug)]
pub struct PurgeLogMetrics {
    /// 1: the lease runs.
    pub serving: Gauge,
    pub connected: Gauge,
    /// 1: Redis may evict the log.
    pub evictable: Gauge,
    /// 1: two masters may have the log after a failover.
    pub unguarded: Gauge,
    pub instances: Gauge,
    spooled: Gauge,
    pub spool_full: Counter,
    /// Purges refused because too many of this instance's own are not complete.
    pub refused: Counter,
    spool_failed: Family<Reason, Counter>,
    pub generations: Counter,
    pub gone: Counter,
    /// Records that went from the log because all of them took too many bytes.
    pub trimmed: Counter,
    /// Purges whose scopes were too long to be named in the log, all of them.
    pub cut: Counter,
    fenced: Family<Reason, Counter>,
    renewals: Family<Outcome, Counter>,
    propagation: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

/// Upper bounds, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0,
];

impl PurgeLogMetrics {
    /// Metrics that nobody scrapes.
    pub fn unregistered() -> Self {
        Self {
            serving: Gauge::default(),
            connected: Gauge::default(),
            evictable: Gauge::default(),
            unguarded: Gauge::default(),
            instances: Gauge::default(),
            spooled: Gauge::default(),
            spool_full: Counter::default(),
            refused: Counter::default(),
            spool_failed: Family::default(),
            generations: Counter::default(),
            gone: Counter::default(),
            trimmed: Counter::default(),
            cut: Counter::default(),
            fenced: Family::default(),
            renewals: Family::default(),
            propagation: Histogram::new(BOUNDS),
        }
    }

    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        registry.register(
            "purge_log_serving",
            "1 while this instance may serve what is stored: it is alone, or its lease runs",
            metrics.serving.clone(),
        );
        registry.register(
            "purge_log_connected",
            "1 while the shared purge log can be reached",
            metrics.connected.clone(),
        );
        registry.register(
            "purge_log_evictable",
            "1 where Redis may evict the purge log when its memory is full",
            metrics.evictable.clone(),
        );
        registry.register(
            "purge_log_unguarded",
            "1 where Redis is not set to keep an old master from taking writes, or split is too short",
            metrics.unguarded.clone(),
        );
        registry.register(
            "purge_log_instances",
            "Instances that receipts wait for",
            metrics.instances.clone(),
        );
        registry.register(
            "purge_log_spooled",
            "Purges that wait for the shared purge log",
            metrics.spooled.clone(),
        );
        registry.register(
            "purge_log_spool_full",
            "Purges refused because too many were waiting",
            metrics.spool_full.clone(),
        );
        registry.register(
            "purge_log_generations",
            "Generations of the shared purge log that this instance has joined",
            metrics.generations.clone(),
        );
        registry.register(
            "purge_log_gone",
            "Instances that this one has declared gone",
            metrics.gone.clone(),
        );
        metrics.register_bounds(registry);
        registry.register(
            "purge_log_fenced",
            "Times this instance stopped serving to read the log anew, by reason",
            metrics.fenced.clone(),
        );
        registry.register(
            "purge_log_renewals",
            "Renewals of the lease, by outcome",
            metrics.renewals.clone(),
        );
        registry.register(
            "purge_propagation_seconds",
            "From the append of a purge until its receipt was complete",
            metrics.propagation.clone(),
        );
        metrics
    }

    /// What was done because a bound of the log was hit, or a disk failed.
    fn register_bounds(&self, registry: &mut Registry) {
        registry.register(
            "purge_log_trimmed",
            "Records that this instance has removed from the purge log because of size_max",
            self.trimmed.clone(),
        );
        registry.register(
            "purge_log_refused",
            "Purges refused because too many of this instance's have no complete receipt yet",
            self.refused.clone(),
        );
        registry.register(
            "purge_log_spool_failed",
            "Times something could not be done with the purge spool on disk, by reason",
            self.spool_failed.clone(),
        );
        registry.register(
            "purge_log_scopes_cut",
            "Purges whose scopes the purge log does not name, all of them, because they are too long",
            self.cut.clone(),
        );
    }

    pub fn fenced(&self, reason: &'static str) {
        self.fenced.get_or_create_owned(&Reason { reason }).inc();
    }

    /// Not done with the spool on disk, so many times.
    pub fn spool_failed(&self, reason: &'static str, many: u64) {
        if many > 0 {
            let counter = self.spool_failed.get_or_create_owned(&Reason { reason });
            counter.inc_by(many);
        }
    }

    /// How often that was so.
    pub fn spool_failures(&self, reason: &'static str) -> u64 {
        let counter = self.spool_failed.get_or_create_owned(&Reason { reason });
        counter.get()
    }

    /// So many purges wait.
    pub fn spooled(&self, many: usize) {
        self.spooled.set(i64::try_from(many).unwrap_or(i64::MAX));
    }

    /// How many wait.
    pub fn are_spooled(&self) -> i64 {
        self.spooled.get()
    }

    pub fn renewal(&self, outcome: &'static str) {
        self.renewals
            .get_or_create_owned(&Outcome { outcome })
            .inc();
    }

    /// A receipt was complete after so long.
    pub fn propagated(&self, after: Duration) {
        self.propagation.observe(after.as_secs_f64());
    }
}
