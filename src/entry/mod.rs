//! What is in the cache: stored responses, and the purges that end them.

pub mod format;
pub mod head;
pub mod partial;
pub mod purges;
pub mod scope;
pub mod slots;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use http::StatusCode;
use http::header::DATE;

use self::head::Head;
use self::scope::ScopeHash;
use crate::clock::Timestamp;
use crate::exchange::Fence;
use crate::fields::accept_encoding::Coding;
use crate::fields::date;
use crate::fields::vary::Vary;
use crate::key::{CacheKey, EntryKey};
use crate::policy::reuse::Candidate;
use crate::policy::storability::{Storable, Terms};

/// A response in the cache. Sealing takes a [`Storable`]; there is no other way to make one.
///
/// ```compile_fail,E0308
/// // A response that was not assessed cannot be sealed.
/// use cms_edge::entry::{Content, StoredResponse, Tags, head::Head};
/// use cms_edge::{fields::vary::Vary, key::EntryKey};
/// fn seal(r: http::Response<()>, k: EntryKey, v: Vary, t: Tags, h: Head, c: Content) -> StoredResponse {
///     StoredResponse::seal(k, v, &r, h, t, c)
/// }
/// ```
#[derive(Debug)]
pub struct StoredResponse {
    key: EntryKey,
    /// The nominated fields that count for selection.
    vary: Vary,
    status: StatusCode,
    head: Head,
    tags: Tags,
    terms: Terms,
    response_time: Timestamp,
    /// See [`StoredResponse::date`].
    date: u64,
    fence: Fence,
    /// The state of the slot table at which nothing covered this response (see [`purges`]).
    checked_at: AtomicU64,
    content: Content,
}

/// The names a purge can hit a response by, hashed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tags(Box<[ScopeHash]>);

/// One representation for each content coding that was asked for, all under one fence: the one
/// that came from the origin, and those derived from it.
#[derive(Debug)]
pub struct Content {
    original: Bytes,
    original_coding: Coding,
    identity: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
    /// Codings that somebody is deriving right now, a bit for each.
    claimed: AtomicU8,
    /// Whether other codings may be derived at all.
    transformable: bool,
}

/// The right to derive one coding; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Claim<'c> {
    claimed: &'c AtomicU8,
    bit: u8,
}

/// What a stored response weighs beyond its variable parts, in bytes: its own struct, the
/// allocations behind it and its place in the store. Measured as the growth of the process by
/// 34,000 responses of 1 KiB, so that the bound on the store bounds what the machine sees.
const OVERHEAD_BYTES: usize = 848;

impl StoredResponse {
    /// Makes a stored response of an assessed one. `head` is what clients are sent, `vary` the
    /// nominated fields that count.
    pub fn seal(
        key: EntryKey,
        vary: Vary,
        storable: &Storable,
        head: Head,
        tags: Tags,
        content: Content,
    ) -> Self {
        let exchange = storable.exchange();
        Self {
            key,
            vary,
            status: storable.status(),
            head,
            tags,
            terms: *storable.terms(),
            response_time: exchange.response_time(),
            date: recency(
                date::of(storable.headers(), &DATE),
                exchange.response_time(),
            ),
            fence: exchange.fence(),
            checked_at: AtomicU64::new(0),
            content,
        }
    }

    pub const fn key(&self) -> &CacheKey {
        self.key.primary()
    }

    pub const fn entry_key(&self) -> &EntryKey {
        &self.key
    }

