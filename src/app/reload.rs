//! Takes over a changed configuration: loads and checks all of it, builds a site, swaps.
//!
//! One reload at a time, whoever asks for it. Until the swap nothing has changed, and whatever is
//! wrong is logged and leaves everything as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::admin::reload::Reloaded;
use crate::config::{Config, Mistakes};
use crate::server::tls::Certificates;

use super::changes::Stamp;
use super::core::Core;
use super::notify::Notifier;
use super::site::Site;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Source {
    /// The file, to see whether it has changed.
    pub(super) path: PathBuf,
    load: Load,
    /// What the file looked like just before it was last read.
    pub(super) read: Arc<Mutex<Stamp>>,
}

/// Reads and checks all of a configuration anew. It may block.
pub type Load = Arc<dyn Fn() -> Result<Config, Mistakes> + Send + Sync>;

impl Source {
    /// The file at `path`. To be called before it is read for the first time, so that no change
    /// goes unnoticed. Blocks.
    pub fn new(path: &Path, load: Load) -> Self {
        Self {
            path: path.to_owned(),
            load,
            read: Arc::new(Mutex::new(Stamp::of(path))),
        }
    }

    fn load(&self) -> Result<Config, Mistakes> {
        *self.read.lock() = Stamp::of(&self.path);
        (self.load)()
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// SIGHUP.
    Signal,
    /// The file has changed.
    File,
    /// `POST /reload`.
    Admin,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::File => "file",
            Self::Admin => "admin",
        }
    }
}

/// Asks for reloads. A clone asks the same.
#[derive(Clone)]
pub struct Reloads(mpsc::Sender<Ask>);

/// One that was asked for.
pub(super) struct Ask {
    cause: Cause,
    answer: oneshot::Sender<Reloaded>,
}

/// Reloads that may wait for the one that is under way; each looks at the file anew.
const WAITING_MAX: usize = 4;

/// How long reading and checking a configuration may take: the file system may hang.
const LOAD_MAX: Duration = Duration::from_secs(30);

impl Reloads {
    pub(super) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        (Self(asks), asked)
    }

    /// Returns when the reload is done, or was not begun because too many wait already.
    pub async fn reload(&self, cause: Cause) -> Reloaded {
        let (answer, answered) = oneshot::channel();
        if self.0.try_send(Ask { cause, answer }).is_err() {
            tracing::warn!(cause = cause.as_str(), "too many reloads wait already");
            return Reloaded::Unavailable("too many reloads wait already");
        }
        let gone = |_| Reloaded::Unavailable("the instance is stopping");
        answered.await.unwrap_or_else(gone)
    }
}

/// Does what is asked for.
pub(super) struct Reloader {
    pub(super) core: Arc<Core>,
    pub(super) site: Arc<ArcSwap<Site>>,
    pub(super) source: Source,
    /// The configuration of the start: what needs a restart is as it says there.
    pub(super) started: Config,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) notifier: Notifier,
    pub(super) asked: mpsc::Receiver<Ask>,
}

impl Reloader {
    pub(super) async fn run(mut self) {
        while let Some(Ask { cause, answer }) = self.asked.recv().await {
            self.notifier.reloading();
            let reloaded = self.reload(cause).await;
            self.tell(cause, &reloaded);
            // Whoever asked may have left.
            let _left = answer.send(reloaded);
        }
    }

    async fn reload(&self, cause: Cause) -> Reloaded {
        tracing::info!(cause = cause.as_str(), "reloading the configuration");
        let source = self.source.clone();
        let config = match timeout(LOAD_MAX, spawn_blocking(move || source.load())).await {
            Ok(Ok(Ok(config))) => config,
            Ok(Ok(Err(mistakes))) => {
                let mistakes = mistakes.iter().map(ToString::to_string).collect();
                return Reloaded::Refused { mistakes };
            }
            Ok(Err(_panicked)) => return Reloaded::Unavailable("reading it broke off"),
            Err(_elapsed) => return Reloaded::Unavailable("reading it took too long"),
        };
        match self.take_over(&config).await {
            Ok(()) => Reloaded::Taken {
                needs_restart: config.needs_restart(&self.started),
            },
            Err(error) => Reloaded::Refused {
                mistakes: vec![format!("{error:#}")],
            },
        }
    }

    /// The site is built before certificates are replaced, and swapped in when nothing can fail any
    /// more.
    async fn take_over(&self, config: &Config) -> anyhow::Result<()> {
        let site = Site::build(&self.core, config, Some(&self.site.load()))?;
        if let Some(certificates) = &self.certificates
            && !config.certificates.is_empty()
        {
            certificates.replace(&config.certificates).await?;
        }
        self.site.store(Arc::new(site));
        Ok(())
    }

    fn tell(&self, cause: Cause, reloaded: &Reloaded) {
        let metrics = &self.core.lifecycle_metrics;
        let cause = cause.as_str();
        let status = match reloaded {
            Reloaded::Taken { needs_restart } => {
                metrics.reloaded("ok");
                metrics.in_force(self.core.clock.now().as_secs());
                tracing::info!(cause, "the configuration was reloaded");
                if !needs_restart.is_empty() {
                    let keys = needs_restart.join(", ");
                    tracing::warn!("needs a restart: {keys}");
                }
                "Serving.".to_owned()
            }
            Reloaded::Refused { mistakes } => {
                metrics.reloaded("mistakes");
                for mistake in mistakes {
                    tracing::error!("{mistake}");
                }
                let count = mistakes.len();
                tracing::error!(cause, count, "reload refused; what was in force still is");
                format!("Serving. The last reload was refused: {count} mistakes.")
            }
            Reloaded::Unavailable(why) => {
                metrics.reloaded("failed");
                tracing::error!(cause, why, "reload failed; what was in force still is");
                format!("Serving. The last reload failed: {why}.")
            }
        };
        self.notifier.ready(&status);
    }
}
