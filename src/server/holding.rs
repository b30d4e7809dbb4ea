//! What the requests and responses of one connection hold in memory, and for how long.
//!
//! HTTP/2 lets a client ask for much and take nothing: each stream keeps a decoded head, which may
//! be a hundred times what it cost to send (CVE-2026-49975), and then a piece of content that no
//! window lets out. So the connection counts both. Nothing here reads a clock or takes a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use super::activity::Activity;
use crate::budget::{Budget, CONNECTION_BYTES, SharedCharge, Use};

/// Content goes to HTTP/2 in pieces of at most this, the size of its frames, in bytes: what it
/// holds of a stream that takes nothing is one piece.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// Smaller pieces are not counted, in bytes.
const COUNTED_BYTES_MIN: usize = 1024;

/// The budget is told of more and less in steps of this, in bytes, so that few requests touch it.
const STEP_BYTES: u64 = 64 * 1024;

/// Pieces are told apart by so many ages; each is a quarter of the timeout. The oldest are then
/// older than the timeout by a quarter at least.
const AGES: usize = 6;

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Holding {
    heads: AtomicU64,
    pieces: AtomicU64,
    charge: Option<SharedCharge>,
    /// Pieces that are held, by the age in which they were given out.
    ages: [AtomicUsize; AGES],
    age: AtomicUsize,
}

impl Holding {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            charge: Some(SharedCharge::new(budget, Use::Held)),
            ..Self::default()
        }
    }

    /// A request's head is held; what all heads hold now.
    pub(super) fn hold_head(&self, bytes: u64) -> u64 {
        let heads = self.heads.fetch_add(bytes, Relaxed) + bytes;
        self.note(heads + self.pieces.load(Relaxed));
        heads
    }

    pub(super) fn let_go_of_head(&self, bytes: u64) {
        self.heads.fetch_sub(bytes, Relaxed);
    }

    /// Tells the budget what is held now.
    pub(super) fn settle(&self) {
        if let Some(charge) = &self.charge {
            let bytes = self.heads.load(Relaxed) + self.pieces.load(Relaxed);
            let beyond = bytes.saturating_sub(CONNECTION_BYTES);
            let steps = beyond.next_multiple_of(STEP_BYTES);
            if steps != charge.bytes() {
                charge.set(steps);
            }
        }
    }

    /// Begins another age, a quarter of the timeout after the last; whether a piece has been held
    /// for longer than the timeout.
    pub(super) fn age(&self) -> bool {
        let next = (self.age.load(Relaxed) + 1) % AGES;
        self.age.store(next, Relaxed);
        self.ages
            .get(next)
            .is_some_and(|held| held.load(Relaxed) > 0)
    }

    fn note(&self, bytes: u64) {
        let charged = self.charge.as_ref().map_or(u64::MAX, SharedCharge::bytes);
        if bytes > charged.saturating_add(CONNECTION_BYTES) {
            self.settle();
        }
    }

    fn hold_piece(&self, bytes: u64) -> usize {
        let pieces = self.pieces.fetch_add(bytes, Relaxed) + bytes;
        self.note(pieces + self.heads.load(Relaxed));
        let age = self.age.load(Relaxed);
        if let Some(held) = self.ages.get(age) {
            held.fetch_add(1, Relaxed);
        }
        age
    }

    fn let_go_of_piece(&self, bytes: u64, age: usize) {
        self.pieces.fetch_sub(bytes, Relaxed);
        if let Some(held) = self.ages.get(age) {
            held.fetch_sub(1, Relaxed);
        }
    }
}

/// `content`, counted until HTTP/2 has sent it or dropped it.
pub(super) fn held(content: Bytes, activity: &Arc<Activity>) -> Bytes {
    if content.len() < COUNTED_BYTES_MIN {
        return content;
    }
    let age = activity.holding.hold_piece(length(&content));
    Bytes::from_owner(Piece {
        content,
        age,
        activity: Arc::clone(activity),
    })
}

struct Piece {
    content: Bytes,
    age: usize,
    activity: Arc<Activity>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let bytes = length(&self.content);
        self.activity.holding.let_go_of_piece(bytes, self.age);
    }
}

fn length(content: &Bytes) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_held_until_its_last_slice_is_gone() {
        let budget = Budget::new(1 << 30);
        let activity = Arc::new(Activity::new(Arc::clone(&budget)));
        let piece = held(Bytes::from(vec![1; 100_000]), &activity);
        assert_eq!(piece.len(), 100_000);
        assert_eq!(budget.used(Use::Held), 128 * 1024);
        let slice = piece.slice(99_999..);
        drop(piece);
        activity.holding.settle();
        assert_eq!(budget.used(Use::Held), 128 * 1024);
        drop(slice);
        activity.holding.settle();
        assert_eq!(budget.used(Use::Held), 0);
        let _small = held(Bytes::from_static(b"small"), &activity);
        assert_eq!(activity.holding.pieces.load(Relaxed), 0);
    }

    #[test]
    fn what_a_connection_held_is_given_back_with_it() {
        let budget = Budget::new(1 << 30);
        let holding = Holding::new(Arc::clone(&budget));
        assert_eq!(holding.hold_head(CONNECTION_BYTES), CONNECTION_BYTES);
        assert_eq!(budget.used(Use::Held), 0);
        assert_eq!(holding.hold_head(1), CONNECTION_BYTES + 1);
        assert_eq!(budget.used(Use::Held), STEP_BYTES);
        holding.let_go_of_head(1);
        drop(holding);
        assert_eq!(budget.used(Use::Held), 0);
    }

    #[test]
    fn a_piece_is_old_after_more_than_four_ages() {
        let activity = Arc::new(Activity::default());
        let piece = held(Bytes::from(vec![1; 2000]), &activity);
        let ages: Vec<bool> = (0..AGES).map(|_| activity.holding.age()).collect();
        assert_eq!(ages, [false, false, false, false, false, true]);
        drop(piece);
        assert!((0..2 * AGES).all(|_| !activity.holding.age()));
    }
}
