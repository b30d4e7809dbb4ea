//! The files of the program around a stored response that has what they look at, and nothing else.

#[path = "../../../src/entry/purges.rs"]
pub(crate) mod purges;
#[path = "../../../src/entry/scope.rs"]
pub(crate) mod scope;
#[path = "../../../src/entry/slots.rs"]
pub(crate) mod slots;

use std::sync::Arc;

use cms_edge::key::{CacheKey, KeyRule, TargetUri};
use http::HeaderMap;

use crate::atomics::{AtomicU64, Ordering};
use crate::exchange::Fence;
use scope::ScopeHash;

/// As `cms_edge::entry::StoredResponse`.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    key: CacheKey,
    fence: Fence,
    tags: Vec<ScopeHash>,
    checked_at: AtomicU64,
    number: u64,
}

impl StoredResponse {
    pub(crate) fn tagged(tag: &str, fence: Fence) -> Arc<Self> {
        Arc::new(Self::new(tag, fence, 0))
    }

    /// What the exchange of that number brought.
    pub(crate) fn fetched(fence: Fence, number: u64) -> Arc<Self> {
        Arc::new(Self::new("a", fence, number))
    }

    fn new(tag: &str, fence: Fence, number: u64) -> Self {
        let target = TargetUri::parse("https", "a.example", "/", None).unwrap();
        let entry = Self {
            key: KeyRule::default().key(&target, &HeaderMap::new()).key,
            fence,
            tags: vec![ScopeHash::of_tag(tag)],
            checked_at: AtomicU64::new(0),
            number,
        };
        assert_eq!(entry.checked_at(), 0);
        entry
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn key(&self) -> &CacheKey {
        &self.key
    }

    pub(crate) const fn fence(&self) -> Fence {
        self.fence
    }

    fn tags(&self) -> &[ScopeHash] {
        &self.tags
    }

    fn checked_at(&self) -> u64 {
        self.checked_at.load(Ordering::Relaxed)
    }

    fn set_checked_at(&self, change: u64) {
        self.checked_at.fetch_max(change, Ordering::Relaxed);
    }
}
