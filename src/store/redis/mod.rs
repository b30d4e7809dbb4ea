//! The shared tier: responses in Redis, for all instances of a site.
//!
//! It is optional and may fail at any moment. A lookup never waits longer than its deadline, and
//! not at all while Redis is known not to answer ([`link`]); storing is done behind the client's
//! back, in bounds, and may be left out. What is read is checked in full (`entry::format`).

pub mod connect;
mod figures;
pub mod index;
pub mod link;
pub mod script;

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, Value, cmd};
use bytes::Bytes;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use self::connect::{Connection, Servers};
use self::index::INDEX;
use self::link::{Connections, Fault, Link};
use self::script::Script;
use super::{Look, StoreError};
use crate::entry::{StoredResponse, format};
use crate::fields::vary::Vary;
use crate::key::{CacheKey, EntryKey};
use crate::telemetry::redis::{Lookup, RedisMetrics};

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

/// See the module. Dropped, it lets go of Redis.
pub struct Redis {
    shared: Arc<Shared>,
    _keeps_open: AbortOnDropHandle<()>,
    _asks_figures: AbortOnDropHandle<()>,
}

struct Shared {
    settings: Settings,
    link: Arc<Link>,
    /// What Vary was last seen under a primary key, by its hash, where it nominated something.
    guesses: Cache<u64, Arc<Vary>>,
    lookups: Semaphore,
    /// In units of [`WRITE_UNIT_BYTES`].
    writes: Arc<Semaphore>,
    put: Script,
    remove: Script,
    metrics: Arc<RedisMetrics>,
}

/// Lookups that wait for Redis at once.
const LOOKUPS_MAX: usize = 4096;
/// Bytes of responses that wait to be written at once; each counts for a unit at least.
const WRITES_BYTES_MAX: usize = 64 << 20;
const WRITE_UNIT_BYTES: usize = 16 << 10;
/// How long a write may take. Nobody waits for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
/// Primary keys whose Vary is remembered.
const GUESSES_MAX: usize = 32_768;
/// How long something is kept beyond the time in which it answers: it can still be validated.
const KEPT_LONGER: Duration = Duration::from_secs(60);
/// How long anything is kept. The lifetime of a year is for browsers.
const KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a lookup has no answer.
enum Trouble {
    Deadline,
    Failed(Fault),
    /// With the field to drop; none: the whole key.
    Corrupt(Option<String>),
}

impl Redis {
    /// Begins to look for Redis in the background, and goes on without it meanwhile. Within a
    /// runtime.
    pub fn new(settings: Settings, metrics: Arc<RedisMetrics>) -> Self {
        let link = Arc::new(Link::new(
            settings.servers.clone(),
            settings.connections,
            settings.timeout,
            Arc::clone(&metrics),
        ));
        let shared = Arc::new(Shared {
            link: Arc::clone(&link),
            guesses: Cache::new(GUESSES_MAX),
            lookups: Semaphore::new(LOOKUPS_MAX),
            writes: Arc::new(Semaphore::new(WRITES_BYTES_MAX / WRITE_UNIT_BYTES)),
            put: Script::new(include_str!("put.lua")),
            remove: Script::new(include_str!("remove.lua")),
            metrics: Arc::clone(&metrics),
            settings,
        });
        let asking = figures::ask_regularly(Arc::clone(&link), metrics);
        Self {
            shared,
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

    /// Bytes of the largest value that is written.
    pub fn object_bytes_max(&self) -> usize {
        self.shared.settings.object_bytes_max
    }

    /// Writes in the background. `done` is told whether it is there now.
    pub fn offer(
        &self,
        entry: Arc<StoredResponse>,
        write: Write,
        done: impl FnOnce(bool) -> Option<Pause> + Send + 'static,
    ) {
        let permit = self.shared.admit(&entry);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let is_there = match permit {
                Some(permit) => shared.write(&entry, write, permit).await,
                None => false,
            };
            drop(entry);
            if let Some((pause, then)) = done(is_there) {
                tokio::time::sleep(pause).await;
                then.await;
            }
        });
    }

    /// Drops exactly this response, within the deadline of lookups.
    pub async fn remove(&self, entry: &StoredResponse) {
        let identity = index::identity(entry.entry_key(), entry.fence(), entry);
        let arguments: Vec<&[u8]> = identity.iter().map(String::as_bytes).collect();
        self.shared.drop_field(entry.key(), &arguments).await;
    }
}

/// What is left to do later, and when.
pub type Pause = (Duration, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>);

