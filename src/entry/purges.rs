//! The slot table: what has been purged, as this instance knows it.
//!
//! The table has a fixed number of slots indexed by scope hash. A slot holds the place in the
//! purge log of the newest hard and of the newest soft purge that hashed to it. Purging is one
//! store per scope however many stored responses it hits; nothing is ever evicted, no lock is
//! taken, and two scopes that share a slot purge each other, which is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StoredResponse;
use super::scope::{self, Scope, ScopeHash};
use crate::exchange::{Fence, Generation, Position};
use crate::key::CacheKey;

/// How a purge treats what it covers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// It may never be served again.
    Hard,
    /// It is stale: it may be served while it is validated.
    Soft,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// A stored response that no hard purge covers: the only thing a response can be made from.
///
/// ```compile_fail,E0451
/// // A stored response that was not admitted past the purges cannot be served.
/// use cms_edge::entry::{StoredResponse, purges::Live};
/// fn forge(entry: std::sync::Arc<StoredResponse>) -> Live {
///     Live { entry, softly_purged: false }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Live {
    entry: Arc<StoredResponse>,
    softly_purged: bool,
}

impl Live {
    pub const fn entry(&self) -> &Arc<StoredResponse> {
        &self.entry
    }

    /// Whether a soft purge covers it: it counts as stale whatever its age.
    pub const fn is_softly_purged(&self) -> bool {
        self.softly_purged
    }
}

/// Slots in the table: 4 MiB of memory, and of 1,000 purges about 4 % hit a given response with
/// ten scopes by accident.
const SLOTS: usize = 1 << 18;

/// See the module.
#[derive(Debug)]
pub struct Purges {
    generation: AtomicU64,
    /// Records up to here have been applied without a gap.
    applied: AtomicU64,
    everything: Slot,
    /// The newest purge that named a tag: what a response on its way may be tagged with is not
    /// known yet.
    any_tag: Slot,
    slots: Box<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    hard: AtomicU64,
    soft: AtomicU64,
}

impl Purges {
    pub fn new(generation: Generation) -> Self {
        Self {
            generation: AtomicU64::new(generation.token()),
            applied: AtomicU64::new(0),
            everything: Slot::default(),
            any_tag: Slot::default(),
            slots: std::iter::repeat_with(Slot::default).take(SLOTS).collect(),
        }
    }

    pub fn generation(&self) -> Generation {
        Generation::new(self.generation.load(Ordering::Acquire))
    }

    /// What an exchange with the origin must read before its request leaves.
    pub fn fence(&self) -> Fence {
        Fence {
            generation: self.generation(),
            position: Position::new(self.applied.load(Ordering::Acquire)),
        }
    }

    /// Applies the record at `position`. Records must be applied in order by one caller at a time:
    /// the slots are raised before the record counts as applied, so whoever sees the new position
    /// sees the new slots.
    pub fn apply<'a>(
        &self,
        position: Position,
        mode: Mode,
        scopes: impl IntoIterator<Item = &'a Scope>,
    ) {
        for scope in scopes {
            match scope.hash() {
                None => self.everything.raise(mode, position),
                Some(hash) => self.slot(hash).raise(mode, position),
            }
            if matches!(scope, Scope::Tag(_)) {
                self.any_tag.raise(mode, position);
            }
        }
        self.applied
            .fetch_max(position.ordinal(), Ordering::Release);
    }

    /// The one way to a response from the store. `None`: a hard purge covers it, or it comes from
    /// another generation of the log.
    pub fn admit(&self, entry: Arc<StoredResponse>) -> Option<Live> {
        let fence = entry.fence();
        if fence.generation != self.generation() {
            return None;
        }
        let applied = self.applied.load(Ordering::Acquire);
        if entry.checked_at() == applied {
            return Some(Live {
                entry,
                softly_purged: false,
            });
        }
        let since = fence.position.ordinal();
        if self.covers(entry.key(), entry.tags(), Mode::Hard, since) {
            return None;
        }
        let softly_purged = self.covers(entry.key(), entry.tags(), Mode::Soft, since);
        if !softly_purged {
            entry.set_checked_at(applied);
        }
        Some(Live {
            entry,
            softly_purged,
        })
    }

    /// Whether a request for `key` that arrives now may wait for an exchange that left with
    /// `fence`: no hard purge that could cover the answer has been applied since. The answer's
    /// tags are not known yet, so any purge of a tag could.
    pub fn still_open(&self, fence: Fence, key: &CacheKey) -> bool {
        let since = fence.position.ordinal();
        fence.generation == self.generation()
            && (self.applied.load(Ordering::Acquire) == since
                || !(self.any_tag.is_after(Mode::Hard, since)
                    || self.covers(key, &[], Mode::Hard, since)))
    }

    /// Whether no purge that could cover a response under `key` has been applied since `fence`, hard
    /// or soft. Its tags are not known yet, so any purge of a tag could.
    pub fn is_untouched(&self, fence: Fence, key: &CacheKey) -> bool {
        let since = fence.position.ordinal();
        let is_touched =
            |mode| self.any_tag.is_after(mode, since) || self.covers(key, &[], mode, since);
        fence.generation == self.generation() && !is_touched(Mode::Hard) && !is_touched(Mode::Soft)
    }

    pub(super) fn covers(
        &self,
        key: &CacheKey,
        tags: &[ScopeHash],
        mode: Mode,
        since: u64,
    ) -> bool {
        self.everything.is_after(mode, since)
            || tags.iter().any(|tag| self.slot(*tag).is_after(mode, since))
            || scope::any_covering(key, |hash| self.slot(hash).is_after(mode, since))
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the index is taken modulo the table's length, a power of two"
    )]
    fn slot(&self, hash: ScopeHash) -> &Slot {
        &self.slots[hash.value() as usize % SLOTS]
    }
}

impl Slot {
    fn raise(&self, mode: Mode, position: Position) {
        self.of(mode)
            .fetch_max(position.ordinal(), Ordering::Release);
    }

    fn is_after(&self, mode: Mode, since: u64) -> bool {
        self.of(mode).load(Ordering::Acquire) > since
    }

    const fn of(&self, mode: Mode) -> &AtomicU64 {
        match mode {
            Mode::Hard => &self.hard,
            Mode::Soft => &self.soft,
        }
    }
}
