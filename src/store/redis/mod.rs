//! The shared tier: responses in Redis, for all instances of a site.
//!
//! It is optional and may fail at any moment. A lookup never waits longer than its deadline, and
//! not at all while Redis is known not to answer ([`link`]); storing is done behind the client's
//! back, in bounds, and may be left out. What is read is checked in full (`entry::format`).

pub mod asking;
mod collapse;
pub mod connect;
pub mod examine;
mod figures;
pub mod index;
mod lane;
pub mod link;
mod lookup;
mod owner;
pub mod remedy;
pub mod script;
pub mod teller;
mod write;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::redis::RedisError;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::connect::Servers;
use self::link::{Connections, Fault, Link};
use self::script::Script;
use self::teller::Trouble;
use super::claim::{Claimed, Want};
use super::{Look, StoreError};
use crate::entry::StoredResponse;
use crate::fields::vary::Vary;
use crate::outage::Outage;
use crate::telemetry::redis::RedisMetrics;

/// The Redis tier.
#[derive(Clone, Debug)]
pub struct Settings {
    pub servers: Servers,
    /// The site: keys of others are never seen.
    pub namespace: String,
    /// How long a request may wait for Redis.
    pub timeout: Duration,
    /// Connections for lookups; there is one more for writes.
    pub connections: usize,
    /// Bytes of the largest value that is written.
    pub object_bytes_max: usize,
    /// Variants of one primary key.
    pub variants_max: usize,
    /// How long the fetch of another instance is waited for. Zero: not at all, and nobody is told of
    /// one's own.
    pub collapse_wait: Duration,
}

/// What Redis has for a request.
#[derive(Debug, Default)]
pub struct Reply {
    pub entry: Option<Arc<StoredResponse>>,
    /// The newest nomination, where there is something, but for others.
    pub others: Option<Arc<Vary>>,
}

/// How a response is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Write {
    /// Compare-and-set on the fence.
    Put,
    /// In place of exactly this response: it has another representation now.
    Grow,
}

/// How Redis stands, for people.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where it is, without user and password.
    pub place: String,
    /// Requests ask it now.
    pub is_asked: bool,
    /// Why they do not, since when.
    pub trouble: Option<Trouble>,
}

/// What is left to do, and after which pause.
pub struct Later {
    pub pause: Duration,
    pub work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// See the module. Dropped, it lets go of Redis.
pub struct Redis {
    shared: Arc<Shared>,
    _heeds_outages: AbortOnDropHandle<()>,
    _keeps_open: AbortOnDropHandle<()>,
    _asks_figures: AbortOnDropHandle<()>,
}

struct Shared {
    settings: Settings,
    link: Arc<Link>,
    /// What Vary was last seen under a primary key, by its hash, where it nominated something.
    guesses: Cache<u64, Arc<Vary>>,
    no_vary: Arc<Vary>,
    /// Until when nobody asks for what was too large to come in time, by the hash of its key.
    ponderous: Cache<u64, Instant>,
    lookups: Semaphore,
    /// In units of [`WRITE_UNIT_BYTES`].
    writes: Arc<Semaphore>,
    put: Script,
    remove: Script,
    claim: Script,
    unclaim: Script,
    /// Places of those who ask for a claim, and of those who wait for another instance.
    claim_asks: Semaphore,
    claim_waits: Semaphore,
    metrics: Arc<RedisMetrics>,
}

/// Lookups that wait for Redis at once.
const LOOKUPS_MAX: usize = 4096;
/// Bytes of responses that wait to be written at once; each counts for a unit at least.
const WRITES_BYTES_MAX: usize = 64 << 20;
const WRITE_UNIT_BYTES: usize = 16 << 10;
const WRITES_MAX: usize = WRITES_BYTES_MAX / WRITE_UNIT_BYTES;
/// Primary keys whose Vary is remembered.
const GUESSES_MAX: usize = 32_768;
/// Primary keys that are remembered because something of theirs was too large to come in time.
const PONDEROUS_MAX: usize = 4096;

impl Redis {
    /// Begins to look for Redis in the background, and goes on without it meanwhile. Within a
    /// runtime.
    pub fn new(settings: Settings, metrics: Arc<RedisMetrics>) -> Self {
        Self::with_outage(settings, metrics, Outage::default())
    }

