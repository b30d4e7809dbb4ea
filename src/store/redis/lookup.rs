//! Looking up in Redis: one round trip, or two, and what came is checked.

use std::sync::Arc;

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, ErrorKind, RedisError, Value, cmd};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::connect::Connection;
use super::index::{self, INDEX};
use super::link::{Connections, Fault};
use super::{Reply, Shared};
use crate::entry::{StoredResponse, format};
use crate::fields::vary::Vary;
use crate::key::{CacheKey, EntryKey};
use crate::store::{Look, StoreError};
use crate::telemetry::redis::Lookup;

/// Why a lookup has no answer.
enum Trouble {
    Deadline,
    Failed(RedisError),
    /// With the field to drop; none: the whole key.
    Corrupt(Option<String>),
}

impl Shared {
    pub(super) async fn lookup(self: &Arc<Self>, look: &Look<'_>) -> Result<Reply, StoreError> {
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
            let other = (*vary != *guessed).then(|| {
                let key = look.key.select(&vary, look.presented, look.folding);
                let field = index::field(key.secondary());
                (key, field)
            });
            let (key, selected) = match &other {
                Some((key, field)) => (key, field),
                None => (&guess, &field),
            };
            if selected == line.field {
                self.remember(look.key, &guessed, &vary);
                let value = match line.field == field {
                    true => value,
                    false => self.second(&mut connection, &name, line.field).await?,
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
        let reply = match reply {
            Ok(Value::Array(values)) => values,
            Ok(Value::ServerError(error)) => return Err(refused(error.into())),
            Ok(_) => return Err(Trouble::Failed(senseless())),
            Err(error) => return Err(refused(error)),
        };
        let values: Result<Vec<Option<Bytes>>, Trouble> = reply
            .into_iter()
            .map(|value| match value {
                Value::Nil => Ok(None),
                Value::BulkString(bytes) => Ok(Some(bytes.into())),
                _ => Err(Trouble::Failed(senseless())),
            })
            .collect();
        let values = values?.try_into();
        values.map_err(|_| Trouble::Failed(senseless()))
    }

    fn decoded(&self, value: Option<Bytes>, key: &EntryKey) -> Result<StoredResponse, Trouble> {
        let corrupt = || Trouble::Corrupt(Some(index::field(key.secondary())));
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

fn refused(error: RedisError) -> Trouble {
    match Fault::of(&error) {
        Fault::Type => Trouble::Corrupt(None),
        _ => Trouble::Failed(error),
    }
}

fn senseless() -> RedisError {
    let text = "the reply is of another type than the command's";
    (ErrorKind::UnexpectedReturnType, text).into()
}
