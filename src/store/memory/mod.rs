//! The memory tier: responses of this process, bounded by bytes.

use std::hash::BuildHasherDefault;
use std::hash::Hasher;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::{Look, Put, Store, StoreError, Variants};
use crate::entry::StoredResponse;
use crate::exchange::Generation;
use crate::key::CacheKey;

/// How much memory responses may take, and how many variants one key may have.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub bytes_max: usize,
    pub variants_max: usize,
}

/// Evicts by a CLOCK-Pro variant that keeps what is asked for again and lets scans pass.
pub struct Memory {
    cache: Cache<CacheKey, Variants, ByBytes, BuildHasherDefault<KeyHasher>>,
    /// Reading and replacing the variants of one key must not interleave with another writer of
    /// that key. Readers take none of these.
    writers: Box<[Mutex<()>]>,
    settings: Settings,
    /// Bytes that the variants of one key may weigh together: a shard drops at once what is heavier
    /// than the part of it that is for what is asked for again.
    key_bytes_max: usize,
}

/// Bytes that a shard has at least, so that any response that a route may store finds room.
const SHARD_BYTES_MIN: usize = 32 << 20;
/// What one key may take of its shard, which drops at once what is more than 97 % of it.
const SHARD_PERCENT_MAX: usize = 95;
/// More shards than this keep no more threads out of each other's way.
const SHARDS_MAX: usize = 32;

/// As many shards as threads profit from, unless they would become too small.
fn shards(bytes_max: usize) -> usize {
    let most = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
    // The largest power of two that is not more.
    1 << most.ilog2()
}

/// Locks for writers; keys share them by hash.
const WRITERS: usize = 64;
/// A typical stored response, to size the index.
const TYPICAL_BYTES: usize = 4096;

impl Memory {
    pub fn new(settings: Settings) -> Self {
        let shards = shards(settings.bytes_max);
        let expected = (settings.bytes_max / TYPICAL_BYTES).clamp(64, 1 << 22);
        let capacity = settings.bytes_max as u64;
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(expected)
            .weight_capacity(capacity)
            .build();
        let hasher = BuildHasherDefault::default;
        let lifecycle = DefaultLifecycle::default;
        // The builder asks for no more than what is given it here; were it to, the library's own
        // sizing is as good.
        let cache = match options {
            Ok(options) => Cache::with_options(options, ByBytes, hasher(), lifecycle()),
            Err(_) => Cache::with(expected, capacity, ByBytes, hasher(), lifecycle()),
        };
        Self {
            cache,
            writers: (0..WRITERS).map(|_| Mutex::new(())).collect(),
            key_bytes_max: settings.bytes_max / shards / 100 * SHARD_PERCENT_MAX,
            settings,
        }
    }

    /// Bytes that the stored responses weigh.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// Primary keys with at least one stored response.
    pub fn keys(&self) -> usize {
        self.cache.len()
    }

    /// The variants of a key, without waiting for anything.
    pub fn get(&self, key: &CacheKey) -> Variants {
        self.cache.get(key).unwrap_or_default()
    }

    /// Keeps what another tier has, unless there is the same here, or a newer one.
    pub fn fill(&self, entry: &Arc<StoredResponse>, current: Generation) {
        if entry.weight() > self.key_bytes_max {
            return;
        }
        self.update(entry.key(), |variants| {
            if variants.has_one_like(entry) {
                return None;
            }
            let variants = variants.with(Arc::clone(entry), current, self.settings.variants_max)?;
            Some(variants.within(self.key_bytes_max))
        });
    }

    fn update(&self, key: &CacheKey, change: impl FnOnce(Variants) -> Option<Variants>) -> bool {
        let _writer = self.writer(key).lock();
        let Some(variants) = change(self.get(key)) else {
            return false;
        };
        if variants.is_empty() {
            self.cache.remove(key);
        } else {
            self.cache.insert(key.clone(), variants);
        }
        true
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the index is taken modulo the number of locks"
    )]
    fn writer(&self, key: &CacheKey) -> &Mutex<()> {
        &self.writers[key.hash_value() as usize % WRITERS]
    }
}

impl Store for Memory {
    fn local(&self, key: &CacheKey) -> Variants {
        self.get(key)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_unchanged(&self, key: &CacheKey, seen: &Variants) -> bool {
        self.get(key).is_same(seen)
    }

    async fn lookup(&self, look: &Look<'_>) -> Result<Variants, StoreError> {
        Ok(self.get(look.key))
    }

    async fn put(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
    ) -> Result<Put, StoreError> {
        if entry.weight() > self.key_bytes_max {
            return Err(StoreError::TooLarge);
        }
        let key = entry.key().clone();
        let stored = self.update(&key, |variants| {
            let variants = variants.with(entry, current, self.settings.variants_max)?;
            Some(variants.within(self.key_bytes_max))
        });
        Ok(if stored { Put::Stored } else { Put::Outdated })
    }

    async fn remove(&self, entry: &Arc<StoredResponse>) {
        self.update(entry.key(), |variants| {
            variants.holds(entry).then(|| variants.without(entry))
        });
    }

    async fn grown(&self, entry: &Arc<StoredResponse>) {
        self.update(entry.key(), |variants| {
            let weighed = || variants.weighed().within(self.key_bytes_max);
            variants.holds(entry).then(weighed)
        });
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.bytes())
            .field("keys", &self.keys())
            .finish()
    }
}

#[derive(Clone, Copy)]
struct ByBytes;

impl Weighter<CacheKey, Variants> for ByBytes {
    fn weight(&self, _key: &CacheKey, variants: &Variants) -> u64 {
        variants.weight() as u64
    }
}

/// Keys bring a hash of their own.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
