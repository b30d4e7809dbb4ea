//! Writing to Redis, and dropping from it, behind the client's back.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, cmd};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::index::{self, Field};
use super::link::{Connections, Fault};
use super::{Shared, WRITE_UNIT_BYTES, WRITES_MAX, Write};
use crate::entry::{StoredResponse, format};
use crate::key::CacheKey;

/// How long something is kept beyond the time in which it answers: it can still be validated.
const KEPT_LONGER: Duration = Duration::from_secs(60);
/// How long anything is kept. The lifetime of a year is for browsers.
const KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a write may take. Nobody waits for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
impl Shared {
    /// A place among those that wait to be written; nothing if there is none, or no Redis.
    pub(super) fn admit(&self, entry: &StoredResponse) -> Option<OwnedSemaphorePermit> {
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

    pub(super) async fn write(
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
        let (date, fresh) = (entry.date().to_string(), millis(fresh(entry)));
        let keep = millis(kept(entry));
        let vary = index::vary_text(entry.vary());
        let most = self.settings.variants_max.to_string();
        let how = match write {
            Write::Put => "put",
            Write::Grow => "grow",
        };
        let texts = [&field, &generation, &position, &time, &date, &fresh];
        let mut arguments: Vec<&[u8]> = texts.map(String::as_bytes).to_vec();
        arguments.extend([&keep, &vary, &most].map(String::as_bytes));
        arguments.extend([how.as_bytes(), &value]);
        let mut connection = way.writes();
        let keys = [name.as_bytes()];
        let before = way.written();
        let script = self.put.run(&mut connection, &keys, &arguments);
        match timeout(WRITE_DEADLINE, script).await {
            Ok(Ok(Value::Int(1))) => {
                way.wrote();
                self.metrics.wrote("stored");
                self.metrics.written(value.len());
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
                self.metrics.wrote(match self.judge(&way, &error) {
                    Fault::Full => "full",
                    Fault::Refused | Fault::Type => "refused",
                    Fault::Down | Fault::Useless | Fault::Moving => "failed",
                });
                false
            }
            Err(_) => {
                self.is_late(&way, before);
                self.metrics.wrote("deadline");
                false
            }
        }
    }

    pub(super) async fn discard(self: &Arc<Self>, key: &CacheKey, field: Option<Field>) {
        self.metrics.corrupt.inc();
        match field {
            Some(field) => self.drop_field(key, &[field.as_bytes()]).await,
            None => self.drop_key(key).await,
        }
    }

    /// Waits for it as long as for a lookup; it is done all the same.
    pub(super) async fn drop_field(self: &Arc<Self>, key: &CacheKey, arguments: &[&[u8]]) {
        let Ok(place) = Arc::clone(&self.writes).try_acquire_owned() else {
            self.metrics.wrote("dropped");
            return;
        };
        let Some(way) = self.link.way() else { return };
        let is_alone = self.writes.available_permits() + 1 == WRITES_MAX;
        let (shared, same_way) = (Arc::clone(self), Arc::clone(&way));
        let name = index::name(&self.settings.namespace, key);
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|word| word.to_vec()).collect();
        let dropping = tokio::spawn(async move {
            let _place = place;
            shared.drop_named(&same_way, &name, &arguments).await;
        });
        // Behind others, it is theirs to tell whether Redis answers.
        if timeout(self.settings.timeout, dropping).await.is_err() && is_alone {
            self.link.fail(&way, false);
        }
    }

    async fn drop_named(&self, way: &Arc<Connections>, name: &str, arguments: &[Vec<u8>]) {
        let (before, keys) = (way.written(), [name.as_bytes()]);
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let mut connection = way.writes();
        let script = self.remove.run(&mut connection, &keys, &arguments);
        match timeout(WRITE_DEADLINE, script).await {
            Ok(Ok(_)) => way.wrote(),
            // Nothing else can be made of it.
            Ok(Err(error)) if Fault::of(&error) == Fault::Type => self.unlink(way, name).await,
            Ok(Err(error)) => {
                self.judge(way, &error);
            }
            Err(_) => self.is_late(way, before),
        }
    }

    async fn drop_key(&self, key: &CacheKey) {
        let Some(way) = self.link.way() else { return };
        let name = index::name(&self.settings.namespace, key);
        self.unlink(&way, &name).await;
    }

    async fn unlink(&self, way: &Arc<Connections>, name: &str) {
        let before = way.written();
        let mut connection = way.writes();
        let mut command = cmd("UNLINK");
        command.arg(name);
        let unlinked = command.exec_async(&mut connection);
        if timeout(WRITE_DEADLINE, unlinked).await.is_err() {
            self.is_late(way, before);
        }
    }

    /// Something was not written in time. While other things are, there is only more to write than
    /// the network takes.
    fn is_late(&self, way: &Arc<Connections>, written_before: u64) {
        if way.written() == written_before {
            self.link.fail(way, false);
        }
    }
}

/// How long a response is worth keeping: while it is fresh, and while it may be served stale.
fn kept(entry: &StoredResponse) -> Duration {
    let terms = entry.terms();
    fresh(entry)
        .saturating_add(terms.stale_while_revalidate.max(terms.stale_if_error))
        .saturating_add(KEPT_LONGER)
        .min(KEPT_MAX)
}

/// How long it is fresh from when it came.
fn fresh(entry: &StoredResponse) -> Duration {
    let terms = entry.terms();
    let lifetime = terms.lifetime.fresh;
    lifetime
        .saturating_sub(terms.corrected_initial_age)
        .min(KEPT_MAX)
}

fn millis(span: Duration) -> String {
    span.as_millis().to_string()
}
