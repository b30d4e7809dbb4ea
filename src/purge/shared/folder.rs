//! The files of the spool. A process has one of its own and keeps it locked; files that nobody holds
//! were left by processes that are gone, and are taken over.
//!
//! A file that is taken over stays where it is, locked, until nothing in it is needed any more: if this
//! process ends before, the next one finds it.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::record::Draft;
use super::spool::{FileId, OWN, Room, Spooled};
use crate::purge::receipt::ReceiptId;

/// Bytes of the file that this process writes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a line: the longest record, with all its letters escaped, and more.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Files that are taken over at a time; others wait.
const LEFT_MAX: usize = 64;
/// Entries of the folder that one look goes through.
const ENTRIES_MAX: usize = 1024;
/// Lines that one broken line may hide.
const HIDDEN_MAX: usize = 16;
const EXTENSION: &str = "purges";

/// See the module.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    own: Own,
    left: Vec<Left>,
    last: FileId,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) spooled: Vec<(Spooled, FileId)>,
    /// Lines that cannot be read.
    pub(super) broken: u64,
    /// The first file that could not be opened or read.
    pub(super) failed: Option<Error>,
}

#[derive(Debug)]
struct Own {
    file: File,
    /// Of whole lines.
    bytes: u64,
    /// There may be half a line behind them.
    is_torn: bool,
}

#[derive(Debug)]
struct Left {
    id: FileId,
    path: PathBuf,
    /// Holds the lock.
    reader: BufReader<File>,
    /// It was read, and there was no room for it.
    next: Option<Spooled>,
    is_read: bool,
    /// Something in it may not have been read.
    is_kept: bool,
}

impl Folder {
    /// With a new file of its own.
    ///
    /// # Errors
    /// It cannot be read and written.
    pub(super) fn open(path: &Path, incarnation: &str) -> Result<Self> {
        // It has its name when it is locked, so that nobody takes it for one that was left.
        let nameless = path.join(format!("{incarnation}.new"));
        let mut options = OpenOptions::new();
        let file = options.create_new(true).append(true).open(&nameless)?;
        file.lock()?;
        file.sync_all()?;
        std::fs::rename(nameless, path.join(format!("{incarnation}.{EXTENSION}")))?;
        File::open(path)?.sync_all()?;
        Ok(Self {
            path: path.to_owned(),
            own: Own::new(file),
            left: Vec::new(),
            last: OWN,
        })
    }

    /// It is on disk when this returns.
    ///
    /// # Errors
    /// It is not, and does not stand in the way of others.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        self.own.append(line)
    }

    /// Takes over what others have left, as much of it as there is room for.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn look(&mut self, mut room: Room) -> Result<Found> {
        let mut found = Found::default();
        for entry in std::fs::read_dir(&self.path)?.take(ENTRIES_MAX) {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|found| found == EXTENSION);
            if is_one
                && self.left.len() < LEFT_MAX
                && let Err(error) = self.hold(path)
            {
                found.failed.get_or_insert(error);
            }
        }
        for left in &mut self.left {
            left.read(&mut room, &mut found);
        }
        Ok(found)
    }

    /// Empties and removes files of which nothing is needed. True: none is left.
    ///
    /// # Errors
    /// That was not possible with one of them.
    pub(super) fn clean(&mut self, needed: &HashSet<FileId>) -> Result<bool> {
        if !needed.contains(&OWN) {
            self.own.empty()?;
        }
        let mut failed = None;
        self.left.retain(|left| {
            let is_over = left.is_read && !left.is_kept && !needed.contains(&left.id);
            if is_over && let Err(error) = unless_gone(std::fs::remove_file(&left.path)) {
                failed.get_or_insert(error);
                return true;
            }
            !is_over
        });
        failed.map_or_else(|| Ok(self.own.bytes == 0 && self.left.is_empty()), Err)
    }

    /// Unless its process lives.
    fn hold(&mut self, path: PathBuf) -> Result<()> {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let Some(file) = unless_gone(opened)? else {
            return Ok(());
        };
        if file.try_lock().is_err() {
            return Ok(());
        }
        let found = file.metadata()?;
        // Whoever held it may have removed it since.
        if found.nlink() == 0 || !found.is_file() {
            return Ok(());
        }
        self.last += 1;
        self.left.push(Left {
            id: self.last,
            path,
            reader: BufReader::new(file),
            next: None,
            is_read: false,
            is_kept: false,
        });
        Ok(())
    }
}

impl Own {
    const fn new(file: File) -> Self {
        Self {
            file,
            bytes: 0,
            is_torn: false,
        }
    }

