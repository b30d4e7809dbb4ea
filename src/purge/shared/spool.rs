//! Purges that wait for Redis: in memory, and in a file where there is a folder for it, so that a
//! restart does not lose them. Bounded in number and in bytes.
//!
//! What is in the log stays in the file until its receipt is complete: the log may be lost before,
//! and its process with it.
//!
//! A process has a file of its own and keeps it locked. Files that nobody holds were left by
//! processes that are gone, and are taken over at the start.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::record::Draft;
use crate::purge::receipt::ReceiptId;

/// Purges that wait at a time.
const PURGES_MAX: usize = 10_000;
/// Bytes that they take in memory.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a file: as the purges take in it, and more.
const FILE_BYTES_MAX: u64 = 4 * BYTES_MAX as u64;
const EXTENSION: &str = "purges";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spool {
    waiting: VecDeque<Spooled>,
    /// In the log, and still in the file.
    placed: Vec<Placed>,
    /// Of both.
    bytes: usize,
    file: Option<File>,
    file_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    id: ReceiptId,
    weight: usize,
}

/// A purge, and the id of the receipt it was given.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    pub(super) id: ReceiptId,
    pub(super) draft: Arc<Draft>,
}

/// There is no place for another purge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

impl Spool {
    /// In memory alone.
    pub(super) fn volatile() -> Self {
        Self::default()
    }

