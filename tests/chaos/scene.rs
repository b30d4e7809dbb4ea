//! Everything that takes part, and how far the play has come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::check::Known;
use super::figures::Figures;
use super::fleet::{Fleet, instances};
use super::servers::{Servers, Topology};
use super::site::Site;

/// See the module.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) servers: Servers,
    pub(crate) fleet: Fleet,
    pub(crate) known: Mutex<Known>,
    figures: Mutex<Figures>,
    begun: Instant,
    /// Events are printed when they happen.
    pub(crate) is_verbose: bool,
    /// Since when nothing new is published, and nothing fails any more, but what is not over yet.
    quiet: Mutex<Option<Instant>>,
    /// Nobody reads any more.
    is_over: AtomicBool,
    published: AtomicU64,
}

impl Scene {
    pub(crate) async fn start(
        seed: u64,
        topology: Topology,
        sabotage: Option<&'static str>,
    ) -> Self {
        let site = Site::start(seed).await;
        let servers = Servers::start(topology).await;
        let settings = |instance| {
            format!(
                "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\ndrain = \"1s\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{}\"\n\
             [log]\naccess = \"off\"\nlevel = \"info\"\n[cache]\nmemory = \"32MiB\"\n{}{}",
                super::fleet::ADMIN_TOKEN,
                servers.settings(instance),
                site.routes()
            )
        };
        let fleet = Fleet::start(settings, sabotage).await;
        Self {
            known: Mutex::new(Known::new(instances(), site.count())),
            site,
            servers,
            fleet,
            figures: Mutex::default(),
            begun: Instant::now(),
            is_verbose: std::env::var("CHAOS_VERBOSE").is_ok_and(|text| text == "1"),
            quiet: Mutex::default(),
            is_over: AtomicBool::new(false),
            published: AtomicU64::new(0),
        }
    }

    /// The place of one more publication, unless there were so many.
    pub(crate) fn may_publish(&self, most: u64) -> bool {
        !self.is_quiet() && self.published.fetch_add(1, Ordering::SeqCst) < most
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.lock().is_some()
    }

    pub(crate) fn quieten(&self) {
        *self.quiet.lock() = Some(Instant::now());
    }

    /// 0 until it is.
    pub(crate) fn quiet_for(&self) -> Duration {
        let since = *self.quiet.lock();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(crate) fn finish(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The figures, to add something.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Figures) -> T) -> T {
        change(&mut self.figures.lock())
    }

    pub(crate) fn event(&self, what: &str) {
        let at = self.elapsed();
        if self.is_verbose {
            println!("{:9.3} {what}", at.as_secs_f64());
        }
        self.note(|figures| figures.event(at, what));
    }

    pub(crate) fn fault(&self, kind: &str, what: &str) {
        self.note(|figures| figures.fault(kind));
        self.event(what);
    }

    pub(crate) fn violation(&self, what: &str) {
        let at = self.elapsed();
        self.note(|figures| figures.violation(at, what));
    }
}
