//! Builds every room from the settings, serves until it is told to stop, and drains.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::admin::readiness::Readiness;
use crate::body::Body;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::connection::Connection;
use crate::entry::purges::{Mode, Purges};
use crate::exchange::Generation;
use crate::fetch::Upstream;
use crate::proxy::{self, Invalidate, Proxy};
use crate::purge::local::LocalLog;
use crate::purge::protocol::{self, Protocol};
use crate::purge::target::{NormalQuery, Targets};
use crate::purge::webhook::{self, Webhooks};
use crate::purge::{Cause, Purge};
use crate::route::RouteTable;
use crate::server::{self, Drained, Handler, Listeners, tls};
use crate::store::redis::Redis;
use crate::store::tiers::Tiers;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::cache::CacheMetrics;
use crate::telemetry::origin::OriginMetrics;
use crate::telemetry::purge::PurgeMetrics;
use crate::telemetry::redis::RedisMetrics;
use crate::telemetry::server::ServerMetrics;

/// What is not in the configuration.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub access_log: AccessLog,
    /// How receipts call this instance.
    pub instance: String,
    /// The token of the purge log, where it is not drawn: instances that share a store, and a log,
    /// have one.
    pub generation: Option<Generation>,
    /// Settings of the public listeners, where they are not those of the configuration.
    pub server: Option<server::Settings>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            access_log: AccessLog::off(),
            instance: "local".to_owned(),
            generation: None,
            server: None,
        }
    }
}

/// A program with all sockets bound and nothing served yet.
pub struct App {
    public: Listeners,
    admin_listeners: Listeners,
    front: Arc<Front>,
    admin: Arc<AdminHandler>,
    readiness: Arc<Readiness>,
    gauges: Gauges,
    certificates: CertificateFiles,
}

/// The requests of the public listeners: purges and webhooks are for us, the rest is proxied.
struct Front {
    proxy: Arc<Proxy<Tiers>>,
    webhooks: Webhooks<LocalLog>,
    protocol: Protocol<LocalLog>,
}

struct AdminHandler(Admin<LocalLog>);

/// Figures that are looked up now and then instead of being counted.
struct Gauges {
    proxy: Arc<Proxy<Tiers>>,
    metrics: Arc<CacheMetrics>,
}

/// The certificates of all listeners, which follow their files.
struct CertificateFiles {
    every: Duration,
    clock: Arc<dyn Clock>,
    metrics: Arc<ServerMetrics>,
}

/// How often [`Gauges`] are looked up.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Binds all sockets.
    ///
    /// # Errors
    /// A setting that a room refuses, or an address that cannot be listened on.
    pub async fn bind(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let mut registry = Registry::with_prefix("cms_edge");
        let server_metrics = Arc::new(ServerMetrics::register(&mut registry));
        let public = surroundings.server.clone();
        let public = public.unwrap_or_else(|| config.server());
        let certificates = CertificateFiles {
            every: config.certificates_every(),
            clock: Arc::clone(&surroundings.clock),
            metrics: Arc::clone(&server_metrics),
        };
        let purging = Purging::new(config, &surroundings, &mut registry)?;
        let (proxy, metrics) = proxy(config, surroundings, &purging, &mut registry)?;
        let front = purging.front(config, Arc::clone(&proxy))?;
        let public = server::bind(public, Arc::clone(&server_metrics)).await?;
        let admin_listeners = server::bind(config.admin_server(), server_metrics).await?;
        let readiness = Arc::new(Readiness::starting());
        let admin = Admin::new(
            config.admin(),
            purging.log,
            purging.targets,
            Arc::new(registry),
            Arc::clone(&readiness),
            purging.metrics,
        );
        Ok(Self {
            public,
            admin_listeners,
            front: Arc::new(front),
            admin: Arc::new(AdminHandler(admin)),
            readiness,
            gauges: Gauges { proxy, metrics },
            certificates,
        })
    }

    /// The proxy behind the public listeners.
    pub fn proxy(&self) -> Arc<Proxy<Tiers>> {
        Arc::clone(&self.front.proxy)
    }

    /// Addresses of the HTTPS listeners.
    pub fn https(&self) -> &[SocketAddr] {
        self.public.https()
    }

    /// Addresses of the HTTP listeners.
    pub fn http(&self) -> &[SocketAddr] {
        self.public.http()
    }

    /// Addresses of the admin listener.
    pub fn admin(&self) -> &[SocketAddr] {
        match self.admin_listeners.https() {
            [] => self.admin_listeners.http(),
            https => https,
        }
    }

    /// Serves until `stop`, then drains: the public listeners first, so that health and metrics
    /// can be asked for while they do.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Drained {
        let (stopping, stopped) = watch::channel(false);
        let (admin_stopping, admin_stopped) = watch::channel(false);
        let told = |mut told: watch::Receiver<bool>| async move {
            // A sender that is gone says the same.
            let _gone = told.wait_for(|told| *told).await;
        };
        let gauges = tokio::spawn(self.gauges.look_up());
        let mut certificates = JoinSet::new();
        self.certificates
            .follow(&mut certificates, "public", &self.public);
        self.certificates
            .follow(&mut certificates, "admin", &self.admin_listeners);
        let admin = tokio::spawn(
            self.admin_listeners
                .serve(Arc::clone(&self.admin), told(admin_stopped)),
        );
        let public = tokio::spawn(self.public.serve(self.front, told(stopped)));
        self.readiness.started();
        stop.await;
        self.readiness.drain();
        stopping.send_replace(true);
        let drained = public.await.unwrap_or_default();
        admin_stopping.send_replace(true);
        let _admin_drained = admin.await;
        gauges.abort();
        certificates.abort_all();
        drained
    }
}

