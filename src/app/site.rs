//! Everything that a reload replaces, as one value: built whole, or not at all.

use std::sync::Arc;

use crate::admin::Admin;
use crate::config::Config;
use crate::config::lifecycle::Lifecycle;
use crate::fetch::{self, Upstream};
use crate::proxy::{self, Proxy};
use crate::purge::protocol::Protocol;
use crate::purge::target::{NormalQuery, Targets};
use crate::purge::webhook::{self, Webhooks};
use crate::route::{Route, RouteTable};
use crate::store::tiers::Tiers;
use crate::telemetry::cache::RouteLabels;

use super::core::Core;
use super::log::AnyLog;

/// Routes, upstreams, webhooks, purge protocols and the admin endpoints of one configuration.
///
/// A request keeps the site it came to until it is answered. What it fetches lands in the store
/// that all sites share, under the fence that it read itself, so that a purge which the old site
/// has not heard of covers it all the same. Flights are the site's own: those of two sites may
/// fetch one URL at the same time, once each, and neither waits for an answer by other rules.
pub(super) struct Site {
    pub(super) proxy: Arc<Proxy<Arc<Tiers>>>,
    pub(super) webhooks: Webhooks<AnyLog>,
    pub(super) protocol: Protocol<AnyLog>,
    pub(super) admin: Admin<AnyLog>,
    pub(super) lifecycle: Lifecycle,
    upstreams: Vec<Named>,
}

/// An upstream, and what it was made of.
struct Named {
    name: String,
    settings: fetch::Settings,
    upstream: Arc<Upstream>,
}

impl Site {
    /// `previous` gives the upstreams whose settings have not changed, with their connections and
    /// what they know of their servers.
    ///
    /// # Errors
    /// A setting that a room refuses.
    pub(super) fn build(
        core: &Core,
        config: &Config,
        previous: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let upstreams = upstreams(core, config, previous)?;
        let proxy = proxy(core, config, &upstreams);
        let targets = Targets::new(config.purge_targets(), Arc::new(Queries(config.routes())));
        let shared = webhook::Shared {
            log: Arc::clone(&core.log),
            targets: targets.clone(),
            clock: Arc::clone(&core.clock),
            metrics: core.purge_metrics.clone(),
        };
        Ok(Self {
            proxy,
            webhooks: Webhooks::new(config.webhooks(), &shared)?,
            // Off is nobody: a purge must not reach the origin, whether or not it is obeyed.
            protocol: Protocol::new(
                config.protocol().unwrap_or_default(),
                Arc::clone(&core.log),
                targets.clone(),
                core.purge_metrics.clone(),
            ),
            admin: admin(core, config, targets),
            lifecycle: config.server.lifecycle,
            upstreams,
        })
    }
}

fn upstreams(core: &Core, config: &Config, previous: Option<&Site>) -> anyhow::Result<Vec<Named>> {
    let make = |(name, settings): (String, fetch::Settings)| {
        let kept = previous
            .into_iter()
            .flat_map(|site| &site.upstreams)
            .find(|one| one.name == name && one.settings == settings);
        let upstream = match kept {
            Some(kept) => Arc::clone(&kept.upstream),
            None => {
                let metrics = Arc::clone(&core.origin_metrics);
                Arc::new(Upstream::new(&name, settings.clone(), metrics)?)
            }
        };
        Ok(Named {
            name,
            settings,
            upstream,
        })
    };
    config.upstreams()?.into_iter().map(make).collect()
}

fn proxy(core: &Core, config: &Config, upstreams: &[Named]) -> Arc<Proxy<Arc<Tiers>>> {
    let routes = config.routes().with_switches(&core.switches);
    let metrics = Arc::new(core.cache_metrics.for_routes(routes.iter().map(labels)));
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    Proxy::new(proxy::Parts {
        clock: Arc::clone(&core.clock),
        routes,
        upstreams: upstreams
            .iter()
            .map(|one| Arc::clone(&one.upstream))
            .collect(),
        store: Arc::clone(&core.store),
        purges: Arc::clone(&core.purges),
        invalidate: core.invalidate(),
        metrics,
        transform_metrics: core.transform_metrics.clone(),
        tracing: core.tracing.clone(),
        access_log: core.access_log.clone(),
        limits: config.limits(cores),
        budget: Arc::clone(&core.budget),
    })
}

/// What a route is called in metrics.
fn labels(route: &Route) -> RouteLabels<'_> {
    let languages = route.key.language.iter();
    RouteLabels {
        name: &route.name,
        languages: languages
            .flat_map(|rule| rule.supported().iter().map(|tag| &**tag))
            .collect(),
    }
}

fn admin(core: &Core, config: &Config, targets: Targets) -> Admin<AnyLog> {
    let admin = Admin::new(
        config.admin(),
        Arc::clone(&core.log),
        targets,
        Arc::clone(&core.registry),
        Arc::clone(&core.readiness),
        core.purge_metrics.clone(),
    );
    let admin = admin
        .with_switches(Arc::clone(&core.switches))
        .with_drill(core.drill.clone())
        .with_status(core.status.look());
    match core.reload() {
        Some(reload) => admin.with_reload(reload),
        None => admin,
    }
}

/// Purges name queries as the routes normalise them.
struct Queries(RouteTable);

impl NormalQuery for Queries {
    fn normal_query(&self, host: &str, path: &str, query: &str) -> Vec<String> {
        self.0.normal_queries(host, path, query)
    }
}
