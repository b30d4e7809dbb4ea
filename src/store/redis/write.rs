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
                // Else it was behind others: there is more to write than the network takes.
                if way.written() == before {
                    self.link.fail(&way, false);
                }
                self.metrics.wrote("deadline");
                false
            }
        }
    }

    pub(super) async fn discard(&self, key: &CacheKey, field: Option<Field>) {
        self.metrics.corrupt.inc();
        match field {
            Some(field) => self.drop_field(key, &[field.as_bytes()]).await,
            None => self.drop_key(key).await,
        }
    }

    pub(super) async fn drop_field(&self, key: &CacheKey, arguments: &[&[u8]]) {
        let Some(way) = self.link.way() else { return };
        let name = index::name(&self.settings.namespace, key);
        let mut connection = way.writes();
        let keys = [name.as_bytes()];
        let script = self.remove.run(&mut connection, &keys, arguments);
        match timeout(self.settings.timeout, script).await {
            Ok(Ok(_)) => {}
            // Nothing else can be made of it.
            Ok(Err(error)) if Fault::of(&error) == Fault::Type => self.drop_key(key).await,
            Ok(Err(error)) => {
                self.judge(&way, &error);
            }
            Err(_) => self.is_late(&way),
        }
    }

    /// Something small was not done in time. It will be: behind what is being written, whose own
    /// deadline tells whether Redis answers.
    fn is_late(&self, way: &Arc<Connections>) {
        let is_writing = self.writes.available_permits() < WRITES_MAX;
        if !is_writing {
            self.link.fail(way, false);
        }
    }

    async fn drop_key(&self, key: &CacheKey) {
        let Some(way) = self.link.way() else { return };
        let mut connection = way.writes();
        let mut command = cmd("UNLINK");
        command.arg(index::name(&self.settings.namespace, key));
        let unlinked = command.exec_async(&mut connection);
        if timeout(self.settings.timeout, unlinked).await.is_err() {
            self.is_late(&way);
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
