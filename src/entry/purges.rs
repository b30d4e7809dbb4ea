//! What has been purged, as this instance knows it, and whether it knows enough to serve.
//!
//! Purging is one store per scope in the table of slots, however many stored responses it hits.

use std::sync::Arc;

use super::StoredResponse;
use super::scope::{self, Scope, ScopeHash};
use super::slots::{SlotName, Table};
use crate::atomics::{ArcSwap, AtomicU64, Guard, Ordering};
use crate::exchange::{Fence, Generation, Position};
use crate::key::CacheKey;
use crate::lease::Lease;
use crate::sabotage::{Rule, breaks};

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

/// See the module.
#[derive(Debug)]
pub struct Purges {
    /// Generation, position and slots are read and replaced in one piece.
    table: ArcSwap<Table>,
    /// Counts whatever may cover what is stored, over all tables: a response that was looked at
    /// when it stood here needs no other look.
    changes: AtomicU64,
    lease: Arc<Lease>,
}

impl Purges {
    /// Of an instance that is alone with its log.
    pub fn new(generation: Generation) -> Self {
        Self::with_lease(generation, Arc::new(Lease::unlimited()))
    }

    /// What is stored is served only while `lease` runs.
    pub fn with_lease(generation: Generation, lease: Arc<Lease>) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::new(generation)),
            changes: AtomicU64::new(1),
            lease,
        }
    }

    pub fn generation(&self) -> Generation {
        self.table.load().generation()
    }

    /// What an exchange with the origin must read before its request leaves.
    pub fn fence(&self) -> Fence {
        self.table.load().fence()
    }

    /// Whether what is stored may be served at all. If not, a request is answered only by an
    /// exchange that leaves after it came.
    pub fn may_serve(&self) -> bool {
        self.lease.runs()
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
        self.apply_slots(position, mode, scopes.into_iter().flat_map(SlotName::of));
    }

    /// As [`Purges::apply`], by the names of slots.
    pub fn apply_slots(
        &self,
        position: Position,
        mode: Mode,
        slots: impl IntoIterator<Item = SlotName>,
    ) {
        let table = self.table.load();
        for slot in slots {
            table.raise(slot, mode, position);
        }
        self.changed();
        table.set_applied(position);
    }

    /// Ends what is stored before the record is in the log: whatever was fetched behind this
    /// position or before, and whatever will be until the next record is applied.
    pub fn apply_ahead<'a>(&self, mode: Mode, scopes: impl IntoIterator<Item = &'a Scope>) {
        self.apply_slots_ahead(mode, scopes.into_iter().flat_map(SlotName::of));
    }

    /// As [`Purges::apply_ahead`], by the names of slots.
    pub fn apply_slots_ahead(&self, mode: Mode, slots: impl IntoIterator<Item = SlotName>) {
        let table = self.table.load();
        let next = table.fence().position.next();
        for slot in slots {
            table.raise(slot, mode, next);
        }
        self.changed();
    }

    /// Ends what is stored as the record `at` will, which is in the log and was not applied yet: also what
    /// others fetch behind the records before it. In another generation than this one's that place
    /// means nothing, and it is [`Purges::apply_slots_ahead`].
    pub fn apply_slots_early(
        &self,
        at: Fence,
        mode: Mode,
        slots: impl IntoIterator<Item = SlotName>,
    ) {
        let table = self.table.load();
        let fence = table.fence();
        let position = if fence.generation == at.generation {
            at.position
        } else {
            fence.position.next()
        };
        for slot in slots {
            table.raise(slot, mode, position);
        }
        self.changed();
    }

    /// Takes over what the log remembers of records that are gone: `table` knows all up to its own
    /// position. Of the generation that is known already, it is merged into what is known.
    pub fn take_over(&self, generation: Generation, snapshot: &Snapshot) {
        let current = self.table.load();
        let is_known = current.generation() == generation;
        let table = if is_known {
            Arc::clone(&current)
        } else {
            Arc::new(Table::new(generation))
        };
        for (slot, mode, position) in &snapshot.slots {
            table.raise(*slot, *mode, *position);
        }
        if is_known {
            self.changed();
            table.set_applied(snapshot.applied);
        } else {
            table.set_applied(snapshot.applied);
            self.table.store(table);
            self.changed();
        }
    }

    /// The one way to a response from the store. `None`: a hard purge covers it, it comes from
    /// another generation of the log, or nothing may be served now.
    pub fn admit(&self, entry: Arc<StoredResponse>) -> Option<Live> {
        if !self.lease.runs() {
            return None;
        }
        self.admit_fetched(entry)
    }

    /// As [`Purges::admit`], for what an exchange has just brought: whoever waited for it may have
    /// it whether or not anything that is stored may be served.
    pub fn admit_fetched(&self, entry: Arc<StoredResponse>) -> Option<Live> {
        let changes = self.changes.load(Ordering::Acquire);
        let table = self.table.load();
        let fence = entry.fence();
        if fence.generation != table.generation() && !breaks(Rule::Generation) {
            return None;
        }
        if entry.checked_at() == changes {
            return Some(Live {
                entry,
                softly_purged: false,
            });
        }
        let since = fence.position.ordinal();
        let covering = strongest_covering(&table, entry.key(), entry.tags(), since);
        if covering == Some(Mode::Hard) {
            return None;
        }
        let softly_purged = covering.is_some();
        if !softly_purged {
            entry.set_checked_at(changes);
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
        let table = self.table.load();
        fence.generation == table.generation()
            && !table.any_tag().is_after(Mode::Hard, since)
            && !covers(&table, key, &[], Mode::Hard, since)
    }

    /// Whether no purge that could cover a response under `key` has been applied since `fence`, hard
    /// or soft. Its tags are not known yet, so any purge of a tag could.
    pub fn is_untouched(&self, fence: Fence, key: &CacheKey) -> bool {
        let since = fence.position.ordinal();
        let table = self.table.load();
        let is_touched =
            |mode| table.any_tag().is_after(mode, since) || covers(&table, key, &[], mode, since);
        fence.generation == table.generation() && !is_touched(Mode::Hard) && !is_touched(Mode::Soft)
    }

    pub(super) fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// What a log remembers of its records: for each slot that they raised, the highest position.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All records up to here are in it.
    pub applied: Position,
    pub slots: Vec<(SlotName, Mode, Position)>,
}

/// The mode of the strongest purge after `since` that covers a response.
fn strongest_covering(
    table: &Table,
    key: &CacheKey,
    tags: &[ScopeHash],
    since: u64,
) -> Option<Mode> {
    if !table.is_any_after(since) {
        return None;
    }
    let mut strongest = table.everything().strongest_after(since);
    // True: nothing stronger can come.
    let mut visit = |hash: ScopeHash| {
        strongest = match table.of(hash).strongest_after(since) {
            Some(Mode::Hard) => Some(Mode::Hard),
            soft => strongest.or(soft),
        };
        strongest == Some(Mode::Hard)
    };
    let _stopped = tags.iter().any(|tag| visit(*tag)) || scope::any_covering(key, visit);
    strongest
}

pub(super) fn covers(
    table: &Table,
    key: &CacheKey,
    tags: &[ScopeHash],
    mode: Mode,
    since: u64,
) -> bool {
    table.everything().is_after(mode, since)
        || tags.iter().any(|tag| table.of(*tag).is_after(mode, since))
        || scope::any_covering(key, |hash| table.of(hash).is_after(mode, since))
}
