//! Builds every room from the settings, serves until it is told to stop, and drains.
//!
//! `core` is what lives as long as the process, `site` what a reload replaces, `front` what gives
//! each request its site. `reload` and `changes` bring new sites; `notify` tells the service manager.

mod certificates;
mod changes;
mod core;
mod front;
mod log;
pub mod notify;
pub mod reload;
mod site;
mod status;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use self::certificates::CertificateFiles;
use self::core::Core;
use self::front::{AdminFront, Front};
use self::notify::Notifier;
use self::reload::{Reloader, Reloads, Source};
use self::site::Site;
use crate::budget::Budget;
use crate::clock::{Boottime, Clock, SystemBoottime, SystemClock};
use crate::config::Config;
use crate::exchange::Generation;
use crate::proxy::Proxy;
use crate::server::inherit::{Inherited, Passed, Role};
use crate::server::{self, Drained, Listeners};
use crate::store::tiers::Tiers;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::lifecycle::LifecycleMetrics;
use crate::telemetry::server::ServerMetrics;

/// What is not in the configuration.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    /// What leases go by.
    pub boottime: Arc<dyn Boottime>,
    pub access_log: AccessLog,
    /// How receipts call this instance.
    pub instance: String,
    /// The token of the purge log, where it is not drawn: instances that share a store, and a log,
    /// have one.
    pub generation: Option<Generation>,
    /// Settings of the public listeners, where they are not those of the configuration.
    pub server: Option<server::Settings>,
    /// Where a reload finds the configuration; nothing: there are no reloads.
    pub source: Option<Source>,
    /// Sockets that listen already.
    pub inherited: Inherited,
    pub notifier: Notifier,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            boottime: Arc::new(SystemBoottime),
            access_log: AccessLog::off(),
            instance: "local".to_owned(),
            generation: None,
            server: None,
            source: None,
            inherited: Inherited::default(),
            notifier: Notifier::default(),
        }
    }
}

/// A program with all sockets bound and nothing served yet.
pub struct App {
    public: Listeners,
    admin_listeners: Listeners,
    core: Arc<Core>,
    site: Arc<ArcSwap<Site>>,
    reloader: Option<Reloader>,
    certificates: CertificateFiles,
    notifier: Notifier,
}

/// Why an [`App`] is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// The service ends: whoever sends requests here is given time to notice.
    End,
    /// Another process listens on the same sockets already.
    HandedOver,
}

impl From<()> for Stop {
    fn from((): ()) -> Self {
        Self::End
    }
}

/// What can be done to an [`App`] that serves. A clone is for the same.
#[derive(Clone)]
pub struct Control {
    pub reloads: Option<Reloads>,
    pub notifier: Notifier,
    pub metrics: LifecycleMetrics,
    site: Arc<ArcSwap<Site>>,
}

impl Control {
    /// How long a successor may take to serve, by the configuration in force.
    pub fn upgrade_timeout(&self) -> Duration {
        self.site.load().lifecycle.upgrade_timeout
    }

    /// How long to serve on after the end was asked for.
    pub fn drain_delay(&self) -> Duration {
        self.site.load().lifecycle.drain_delay
    }
}

