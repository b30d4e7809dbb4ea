//! The log that instances share in one Redis: after a receipt says complete, none of them serves
//! what the purge has ended. docs/purge-log.md is the protocol, proven by `tests/model.rs`.
//!
//! `scripts` is what is done to the log, `session` an instance that follows it, `ledger` and
//! `recall` the receipts, `guard` what Redis is set to do to it, `keeper` the purges that wait for Redis:
//! in memory (`spool`) and in files (`folder`) of a disk that may hang (`disk`).

mod connection;
mod disk;
pub mod examine;
mod folder;
mod guard;
mod keeper;
mod ledger;
mod recall;
mod record;
pub mod report;
mod scripts;
mod session;
mod spool;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::RedisResult;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use self::connection::{Link, Servers};
use self::guard::Told;
use self::keeper::Keeper;
use self::ledger::{Ledger, Quarantine};
use self::record::Draft;
pub use self::record::SCOPES_BYTES_MAX;
use self::scripts::{Appended, Kept, Keys, Status};
use self::session::{LOOK_MAX, LOOK_MIN, Standing};
use self::spool::{Full, Spooled};
use super::Purge;
use super::log::{Log, LogError, Wait};
use super::receipt::{Receipt, ReceiptId, State};
use crate::clock::Uptime;
use crate::entry::purges::Purges;
use crate::exchange::{Fence, Generation, Position};
use crate::lease::Lease;
use crate::outage::Outage;
use crate::store::redis::connect;
use crate::store::redis::teller::Teller;
use crate::telemetry::purge::PurgeMetrics;
use crate::telemetry::purge_log::PurgeLogMetrics;

/// What the operator says. `lease` is shorter than `gone` by more than clocks differ, or an
/// instance is declared gone that still serves.
#[derive(Clone, Debug)]
pub struct Settings {
    pub servers: connect::Servers,
    pub namespace: String,
    /// How receipts call this instance.
    pub instance: String,
    /// How long hits are served after a renewal was sent.
    pub lease: Duration,
    pub renew: Duration,
    /// How long an instance is silent before receipts do not wait for it.
    pub gone: Duration,
    /// How long a master takes writes after another one was promoted.
    pub split: Duration,
    /// How long Redis may take to connect, and to answer.
    pub timeout: Duration,
    /// Records that stay in the log, about.
    pub records_max: usize,
    /// Bytes that they take, about; at least a few records of [`SCOPES_BYTES_MAX`].
    pub bytes_max: usize,
    /// The folder in which purges wait for Redis; nothing: they wait in memory.
    pub spool: Option<PathBuf>,
}

/// What a [`SharedLog`] is given of the other rooms.
pub struct Parts {
    pub purges: Arc<Purges>,
    /// Goes by the clock that the lease goes by; [`Purges`] may have another one that never ends.
    pub lease: Arc<Lease>,
    pub purge_metrics: PurgeMetrics,
    pub metrics: PurgeLogMetrics,
    /// While there is one, Redis counts as unreachable.
    pub outage: Outage,
}

/// Why there is no shared log.
#[derive(Debug, Error)]
pub enum NotStarted {
    #[error("purge_log.spool: {} is no folder that this user may read and write", .folder.display())]
    Spool {
        folder: PathBuf,
        source: std::io::Error,
    },
    #[error("the system has no randomness to give")]
    Random,
}