    /// As [`Redis::new`]; while there is an outage, Redis counts as unreachable.
    pub fn with_outage(settings: Settings, metrics: Arc<RedisMetrics>, outage: Outage) -> Self {
        let link = Arc::new(Link::new(
            settings.servers.clone(),
            settings.connections,
            settings.timeout,
            outage,
            Arc::clone(&metrics),
        ));
        let shared = Arc::new(Shared {
            link: Arc::clone(&link),
            guesses: Cache::new(GUESSES_MAX),
            no_vary: Arc::default(),
            ponderous: Cache::new(PONDEROUS_MAX),
            lookups: Semaphore::new(LOOKUPS_MAX),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            put: Script::new(include_str!("put.lua")),
            remove: Script::new(include_str!("remove.lua")),
            claim: Script::new(include_str!("claim.lua")),
            unclaim: Script::new(include_str!("unclaim.lua")),
            claim_asks: Semaphore::new(collapse::ASKS_MAX),
            claim_waits: Semaphore::new(collapse::WAITS_MAX),
            metrics: Arc::clone(&metrics),
            settings,
        });
        let asking = figures::ask_regularly(Arc::clone(&link), metrics);
        Self {
            shared,
            _heeds_outages: AbortOnDropHandle::new(tokio::spawn(Arc::clone(&link).heed_outages())),
            _keeps_open: AbortOnDropHandle::new(tokio::spawn(link.keep_open())),
            _asks_figures: AbortOnDropHandle::new(tokio::spawn(asking)),
        }
    }

    /// What is there for the request, within the deadline.
    ///
    /// # Errors
    /// Redis was asked and did not answer as it should. That it was not asked is no error.
    pub async fn lookup(&self, look: &Look<'_>) -> Result<Reply, StoreError> {
        self.shared.lookup(look).await
    }

    /// Who of all instances fetches. It may take as long as `collapse_wait`; with a Redis that does
    /// not answer, no longer than one lookup.
    pub async fn claim(&self, want: &Want<'_>) -> Claimed {
        self.shared.claim(want).await
    }

    pub fn standing(&self) -> Standing {
        let link = &self.shared.link;
        Standing {
            place: link.servers().place(),
            is_asked: link.way().is_some(),
            trouble: link.trouble(),
        }
    }

    /// Bytes of the largest value that is written.
    pub fn object_bytes_max(&self) -> usize {
        self.shared.settings.object_bytes_max
    }

    /// Writes in the background. `done` is told whether it is there now, and says what is left to
    /// do later.
    pub fn offer(
        &self,
        entry: Arc<StoredResponse>,
        write: Write,
        done: impl FnOnce(bool) -> Option<Later> + Send + 'static,
    ) {
        let Some(place) = self.shared.admit(&entry) else {
            if let Some(later) = done(false) {
                tokio::spawn(later.run());
            }
            return;
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let is_there = shared.write(&entry, write, place).await;
            drop(entry);
            if let Some(later) = done(is_there) {
                later.run().await;
            }
        });
    }

    /// Drops exactly this response, within the deadline of lookups.
    pub async fn remove(&self, entry: &StoredResponse) {
        let identity = index::identity(entry.entry_key(), entry.fence(), entry);
        let arguments: Vec<&[u8]> = identity.iter().map(String::as_bytes).collect();
        self.shared.drop_field(entry.key(), &arguments).await;
    }

    /// Drops what `newer`, which is dropped, had superseded for this request under another Vary:
    /// a lookup finds the newest alone.
    pub async fn remove_superseded(&self, look: &Look<'_>, newer: &StoredResponse) {
        self.shared.drop_superseded(look, newer).await;
    }
}

impl Later {
    async fn run(self) {
        tokio::time::sleep(self.pause).await;
        self.work.await;
    }
}

impl Shared {
    /// What a failed command means for those that follow.
    fn judge(&self, way: &Arc<Connections>, error: &RedisError) -> Fault {
        let fault = Fault::of(error);
        match fault {
            Fault::Down => self.link.fail_by(way, false, error),
            Fault::Useless => self.link.fail_by(way, true, error),
            Fault::Refused | Fault::Full => self.link.refused(error),
            Fault::Type | Fault::Moving => {}
        }
        tracing::debug!(%error, "a command to Redis failed");
        fault
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