/// How often figures are looked up that are not counted where they change.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Binds all sockets that are not inherited.
    ///
    /// # Errors
    /// A setting that a room refuses, or an address that cannot be listened on.
    pub async fn bind(config: &Config, mut surroundings: Surroundings) -> anyhow::Result<Self> {
        let mut exposed = Registry::default();
        let registry = exposed.sub_registry_with_prefix(core::PREFIX);
        let metrics = Arc::new(ServerMetrics::register(registry));
        let certificates = CertificateFiles {
            every: config.certificates_every(),
            clock: Arc::clone(&surroundings.clock),
            metrics: Arc::clone(&metrics),
        };
        let (reloads, asked) = Reloads::new();
        let reloads = surroundings.source.is_some().then_some(reloads);
        let core = Arc::new(Core::new(config, &surroundings, exposed, reloads)?);
        let site = Arc::new(ArcSwap::from_pointee(Site::build(&core, config, None)?));
        let mut inherited = std::mem::take(&mut surroundings.inherited);
        let public = surroundings.server.unwrap_or_else(|| config.server());
        let public =
            server::bind_or_inherit(public, Arc::clone(&metrics), &mut inherited, Role::Http)
                .await?
                .within(Arc::clone(&core.budget));
        let admin_listeners =
            server::bind_or_inherit(config.admin_server(), metrics, &mut inherited, Role::Admin)
                .await?;
        inherited.close_rest();
        let reloader = surroundings.source.map(|source| Reloader {
            core: Arc::clone(&core),
            site: Arc::clone(&site),
            source,
            started: config.clone(),
            certificates: public.certificates(),
            notifier: surroundings.notifier.clone(),
            asked,
        });
        Ok(Self {
            public,
            admin_listeners,
            core,
            site,
            reloader,
            certificates,
            notifier: surroundings.notifier,
        })
    }

    /// The proxy behind the public listeners, as it is now.
    pub fn proxy(&self) -> Arc<Proxy<Arc<Tiers>>> {
        Arc::clone(&self.site.load().proxy)
    }

    /// What work in progress may take, and takes.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.core.budget
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

    pub fn control(&self) -> Control {
        Control {
            reloads: self.core.reloads.clone(),
            notifier: self.notifier.clone(),
            metrics: self.core.lifecycle_metrics.clone(),
            site: Arc::clone(&self.site),
        }
    }

    /// All listening sockets once more, for a successor. As long as one is held, clients connect
    /// to it.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn sockets(&self) -> std::io::Result<Vec<Passed>> {
        let mut all = self.public.pass_on()?;
        all.extend(self.admin_listeners.pass_on()?);
        Ok(all)
    }

    /// Serves until `stop`, then drains. `/readyz` says at once that it ends; `end` is when nothing
    /// more is accepted. At the end of the service the public listeners go first, so that health
    /// and metrics can be asked for meanwhile.
    pub async fn serve<S: Into<Stop>>(self, stop: impl Future<Output = S> + Send) -> Drained {
        self.serve_on(stop, async |_| ()).await
    }

    /// As [`App::serve`]; after `stop` everything is served on, but `/readyz` says that it ends,
    /// until `linger` is done.
    pub async fn serve_on<S: Into<Stop>>(
        mut self,
        stop: impl Future<Output = S> + Send,
        linger: impl AsyncFnOnce(Stop),
    ) -> Drained {
        let (stopping, stopped) = watch::channel(false);
        let (admin_stopping, admin_stopped) = watch::channel(false);
        let told = |mut told: watch::Receiver<bool>| async move {
            // A sender that is gone says the same.
            let _gone = told.wait_for(|told| *told).await;
        };
        let _background = self.background();
        let core = self.core;
        core.lifecycle_metrics.in_force(core.clock.now().as_secs());
        // All sockets listen: whoever asks first is told so.
        core.readiness.started();
        let admin = Arc::new(AdminFront(Arc::clone(&self.site)));
        let admin = tokio::spawn(self.admin_listeners.serve(admin, told(admin_stopped)));
        let front = Arc::new(Front(self.site));
        let public = tokio::spawn(self.public.serve(front, told(stopped)));
        self.notifier.started();
        let stop = stop.await.into();
        core.readiness.drain();
        if stop == Stop::HandedOver {
            // Its successor says how it is.
            admin_stopping.send_replace(true);
        } else {
            self.notifier.stopping();
        }
        linger(stop).await;
        stopping.send_replace(true);
        let drained = public.await.unwrap_or_default();
        admin_stopping.send_replace(true);
        let _admin_drained = admin.await;
        core.log.leave().await;
        drained
    }

    /// What runs beside the listeners, until it is dropped.
    fn background(&mut self) -> Vec<AbortOnDropHandle<()>> {
        let mut tasks = vec![
            tokio::spawn(look_up_gauges(Arc::clone(&self.core))),
            tokio::spawn(self.notifier.clone().keep_alive()),
        ];
        let public = self.certificates.follow("public", &self.public);
        let admin = self.certificates.follow("admin", &self.admin_listeners);
        tasks.extend([public, admin].into_iter().flatten().map(tokio::spawn));
        if let (Some(reloader), Some(reloads)) = (self.reloader.take(), &self.core.reloads) {
            let (source, reloads) = (reloader.source.clone(), reloads.clone());
            let site = Arc::clone(&self.site);
            tasks.push(tokio::spawn(async move {
                changes::watch(source, site, reloads).await;
            }));
            tasks.push(tokio::spawn(reloader.run()));
        }
        tasks.into_iter().map(AbortOnDropHandle::new).collect()
    }
}

async fn look_up_gauges(core: Arc<Core>) {
    let mut every = tokio::time::interval(GAUGES_EVERY);
    loop {
        every.tick().await;
        core.look_up_gauges();
    }
}