/// See the module.
pub struct SharedLog {
    instance: Arc<Instance>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

/// One process that reads the log. Another process is another one, whatever its name.
struct Instance {
    settings: Settings,
    incarnation: String,
    keys: Keys,
    servers: Servers,
    purges: Arc<Purges>,
    lease: Arc<Lease>,
    purge_metrics: PurgeMetrics,
    metrics: PurgeLogMetrics,
    outage: Outage,
    /// While Redis can be reached.
    link: Mutex<Option<Link>>,
    standing: Mutex<Standing>,
    told: Mutex<Told>,
    /// Whether the log can be followed, and what was said of it.
    following: Teller,
    /// What Redis said last of those who read the log, and when.
    last: Mutex<Option<(Status, Uptime)>>,
    applied: watch::Sender<Fence>,
    ledger: Arc<Mutex<Ledger>>,
    /// Changes when receipts do.
    updated: watch::Sender<()>,
    /// What was said of purges that are refused.
    fullness: Teller,
    /// A receipt has to be seen to its end.
    open: Notify,
    keeper: Keeper,
    /// Something is in the spool, or may have been settled.
    spooled: Notify,
    other_generation: Notify,
    /// The receipts of spooled purges are numbered as if this were their generation.
    waiting: Generation,
}

/// How long an append waits until its own instance has applied the record.
const APPLY_WAIT: Duration = Duration::from_secs(1);

impl SharedLog {
    /// Starts to follow the log, in tasks that end with this. Redis need not be there yet.
    ///
    /// # Errors
    /// A spool that cannot be written.
    pub fn start(settings: Settings, parts: Parts) -> Result<Self, NotStarted> {
        let random = || getrandom::u64().map_err(|_| NotStarted::Random);
        let incarnation = format!("{:016x}{:016x}", random()?, random()?);
        let mut ledger = Ledger::default();
        let spool = settings.spool.as_deref();
        if let Some(folder) = spool {
            // Its parent must be there; if this fails, the next step says why.
            let _is_there = std::fs::create_dir(folder);
        }
        let keeper = Keeper::start(spool, &incarnation, &mut ledger, &parts.metrics);
        let keeper = keeper.map_err(|source| NotStarted::Spool {
            folder: spool.map(PathBuf::from).unwrap_or_default(),
            source,
        })?;
        let keys = Keys::of(&settings.namespace);
        let instance = Arc::new(Instance {
            servers: Servers {
                servers: settings.servers.clone(),
                key: keys.state.clone(),
                timeout: settings.timeout,
            },
            keys,
            settings,
            incarnation,
            applied: watch::Sender::new(parts.purges.fence()),
            purges: parts.purges,
            lease: parts.lease,
            purge_metrics: parts.purge_metrics,
            metrics: parts.metrics,
            outage: parts.outage,
            link: Mutex::default(),
            standing: Mutex::default(),
            told: Mutex::default(),
            following: Teller::default(),
            last: Mutex::default(),
            ledger: Arc::new(Mutex::new(ledger)),
            updated: watch::Sender::new(()),
            fullness: Teller::default(),
            open: Notify::new(),
            keeper,
            spooled: Notify::new(),
            other_generation: Notify::new(),
            waiting: Generation::new(random()?),
        });
        let tasks = [
            tokio::spawn(Arc::clone(&instance).run()),
            tokio::spawn(Arc::clone(&instance).settle()),
        ];
        Ok(Self {
            instance,
            tasks: Mutex::new(tasks.map(AbortOnDropHandle::new).into()),
        })
    }

    /// The last that an instance does which has stopped serving: receipts do not wait for it.
    pub async fn leave(&self) {
        let instance = &self.instance;
        instance.lease.end();
        // No renewal follows: what was sent before stands before it on the same connection.
        self.tasks.lock().clear();
        let Some(link) = instance.link.lock().clone() else {
            return;
        };
        let generation = instance.purges.generation();
        let mut scripts = instance.scripts(&link);
        let left = scripts.leave(generation, &instance.incarnation);
        if let Ok(Err(error)) = timeout(instance.settings.timeout, left).await {
            tracing::warn!(%error, "the purge log was left without a word");
        }
    }

    /// Looks up the figures that are not counted where they change.
    pub fn look_up_gauges(&self) {
        let serving = i64::from(self.instance.lease.runs());
        self.instance.metrics.serving.set(serving);
    }
}

impl Log for SharedLog {
    async fn append_and_wait(&self, purge: Purge, wait: Wait) -> Result<Receipt, LogError> {
        let asked = Instant::now();
        let instance = Arc::clone(&self.instance);
        // A sender that hangs up has been heard: no step is left out for that.
        let taken = tokio::spawn(async move { instance.take(&purge, asked).await }).await;
        let receipt = taken.map_err(|_| LogError::Unavailable)??;
        let (Wait::All(most), State::Complete | State::Settling) = (wait, receipt.state) else {
            return Ok(receipt);
        };
        let completed = self.instance.completed(receipt.id, asked + most).await;
        Ok(Receipt {
            duplicate: receipt.duplicate,
            ..completed.ok_or(LogError::Unavailable)?
        })
    }

    async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, LogError> {
        self.instance.receipt_now(id).await
    }
}

impl Instance {
    /// Appends a purge and applies it here, or keeps it for later.
    async fn take(&self, purge: &Purge, asked: Instant) -> Result<Receipt, LogError> {
        let token = getrandom::u64().map_err(|_| LogError::Unavailable)?;
        let draft = Arc::new(Draft::of(purge, token));
        if draft.is_cut() {
            self.metrics.cut.inc();
        }
        if !self.ledger.lock().room().takes(&draft) {
            return Err(self.refuse());
        }
        let Appended {
            place, duplicate, ..
        } = match self.append(&draft).await {
            Ok(appended) => appended,
            Err(error) => return self.keep_for_later(purge, draft, error).await,
        };
        if duplicate {
            self.purge_metrics.duplicate();
            self.ledger.lock().repeated(&draft, place, asked);
        } else {
            super::local::count(&self.purge_metrics, purge);
            self.ledger.lock().appended(&draft, place, asked);
        }
        self.open.notify_one();
        if place.generation != self.purges.generation() {
            // This instance may have joined another log since, and looked for what was lost.
            self.spooled.notify_one();
        }
        if self.applied_soon(place).await {
            let mut ledger = self.ledger.lock();
            ledger.applied(place, &self.incarnation, &self.settings.instance);
        } else {
            self.apply_at(place, &draft);
        }
        let receipt = self.ledger.lock().receipt(place);
        let receipt = receipt.ok_or(LogError::Unavailable)?;
        Ok(Receipt {
            duplicate,
            ..receipt
        })
    }

