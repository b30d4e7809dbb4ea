//! Purges that wait for Redis, in memory. Bounded in number and in bytes. `folder` has them on disk
//! besides, where there is a folder for it, so that a restart does not lose them.
//!
//! What is in the log stays here, and in its file, until its receipt is complete: the log may be lost
//! before, and its process with it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::record::Draft;
use crate::purge::receipt::ReceiptId;

/// Purges that wait at a time; a few more where several are asked for at once.
const PURGES_MAX: usize = 10_000;
/// Bytes that they take in memory.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A file of the spool, within this process.
pub(super) type FileId = u64;
/// The one that this process writes.
pub(super) const OWN: FileId = 0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spool {
    waiting: VecDeque<(Spooled, FileId)>,
    /// In the log, and still in a file.
    placed: Vec<Placed>,
    /// Of both.
    bytes: usize,
    has_files: bool,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    id: ReceiptId,
    weight: usize,
    file: FileId,
}

/// A purge, and the id of the receipt it was given.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    pub(super) id: ReceiptId,
    pub(super) draft: Arc<Draft>,
}

/// For so much more there is a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) purges: usize,
    pub(super) bytes: usize,
}

/// There is no place for another purge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

impl Spool {
    pub(super) fn new(has_files: bool) -> Self {
        Self {
            has_files,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// # Errors
    /// There are too many already.
    pub(super) fn push(&mut self, spooled: Spooled) -> Result<(), Full> {
        if !self.room().takes(&spooled.draft) {
            return Err(Full);
        }
        self.take_over(spooled, OWN);
        Ok(())
    }

    /// What stands in `file` already. Whoever does this has asked for [`Spool::room`].
    pub(super) fn take_over(&mut self, spooled: Spooled, file: FileId) {
        self.bytes = self.bytes.saturating_add(spooled.draft.weight());
        self.waiting.push_back((spooled, file));
    }

    pub(super) fn room(&self) -> Room {
        Room {
            purges: PURGES_MAX.saturating_sub(self.waiting.len() + self.placed.len()),
            bytes: BYTES_MAX.saturating_sub(self.bytes),
        }
    }

    pub(super) fn first(&self) -> Option<&Spooled> {
        self.waiting.front().map(|(spooled, _)| spooled)
    }

    /// The first is in the log.
    pub(super) fn placed(&mut self) {
        let Some((first, file)) = self.waiting.pop_front() else {
            return;
        };
        let weight = first.draft.weight();
        if self.has_files {
            let id = first.id;
            self.placed.push(Placed { id, weight, file });
        } else {
            self.bytes = self.bytes.saturating_sub(weight);
        }
    }

    /// Lets go of those in the log that need no file any more, as `is_settled` says. A file of which
    /// something is [`Spool::needed`] stays as it is: a restart appends again what is in it, which the
    /// log knows by its id, and which purges once more at worst.
    pub(super) fn settle(&mut self, is_settled: impl Fn(ReceiptId) -> bool) {
        let bytes = &mut self.bytes;
        self.placed.retain(|one| {
            let is_settled = is_settled(one.id);
            if is_settled {
                *bytes = bytes.saturating_sub(one.weight);
            }
            !is_settled
        });
    }

    /// The files of what is here.
    pub(super) fn needed(&self) -> HashSet<FileId> {
        let waiting = self.waiting.iter().map(|(_, file)| *file);
        waiting
            .chain(self.placed.iter().map(|one| one.file))
            .collect()
    }
}

impl Room {
    /// Limitless.
    #[cfg(test)]
    pub(super) const ALL: Self = Self {
        purges: usize::MAX,
        bytes: usize::MAX,
    };

    pub(super) fn min(self, other: Self) -> Self {
        Self {
            purges: self.purges.min(other.purges),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// Whether there is a place for this one, which is taken then.
    pub(super) fn takes(&mut self, draft: &Draft) -> bool {
        let left = self.bytes.checked_sub(draft.weight());
        let (Some(bytes), Some(purges)) = (left, self.purges.checked_sub(1)) else {
            return false;
        };
        (self.bytes, self.purges) = (bytes, purges);
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::entry::purges::Mode;
    use crate::entry::scope::Scope;
    use crate::exchange::{Generation, Position};
    use crate::purge::{Cause, Purge};

    pub(in super::super) fn spooled(number: u64) -> Spooled {
        let scopes = vec![Scope::tag(format!("t{number}"))];
        let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
        Spooled {
            id: ReceiptId {
                generation: Generation::new(1),
                position: Position::new(number),
            },
            draft: Arc::new(Draft::of(&purge, number)),
        }
    }

    #[test]
    fn what_is_in_the_log_needs_its_file_until_it_is_settled() {
        let mut spool = Spool::new(true);
        spool.push(spooled(1)).unwrap();
        spool.take_over(spooled(2), 7);
        assert_eq!(spool.needed(), HashSet::from([OWN, 7]));
        spool.placed();
        spool.placed();
        assert!(spool.len() == 0 && spool.needed().len() == 2);
        spool.settle(|id| id.position == Position::new(1));
        assert_eq!(spool.needed(), HashSet::from([7]));
        spool.settle(|_| true);
        assert!(spool.needed().is_empty() && spool.bytes == 0);
    }

    #[test]
    fn it_is_bounded() {
        for has_files in [false, true] {
            let mut spool = Spool::new(has_files);
            for number in 0..PURGES_MAX as u64 {
                spool.push(spooled(number)).unwrap();
            }
            assert!(spool.push(spooled(0)).is_err());
            spool.placed();
            assert_eq!(spool.push(spooled(0)).is_err(), has_files);
        }
    }
}
