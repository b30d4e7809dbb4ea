//! Certificates that follow their files: whoever renews them (certbot, a Kubernetes secret) need
//! not tell us.
//!
//! The files are looked at now and then instead of being watched: a watch on a file loses it when a
//! symbolic link to it, or to a folder above it, is turned to another.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::tls::{Certificate, Certificates, Pem};
use crate::clock::Clock;
use crate::telemetry::server::ServerMetrics;

/// From so long before a certificate ends it is warned of. Renewal at two thirds of a lifetime, as
/// ACME clients do it, is over by then.
const ENDING: Duration = Duration::from_secs(14 * 24 * 3600);
/// How often it is warned of.
const ENDING_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often to look how long certificates last, where their files are not looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// What [`keep_current`] needs beside the certificates.
pub struct KeepCurrent {
    /// How often to look at the files; zero is never.
    pub every: Duration,
    /// The listeners whose certificates they are, as the metrics and the log call them.
    pub listeners: &'static str,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<ServerMetrics>,
}

/// Reloads the certificates whenever their files have changed, and tells how long they last. Never
/// ends; it can be dropped at any time.
///
/// Files that cannot be used change nothing: the old certificates stay, until the files can be.
pub async fn keep_current(certificates: Arc<Certificates>, settings: KeepCurrent) {
    let every = match settings.every {
        Duration::ZERO => LOOK_EVERY,
        every => every,
    };
    let mut look = interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keeper = Keeper {
        not_after: settings.metrics.certificates_not_after(settings.listeners),
        certificates,
        settings,
        refused: None,
        warned: None,
    };
    loop {
        look.tick().await;
        if !keeper.settings.every.is_zero() {
            keeper.reload().await;
        }
        keeper.tell_end();
    }
}

struct Keeper {
    certificates: Arc<Certificates>,
    settings: KeepCurrent,
    not_after: Gauge,
    /// The files that could not be used, as they looked.
    refused: Option<Stamp>,
    /// When it was last warned that certificates end.
    warned: Option<Instant>,
}

impl Keeper {
    async fn reload(&mut self) {
        let Some((stamp, outcome)) = self.certificates.reload().await else {
            self.refused = None;
            return;
        };
        let listeners = self.settings.listeners;
        match outcome {
            Ok(()) => {
                self.refused = None;
                self.warned = None;
                self.settings.metrics.certificates_reloaded("ok");
                tracing::info!(listeners, "certificates were reloaded");
            }
            // They are tried again: a key may have been written a moment after its certificate.
            Err(error) => {
                if self.refused.as_ref() != Some(&stamp) {
                    self.settings.metrics.certificates_reloaded("failed");
                    tracing::warn!(listeners, %error, "the old certificates stay in use");
                }
                self.refused = Some(stamp);
            }
        }
    }

    fn tell_end(&mut self) {
        let Some(end) = self.certificates.not_after() else {
            return;
        };
        self.not_after.set(i64::try_from(end).unwrap_or(i64::MAX));
        let left = end.saturating_sub(self.settings.clock.now().as_secs());
        let is_due = self.warned.is_none_or(|at| at.elapsed() >= ENDING_EVERY);
        if left < ENDING.as_secs() && is_due {
            self.warned = Some(Instant::now());
            let (listeners, days) = (self.settings.listeners, left / (24 * 3600));
            tracing::warn!(listeners, days, "a certificate ends soon, or has ended");
        }
    }
}

/// How the files of certificates look from outside: what changes when one is written, replaced, or
/// reached by another link.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Stamp(Vec<Option<FileStamp>>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) async fn of(certificates: &[Certificate]) -> Self {
        let mut stamps = Vec::new();
        let pems = certificates.iter();
        for pem in pems.flat_map(|certificate| [&certificate.cert_pem, &certificate.key_pem]) {
            stamps.push(match pem {
                Pem::File(path) => {
                    let metadata = tokio::fs::metadata(path).await.ok();
                    metadata.map(|file| FileStamp {
                        device: file.dev(),
                        inode: file.ino(),
                        size: file.size(),
                        modified: (file.mtime(), file.mtime_nsec()),
                        changed: (file.ctime(), file.ctime_nsec()),
                    })
                }
                Pem::Bytes(_) => None,
            });
        }
        Self(stamps)
    }
}
