//! What lives as long as the process, whatever is reloaded: the store, the purges and their log, the
//! clock, the metrics, the access log.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::admin::drill::Drill;
use crate::admin::readiness::Readiness;
use crate::admin::reload::Reload;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::Config;
use crate::entry::purges::{Mode, Purges};
use crate::outage::Outage;
use crate::proxy::Invalidate;
use crate::purge::log::Log;
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
use crate::telemetry::purge_log::PurgeLogMetrics;
use crate::telemetry::redis::RedisMetrics;
use crate::telemetry::trace::{TraceMetrics, Tracing};
use crate::telemetry::transform::TransformMetrics;

use super::Surroundings;
use super::log::AnyLog;
use super::reload::{Cause as Asker, Reloads};
use super::status::Status;

/// See the module. Sites are built on it, one after another.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<Tiers>,
    pub(super) purges: Arc<Purges>,
    pub(super) log: Arc<AnyLog>,
    pub(super) access_log: AccessLog,
    /// What work in progress may take, and takes.
    pub(super) budget: Arc<Budget>,
    pub(super) tracing: Tracing,
    pub(super) switches: Arc<Switches>,
    /// What drills take away.
    pub(super) drill: Drill,
    pub(super) status: Arc<Status>,
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
    /// The purge log cannot be started, or a file cannot be read any more.
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
        let log_metrics = PurgeLogMetrics::register(registry);
        let drill = drill(config, surroundings, registry)?;
        let outage = drill.outage.clone();
        let (log, purges) = AnyLog::start(
            config,
            surroundings,
            purge_metrics.clone(),
            log_metrics,
            outage.clone(),
        )?;
        let (log, store) = (Arc::new(log), Arc::new(tiers(config, registry, outage)?));
        let status = Status::new(
            config.instance(&surroundings.instance),
            Arc::clone(&log),
            Arc::clone(&store),
            drill.outage.clone(),
            config.purge_log.serve_when_lost,
            drill.lease,
        );
        Ok(Self {
            clock,
            store,
            purges,
            log,
            status: Arc::new(status),
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
            drill,
            registry: Arc::new(exposed),
        })
    }

    /// What unsafe requests invalidate goes through the log like every purge.
    pub(super) fn invalidate(&self) -> Invalidate {
        let (log, purges) = (Arc::clone(&self.log), Arc::clone(&self.purges));
        Arc::new(move |scopes| {
            let (log, purges) = (Arc::clone(&log), Arc::clone(&purges));
            Box::pin(async move {
                let purge = Purge::new(scopes, Mode::Hard, Cause::Invalidation).ok()?;
                let appended = log.append(purge).await.inspect_err(|error| {
                    tracing::error!(%error, "an invalidation may be lost");
                });
                let place = appended.ok()?.id;
                let applied = purges.fence();
                let is_applied =
                    applied.generation == place.generation && applied.position >= place.position;
                is_applied.then_some(place.position)
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
        self.drill.outage.look_up_gauge();
        self.log.look_up_gauges();
        self.status.tell();
    }
}

fn drill(
    config: &Config,
    surroundings: &Surroundings,
    registry: &mut Registry,
) -> anyhow::Result<Drill> {
    let outage = Outage::default();
    outage.register(registry);
    let log = config.shared_log(&surroundings.instance)?;
    Ok(Drill {
        outage,
        store: config.redis()?.is_some(),
        purge_log: log.is_some(),
        serve_when_lost: config.purge_log.serve_when_lost,
        lease: log.map(|settings| settings.lease).unwrap_or_default(),
    })
}

fn tiers(config: &Config, registry: &mut Registry, outage: Outage) -> anyhow::Result<Tiers> {
    let redis = config.redis()?.map(|settings| {
        let metrics = Arc::new(RedisMetrics::register(registry));
        Redis::with_outage(settings, metrics, outage)
    });
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
