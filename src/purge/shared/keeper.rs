//! Keeps purges for later: in memory whatever the disk does, and on disk if it does so in time.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::disk::{Disk, Late};
use super::folder::{Folder, Found, line};
use super::ledger::Ledger;
use super::spool::{FileId, Full, Spool, Spooled};
use crate::store::redis::teller::Teller;
use crate::telemetry::purge_log::PurgeLogMetrics;

/// See the module.
#[derive(Debug)]
pub(super) struct Keeper<F = Folder> {
    spool: Arc<Mutex<Spool>>,
    disk: Option<Disk<F>>,
    /// No file has anything in it.
    is_clean: Arc<AtomicBool>,
    /// Which were needed when they were cleaned last.
    needed: Mutex<HashSet<FileId>>,
    /// It was said that purges are not on disk.
    is_told: AtomicBool,
    /// What was said of files that others have left.
    looking: Teller,
    metrics: PurgeLogMetrics,
}

/// What takes the lines of purges; [`Folder`], but for tests.
pub(super) trait Lines: Send + 'static {
    /// # Errors
    /// It is not on disk.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
}

impl Lines for Folder {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        Self::append(self, line)
    }
}

impl Keeper {
    /// In memory alone, or with files in `folder`, and with what others have left there: that is in
    /// `ledger` then. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read and written.
    pub(super) fn start(
        folder: Option<&Path>,
        incarnation: &str,
        ledger: &mut Ledger,
        metrics: &PurgeLogMetrics,
    ) -> io::Result<Self> {
        let Some(folder) = folder else {
            return Ok(Self::with(None, metrics));
        };
        let mut folder = Folder::open(folder, incarnation)?;
        let mut spool = Spool::new(true);
        let room = ledger.room().min(spool.room());
        take_over(folder.look(room)?, &mut spool, ledger, metrics)?;
        metrics.spooled(spool.len());
        let keeper = Self::with(Some(folder), metrics);
        *keeper.spool.lock() = spool;
        Ok(keeper)
    }

    /// Takes over what processes have left that are gone since, if the disk is quick enough.
    pub(super) async fn look(&self, ledger: &Arc<Mutex<Ledger>>) {
        let Some(disk) = &self.disk else {
            return;
        };
        let (spool, ledger) = (Arc::clone(&self.spool), Arc::clone(ledger));
        let (is_clean, metrics) = (Arc::clone(&self.is_clean), self.metrics.clone());
        // All of it there: whoever waits for it may be gone, and what is read is not read again.
        let looked = disk.run(move |folder| {
            let room = ledger.lock().room().min(spool.lock().room());
            let found = folder.look(room)?;
            is_clean.store(false, Ordering::Release);
            let mut ledger = ledger.lock();
            take_over(found, &mut spool.lock(), &mut ledger, &metrics)
        });
        match looked.await {
            Ok(Ok(())) => {
                self.looking.is_well();
            }
            Ok(Err(error)) => self.tell_left(&error.to_string()),
            Err(late) => self.tell_left(&late.to_string()),
        }
        self.metrics.spooled(self.spool.lock().len());
    }

    /// Lets go of what is settled, and of the files that nobody needs then.
    pub(super) async fn settle(&self, ledger: &Mutex<Ledger>) {
        let needed = {
            let ledger = ledger.lock();
            let mut spool = self.spool.lock();
            spool.settle(|id| ledger.is_settled(id));
            spool.needed()
        };
        let Some(disk) = &self.disk else {
            return;
        };
        let is_same = !needed.is_empty() && *self.needed.lock() == needed;
        if is_same || self.is_clean.load(Ordering::Acquire) {
            return;
        }
        *self.needed.lock() = needed;
        let (spool, is_clean) = (Arc::clone(&self.spool), Arc::clone(&self.is_clean));
        let cleaned = disk.run(move |folder| {
            // A line that is written later is of a purge that is in the spool, or was settled.
            let needed = spool.lock().needed();
            let is_empty = folder.clean(&needed)?;
            is_clean.store(is_empty, Ordering::Release);
            Ok(())
        });
        self.note("settle", cleaned.await);
    }

    fn tell_left(&self, error: &str) {
        self.metrics.spool_failed("left", 1);
        if self.looking.fails(error).is_some() {
            tracing::warn!(
                error,
                "purges that other processes have left in the spool cannot be taken over"
            );
        }
    }
}

impl<F: Lines> Keeper<F> {
    fn with(files: Option<F>, metrics: &PurgeLogMetrics) -> Self {
        Self {
            spool: Arc::new(Mutex::new(Spool::new(files.is_some()))),
            disk: files.map(Disk::new),
            is_clean: Arc::default(),
            needed: Mutex::default(),
            is_told: AtomicBool::default(),
            looking: Teller::default(),
            metrics: metrics.clone(),
        }
    }

    pub(super) fn first(&self) -> Option<Spooled> {
        self.spool.lock().first().cloned()
    }