    /// With a file in `folder`, and with what others have left there.
    ///
    /// # Errors
    /// The folder cannot be read and written.
    pub(super) fn in_folder(folder: &Path, incarnation: &str) -> std::io::Result<Self> {
        let mut spool = Self::default();
        let mut adopted = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                spool.adopt(path, &mut adopted)?;
            }
        }
        // It has its name when it is locked, so that nobody takes it for one that was left.
        let nameless = folder.join(format!("{incarnation}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).append(true).open(&nameless)?;
        file.lock()?;
        for spooled in &spool.waiting {
            let line = line(spooled);
            file.write_all(&line)?;
            spool.file_bytes += line.len() as u64;
        }
        file.sync_all()?;
        std::fs::rename(nameless, folder.join(format!("{incarnation}.{EXTENSION}")))?;
        File::open(folder)?.sync_all()?;
        // What they hold stands in our own file now.
        for (path, _locked) in adopted {
            unless_gone(std::fs::remove_file(path))?;
        }
        spool.file = Some(file);
        Ok(spool)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn is_durable(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Spooled> {
        self.waiting.iter()
    }

    /// Keeps it, on disk when this returns if there is a file. Blocks.
    ///
    /// # Errors
    /// There are too many already, or it cannot be written.
    pub(super) fn push(&mut self, spooled: Spooled) -> Result<(), Full> {
        if !self.has_room(&spooled.draft) {
            return Err(Full);
        }
        if let Some(file) = &mut self.file {
            let line = line(&spooled);
            let grown = self.file_bytes.saturating_add(line.len() as u64);
            if grown > FILE_BYTES_MAX {
                return Err(Full);
            }
            self.file_bytes = grown;
            let written = file.write_all(&line).and_then(|()| file.sync_data());
            if let Err(error) = written {
                tracing::error!(%error, "the purge spool cannot be written");
                return Err(Full);
            }
        }
        self.keep(spooled);
        Ok(())
    }

    pub(super) fn first(&self) -> Option<&Spooled> {
        self.waiting.front()
    }

    /// The first is in the log.
    pub(super) fn placed(&mut self) {
        let Some(first) = self.waiting.pop_front() else {
            return;
        };
        let weight = first.draft.weight();
        if self.file.is_some() {
            let id = first.id;
            self.placed.push(Placed { id, weight });
        } else {
            self.bytes = self.bytes.saturating_sub(weight);
        }
    }

    /// Lets go of those in the log that need no file any more, as `is_settled` says. When none is
    /// left, the file is emptied: until then a restart appends again what is in it, which the log
    /// knows by its id, and which purges once more at worst. Blocks.
    pub(super) fn settle(&mut self, is_settled: impl Fn(ReceiptId) -> bool) {
        let bytes = &mut self.bytes;
        let had = self.placed.len();
        self.placed.retain(|one| {
            let is_settled = is_settled(one.id);
            if is_settled {
                *bytes = bytes.saturating_sub(one.weight);
            }
            !is_settled
        });
        if had == 0 || !self.placed.is_empty() || !self.waiting.is_empty() {
            return;
        }
        if let Some(file) = &self.file {
            match file.set_len(0).and_then(|()| file.sync_all()) {
                Ok(()) => self.file_bytes = 0,
                Err(error) => tracing::error!(%error, "the purge spool cannot be emptied"),
            }
        }
    }

    /// Whether [`Spool::settle`] may have something to do.
    pub(super) fn has_placed(&self) -> bool {
        !self.placed.is_empty()
    }

    fn has_room(&self, draft: &Draft) -> bool {
        self.waiting.len() + self.placed.len() < PURGES_MAX
            && self.bytes.saturating_add(draft.weight()) <= BYTES_MAX
    }

    fn keep(&mut self, spooled: Spooled) {
        self.bytes = self.bytes.saturating_add(spooled.draft.weight());
        self.waiting.push_back(spooled);
    }

    fn adopt(&mut self, path: PathBuf, adopted: &mut Vec<(PathBuf, File)>) -> std::io::Result<()> {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let Some(file) = unless_gone(opened)? else {
            return Ok(());
        };
        if file.try_lock().is_err() {
            return Ok(()); // Its process lives.
        }
        for line in BufReader::new((&file).take(FILE_BYTES_MAX)).lines() {
            // The last line may be half of one: it was not promised.
            let Some(spooled) = read(&line?) else {
                tracing::warn!(file = %path.display(), "a line of the purge spool is unreadable");
                continue;
            };
            if !self.has_room(&spooled.draft) {
                tracing::error!(file = %path.display(), "the purge spool is full: purges are lost");
                break;
            }
            self.keep(spooled);
        }
        adopted.push((path, file));
        Ok(())
    }
}

/// Another process that starts may have been faster.
fn unless_gone<T>(done: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

fn line(spooled: &Spooled) -> Vec<u8> {
    let value = json!({"id": spooled.id.to_string(), "record": spooled.draft.to_json()});
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn read(line: &str) -> Option<Spooled> {
    let value: Value = serde_json::from_str(line).ok()?;
    let id = ReceiptId::parse(value.get("id")?.as_str()?)?;
    let draft = Arc::new(Draft::from_json(value.get("record")?)?);
    Some(Spooled { id, draft })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::purges::Mode;
    use crate::entry::scope::Scope;
    use crate::exchange::{Generation, Position};
    use crate::purge::{Cause, Purge};

    fn spooled(number: u64) -> Spooled {
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

    fn numbers(spool: &Spool) -> Vec<u64> {
        spool.waiting().map(|one| one.draft.token).collect()
    }

    #[test]
    fn what_was_left_is_taken_over_in_order_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Spool::in_folder(folder.path(), "first").unwrap();
        for number in 1..=3 {
            first.push(spooled(number)).unwrap();
        }
        let second = Spool::in_folder(folder.path(), "second").unwrap();
        assert_eq!(second.len(), 0, "its process lives");
        first.placed();
        first.settle(|_| true);
        drop(first);
        let third = Spool::in_folder(folder.path(), "third").unwrap();
        // What is in the log is appended again, as long as others wait.
        assert_eq!(numbers(&third), [1, 2, 3]);
        assert!(third.is_durable());
    }

    #[test]
    fn half_a_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = line(&spooled(1));
        text.extend_from_slice(b"{\"id\":\"00");
        std::fs::write(folder.path().join("gone.purges"), text).unwrap();
        let spool = Spool::in_folder(folder.path(), "new").unwrap();
        assert_eq!(numbers(&spool), [1]);
    }

    #[test]
    fn an_emptied_spool_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::in_folder(folder.path(), "a").unwrap();
        spool.push(spooled(1)).unwrap();
        spool.placed();
        spool.settle(|_| true);
        drop(spool);
        assert_eq!(Spool::in_folder(folder.path(), "b").unwrap().len(), 0);
    }

    #[test]
    fn what_is_in_the_log_stays_in_the_file_until_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::in_folder(folder.path(), "a").unwrap();
        for number in 1..=2 {
            spool.push(spooled(number)).unwrap();
            spool.placed();
        }
        spool.settle(|id| id.position == Position::new(1));
        assert!(spool.len() == 0 && spool.has_placed());
        drop(spool);
        let next = Spool::in_folder(folder.path(), "b").unwrap();
        assert_eq!(numbers(&next), [1, 2]);
    }

    #[test]
    fn it_is_bounded() {
        let mut spool = Spool::volatile();
        for number in 0..PURGES_MAX as u64 {
            spool.push(spooled(number)).unwrap();
        }
        assert!(spool.push(spooled(0)).is_err());
    }
}
