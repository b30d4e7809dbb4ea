//! The table of slots, and their names in the purge log.
//!
//! A slot holds the place in the purge log of the newest hard and of the newest soft purge that
//! hashed to it. The table has a fixed number of them: nothing is ever evicted, no lock is taken,
//! and two scopes that share a slot purge each other, which is safe.

use std::fmt;

use super::purges::Mode;
use super::scope::{Scope, ScopeHash};
use crate::atomics::{AtomicU64, Ordering};
use crate::exchange::{Fence, Generation, Position};

/// Slots in the table: 4 MiB of memory, and of 1,000 purges about 4 % hit a given response with
/// ten scopes by accident. The number is part of the format of the shared log.
pub const SLOTS: usize = 1 << 18;

/// What one generation of the log has purged, and how far it has been applied.
#[derive(Debug)]
pub struct Table {
    generation: Generation,
    /// Records up to here have been applied without a gap.
    applied: AtomicU64,
    everything: Slot,
    /// The newest purge that named a tag: what a response on its way may be tagged with is not
    /// known yet.
    any_tag: Slot,
    slots: Box<[Slot]>,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    hard: AtomicU64,
    soft: AtomicU64,
}

/// One slot, as the shared log names it: `e`, `t`, or its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlotName {
    Everything,
    AnyTag,
    /// Below [`SLOTS`].
    Numbered(u32),
}

impl Table {
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            applied: AtomicU64::new(0),
            everything: Slot::default(),
            any_tag: Slot::default(),
            slots: std::iter::repeat_with(Slot::default).take(SLOTS).collect(),
        }
    }

    pub const fn generation(&self) -> Generation {
        self.generation
    }

    pub fn fence(&self) -> Fence {
        Fence {
            generation: self.generation,
            position: Position::new(self.applied()),
        }
    }

    pub fn raise(&self, name: SlotName, mode: Mode, position: Position) {
        let slot = match name {
            SlotName::Everything => &self.everything,
            SlotName::AnyTag => &self.any_tag,
            SlotName::Numbered(number) => self.numbered(u64::from(number)),
        };
        slot.raise(mode, position);
    }

    /// All records up to `position` have been applied: their slots are raised.
    pub fn set_applied(&self, position: Position) {
        self.applied
            .fetch_max(position.ordinal(), Ordering::Release);
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(super) const fn everything(&self) -> &Slot {
        &self.everything
    }

    pub(super) const fn any_tag(&self) -> &Slot {
        &self.any_tag
    }

    pub(super) fn of(&self, hash: ScopeHash) -> &Slot {
        self.numbered(hash.value())
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the index is taken modulo the table's length, a power of two"
    )]
    fn numbered(&self, number: u64) -> &Slot {
        &self.slots[number as usize % SLOTS]
    }
}

impl SlotName {
    /// The slots that a purge of `scope` raises.
    pub fn of(scope: &Scope) -> impl Iterator<Item = Self> {
        let own = scope.hash().map_or(Self::Everything, Self::numbered);
        let tag = matches!(scope, Scope::Tag(_)).then_some(Self::AnyTag);
        let varied = scope.varied().map(Self::numbered);
        std::iter::once(own).chain(tag).chain(varied)
    }

    fn numbered(hash: ScopeHash) -> Self {
        let number = hash.value() % SLOTS as u64;
        Self::Numbered(u32::try_from(number).unwrap_or_default())
    }

    /// The name as it was written by its `Display`; nothing else is one.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "e" => Some(Self::Everything),
            "t" => Some(Self::AnyTag),
            text if text.bytes().all(|b| b.is_ascii_digit()) => {
                let number: u32 = text.parse().ok()?;
                ((number as usize) < SLOTS).then_some(Self::Numbered(number))
            }
            _ => None,
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("e"),
            Self::AnyTag => f.write_str("t"),
            Self::Numbered(number) => number.fmt(f),
        }
    }
}

impl Slot {
    fn raise(&self, mode: Mode, position: Position) {
        self.of(mode)
            .fetch_max(position.ordinal(), Ordering::Release);
    }

    pub(super) fn is_after(&self, mode: Mode, since: u64) -> bool {
        self.of(mode).load(Ordering::Acquire) > since
    }

    const fn of(&self, mode: Mode) -> &AtomicU64 {
        match mode {
            Mode::Hard => &self.hard,
            Mode::Soft => &self.soft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let scopes = [
            Scope::Everything,
            Scope::tag("a"),
            Scope::Host("a.example".into()),
        ];
        for name in scopes.iter().flat_map(SlotName::of) {
            assert_eq!(SlotName::parse(&name.to_string()), Some(name));
        }
        assert_eq!(SlotName::of(&Scope::tag("a")).count(), 2);
        for text in ["", "x", "-1", "+1", "262144", "99999999999"] {
            assert_eq!(SlotName::parse(text), None, "{text}");
        }
    }
}