    /// The first is in the log.
    pub(super) fn placed(&self) {
        let mut spool = self.spool.lock();
        spool.placed();
        self.metrics.spooled(spool.len());
    }

    /// Keeps it in memory, and in the ledger. [`Keeper::write`] is to follow.
    ///
    /// # Errors
    /// There are too many already.
    pub(super) fn push(&self, spooled: &Spooled, ledger: &mut Ledger) -> Result<(), Full> {
        let mut spool = self.spool.lock();
        spool.push(spooled.clone())?;
        ledger.spooled(&spooled.draft, spooled.id);
        self.metrics.spooled(spool.len());
        Ok(())
    }

    /// Whether it is on disk. If not, it may be later.
    pub(super) async fn write(&self, spooled: &Spooled) -> bool {
        let Some(disk) = &self.disk else {
            return false;
        };
        let (line, is_clean) = (line(spooled), Arc::clone(&self.is_clean));
        let written = disk.run(move |lines| {
            is_clean.store(false, Ordering::Release);
            lines.append(&line)
        });
        self.note("write", written.await)
    }

    /// Whether purges that wait outlast a restart, as far as is known.
    pub(super) fn is_durable(&self) -> bool {
        self.disk.is_some() && !self.is_told.load(Ordering::Relaxed)
    }

    /// Whether it was done. If not, that is counted each time and said once.
    fn note(&self, what: &'static str, done: Result<io::Result<()>, Late>) -> bool {
        let (reason, error) = match done {
            Ok(Ok(())) => {
                if self.is_told.swap(false, Ordering::Relaxed) {
                    tracing::info!("the purge spool can be written again");
                }
                return true;
            }
            Ok(Err(error)) => (what, error.to_string()),
            Err(late) => ("late", late.to_string()),
        };
        self.metrics.spool_failed(reason, 1);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                reason,
                error,
                "the purge spool fails: purges that wait for the purge log may not outlast a restart"
            );
        }
        false
    }
}

/// # Errors
/// Something of it could not be read.
fn take_over(
    found: Found,
    spool: &mut Spool,
    ledger: &mut Ledger,
    metrics: &PurgeLogMetrics,
) -> io::Result<()> {
    metrics.spool_failed("line", found.broken);
    for (spooled, file) in found.spooled {
        tracing::info!(id = %spooled.id, "a purge that was left in the purge spool is taken over");
        ledger.taken_over(&spooled.draft, spooled.id);
        spool.take_over(spooled, file);
    }
    found.failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::Instant;

    use super::super::disk::DISK_MAX;
    use super::super::spool::tests::spooled;
    use super::*;

    /// A disk that hangs at each line until it is told what becomes of it.
    struct Hanging(mpsc::Receiver<io::Result<()>>);

    impl Lines for Hanging {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            self.0.recv().unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_keeps_no_purge_waiting_for_long() {
        let (tell, told) = mpsc::channel();
        let metrics = PurgeLogMetrics::unregistered();
        let keeper = Keeper::with(Some(Hanging(told)), &metrics);
        let mut ledger = Ledger::default();
        assert!(keeper.is_durable());
        let began = Instant::now();
        for number in 1..=9 {
            keeper.push(&spooled(number), &mut ledger).unwrap();
            assert!(!keeper.write(&spooled(number)).await);
        }
        let waited = began.elapsed();
        assert!(
            (DISK_MAX..DISK_MAX * 2).contains(&waited),
            "{waited:?}: only the first"
        );
        tokio::time::resume();
        assert!(!keeper.is_durable());
        assert_eq!(metrics.spool_failures("late"), 9);
        assert_eq!(metrics.are_spooled(), 9, "they are kept in memory");
        for _ in 0..2 {
            tell.send(Ok(())).unwrap();
        }
        // One was under way, not nine.
        while !keeper.write(&spooled(10)).await {
            tokio::task::yield_now().await;
        }
        assert!(keeper.is_durable());
        assert!(tell.send(Err(io::ErrorKind::StorageFull.into())).is_ok());
        assert!(!keeper.write(&spooled(11)).await);
        assert_eq!(metrics.spool_failures("write"), 1);
    }

    #[tokio::test]
    async fn files_are_removed_when_all_that_they_hold_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = PurgeLogMetrics::unregistered();
        let start = |name: &str, ledger: &mut Ledger| {
            Keeper::start(Some(folder.path()), name, ledger, &metrics).unwrap()
        };
        let first = start("first", &mut Ledger::default());
        for number in 1..=2 {
            assert!(first.write(&spooled(number)).await);
        }
        let second = start("second", &mut Ledger::default());
        assert!(second.first().is_none(), "its process lives");
        drop(first);
        let ledger = Arc::default();
        second.look(&ledger).await;
        let bytes = || -> u64 {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum()
        };
        for number in 1..=2 {
            assert_eq!(second.first().unwrap().draft.token, number);
            second.placed();
            second.settle(&ledger).await;
            assert!(bytes() > 0, "they are not complete");
        }
        *ledger.lock() = Ledger::default();
        second.settle(&ledger).await;
        assert_eq!(bytes(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
