//! What the process says about its own life: reloads and upgrades.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// One for the process; a clone is the same series.
#[derive(Clone, Debug, Default)]
pub struct LifecycleMetrics {
    reloads: Family<Outcome, Counter>,
    last_reload_successful: Gauge,
    last_reload_success: Gauge,
    upgrades: Family<Outcome, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

impl LifecycleMetrics {
    /// Makes the series and puts them into `registry`, which gives the prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "config_reloads",
            "Reloads of the configuration, by outcome",
            metrics.reloads.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 if the configuration in force is the one that was last asked for",
            metrics.last_reload_successful.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration in force was taken over, since the Unix epoch",
            Unit::Seconds,
            metrics.last_reload_success.clone(),
        );
        registry.register(
            "program_upgrades",
            "New programs that were started to take over, by what became of them",
            metrics.upgrades.clone(),
        );
        metrics
    }

    /// The configuration of the start, or of a reload, is in force since `now`, in seconds since the
    /// Unix epoch.
    pub fn in_force(&self, now: u64) {
        self.last_reload_successful.set(1);
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.last_reload_success.set(now);
    }

    /// A reload ended: `ok`, or what went wrong in one fixed word.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Outcome { outcome }).inc();
        if outcome != "ok" {
            self.last_reload_successful.set(0);
        }
    }

    pub fn upgraded(&self, outcome: &'static str) {
        self.upgrades.get_or_create(&Outcome { outcome }).inc();
    }
}
