//! Where the access log is written: a stream, or a file that can be opened anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub(super) enum Out {
    Stream(Box<dyn Write + Send>),
    File { path: PathBuf, file: Option<File> },
}

/// An output, and how it is faring.
pub(super) struct Target {
    out: Out,
    reopen: Arc<AtomicBool>,
    /// A part of a line was written.
    is_torn: bool,
    is_failing: bool,
    /// When opening failed.
    tried: Option<Instant>,
}

/// The owner writes, the group (of whoever ships logs) reads.
const MODE: u32 = 0o640;

/// How long a file that cannot be opened is left alone.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Target {
    /// The file is opened anew before the next write when `reopen` is set.
    pub(super) fn new(out: Out, reopen: Arc<AtomicBool>) -> Self {
        let mut target = Self {
            out,
            reopen,
            is_torn: false,
            is_failing: false,
            tried: None,
        };
        // Who looks for the file after the start finds it, or the reason why there is none.
        let opened = target.file_is_open();
        target.note(&opened);
        target
    }

    /// # Errors
    /// The output takes nothing. What fails is told once, until it works again.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.reopen.swap(false, Ordering::AcqRel)
            && let Out::File { file, .. } = &mut self.out
        {
            *file = None;
            (self.is_torn, self.tried) = (false, None);
        }
        let written = self.file_is_open().and_then(|()| self.try_write(text));
        self.note(&written);
        written
    }

    fn note(&mut self, outcome: &io::Result<()>) {
        match outcome {
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::error!(%error, "the access log cannot be written; its lines are lost");
            }
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the access log is written again");
            }
            Err(_) | Ok(()) => {}
        }
    }

    fn try_write(&mut self, mut text: &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match &mut self.out {
            Out::Stream(out) => out,
            Out::File { file, .. } => match file {
                Some(file) => file,
                None => return Err(io::ErrorKind::NotFound.into()),
            },
        };
        if text.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            out.write_all(b"\n")?;
            self.is_torn = false;
        }
        while !text.is_empty() {
            match out.write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (_, rest) = text.split_at_checked(count).unwrap_or_default();
                    self.is_torn = !rest.is_empty();
                    text = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.flush()
    }

    fn file_is_open(&mut self) -> io::Result<()> {
        let Out::File { path, file } = &mut self.out else {
            return Ok(());
        };
        if file.is_some() {
            return Ok(());
        }
        if self.tried.is_some_and(|at| at.elapsed() < TRY_AGAIN_AFTER) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut options = OpenOptions::new();
        match options.create(true).append(true).mode(MODE).open(path) {
            Ok(opened) => {
                *file = Some(opened);
                self.tried = None;
                Ok(())
            }
            Err(error) => {
                self.tried = Some(Instant::now());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: PathBuf) -> (Target, Arc<AtomicBool>) {
        let reopen = Arc::new(AtomicBool::new(false));
        let out = Out::File { path, file: None };
        (Target::new(out, Arc::clone(&reopen)), reopen)
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew_when_it_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let (mut target, reopen) = target(path.clone());
        target.write(b"one\n").unwrap();
        std::fs::rename(&path, &old).unwrap();
        target.write(b"two\n").unwrap();
        reopen.store(true, Ordering::Release);
        target.write(b"").unwrap();
        target.write(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/log");
        let (mut target, reopen) = target(path.clone());
        assert!(target.write(b"lost\n").is_err());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        reopen.store(true, Ordering::Release);
        target.write(b"kept\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_else() {
        let (mut target, _) = target(PathBuf::from("/dev/full"));
        assert!(target.write(b"line\n").is_err());
        assert!(target.is_failing);
    }

    #[test]
    fn a_line_after_a_torn_one_begins_anew() {
        /// Takes four bytes, then nothing once, then everything.
        struct Tight(Arc<parking_lot::Mutex<Vec<u8>>>, usize);
        impl Write for Tight {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 {
                    1 => {
                        self.0.lock().extend_from_slice(&bytes[..4]);
                        Ok(4)
                    }
                    2 => Err(io::ErrorKind::StorageFull.into()),
                    _ => {
                        self.0.lock().extend_from_slice(bytes);
                        Ok(bytes.len())
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Arc::default();
        let out = Out::Stream(Box::new(Tight(Arc::clone(&written), 0)));
        let mut target = Target::new(out, Arc::default());
        assert!(target.write(b"broken\n").is_err());
        target.write(b"whole\n").unwrap();
        assert_eq!(*written.lock(), b"brok\nwhole\n");
    }
}