    /// # Errors
    /// Redis cannot be reached, or refuses: whether it was appended may not be known.
    async fn append(&self, draft: &Draft) -> Result<Appended, String> {
        let link = self.link.lock().clone();
        let link = link.ok_or("it cannot be reached")?;
        let appending = self.append_over(&link, draft, None);
        let appended = appending.await.map_err(|error| error.to_string())?;
        if self.standing.lock().seen.map(|(seen, _)| seen) != Some(appended.place.generation) {
            self.other_generation.notify_one();
        }
        Ok(appended)
    }

    async fn append_over(
        &self,
        link: &Link,
        draft: &Draft,
        receipt: Option<ReceiptId>,
    ) -> RedisResult<Appended> {
        let mut scripts = self.scripts(link);
        let kept = Kept {
            records: self.settings.records_max,
            bytes: self.settings.bytes_max,
        };
        let appending = scripts.append(draft, receipt, &self.incarnation, kept);
        let appended = appending.await?;
        self.metrics.trimmed.inc_by(appended.trimmed);
        Ok(appended)
    }

    /// Whether this instance has applied what stands at `place`, within a moment.
    async fn applied_soon(&self, place: ReceiptId) -> bool {
        let mut applied = self.applied.subscribe();
        let is_there = applied.wait_for(|fence| {
            fence.generation == place.generation && fence.position >= place.position
        });
        timeout(APPLY_WAIT, is_there).await.is_ok()
    }

    /// Applies a purge here, and keeps it until Redis can be reached.
    async fn keep_for_later(
        &self,
        purge: &Purge,
        draft: Arc<Draft>,
        error: String,
    ) -> Result<Receipt, LogError> {
        self.purges.apply_ahead(purge.mode(), purge.scopes());
        let id = ReceiptId {
            generation: self.waiting,
            // Random, so that it is none that another process gave out.
            position: Position::new(draft.token | 1),
        };
        let spooled = Spooled { id, draft };
        let pushed = self.keeper.push(&spooled, &mut self.ledger.lock());
        if let Err(Full) = pushed {
            self.metrics.spool_full.inc();
            return Err(LogError::Unavailable);
        }
        super::local::count(&self.purge_metrics, purge);
        self.spooled.notify_one();
        let durable = self.keeper.write(&spooled).await;
        tracing::warn!(%id, durable, error, "a purge waits for the purge log");
        let mut ledger = self.ledger.lock();
        if durable {
            ledger.is_on_disk(id);
        }
        ledger.receipt(id).ok_or(LogError::Unavailable)
    }

    /// Applies what stands at `place` before its turn.
    fn apply_at(&self, place: ReceiptId, draft: &Draft) {
        let at = Fence {
            generation: place.generation,
            position: place.position,
        };
        self.purges.apply_slots_early(at, draft.mode, draft.slots());
    }

    /// Another promise would have to be forgotten for this one.
    fn refuse(&self) -> LogError {
        self.metrics.refused.inc();
        if self.fullness.fails("full").is_some() {
            tracing::error!("purges are refused: too many have no complete receipt yet");
        }
        LogError::Full
    }

    /// The receipt when it is complete, or as it stands at `deadline`.
    async fn completed(&self, id: ReceiptId, deadline: Instant) -> Option<Receipt> {
        let mut updated = self.updated.subscribe();
        loop {
            updated.mark_unchanged();
            let receipt = self.ledger.lock().receipt(id);
            if receipt.as_ref().is_none_or(Receipt::is_complete) {
                return receipt;
            }
            if timeout_at(deadline, updated.changed()).await.is_err() {
                return self.receipt_now(id).await.ok().flatten();
            }
        }
    }

    /// Sees receipts to their end, whether or not anybody waits for them. Never returns.
    async fn settle(self: Arc<Self>) {
        let mut pause = LOOK_MIN;
        loop {
            if !self.ledger.lock().has_open() {
                self.open.notified().await;
                pause = LOOK_MIN;
            }
            let link = self.link.lock().clone();
            if let Some(link) = link
                && let Ok(status) = self.scripts(&link).status().await
            {
                self.update(&status);
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LOOK_MAX),
                () = self.open.notified() => pause = LOOK_MIN,
            }
        }
    }

    fn update(&self, status: &Status) {
        *self.last.lock() = Some((status.clone(), self.lease.uptime()));
        let quarantine = self.quarantine();
        let completed = self.ledger.lock().update(status, quarantine);
        if !completed.is_empty() {
            self.spooled.notify_one();
        }
        for after in completed {
            self.metrics.propagated(after);
        }
        self.updated.send_replace(());
    }

    fn quarantine(&self) -> Quarantine {
        let seen = self.standing.lock().seen;
        Quarantine {
            seen,
            now: self.lease.uptime(),
            length: self.silence_of_all() + self.settings.split,
        }
    }
}

impl std::fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedLog")
            .field("incarnation", &self.instance.incarnation)
            .field("fence", &self.instance.purges.fence())
            .finish_non_exhaustive()
    }
}
