//! What lives as long as the process, whatever is reloaded: the store, the purges and their log, the
//! clock, the metrics, the access log.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::admin::readiness::Readiness;
use crate::admin::reload::Reload;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::Config;
use crate::entry::purges::{Mode, Purges};
use crate::exchange::Generation;
use crate::proxy::Invalidate;
use crate::purge::local::LocalLog;
use crate::purge::{Cause, Purge};
use crate::store::redis::Redis;
use crate::store::tiers::Tiers;
use crate::switches::Switches;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::budget;
use crate::telemetry::cache::CacheMetrics;
use crate::telemetry::lifecycle::LifecycleMetrics;
use crate::telemetry::origin::OriginMetrics;
use crate::telemetry::process;
use crate::telemetry::purge::PurgeMetrics;
use crate::telemetry::redis::RedisMetrics;
use crate::telemetry::trace::{TraceMetrics, Tracing};
use crate::telemetry::transform::TransformMetrics;

use super::Surroundings;
use super::reload::{Cause as Asker, Reloads};

/// See the module. Sites are built on it, one after another.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<Tiers>,
    pub(super) purges: Arc<Purges>,
    pub(super) log: Arc<LocalLog>,
    pub(super) access_log: AccessLog,
    /// What work in progress may take, and takes.
    pub(super) budget: Arc<Budget>,
    pub(super) tracing: Tracing,
    pub(super) switches: Arc<Switches>,
    /// All metrics, with the prefix of each.
    pub(super) registry: Arc<Registry>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) lifecycle_metrics: LifecycleMetrics,
    /// Nothing, where there is no file to reload.
    pub(super) reloads: Option<Reloads>,
    pub(super) purge_metrics: PurgeMetrics,
    pub(super) origin_metrics: Arc<OriginMetrics>,
    /// Of no routes; each site makes its own view of them.
    pub(super) cache_metrics: CacheMetrics,
    pub(super) transform_metrics: TransformMetrics,
}

/// What the names of our own metrics begin with.
pub(super) const PREFIX: &str = "cms_edge";

impl Core {
    /// `exposed` has the metrics of the rooms that are no part of it already.
    ///
    /// # Errors
    /// The system has no randomness to give, or a file cannot be read any more.
    pub(super) fn new(
        config: &Config,
        surroundings: &Surroundings,
        mut exposed: Registry,
        reloads: Option<Reloads>,
    ) -> anyhow::Result<Self> {
        let clock = Arc::clone(&surroundings.clock);
        process::register(&mut exposed, clock.now());
        let registry = exposed.sub_registry_with_prefix(PREFIX);
        process::register_build(registry);
        surroundings.access_log.register(registry);
        let budget = Budget::new(config.work_memory());
        budget::register(registry, Arc::clone(&budget));
        let switches = Arc::new(Switches::new(config.switches));
        switches.register(registry);
        let purge_metrics = PurgeMetrics::register(registry);
        let generation = match surroundings.generation {
            Some(generation) => generation,
            None => Generation::new(getrandom::u64()?),
        };
        let purges = Arc::new(Purges::new(generation));
        let log = LocalLog::new(
            Arc::clone(&purges),
            Arc::clone(&clock),
            surroundings.instance.as_str(),
            purge_metrics.clone(),
        );
        Ok(Self {
            clock,
            store: Arc::new(tiers(config, registry)?),
            purges,
            log: Arc::new(log),
            access_log: surroundings.access_log.clone(),
            readiness: Arc::new(Readiness::starting()),
            lifecycle_metrics: LifecycleMetrics::register(registry),
            reloads,
            purge_metrics,
            origin_metrics: Arc::new(OriginMetrics::register(registry)),
            cache_metrics: CacheMetrics::register(registry),
            transform_metrics: TransformMetrics::register(registry),
            budget,
            tracing: tracing(config, registry),
            switches,
            registry: Arc::new(exposed),
        })
    }

    /// What unsafe requests invalidate goes through the log like every purge.
    pub(super) fn invalidate(&self) -> Invalidate {
        let log = Arc::clone(&self.log);
        Arc::new(move |scopes| {
            let log = Arc::clone(&log);
            Box::pin(async move {
                let purge = Purge::new(scopes, Mode::Hard, Cause::Invalidation).ok()?;
                Some(log.record(&purge).id.position)
            })
        })
    }

    /// `POST /reload`, where there is something to reload.
    pub(super) fn reload(&self) -> Option<Reload> {
        let reloads = self.reloads.clone()?;
        Some(Arc::new(move || {
            let reloads = reloads.clone();
            Box::pin(async move { reloads.reload(Asker::Admin).await })
        }))
    }

    /// Looks up the figures that are not counted where they change.
    pub(super) fn look_up_gauges(&self) {
        let gauge = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
        let metrics = &self.cache_metrics;
        let memory = self.store.memory();
        metrics.memory_bytes.set(gauge(memory.bytes()));
        metrics.memory_keys.set(gauge(memory.keys() as u64));
    }
}

fn tiers(config: &Config, registry: &mut Registry) -> anyhow::Result<Tiers> {
    let redis = config
        .redis()?
        .map(|settings| Redis::new(settings, Arc::new(RedisMetrics::register(registry))));
    Ok(Tiers::new(config.memory(), redis))
}

/// Traces, and the task that sends their spans, which ends with the last of the senders.
fn tracing(config: &Config, registry: &mut Registry) -> Tracing {
    let metrics = TraceMetrics::register(registry);
    let settings = config.tracing();
    let (tracing, spans) = Tracing::new(&settings, metrics.clone());
    #[cfg(feature = "otlp")]
    if let Some(spans) = spans {
        tokio::spawn(crate::telemetry::otlp::export(settings, spans, metrics));
    }
    #[cfg(not(feature = "otlp"))]
    drop((spans, metrics));
    tracing
}
