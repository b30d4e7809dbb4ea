//! Notices that the configuration file has changed.
//!
//! By asking for its times, number and length every so often: that works on every file system, and
//! also where the file is a link that is turned to another one, as Kubernetes does.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::reload::{Cause, Reloads, Source};
use super::site::Site;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a file is left alone before it counts as written to its end.
const QUIET: Duration = Duration::from_secs(2);

/// Asks for a reload when the file is another one than was last read, for as long as the site in
/// force wants it.
pub(super) async fn watch(source: Source, site: Arc<ArcSwap<Site>>, reloads: Reloads) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = Changes::new(*source.read.lock(), Instant::now());
    loop {
        look.tick().await;
        if !site.load().lifecycle.watch {
            continue;
        }
        let path = source.path.clone();
        let Ok(seen) = spawn_blocking(move || Stamp::of(&path)).await else {
            continue;
        };
        let read = *source.read.lock();
        if changes.look(seen, read, Instant::now()) {
            reloads.reload(Cause::File).await;
        }
    }
}

/// What a file is told from its earlier self by; nothing while it is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp(Option<(i64, i64, u64, u64)>);

impl Stamp {
    /// Blocks.
    pub(super) fn of(path: &Path) -> Self {
        let found = std::fs::metadata(path).ok();
        Self(found.map(|file| (file.mtime(), file.mtime_nsec(), file.ino(), file.size())))
    }
}

struct Changes {
    seen: Stamp,
    since: Instant,
}

impl Changes {
    const fn new(seen: Stamp, now: Instant) -> Self {
        Self { seen, since: now }
    }

    /// Whether the file as it is now was not read yet, and has been left alone for long enough.
    fn look(&mut self, seen: Stamp, read: Stamp, now: Instant) -> bool {
        if seen != self.seen {
            *self = Self::new(seen, now);
        }
        let is_quiet = now.saturating_duration_since(self.since) >= QUIET;
        // A file that is gone is about to be replaced.
        seen != read && seen.0.is_some() && is_quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stamp(time: i64) -> Stamp {
        Stamp(Some((time, 0, 1, 1)))
    }

    #[tokio::test]
    async fn a_change_counts_until_it_is_read_and_only_when_writing_has_ended() {
        let start = Instant::now();
        let mut changes = Changes::new(stamp(1), start);
        assert!(!changes.look(stamp(1), stamp(1), start + QUIET * 2));
        let written = start + QUIET * 3;
        assert!(!changes.look(stamp(2), stamp(1), written));
        assert!(!changes.look(stamp(3), stamp(1), written + QUIET / 2));
        assert!(!changes.look(stamp(3), stamp(1), written + QUIET));
        assert!(changes.look(stamp(3), stamp(1), written + QUIET / 2 + QUIET));
        assert!(!changes.look(stamp(3), stamp(3), written + QUIET * 9));
        let gone = Stamp(None);
        assert!(!changes.look(gone, stamp(3), written + QUIET * 10));
        assert!(!changes.look(gone, stamp(3), written + QUIET * 20));
    }

    #[tokio::test]
    async fn a_change_before_the_first_look_is_seen() {
        let start = Instant::now();
        let mut changes = Changes::new(stamp(1), start);
        assert!(!changes.look(stamp(2), stamp(1), start));
        assert!(changes.look(stamp(2), stamp(1), start + QUIET));
    }
}
