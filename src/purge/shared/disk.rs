//! Files that may hang: whatever is done with them is done by a thread of its own, one at a time, and
//! is waited for until a deadline. A thread that hangs stays alone: until it returns, all else is refused.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::{Instant, timeout_at};

/// How long a disk may take.
pub(super) const DISK_MAX: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Disk<F> {
    files: Arc<AsyncMutex<F>>,
    /// Since when it is being worked with.
    busy: Arc<Mutex<Option<Instant>>>,
}

/// It did not answer in time. What was to be done may be done later.
#[derive(Clone, Copy, Debug, Error)]
#[error("the disk does not answer")]
pub(super) struct Late;

impl<F: Send + 'static> Disk<F> {
    pub(super) fn new(files: F) -> Self {
        Self {
            files: Arc::new(AsyncMutex::new(files)),
            busy: Arc::default(),
        }
    }

    /// Does `work`, also if this is dropped once it has begun.
    ///
    /// # Errors
    /// It was not done within [`DISK_MAX`], or another one hangs already, or there is no thread for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut F) -> T + Send + 'static,
    ) -> Result<T, Late> {
        if self.hangs() {
            return Err(Late);
        }
        let deadline = Instant::now() + DISK_MAX;
        let files = Arc::clone(&self.files).lock_owned();
        let mut files = timeout_at(deadline, files).await.map_err(|_| Late)?;
        let busy = Arc::clone(&self.busy);
        *busy.lock() = Some(Instant::now());
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("purge-spool".to_owned());
        let spawned = thread.spawn(move || {
            let done = work(&mut files);
            *busy.lock() = None;
            drop(files);
            // Nobody may wait for it any more.
            let _heard = tell.send(done);
        });
        if spawned.is_err() {
            *self.busy.lock() = None;
            return Err(Late);
        }
        let told = timeout_at(deadline, told).await.map_err(|_| Late)?;
        told.map_err(|_| Late)
    }

    fn hangs(&self) -> bool {
        self.busy
            .lock()
            .is_some_and(|since| since.elapsed() >= DISK_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_alone_until_it_returns() {
        let disk = Disk::new(0_u32);
        let (free, held) = mpsc::channel::<()>();
        let began = Instant::now();
        let hanging = disk.run(move |count| {
            held.recv().unwrap();
            *count += 1;
        });
        assert!(hanging.await.is_err());
        let waited = began.elapsed();
        assert!(waited >= DISK_MAX);
        for _ in 0..100 {
            assert!(disk.run(|count| *count += 1).await.is_err());
        }
        assert_eq!(began.elapsed(), waited, "the others do not wait");
        tokio::time::resume();
        free.send(()).unwrap();
        let count = *disk.files.lock().await;
        assert_eq!(count, 1, "what was refused was not done later");
        // Whoever holds the files has been the last to say that they are busy.
        assert_eq!(disk.run(|count| *count).await.unwrap(), 1);
    }
}
