//! Where stored responses live.

pub mod claim;
pub mod memory;
pub mod parts;
pub mod redis;
pub mod tiers;

use std::sync::Arc;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use self::claim::{Claim, Claimed, Want};
use crate::clock::Timestamp;
use crate::entry::StoredResponse;
use crate::exchange::{Fence, Generation};
use crate::fields::vary::Vary;
use crate::fields::{accept_language, content_language};
use crate::key::select::Secondary;
use crate::key::{CacheKey, EntryKey, Folding};

/// A failing store never fails a request: callers count the error and treat it as a miss.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    #[error("the response is larger than the store")]
    TooLarge,
    #[error("the store did not answer in time")]
    Deadline,
    #[error("the store cannot be reached")]
    Unreachable,
}

/// What became of a response that was offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    Stored,
    /// What is there was fetched behind a newer fence: compare-and-set.
    Outdated,
}

/// The stored responses of one primary key, the most recent first. They share one index and leave the
/// store together.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    entries: Arc<[Arc<StoredResponse>]>,
    /// Bytes, as weighed when this value was made: responses grow afterwards, and a store must
    /// take off what it put on.
    weight: usize,
    /// The newest nomination in a tier that has more, for other requests, which were not read.
    others: Option<Arc<Vary>>,
}

/// What a store is asked.
#[derive(Clone, Copy, Debug)]
pub struct Look<'l> {
    pub key: &'l CacheKey,
    pub presented: &'l HeaderMap,
    pub folding: Folding,
    /// What was stored under another generation of the purge log is of no use.
    pub current: Generation,
}

