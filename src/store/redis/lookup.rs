//! Looking up in Redis: one round trip, or two, and what came is checked.

use std::sync::Arc;
use std::time::Duration;

use ::redis::RedisError;
use bytes::Bytes;
use tokio::time::Instant;

use super::asking::{Asking, senseless};
use super::index::{self, Field, INDEX, NoIndex};
use super::lane::{Missed, Values};
use super::link::{Connections, Fault};
use super::{Reply, Shared};
use crate::entry::{StoredResponse, format};
use crate::fields::vary::Vary;
use crate::key::{CacheKey, EntryKey};
use crate::store::{Look, StoreError};
use crate::telemetry::redis::Lookup;

/// How long nobody asks again for what was too large to come in time.
const PONDEROUS: Duration = Duration::from_secs(60);

/// Why a lookup has no answer.
enum Trouble {
    Deadline,
    /// The reply is too large to come in time.
    Large,
    /// It would have come behind one.
    Behind,
    Busy,
    Failed(RedisError),
    /// With the field to drop; none: the whole key.
    Corrupt(Option<Field>),
}

impl Shared {
    pub(super) async fn lookup(self: &Arc<Self>, look: &Look<'_>) -> Result<Reply, StoreError> {
        let Ok(_place) = self.lookups.try_acquire() else {
            self.metrics.looked_up(Lookup::Busy);
            return Ok(Reply::default());
        };
        let hash = look.key.hash_value();
        if self
            .ponderous
            .get(&hash)
            .is_some_and(|until| Instant::now() < until)
        {
            self.metrics.looked_up(Lookup::Skipped);
            return Ok(Reply::default());
        }
        let Some(way) = self.link.way() else {
            self.metrics.looked_up(Lookup::Skipped);
            return Ok(Reply::default());
        };
        let began = Instant::now();
        let answer = self.ask(look, &way, began + self.settings.timeout).await;
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
            // It answers: it is not left alone for that, but not asked for this so soon.
            Err(trouble @ (Trouble::Large | Trouble::Behind)) => {
                if matches!(trouble, Trouble::Large) {
                    self.ponderous.insert(hash, Instant::now() + PONDEROUS);
                }
                self.metrics.looked_up(Lookup::Deadline);
                Err(StoreError::Deadline)
            }
            Err(Trouble::Busy) => {
                self.metrics.looked_up(Lookup::Busy);
                Ok(Reply::default())
            }
            Err(Trouble::Failed(error)) => {
                self.judge(&way, &error);
                self.metrics.looked_up(Lookup::Failed);
                Err(StoreError::Unreachable)
            }
            Err(Trouble::Corrupt(field)) => {
                self.metrics.looked_up(Lookup::Corrupt);
                // The request has waited enough.
                let (shared, key) = (Arc::clone(self), look.key.clone());
                tokio::spawn(async move { shared.discard(&key, field).await });
                Ok(Reply::default())
            }
        }
    }

    /// Drops what the index has for the same request behind `newer`, under another Vary.
    pub(super) async fn drop_superseded(self: &Arc<Self>, look: &Look<'_>, newer: &StoredResponse) {
        let Some(way) = self.link.way() else { return };
        let name = index::name(&self.settings.namespace, look.key);
        let words: [&[u8]; 3] = [b"HMGET", name.as_bytes(), INDEX.as_bytes()];
        let asking = way.lookups(look.key.hash_value());
        let deadline = Instant::now() + self.settings.timeout;
        let values = match self.values(asking, &words, deadline).await {
            Ok(values) => values,
            Err(Trouble::Deadline) => return self.link.fail(&way, false),
            Err(_) => return,
        };
        let index = values.get(0).unwrap_or_default();
        let Ok(lines) = index::lines(index, look.current) else {
            return;
        };
        let (position, time) = (newer.fence().position, newer.response_time());
        for line in lines.map_while(Result::ok) {
            let Ok(vary) = line.vary() else { return };
            let key = look.key.select(&vary, look.presented, look.folding);
            let is_older = (line.fence().position, line.response_time) <= (position, time);
            if is_older && line.is_in(&Field::of(key.secondary())) {
                let identity = line.identity();
                let arguments = identity.each_ref().map(|word| word.as_bytes());
                self.drop_field(look.key, &arguments).await;
            }
        }
    }

    /// One round trip where the variant is the one that the last seen Vary makes one expect, two
    /// where it is another one.
    async fn ask(
        &self,
        look: &Look<'_>,
        way: &Connections,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        let asking = way.lookups(look.key.hash_value());
        let name = index::name(&self.settings.namespace, look.key);
        let guessed = self.guesses.get(&look.key.hash_value());
        let guessed = guessed.unwrap_or_else(|| Arc::clone(&self.no_vary));
        let guess = look.key.select(&guessed, look.presented, look.folding);
        let field = Field::of(guess.secondary());
        let words: [&[u8]; 4] = [
            b"HMGET",
            name.as_bytes(),
            INDEX.as_bytes(),
            field.as_bytes(),
        ];
        let values = self.values(asking, &words, deadline).await?;
        let Some(index) = values.get(0) else {
            return Ok(Reply::default());
        };
        let mut newest = None;
        for line in index::lines(index, look.current)? {
            let line = line?;
            let vary = match line.has_vary(&guessed) {
                true => Arc::clone(&guessed),
                false => Arc::new(line.vary()?),
            };
            let other = (*vary != *guessed).then(|| {
                let key = look.key.select(&vary, look.presented, look.folding);
                let field = Field::of(key.secondary());
                (key, field)
            });
            let (key, selected) = match &other {
                Some((key, field)) => (key, field),
                None => (&guess, &field),
            };
            if line.is_in(selected) {
                self.remember(look.key, &guessed, &vary);
                let value = match line.is_in(&field) {
                    true => values.bytes_alone(1),
                    false => self.second(asking, &name, line.field, deadline).await?,
                };
                return self.decoded(value, key).map(|entry| Reply {
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
        asking: &Asking,
        name: &str,
        field: &str,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Trouble> {
        self.metrics.second_round_trips.inc();
        let words: [&[u8]; 3] = [b"HMGET", name.as_bytes(), field.as_bytes()];
        let values = self.values(asking, &words, deadline).await?;
        Ok(values.bytes(0))
    }

    async fn values(
        &self,
        asking: &Asking,
        words: &[&[u8]],
        deadline: Instant,
    ) -> Result<Values, Trouble> {
        self.metrics.round_trips.inc();
        let values = asking.values(words, deadline).await.map_err(missed)?;
        // The name of the command and the key are not fields.
        match values.count() + 2 == words.len() {
            true => Ok(values),
            false => Err(Trouble::Failed(senseless())),
        }
    }

    fn decoded(&self, value: Option<Bytes>, key: &EntryKey) -> Result<StoredResponse, Trouble> {
        let corrupt = || Trouble::Corrupt(Some(Field::of(key.secondary())));
        let value = value.ok_or_else(corrupt)?;
        self.metrics.read(value.len());
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
}

impl From<NoIndex> for Trouble {
    fn from(_: NoIndex) -> Self {
        Self::Corrupt(None)
    }
}

fn missed(why: Missed) -> Trouble {
    match why {
        Missed::Deadline => Trouble::Deadline,
        Missed::Large => Trouble::Large,
        Missed::Behind => Trouble::Behind,
        Missed::Busy => Trouble::Busy,
        Missed::Failed(error) if Fault::of(&error) == Fault::Type => Trouble::Corrupt(None),
        Missed::Failed(error) => Trouble::Failed(error),
    }
}
