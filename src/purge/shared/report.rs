//! How the shared log stands, as this instance sees it: for people.

use std::time::Duration;

use super::scripts::hex;
use super::{Instance, SharedLog};
use crate::exchange::Position;
use crate::store::redis::teller::Trouble;

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where Redis is, without user and password.
    pub redis: String,
    /// The log is followed.
    pub is_connected: bool,
    /// Why not, since when.
    pub trouble: Option<Trouble>,
    /// How long the lease still runs; zero: it does not.
    pub lease_left: Duration,
    pub generation: String,
    /// The last record that was applied here.
    pub applied: u64,
    /// The last one there is, as far as is known.
    pub head: u64,
    /// Until receipts can be complete: the log has begun anew lately.
    pub settles_after: Duration,
    /// Purges that wait for Redis.
    pub spooled: i64,
    /// Whether they wait on disk.
    pub is_durable: bool,
    /// Until fences are taken of a log that began anew: `split`.
    pub waits: Duration,
    /// Redis may evict the log.
    pub is_evictable: bool,
    /// Why two masters may have it.
    pub danger: Option<String>,
    pub instances: Vec<Reader>,
}

/// An instance that reads the log.
#[derive(Clone, Debug)]
pub struct Reader {
    pub name: String,
    /// Tells apart processes of one name.
    pub incarnation: String,
    pub is_this: bool,
    pub applied: u64,
    /// Records that it has not applied.
    pub behind: u64,
    /// For how long it has not been heard of; declared gone after `gone`.
    pub silent: Duration,
}

impl SharedLog {
    /// Asks nobody: it is what the last renewal told.
    pub fn report(&self) -> Report {
        let instance = &self.instance;
        let fence = instance.purges.fence();
        let readers = instance.readers();
        let head = instance.standing.lock().head.max(fence.position);
        let quarantine = instance.quarantine();
        let seen = quarantine
            .seen
            .filter(|(seen, _)| *seen == fence.generation);
        let known = seen.map_or(Duration::ZERO, |(_, since)| quarantine.now.since(since));
        Report {
            redis: instance.settings.servers.place(),
            is_connected: instance.metrics.connected.get() == 1,
            trouble: instance.following.trouble(),
            lease_left: instance.lease.left(),
            generation: hex(fence.generation.token()),
            applied: fence.position.ordinal(),
            head: head.ordinal(),
            waits: instance.waits(),
            settles_after: quarantine.length.saturating_sub(known),
            spooled: instance.metrics.are_spooled(),
            is_durable: instance.keeper.is_durable(),
            is_evictable: instance.metrics.evictable.get() == 1,
            danger: instance.told.lock().danger.clone(),
            instances: readers,
        }
    }
}

impl Instance {
    /// Nothing, unless Redis is there and the log is too young.
    fn waits(&self) -> Duration {
        let standing = self.standing.lock();
        let (false, Some((_, since)), true) =
            (standing.joined, standing.seen, self.link.lock().is_some())
        else {
            return Duration::ZERO;
        };
        let known = self.lease.uptime().since(since);
        self.settings.split.saturating_sub(known)
    }

    /// By name.
    fn readers(&self) -> Vec<Reader> {
        let Some((status, asked)) = self.last.lock().clone() else {
            return Vec::new();
        };
        let now = self.lease.uptime();
        let standing = self.standing.lock();
        let silent = |incarnation: &str| {
            let changed = standing.counts.get(incarnation);
            changed.map_or_else(|| now.since(asked), |(_, since)| now.since(*since))
        };
        let mut readers: Vec<Reader> = status
            .peers
            .iter()
            .map(|peer| Reader {
                name: peer.name.clone(),
                incarnation: peer.incarnation.clone(),
                is_this: peer.incarnation == self.incarnation,
                applied: peer.applied.ordinal(),
                behind: behind(status.head, peer.applied),
                silent: silent(&peer.incarnation),
            })
            .collect();
        readers.sort_by(|a, b| (&a.name, &a.incarnation).cmp(&(&b.name, &b.incarnation)));
        readers
    }
}

fn behind(head: Position, applied: Position) -> u64 {
    head.ordinal().saturating_sub(applied.ordinal())
}