    fn append(&mut self, line: &[u8]) -> Result<()> {
        if self.is_torn {
            self.mend()?;
        }
        let grown = self.bytes.saturating_add(line.len() as u64);
        if grown > FILE_BYTES_MAX {
            return Err(Error::new(ErrorKind::FileTooLarge, "the file is too long"));
        }
        let written = self.file.write_all(line);
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.bytes = grown;
                Ok(())
            }
            Err(error) => {
                self.is_torn = true;
                if let Err(error) = self.mend() {
                    tracing::error!(%error, "the purge spool has half a line: it is not used until that is gone");
                }
                Err(error)
            }
        }
    }

    /// Cuts off what is no whole line.
    fn mend(&mut self) -> Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.sync_data()?;
        self.is_torn = false;
        Ok(())
    }

    fn empty(&mut self) -> Result<()> {
        if self.bytes > 0 || self.is_torn {
            self.file.set_len(0)?;
            self.bytes = 0;
            self.is_torn = false;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Left {
    fn read(&mut self, room: &mut Room, found: &mut Found) {
        if let Some(next) = self.next.take() {
            self.find(next, room, found);
        }
        let broken = found.broken;
        while self.next.is_none() && !self.is_read {
            let mut line = Vec::new();
            let reader = &mut self.reader;
            match reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) => self.is_read = true,
                Ok(_) => self.read_line(&line, room, found),
                Err(error) => {
                    let file = self.path.display();
                    tracing::error!(%file, %error, "a purge spool that was left cannot be read to its end");
                    (self.is_read, self.is_kept) = (true, true);
                    found.failed.get_or_insert(error);
                }
            }
        }
        let lines = found.broken - broken;
        if lines > 0 {
            let file = self.path.display();
            tracing::warn!(%file, lines, "lines of a purge spool are broken, and passed over");
        }
    }

    fn read_line(&mut self, line: &[u8], room: &mut Room, found: &mut Found) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_matches(['\0', '\n']);
        let spooled = read(line).or_else(|| {
            found.broken += u64::from(!line.is_empty());
            hidden(line)
        });
        if let Some(spooled) = spooled {
            self.find(spooled, room, found);
        }
    }

    fn find(&mut self, spooled: Spooled, room: &mut Room, found: &mut Found) {
        if room.takes(&spooled.draft) {
            found.spooled.push((spooled, self.id));
        } else {
            self.next = Some(spooled);
        }
    }
}

/// Another process may have been faster.
fn unless_gone<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

pub(super) fn line(spooled: &Spooled) -> Vec<u8> {
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

/// A whole line behind half of another. Within a text of JSON its beginning would be escaped.
fn hidden(line: &str) -> Option<Spooled> {
    let mut starts = line.match_indices(r#"{"id":"#).take(HIDDEN_MAX);
    starts.find_map(|(start, _)| read(line.get(start..)?))
}

#[cfg(test)]
mod tests {
    use super::super::spool::tests::spooled;
    use super::*;

    fn left(folder: &Path, text: impl AsRef<[u8]>) {
        std::fs::write(folder.join("gone.purges"), text).unwrap();
    }

    fn numbers(found: &Found) -> Vec<u64> {
        found
            .spooled
            .iter()
            .map(|(one, _)| one.draft.token)
            .collect()
    }

    fn look(folder: &mut Folder) -> Found {
        folder.look(Room::ALL).unwrap()
    }

    #[test]
    fn what_was_left_is_taken_over_in_order_by_one() {
        let path = tempfile::tempdir().unwrap();
        let mut first = Folder::open(path.path(), "first").unwrap();
        for number in 1..=3 {
            first.append(&line(&spooled(number))).unwrap();
        }
        let mut second = Folder::open(path.path(), "second").unwrap();
        assert!(look(&mut second).spooled.is_empty(), "its process lives");
        drop(first);
        assert_eq!(numbers(&look(&mut second)), [1, 2, 3]);
        assert!(look(&mut second).spooled.is_empty(), "once");
        let mut third = Folder::open(path.path(), "third").unwrap();
        assert!(look(&mut third).spooled.is_empty(), "it is held");
        drop(second);
        let found = look(&mut third);
        assert_eq!(numbers(&found), [1, 2, 3]);
        let needed = HashSet::from([found.spooled[0].1]);
        assert!(!third.clean(&needed).unwrap());
        assert!(third.clean(&HashSet::new()).unwrap());
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_line_takes_none_of_the_others_with_it() {
        let (one, two, three) = (line(&spooled(1)), line(&spooled(2)), line(&spooled(3)));
        let half = &two[..two.len() / 2];
        for (text, good, broken) in [
            ([&one, half, b"\n", &three].concat(), vec![1, 3], 1),
            ([&one, half, &three, &two].concat(), vec![1, 3, 2], 1),
            ([&one, &b"\xff\xfe\n"[..], &two].concat(), vec![1, 2], 1),
            ([&one, &[0; 512][..], &two].concat(), vec![1, 2], 0),
            ([&one, half].concat(), vec![1], 1),
            ([half, half, &three].concat(), vec![3], 1),
        ] {
            let path = tempfile::tempdir().unwrap();
            left(path.path(), text);
            let found = look(&mut Folder::open(path.path(), "new").unwrap());
            assert_eq!((numbers(&found), found.broken), (good, broken));
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_found_later() {
        let path = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (1..=5).flat_map(|number| line(&spooled(number))).collect();
        left(path.path(), text);
        let mut folder = Folder::open(path.path(), "new").unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let two = Room {
                purges: 2,
                ..Room::ALL
            };
            seen.extend(numbers(&folder.look(two).unwrap()));
            if seen.len() < 5 {
                assert!(!folder.clean(&HashSet::new()).unwrap(), "{seen:?}");
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert!(folder.clean(&HashSet::new()).unwrap());
    }

    #[test]
    fn a_file_that_can_neither_be_written_nor_cut_is_not_used() {
        let path = tempfile::tempdir().unwrap();
        left(path.path(), b"");
        let file = File::open(path.path().join("gone.purges")).unwrap();
        let mut own = Own::new(file);
        for _ in 0..2 {
            assert!(own.append(b"line\n").is_err());
            assert!(own.is_torn && own.bytes == 0);
        }
        // As if it could be written again, behind half a line.
        left(path.path(), b"half");
        let mut options = OpenOptions::new();
        own.file = options
            .append(true)
            .open(path.path().join("gone.purges"))
            .unwrap();
        own.append(b"line\n").unwrap();
        let text = std::fs::read(path.path().join("gone.purges")).unwrap();
        assert_eq!(text, b"line\n");
    }
}
