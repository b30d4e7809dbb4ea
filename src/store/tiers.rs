//! The tiers of the store: memory, Redis, or memory before Redis.
//!
//! What Redis answers is kept in memory. Redis alone is a setup, too: memory then only holds what
//! this process has just stored, until Redis has it, so that whoever waited for it finds it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::claim::{APART, Claim, Claimed, Ending, Want};
use super::memory::{self, Memory};
use super::redis::{Later, Redis, Standing, Write};
use super::{Look, Put, Store, StoreError, Variants};
use crate::entry::StoredResponse;
use crate::exchange::Generation;
use crate::key::CacheKey;

/// See the module.
#[derive(Debug)]
pub struct Tiers {
    memory: Arc<Memory>,
    redis: Option<Redis>,
    /// Where memory is a landing place alone: the responses that may be there.
    landing: Option<Arc<Semaphore>>,
    variants_max: usize,
}

/// Bytes of responses on their way to Redis, where there is no memory tier.
const LANDING_BYTES: usize = 32 << 20;
/// And their number.
const LANDING_MAX: usize = 4096;
/// How long one stays there once Redis has it: for whoever has just looked in vain.
const LANDED: Duration = Duration::from_millis(100);
/// And when Redis did not take it: for all who waited for it.
const STRANDED: Duration = Duration::from_secs(1);

/// How long no instance waits for another's fetch of what was too large for Redis.
const TOO_LARGE: Duration = Duration::from_secs(60);

impl Tiers {
    /// `memory` of zero bytes is none, which is only of use with Redis.
    pub fn new(memory: memory::Settings, redis: Option<Redis>) -> Self {
        let is_landing = memory.bytes_max == 0 && redis.is_some();
        let bytes_max = if is_landing {
            LANDING_BYTES
        } else {
            memory.bytes_max
        };
        Self {
            memory: Arc::new(Memory::new(memory::Settings {
                bytes_max,
                ..memory
            })),
            redis,
            landing: is_landing.then(|| Arc::new(Semaphore::new(LANDING_MAX))),
            variants_max: memory.variants_max,
        }
    }

    /// How Redis stands; nothing: there is none.
    pub fn redis_standing(&self) -> Option<Standing> {
        self.redis.as_ref().map(Redis::standing)
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Keeps a response for the moment until Redis has it.
    async fn land(
        &self,
        redis: &Redis,
        places: &Arc<Semaphore>,
        entry: Arc<StoredResponse>,
        current: Generation,
        claim: Option<Claim>,
    ) -> Result<Put, StoreError> {
        if entry.weight() > redis.object_bytes_max() {
            return Err(StoreError::TooLarge);
        }
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            redis.offer(entry, Write::Put, |is_there| ended(claim, is_there));
            return Ok(Put::Stored);
        };
        let put = self.memory.put(Arc::clone(&entry), current).await?;
        if put == Put::Stored {
            let memory = Arc::clone(&self.memory);
            let landed = Arc::clone(&entry);
            redis.offer(entry, Write::Put, move |is_there| {
                drop(ended(claim, is_there));
                let pause = if is_there { LANDED } else { STRANDED };
                let work = Box::pin(async move {
                    memory.remove(&landed).await;
                    drop(place);
                });
                Some(Later { pause, work })
            });
        }
        Ok(put)
    }
}

/// Ends the claim under which something was to be shared; nothing is left to do.
fn ended(claim: Option<Claim>, is_there: bool) -> Option<Later> {
    claim?.end(if is_there {
        Ending::Shared
    } else {
        Ending::Apart(APART)
    });
    None
}

impl Store for Tiers {
    fn local(&self, key: &CacheKey) -> Variants {
        self.memory.get(key)
    }

    fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    fn is_unchanged(&self, key: &CacheKey, seen: &Variants) -> bool {
        let now = self.memory.get(key);
        // What Redis alone had may not have found a place here.
        now.is_same(seen) || (self.is_shared() && now.iter().all(|entry| seen.holds(entry)))
    }

    async fn lookup(&self, look: &Look<'_>) -> Result<Variants, StoreError> {
        let Some(redis) = &self.redis else {
            return Ok(self.local(look.key));
        };
        let reply = redis.lookup(look).await?;
        let Some(entry) = reply.entry else {
            return Ok(self.local(look.key).beside(reply.others));
        };
        if self.landing.is_none() {
            self.memory.fill(&entry, look.current);
        }
        let local = self.local(look.key);
        if local.has_one_like(&entry) {
            return Ok(local);
        }
        let both = local.with(entry, look.current, self.variants_max);
        Ok(both.unwrap_or(local))
    }

    async fn claim(&self, want: &Want<'_>) -> Claimed {
        match &self.redis {
            Some(redis) => redis.claim(want).await,
            None => Claimed::Unclaimed,
        }
    }

    async fn put(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
    ) -> Result<Put, StoreError> {
        self.put_claimed(entry, current, None).await
    }

    async fn put_claimed(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
        claim: Option<Claim>,
    ) -> Result<Put, StoreError> {
        let Some(redis) = &self.redis else {
            return self.memory.put(entry, current).await;
        };
        let is_current = entry.fence().generation == current;
        let is_too_large = entry.weight() > redis.object_bytes_max();
        let claim = claim.and_then(|claim| match is_too_large {
            true => {
                claim.end(Ending::Apart(TOO_LARGE));
                None
            }
            false => Some(claim),
        });
        match &self.landing {
            Some(places) if is_current => self.land(redis, places, entry, current, claim).await,
            Some(_) => Ok(Put::Outdated),
            None => {
                let put = self.memory.put(Arc::clone(&entry), current).await;
                match put {
                    Ok(Put::Stored) if is_current => {
                        redis.offer(entry, Write::Put, |is_there| ended(claim, is_there));
                    }
                    Ok(_) => {}
                    Err(_) => drop(ended(claim, false)),
                }
                put
            }
        }
    }

    async fn remove(&self, entry: &Arc<StoredResponse>) {
        self.memory.remove(entry).await;
        if let Some(redis) = &self.redis {
            redis.remove(entry).await;
        }
    }

    async fn remove_superseded(&self, look: &Look<'_>, newer: &StoredResponse) {
        if let Some(redis) = &self.redis {
            redis.remove_superseded(look, newer).await;
        }
    }

    async fn grown(&self, entry: &Arc<StoredResponse>) {
        self.memory.grown(entry).await;
        if let Some(redis) = &self.redis {
            redis.offer(Arc::clone(entry), Write::Grow, |_| None);
        }
    }
}