    pub const fn vary(&self) -> &Vary {
        &self.vary
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub const fn head(&self) -> &Head {
        &self.head
    }

    pub fn tags(&self) -> &[ScopeHash] {
        &self.tags.0
    }

    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// §4.2.3 `response_time`.
    pub const fn response_time(&self) -> Timestamp {
        self.response_time
    }

    /// How recent it is, in seconds since the epoch: its `Date`, as far as that is not in the future.
    pub const fn date(&self) -> u64 {
        self.date
    }

    pub const fn fence(&self) -> Fence {
        self.fence
    }

    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes this response takes in memory, derived representations included.
    pub fn weight(&self) -> usize {
        OVERHEAD_BYTES
            + self.key.primary().as_str().len()
            + self.key.secondary().as_str().len()
            + self.head.weight()
            + self.tags.0.len() * size_of::<ScopeHash>()
            + self.content.weight()
    }

    fn checked_at(&self) -> u64 {
        self.checked_at.load(Ordering::Relaxed)
    }

    fn set_checked_at(&self, change: u64) {
        self.checked_at.fetch_max(change, Ordering::Relaxed);
    }
}

/// See [`StoredResponse::date`].
fn recency(date: Option<u64>, response_time: Timestamp) -> u64 {
    let received = response_time.as_secs();
    date.map_or(received, |date| date.min(received))
}

impl Candidate for purges::Live {
    fn terms(&self) -> Terms {
        *self.entry().terms()
    }

    fn response_time(&self) -> Timestamp {
        self.entry().response_time
    }

    fn is_softly_purged(&self) -> bool {
        Self::is_softly_purged(self)
    }
}

impl Tags {
    pub fn new<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        let mut hashes: Vec<ScopeHash> = Vec::new();
        for tag in tags {
            let hash = ScopeHash::of_tag(tag);
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        Self(hashes.into())
    }

    /// These, and those that `hashes` has besides.
    pub fn and(self, hashes: &[ScopeHash]) -> Self {
        let mut all = self.0.into_vec();
        for hash in hashes {
            if !all.contains(hash) {
                all.push(*hash);
            }
        }
        Self(all.into())
    }
}

impl Content {
    /// Content as it came: `coding` is its content coding.
    pub fn new(original: Bytes, coding: Coding, transformable: bool) -> Self {
        Self {
            original,
            original_coding: coding,
            identity: OnceLock::new(),
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
            claimed: AtomicU8::new(0),
            transformable,
        }
    }

    pub const fn original(&self) -> &Bytes {
        &self.original
    }

    pub const fn original_coding(&self) -> Coding {
        self.original_coding
    }

    pub const fn is_transformable(&self) -> bool {
        self.transformable
    }

    /// The representation in `coding`, if it is there already.
    pub fn get(&self, coding: Coding) -> Option<&Bytes> {
        if coding == self.original_coding {
            return Some(&self.original);
        }
        self.slot(coding).get()
    }

    /// Keeps a derived representation. The first one stays.
    pub fn derived(&self, coding: Coding, content: Bytes) {
        if coding != self.original_coding {
            let _kept_or_known = self.slot(coding).set(content);
        }
    }

    /// The right to derive `coding`, unless somebody has it.
    pub fn claim(&self, coding: Coding) -> Option<Claim<'_>> {
        let bit = 1 << coding as u8;
        let before = self.claimed.fetch_or(bit, Ordering::AcqRel);
        (before & bit == 0).then_some(Claim {
            claimed: &self.claimed,
            bit,
        })
    }

    /// What other codings are best derived from, and its coding.
    pub fn source(&self) -> (&Bytes, Coding) {
        match self.get(Coding::Identity) {
            Some(identity) => (identity, Coding::Identity),
            None => (&self.original, self.original_coding),
        }
    }

    const fn slot(&self, coding: Coding) -> &OnceLock<Bytes> {
        match coding {
            Coding::Identity => &self.identity,
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
        }
    }

    fn weight(&self) -> usize {
        let derived = [&self.identity, &self.gzip, &self.brotli];
        self.original.len()
            + derived
                .iter()
                .filter_map(|slot| slot.get())
                .map(Bytes::len)
                .sum::<usize>()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claimed.fetch_and(!self.bit, Ordering::AcqRel);
    }
}

impl Clone for Content {
    /// The same representations, for a response that was freshened: bytes are shared.
    fn clone(&self) -> Self {
        let clone = Self::new(
            self.original.clone(),
            self.original_coding,
            self.transformable,
        );
        for coding in [Coding::Identity, Coding::Gzip, Coding::Brotli] {
            if let Some(content) = self.slot(coding).get() {
                clone.derived(coding, content.clone());
            }
        }
        clone
    }
}

#[cfg(test)]
mod tests;
