//! Builds every room from the settings, serves until it is told to stop, and drains.
//!
//! `core` is what lives as long as the process, `site` what a reload replaces, `front` what gives
//! each request its site.

mod core;
mod front;
mod site;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use self::core::Core;
use self::front::{AdminFront, Front};
use self::site::Site;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::proxy::Proxy;
use crate::server::{self, Drained, Listeners};
use crate::store::memory::Memory;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::server::ServerMetrics;

/// What is not in the configuration.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub access_log: AccessLog,
    /// How receipts call this instance.
    pub instance: String,
    /// Settings of the public listeners, where they are not those of the configuration.
    pub server: Option<server::Settings>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            access_log: AccessLog::off(),
            instance: "local".to_owned(),
            server: None,
        }
    }
}

/// A program with all sockets bound and nothing served yet.
pub struct App {
    public: Listeners,
    admin_listeners: Listeners,
    core: Arc<Core>,
    site: Arc<ArcSwap<Site>>,
}

/// How often figures are looked up that are not counted where they change.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Binds all sockets.
    ///
    /// # Errors
    /// A setting that a room refuses, or an address that cannot be listened on.
    pub async fn bind(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let mut registry = Registry::with_prefix("cms_edge");
        let server_metrics = Arc::new(ServerMetrics::register(&mut registry));
        let core = Core::new(config, &surroundings, registry)?;
        let site = Site::build(&core, config, None)?;
        let public = surroundings.server.unwrap_or_else(|| config.server());
        let public = server::bind(public, Arc::clone(&server_metrics)).await?;
        let admin_listeners = server::bind(config.admin_server(), server_metrics).await?;
        Ok(Self {
            public,
            admin_listeners,
            core: Arc::new(core),
            site: Arc::new(ArcSwap::from_pointee(site)),
        })
    }

    /// The proxy behind the public listeners, as it is now.
    pub fn proxy(&self) -> Arc<Proxy<Arc<Memory>>> {
        Arc::clone(&self.site.load().proxy)
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
        self.admin_listeners.http()
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
        let gauges = tokio::spawn(look_up_gauges(Arc::clone(&self.core)));
        let admin = Arc::new(AdminFront(Arc::clone(&self.site)));
        let admin = tokio::spawn(self.admin_listeners.serve(admin, told(admin_stopped)));
        let front = Arc::new(Front(self.site));
        let public = tokio::spawn(self.public.serve(front, told(stopped)));
        self.core.readiness.started();
        stop.await;
        self.core.readiness.drain();
        stopping.send_replace(true);
        let drained = public.await.unwrap_or_default();
        admin_stopping.send_replace(true);
        let _admin_drained = admin.await;
        gauges.abort();
        drained
    }
}

async fn look_up_gauges(core: Arc<Core>) {
    let mut every = tokio::time::interval(GAUGES_EVERY);
    loop {
        every.tick().await;
        core.look_up_gauges();
    }
}
