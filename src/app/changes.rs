//! Notices that the configuration file has changed.
//!
//! By asking for its times, number and length every so often: that works on every file system, and
//! also where the file is a link that is turned to another one, as Kubernetes does.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::reload::{Cause, Reloads};
use super::site::Site;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a file is left alone before it counts as written to its end.
const QUIET: Duration = Duration::from_secs(2);

/// Asks for a reload when the file at `path` has changed, for as long as the site in force wants it.
pub(super) async fn watch(path: &Path, site: Arc<ArcSwap<Site>>, reloads: Reloads) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = Changes::new(Stamp::of(path).await);
    loop {
        look.tick().await;
        let seen = Stamp::of(path).await;
        if !site.load().lifecycle.watch {
            changes = Changes::new(seen);
        } else if changes.look(seen, Instant::now()) {
            reloads.reload(Cause::File).await;
        }
    }
}

/// What a file is told from its earlier self by; nothing while it is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp(Option<(i64, i64, u64, u64)>);

impl Stamp {
    async fn of(path: &Path) -> Self {
        let found = tokio::fs::metadata(path).await.ok();
        Self(found.map(|file| (file.mtime(), file.mtime_nsec(), file.ino(), file.size())))
    }
}

struct Changes {
    known: Stamp,
    seen: Stamp,
    since: Option<Instant>,
}

impl Changes {
    const fn new(known: Stamp) -> Self {
        Self {
            known,
            seen: known,
            since: None,
        }
    }

    /// Whether a change has been left alone for long enough. True once for each change.
    fn look(&mut self, seen: Stamp, now: Instant) -> bool {
        if seen != self.seen {
            self.seen = seen;
            self.since = Some(now);
            return false;
        }
        let is_quiet = |since| now.saturating_duration_since(since) >= QUIET;
        // A file that is gone is about to be replaced.
        if seen == self.known || seen.0.is_none() || !self.since.is_some_and(is_quiet) {
            return false;
        }
        self.known = seen;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stamp(time: i64) -> Stamp {
        Stamp(Some((time, 0, 1, 1)))
    }

    #[tokio::test]
    async fn a_change_counts_once_and_only_when_writing_has_ended() {
        let start = Instant::now();
        let mut changes = Changes::new(stamp(1));
        assert!(!changes.look(stamp(1), start + QUIET * 9));
        assert!(!changes.look(stamp(2), start));
        assert!(!changes.look(stamp(3), start + QUIET / 2));
        assert!(!changes.look(stamp(3), start + QUIET));
        assert!(changes.look(stamp(3), start + QUIET / 2 + QUIET));
        assert!(!changes.look(stamp(3), start + QUIET * 9));
        let gone = Stamp(None);
        assert!(!changes.look(gone, start + QUIET * 10));
        assert!(!changes.look(gone, start + QUIET * 20));
    }
}