/// One tier of storage.
///
/// ```compile_fail,E0308
/// // A response that may not be stored cannot be put.
/// use cms_edge::{exchange::Generation, store::Store};
/// async fn put<S: Store>(store: &S, response: http::Response<bytes::Bytes>) {
///     let _ = store.put(response, Generation::new(1)).await;
/// }
/// ```
pub trait Store: Send + Sync + 'static {
    /// What this process holds of a key, without waiting for anything.
    fn local(&self, key: &CacheKey) -> Variants;

    /// Whether there is a tier that other processes store into.
    fn is_shared(&self) -> bool;

    /// Whether nothing that this process holds was stored, or dropped, since `seen` was found.
    fn is_unchanged(&self, key: &CacheKey, seen: &Variants) -> bool;

    /// What there is for a request in all tiers; nothing is no error.
    fn lookup(&self, look: &Look<'_>) -> impl Future<Output = Result<Variants, StoreError>> + Send;

    /// Who of all that share the store fetches. By default nobody does.
    fn claim(&self, want: &Want<'_>) -> impl Future<Output = Claimed> + Send {
        let _alone = want;
        async { Claimed::Unclaimed }
    }

    /// Stores under the response's own entry key, unless what is there has a newer fence.
    fn put(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// As [`Store::put`], of what was fetched under a claim, which ends when all can find it.
    fn put_claimed(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
        claim: Option<Claim>,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send {
        drop(claim);
        self.put(entry, current)
    }

    /// Drops exactly this response, if it is still there.
    fn remove(&self, entry: &Arc<StoredResponse>) -> impl Future<Output = ()> + Send;

    /// Drops what `newer`, which was dropped, had superseded for the same request in a tier that was
    /// not read whole. By default there is none.
    fn remove_superseded(
        &self,
        look: &Look<'_>,
        newer: &StoredResponse,
    ) -> impl Future<Output = ()> + Send {
        let _read_whole = (look, newer);
        async {}
    }

    /// Weighs a response again after a representation was derived.
    fn grown(&self, entry: &Arc<StoredResponse>) -> impl Future<Output = ()> + Send;
}

/// A store that several share.
impl<S: Store> Store for Arc<S> {
    fn local(&self, key: &CacheKey) -> Variants {
        S::local(self, key)
    }

    fn is_shared(&self) -> bool {
        S::is_shared(self)
    }

    fn is_unchanged(&self, key: &CacheKey, seen: &Variants) -> bool {
        S::is_unchanged(self, key, seen)
    }

    fn lookup(&self, look: &Look<'_>) -> impl Future<Output = Result<Variants, StoreError>> + Send {
        S::lookup(self, look)
    }

    fn put(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send {
        S::put(self, entry, current)
    }

    fn claim(&self, want: &Want<'_>) -> impl Future<Output = Claimed> + Send {
        S::claim(self, want)
    }

    fn put_claimed(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
        claim: Option<Claim>,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send {
        S::put_claimed(self, entry, current, claim)
    }

    fn remove(&self, entry: &Arc<StoredResponse>) -> impl Future<Output = ()> + Send {
        S::remove(self, entry)
    }

    fn remove_superseded(
        &self,
        look: &Look<'_>,
        newer: &StoredResponse,
    ) -> impl Future<Output = ()> + Send {
        S::remove_superseded(self, look, newer)
    }

    fn grown(&self, entry: &Arc<StoredResponse>) -> impl Future<Output = ()> + Send {
        S::grown(self, entry)
    }
}

impl Variants {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.others.is_none()
    }

    /// Whether nothing was stored or dropped between the looks that found these.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.is_empty() && other.is_empty()) || Arc::ptr_eq(&self.entries, &other.entries)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<StoredResponse>> {
        self.entries.iter()
    }

    /// The variant that the presented fields select (RFC 9111 §4.1), each by the fields that the
    /// variant itself nominates; the newest where several match.
    pub fn select(&self, presented: &HeaderMap, folding: Folding) -> Option<&Arc<StoredResponse>> {
        let matching = self.matching(presented, folding).next();
        matching.or_else(|| match folding {
            Folding::Careful => None,
            Folding::Full => self.in_favourite_language(presented),
        })
    }

    /// A response in the very language that the client wants most, given to somebody who asked for
    /// others, too: the origin has that language, and would choose it again.
    fn in_favourite_language(&self, presented: &HeaderMap) -> Option<&Arc<StoredResponse>> {
        let favourite = accept_language::favourite(presented)?;
        self.entries.iter().find(|entry| {
            let fields = entry.head().client();
            let mut tags = content_language::tags(&fields);
            let tag = tags
                .next()
                .filter(|_| *entry.vary().names() == [ACCEPT_LANGUAGE]);
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(favourite)) && tags.next().is_none()
        })
    }

    /// All that match, newest first.
    pub fn matching(
        &self,
        presented: &HeaderMap,
        folding: Folding,
    ) -> impl Iterator<Item = &Arc<StoredResponse>> {
        self.entries.iter().filter(move |entry| {
            entry.vary().is_empty() || {
                let presented = Secondary::of(entry.vary(), presented, folding);
                presented == *entry.entry_key().secondary()
            }
        })
    }

    /// The newest variant's entry key for these fields: what a flight is for, once Vary is known.
    pub fn flight_key(&self, key: &CacheKey, presented: &HeaderMap, folding: Folding) -> EntryKey {
        let newest = self.entries.first().map(|newest| newest.vary());
        match newest.or(self.others.as_deref()) {
            Some(newest) => key.select(newest, presented, folding),
            None => key.select(&Vary::default(), presented, folding),
        }
    }

    fn of(entries: impl Iterator<Item = Arc<StoredResponse>>) -> Self {
        let entries: Arc<[Arc<StoredResponse>]> = entries.collect();
        let weight = entries.iter().map(|entry| entry.weight()).sum();
        Self {
            entries,
            weight,
            others: None,
        }
    }

    fn one(entry: Arc<StoredResponse>) -> Self {
        let weight = entry.weight();
        Self {
            entries: Arc::new([entry]),
            weight,
            others: None,
        }
    }

    /// Beside what another tier has for other requests.
    fn beside(self, others: Option<Arc<Vary>>) -> Self {
        Self { others, ..self }
    }

    /// The same responses, weighed anew.
    fn weighed(&self) -> Self {
        Self::of(self.entries.iter().cloned())
    }

    const fn weight(&self) -> usize {
        self.weight
    }

    /// As many of the newest as weigh no more than this, in bytes.
    fn within(self, bytes_max: usize) -> Self {
        if self.weight <= bytes_max {
            return self;
        }
        let mut bytes = 0_usize;
        let fits = |entry: &&Arc<StoredResponse>| {
            bytes = bytes.saturating_add(entry.weight());
            bytes <= bytes_max
        };
        Self::of(self.entries.iter().take_while(fits).cloned())
    }

    /// With `entry` before those it may replace, in place of the one it does; at most `variants_max`
    /// of them. Nothing if compare-and-set forbids it.
    fn with(
        &self,
        entry: Arc<StoredResponse>,
        current: Generation,
        variants_max: usize,
    ) -> Option<Self> {
        let is_replaced = |other: &Arc<StoredResponse>| other.entry_key() == entry.entry_key();
        if self.entries.is_empty() && variants_max > 0 {
            return Some(Self::one(entry));
        }
        let outdated = self
            .entries
            .iter()
            .any(|other| is_replaced(other) && !entry.fence().may_replace(other.fence(), current));
        if outdated {
            return None;
        }
        // In the order of their fences, newest first: what left the origin's side before a purge
        // must not hide, under another Vary, what came after it. Between two purges RFC 9111 §4
        // counts: "When more than one suitable response is stored, a cache MUST use the most recent
        // one (as determined by the Date header field)".
        let is_newer = |other: &&Arc<StoredResponse>| {
            !entry.fence().may_replace(other.fence(), current)
                || (entry.fence() == other.fence() && entry.date() < other.date())
        };
        let others = || self.entries.iter().filter(|other| !is_replaced(other));
        let newer = others().filter(is_newer);
        let older = others().filter(|other| !is_newer(other));
        let all = newer.chain(std::iter::once(&entry)).chain(older).cloned();
        Some(Self::of(all.take(variants_max)))
    }

    fn without(&self, entry: &Arc<StoredResponse>) -> Self {
        let others = self
            .entries
            .iter()
            .filter(|other| !Arc::ptr_eq(other, entry));
        Self::of(others.cloned())
    }

    /// Whether there is this response, or one that came later, for the same requests and under the
    /// same generation.
    fn has_one_like(&self, entry: &StoredResponse) -> bool {
        self.has(entry.entry_key(), entry.fence(), entry.response_time())
    }

    /// Whether there is what is stored for these requests, or something later.
    fn has(&self, key: &EntryKey, fence: Fence, response_time: Timestamp) -> bool {
        self.entries.iter().any(|entry| {
            entry.entry_key() == key
                && entry.fence().generation == fence.generation
                && (entry.fence().position, entry.response_time())
                    >= (fence.position, response_time)
        })
    }

    pub fn holds(&self, entry: &Arc<StoredResponse>) -> bool {
        self.entries.iter().any(|other| Arc::ptr_eq(other, entry))
    }
}