impl Shared {
    async fn lookup(&self, look: &Look<'_>) -> Result<Reply, StoreError> {
        let Ok(_place) = self.lookups.try_acquire() else {
            self.metrics.looked_up(Lookup::Busy);
            return Ok(Reply::default());
        };
        let Some(way) = self.link.way() else {
            self.metrics.looked_up(Lookup::Skipped);
            return Ok(Reply::default());
        };
        let began = Instant::now();
        let asked = timeout(self.settings.timeout, self.ask(look, &way));
        let answer = asked.await.unwrap_or(Err(Trouble::Deadline));
        self.metrics.took(began.elapsed());
        match answer {
            Ok(reply) => {
                self.metrics.looked_up(match (&reply.entry, &reply.others) {
                    (Some(_), _) => Lookup::Hit,
                    (None, Some(_)) => Lookup::OtherVariants,
                    (None, None) => Lookup::Miss,
                });
                Ok(reply)
            }
            Err(Trouble::Deadline) => {
                self.link.fail(&way, false);
                self.metrics.looked_up(Lookup::Deadline);
                Err(StoreError::Deadline)
            }
            Err(Trouble::Failed(fault)) => {
                self.judge(&way, fault);
                self.metrics.looked_up(Lookup::Failed);
                Err(StoreError::Unreachable)
            }
            Err(Trouble::Corrupt(field)) => {
                self.metrics.looked_up(Lookup::Corrupt);
                self.discard(look.key, field).await;
                Ok(Reply::default())
            }
        }
    }

    /// One round trip where the variant is the one that the last seen Vary makes one expect, two
    /// where it is another one.
    async fn ask(&self, look: &Look<'_>, way: &Connections) -> Result<Reply, Trouble> {
        let mut connection = way.lookups(look.key.hash_value());
        let name = index::name(&self.settings.namespace, look.key);
        let guessed = self.guesses.get(&look.key.hash_value()).unwrap_or_default();
        let guess = look.key.select(&guessed, look.presented, look.folding);
        let field = index::field(guess.secondary());
        let mut command = cmd("HMGET");
        command.arg(&name).arg(INDEX).arg(&field);
        let [index, value] = self.values(&mut connection, &command).await?;
        let Some(index) = index else {
            return Ok(Reply::default());
        };
        let lines = index::lines(&index, look.current).map_err(|_| Trouble::Corrupt(None))?;
        let mut newest = None;
        for line in lines {
            let vary = Arc::new(line.vary().map_err(|_| Trouble::Corrupt(None))?);
            let key = match *vary == *guessed {
                true => guess.clone(),
                false => look.key.select(&vary, look.presented, look.folding),
            };
            if index::field(key.secondary()) == line.field {
                self.remember(look.key, &guessed, &vary);
                let value = match line.field == field {
                    true => value,
                    false => self.second(&mut connection, &name, line.field).await?,
                };
                return self.decoded(value, &key).map(|entry| Reply {
                    entry: Some(Arc::new(entry)),
                    others: None,
                });
            }
            newest = newest.or(Some(vary));
        }
        if let Some(newest) = &newest {
            self.remember(look.key, &guessed, newest);
        }
        Ok(Reply {
            entry: None,
            others: newest,
        })
    }

    async fn second(
        &self,
        connection: &mut Connection,
        name: &str,
        field: &str,
    ) -> Result<Option<Bytes>, Trouble> {
        self.metrics.second_round_trips.inc();
        let mut command = cmd("HMGET");
        command.arg(name).arg(field);
        let [value] = self.values(connection, &command).await?;
        Ok(value)
    }

    async fn values<const N: usize>(
        &self,
        connection: &mut Connection,
        command: &Cmd,
    ) -> Result<[Option<Bytes>; N], Trouble> {
        self.metrics.round_trips.inc();
        let reply = connection.req_packed_command(command).await;
        let reply = reply.and_then(Value::extract_error);
        let reply = match reply {
            Ok(Value::Array(values)) => values,
            Ok(_) => return Err(Trouble::Failed(Fault::Useless)),
            Err(error) => {
                return Err(match Fault::of(&error) {
                    Fault::Type => Trouble::Corrupt(None),
                    fault => {
                        tracing::debug!(%error, "a lookup in Redis failed");
                        Trouble::Failed(fault)
                    }
                });
            }
        };
        let values: Result<Vec<Option<Bytes>>, Trouble> = reply
            .into_iter()
            .map(|value| match value {
                Value::Nil => Ok(None),
                Value::BulkString(bytes) => Ok(Some(bytes.into())),
                _ => Err(Trouble::Failed(Fault::Useless)),
            })
            .collect();
        let values = values?.try_into();
        values.map_err(|_| Trouble::Failed(Fault::Useless))
    }

    fn decoded(&self, value: Option<Bytes>, key: &EntryKey) -> Result<StoredResponse, Trouble> {
        let corrupt = || Trouble::Corrupt(Some(index::field(key.secondary())));
        let value = value.ok_or_else(corrupt)?;
        self.metrics.moved("read", value.len());
        format::decode(&value, key).map_err(|error| {
            tracing::warn!(%error, "a value in Redis is not what it should be");
            corrupt()
        })
    }