/// What everybody who purges shares.
struct Purging {
    purges: Arc<Purges>,
    log: Arc<LocalLog>,
    targets: Targets,
    clock: Arc<dyn Clock>,
    metrics: PurgeMetrics,
}

impl Purging {
    fn new(
        config: &Config,
        surroundings: &Surroundings,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let clock = Arc::clone(&surroundings.clock);
        let metrics = PurgeMetrics::register(registry);
        let generation = match surroundings.generation {
            Some(generation) => generation,
            None => Generation::new(getrandom::u64()?),
        };
        let purges = Arc::new(Purges::new(generation));
        let log = LocalLog::new(
            Arc::clone(&purges),
            Arc::clone(&clock),
            surroundings.instance.as_str(),
            metrics.clone(),
        );
        Ok(Self {
            purges,
            log: Arc::new(log),
            targets: Targets::new(config.purge_targets(), Arc::new(Queries(config.routes()))),
            clock,
            metrics,
        })
    }

    fn front(&self, config: &Config, proxy: Arc<Proxy<Tiers>>) -> anyhow::Result<Front> {
        let shared = webhook::Shared {
            log: Arc::clone(&self.log),
            targets: self.targets.clone(),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
        };
        Ok(Front {
            proxy,
            webhooks: Webhooks::new(config.webhooks(), &shared)?,
            // Off is nobody: a purge must not reach the origin, whether or not it is obeyed.
            protocol: Protocol::new(
                config.protocol().unwrap_or_default(),
                Arc::clone(&self.log),
                self.targets.clone(),
                self.metrics.clone(),
            ),
        })
    }
}

fn proxy(
    config: &Config,
    surroundings: Surroundings,
    purging: &Purging,
    registry: &mut Registry,
) -> anyhow::Result<(Arc<Proxy<Tiers>>, Arc<CacheMetrics>)> {
    let origin_metrics = Arc::new(OriginMetrics::register(registry));
    let routes = config.routes();
    let names = routes.iter().map(|route| &*route.name);
    let metrics = Arc::new(CacheMetrics::register(registry, names));
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let upstreams = config
        .upstreams()?
        .into_iter()
        .map(|(name, settings)| Upstream::new(&name, settings, Arc::clone(&origin_metrics)))
        .collect::<Result<_, _>>()?;
    let proxy = Proxy::new(proxy::Parts {
        clock: surroundings.clock,
        routes,
        upstreams,
        store: tiers(config, registry)?,
        purges: Arc::clone(&purging.purges),
        invalidate: invalidate(Arc::clone(&purging.log)),
        metrics: Arc::clone(&metrics),
        access_log: surroundings.access_log,
        limits: config.limits(cores),
    });
    Ok((proxy, metrics))
}

fn tiers(config: &Config, registry: &mut Registry) -> anyhow::Result<Tiers> {
    let redis = config.redis()?.map(|settings| {
        let metrics = Arc::new(RedisMetrics::register(registry));
        Redis::new(settings, metrics)
    });
    Ok(Tiers::new(config.memory(), redis))
}

impl Handler for Front {
    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Response<Body> {
        let peer = connection.peer.ip();
        if protocol::is_purge(request.method()) {
            let (head, _no_content) = request.into_parts();
            return Box::pin(self.protocol.purge(&head, peer)).await;
        }
        if let Some(webhook) = self.webhooks.at(request.uri().path()) {
            return Box::pin(webhook.handle(request, peer)).await;
        }
        self.proxy.handle(request, connection).await
    }

    /// CMSs send their purges to the edge's own address, often without TLS, and follow no redirect:
    /// the purge would be lost.
    fn is_exempt_from_redirect(&self, request: &Request<Incoming>) -> bool {
        protocol::is_purge(request.method()) || self.webhooks.at(request.uri().path()).is_some()
    }
}

impl Handler for AdminHandler {
    async fn handle(
        &self,
        request: Request<Incoming>,
        _connection: &Arc<Connection>,
    ) -> Response<Body> {
        self.0.handle(request).await
    }
}

impl CertificateFiles {
    fn follow(&self, tasks: &mut JoinSet<()>, name: &'static str, listeners: &Listeners) {
        if let Some(certificates) = listeners.certificates() {
            let settings = tls::KeepCurrent {
                every: self.every,
                listeners: name,
                clock: Arc::clone(&self.clock),
                metrics: Arc::clone(&self.metrics),
            };
            tasks.spawn(tls::keep_current(certificates, settings));
        }
    }
}

impl Gauges {
    async fn look_up(self) {
        let mut every = tokio::time::interval(GAUGES_EVERY);
        loop {
            every.tick().await;
            let gauge = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
            let memory = self.proxy.store().memory();
            self.metrics.memory_bytes.set(gauge(memory.bytes()));
            self.metrics.memory_keys.set(gauge(memory.keys() as u64));
        }
    }
}

/// What unsafe requests invalidate goes through the log like every purge.
fn invalidate(log: Arc<LocalLog>) -> Invalidate {
    Arc::new(move |scopes| {
        let log = Arc::clone(&log);
        Box::pin(async move {
            if let Ok(purge) = Purge::new(scopes, Mode::Hard, Cause::Invalidation) {
                log.record(&purge);
            }
        })
    })
}

/// Purges name queries as the routes normalise them.
struct Queries(RouteTable);

impl NormalQuery for Queries {
    fn normal_query(&self, host: &str, path: &str, query: &str) -> Vec<String> {
        self.0.normal_queries(host, path, query)
    }
}
