//! The purge log of this instance: shared where there is a Redis for it, else in the process.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::entry::purges::Purges;
use crate::exchange::Generation;
use crate::lease::Lease;
use crate::outage::Outage;
use crate::purge::Purge;
use crate::purge::local::LocalLog;
use crate::purge::log::{Log, LogError, Wait};
use crate::purge::receipt::{Receipt, ReceiptId};
use crate::purge::shared::report::Report;
use crate::purge::shared::{Parts, SharedLog};
use crate::telemetry::purge::PurgeMetrics;
use crate::telemetry::purge_log::PurgeLogMetrics;

use super::Surroundings;

/// See the module.
#[derive(Debug)]
pub(super) enum AnyLog {
    Local(Box<LocalLog>),
    Shared(SharedLog),
}

impl AnyLog {
    /// The log, and what has been purged as far as it is known.
    ///
    /// # Errors
    /// The system has no randomness to give, or the shared log cannot be started.
    pub(super) fn start(
        config: &Config,
        surroundings: &Surroundings,
        purge_metrics: PurgeMetrics,
        metrics: PurgeLogMetrics,
        outage: Outage,
    ) -> anyhow::Result<(Self, Arc<Purges>)> {
        let generation = match surroundings.generation {
            Some(generation) => generation,
            None => Generation::new(getrandom::u64()?),
        };
        let Some(settings) = config.shared_log(&surroundings.instance)? else {
            metrics.serving.set(1);
            let purges = Arc::new(Purges::new(generation));
            let clock = Arc::clone(&surroundings.clock) as Arc<dyn Clock>;
            let instance = config.instance(&surroundings.instance);
            let log = LocalLog::new(Arc::clone(&purges), clock, &*instance, purge_metrics);
            return Ok((Self::Local(Box::new(log)), purges));
        };
        let lease = Arc::new(Lease::not_granted(Arc::clone(&surroundings.boottime)));
        let serves_by = if config.purge_log.serve_when_lost {
            Arc::new(Lease::unlimited())
        } else {
            Arc::clone(&lease)
        };
        let purges = Arc::new(Purges::with_lease(generation, serves_by));
        let parts = Parts {
            purges: Arc::clone(&purges),
            lease,
            purge_metrics,
            metrics,
            outage,
        };
        let log = SharedLog::start(settings, parts)?;
        Ok((Self::Shared(log), purges))
    }

    /// The last that is done, when nothing is served any more.
    pub(super) async fn leave(&self) {
        if let Self::Shared(log) = self {
            log.leave().await;
        }
    }

    /// How the shared log stands; nothing: there is none.
    pub(super) fn report(&self) -> Option<Report> {
        match self {
            Self::Local(_) => None,
            Self::Shared(log) => Some(log.report()),
        }
    }

    pub(super) fn look_up_gauges(&self) {
        if let Self::Shared(log) = self {
            log.look_up_gauges();
        }
    }
}

impl Log for AnyLog {
    async fn append_and_wait(&self, purge: Purge, wait: Wait) -> Result<Receipt, LogError> {
        match self {
            Self::Local(log) => log.append_and_wait(purge, wait).await,
            Self::Shared(log) => log.append_and_wait(purge, wait).await,
        }
    }

    async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, LogError> {
        match self {
            Self::Local(log) => log.receipt(id).await,
            Self::Shared(log) => log.receipt(id).await,
        }
    }
}
