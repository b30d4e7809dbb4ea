//! Incomplete responses of this process, in memory: one for each key, bounded by bytes.

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::entry::partial::Incomplete;
use crate::exchange::Generation;
use crate::key::CacheKey;

/// Bytes of all parts; the least used ones go first.
const PARTS_BYTES_MAX: usize = 32 << 20;
/// Bytes of one part: what is larger would leave no room for others.
const PART_BYTES_MAX: usize = 8 << 20;
/// A typical part, to size the index.
const TYPICAL_BYTES: usize = 64 << 10;

/// See the module.
pub struct Parts {
    cache: Cache<CacheKey, Arc<Incomplete>, ByBytes>,
    /// Comparing and setting must not interleave. Readers do not take it.
    writer: Mutex<()>,
}

impl Default for Parts {
    fn default() -> Self {
        let (expected, bytes) = (PARTS_BYTES_MAX / TYPICAL_BYTES, PARTS_BYTES_MAX as u64);
        Self {
            cache: Cache::with_weighter(expected, bytes, ByBytes),
            writer: Mutex::default(),
        }
    }
}

impl Parts {
    pub fn get(&self, key: &CacheKey) -> Option<Arc<Incomplete>> {
        self.cache.get(key)
    }

    /// Keeps `incomplete` in place of what there is for its key, unless that has a newer fence.
    /// False if it has, and if this is too large to be kept.
    pub fn put(&self, incomplete: Arc<Incomplete>, current: Generation) -> bool {
        if incomplete.weight() > PART_BYTES_MAX {
            return false;
        }
        let _writer = self.writer.lock();
        let key = incomplete.key().clone();
        let is_outdated = self
            .cache
            .get(&key)
            .is_some_and(|other| !incomplete.fence().may_replace(other.fence(), current));
        if !is_outdated {
            self.cache.insert(key, incomplete);
        }
        !is_outdated
    }

    pub fn remove(&self, key: &CacheKey) {
        self.cache.remove(key);
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("bytes", &self.cache.weight())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct ByBytes;

impl Weighter<CacheKey, Arc<Incomplete>> for ByBytes {
    fn weight(&self, _key: &CacheKey, incomplete: &Arc<Incomplete>) -> u64 {
        incomplete.weight() as u64
    }
}