    fn remember(&self, key: &CacheKey, guessed: &Arc<Vary>, seen: &Arc<Vary>) {
        if **guessed == **seen {
            return;
        }
        if seen.is_empty() {
            self.guesses.remove(&key.hash_value());
        } else {
            self.guesses.insert(key.hash_value(), Arc::clone(seen));
        }
    }

    /// A place among those that wait to be written; nothing if there is none, or no Redis.
    fn admit(&self, entry: &StoredResponse) -> Option<OwnedSemaphorePermit> {
        if entry.weight() > self.settings.object_bytes_max {
            self.metrics.wrote("too_large");
            return None;
        }
        if self.link.way().is_none() {
            self.metrics.wrote("skipped");
            return None;
        }
        let units = u32::try_from(entry.weight() / WRITE_UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.writes).try_acquire_many_owned(units);
        if permit.is_err() {
            self.metrics.wrote("dropped");
        }
        permit.ok()
    }

    async fn write(
        &self,
        entry: &StoredResponse,
        write: Write,
        _place: OwnedSemaphorePermit,
    ) -> bool {
        let (Some(way), Some(value)) = (self.link.way(), format::encode(entry)) else {
            self.metrics.wrote("skipped");
            return false;
        };
        let name = index::name(&self.settings.namespace, entry.key());
        let [field, generation, position, time] =
            index::identity(entry.entry_key(), entry.fence(), entry);
        let keep = kept(entry).as_millis().to_string();
        let vary = index::vary_text(entry.vary());
        let most = self.settings.variants_max.to_string();
        let how = match write {
            Write::Put => "put",
            Write::Grow => "grow",
        };
        let texts = [&field, &generation, &position, &time, &keep, &vary, &most];
        let mut arguments: Vec<&[u8]> = texts.map(String::as_bytes).to_vec();
        arguments.extend([how.as_bytes(), &value]);
        let mut connection = way.writes();
        let keys = [name.as_bytes()];
        let script = self.put.run(&mut connection, &keys, &arguments);
        match timeout(WRITE_DEADLINE, script).await {
            Ok(Ok(Value::Int(1))) => {
                self.metrics.wrote("stored");
                self.metrics.moved("written", value.len());
                if !entry.vary().is_empty() {
                    let vary = Arc::new(entry.vary().clone());
                    self.guesses.insert(entry.key().hash_value(), vary);
                }
                true
            }
            Ok(Ok(_)) => {
                self.metrics.wrote("outdated");
                false
            }
            Ok(Err(error)) => {
                let fault = Fault::of(&error);
                tracing::debug!(%error, "a write to Redis failed");
                self.metrics.wrote(match fault {
                    Fault::Full => "full",
                    Fault::Refused | Fault::Type => "refused",
                    Fault::Down | Fault::Useless => "failed",
                });
                self.judge(&way, fault);
                false
            }
            Err(_) => {
                self.link.fail(&way, false);
                self.metrics.wrote("deadline");
                false
            }
        }
    }

    async fn discard(&self, key: &CacheKey, field: Option<String>) {
        self.metrics.corrupt.inc();
        match field {
            Some(field) => self.drop_field(key, &[field.as_bytes()]).await,
            None => self.drop_key(key).await,
        }
    }

    async fn drop_field(&self, key: &CacheKey, arguments: &[&[u8]]) {
        let Some(way) = self.link.way() else { return };
        let name = index::name(&self.settings.namespace, key);
        let mut connection = way.writes();
        let keys = [name.as_bytes()];
        let script = self.remove.run(&mut connection, &keys, arguments);
        match timeout(self.settings.timeout, script).await {
            Ok(Ok(_)) => {}
            // Nothing else can be made of it.
            Ok(Err(error)) if Fault::of(&error) == Fault::Type => self.drop_key(key).await,
            Ok(Err(error)) => self.judge(&way, Fault::of(&error)),
            Err(_) => self.link.fail(&way, false),
        }
    }

    async fn drop_key(&self, key: &CacheKey) {
        let Some(way) = self.link.way() else { return };
        let mut connection = way.writes();
        let mut command = cmd("UNLINK");
        command.arg(index::name(&self.settings.namespace, key));
        let unlinked = command.exec_async(&mut connection);
        if timeout(self.settings.timeout, unlinked).await.is_err() {
            self.link.fail(&way, false);
        }
    }

    fn judge(&self, way: &Arc<Connections>, fault: Fault) {
        match fault {
            Fault::Down => self.link.fail(way, false),
            Fault::Useless => self.link.fail(way, true),
            Fault::Type | Fault::Full | Fault::Refused => {}
        }
    }
}

/// How long a response is worth keeping: while it is fresh, and while it may be served stale.
fn kept(entry: &StoredResponse) -> Duration {
    let terms = entry.terms();
    let fresh = terms
        .lifetime
        .fresh
        .saturating_sub(terms.corrected_initial_age);
    fresh
        .saturating_add(terms.stale_while_revalidate.max(terms.stale_if_error))
        .saturating_add(KEPT_LONGER)
        .min(KEPT_MAX)
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
