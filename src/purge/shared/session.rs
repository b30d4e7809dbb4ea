//! One instance and the log, while Redis can be reached: joining, following the tail, and renewing
//! the lease. docs/purge-log.md is the protocol; what is done here in which order is proven there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Instance;
use super::connection::{Link, Pauses};
use super::record::Record;
use super::scripts::{Head, Peer, Renewed, Scripts, Status, Times};
use crate::clock::Uptime;
use crate::entry::purges::Snapshot;
use crate::exchange::{Fence, Generation, Position};

/// What an instance knows of the log beyond its table of slots.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// It has read the log, and knows of no gap since.
    pub(super) joined: bool,
    /// Of the record that was applied last.
    token: u64,
    /// It serves from here on.
    since: Option<Position>,
    /// How long the last renewal lets it.
    granted: Uptime,
    /// The head that was last told of.
    pub(super) head: Position,
    /// The generation that was last seen, and since when at least it has been there.
    pub(super) seen: Option<(Generation, Uptime)>,
    /// The counts of the others, and when each was seen to change.
    pub(super) counts: HashMap<String, (u64, Uptime)>,
    /// The longest lease that any other was seen to have.
    longest: Duration,
}

/// Why a session has ended.
#[derive(Debug, Error)]
pub(super) enum Ended {
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// What is known may have a gap: the log is read anew before anything is served.
    #[error("the log has to be read anew: {0}")]
    Fenced(&'static str),
}

impl Instance {
    /// Never returns.
    pub(super) async fn run(self: Arc<Self>) {
        let mut pauses = Pauses::new();
        loop {
            let Err(ended) = self.session(&mut pauses).await;
            *self.link.lock() = None;
            let was_connected = self.metrics.connected.set(0) == 1;
            if let Ended::Fenced(reason) = ended {
                self.fence(reason);
            }
            self.tell_trouble(&ended, was_connected);
            pauses.pause().await;
        }
    }

    async fn session(&self, pauses: &mut Pauses) -> Result<Infallible, Ended> {
        if self.outage.left().is_some() {
            return Err(drilled());
        }
        let link = self.servers.open().await?;
        *self.link.lock() = Some(link.clone());
        if !self.standing.lock().joined {
            self.join(&link).await?;
        }
        pauses.connected();
        self.metrics.connected.set(1);
        self.apply_waiting();
        tokio::select! {
            ended = self.follow(link.clone()) => ended,
            ended = self.renew(&link) => ended,
            ended = self.replay(&link) => ended,
            ended = self.look_at_generation(&link) => ended,
            ended = self.look_after_redis(&link) => ended,
            () = self.outage.begun() => Err(drilled()),
        }
    }

    fn tell_well(&self) {
        let fence = self.purges.fence();
        tracing::info!(
            redis = self.settings.servers.place(),
            generation = %super::scripts::hex(fence.generation.token()),
            position = fence.position.ordinal(),
            "the purge log is read and followed"
        );
    }

    fn tell_trouble(&self, ended: &Ended, was_connected: bool) {
        let servers = &self.settings.servers;
        let redis = servers.place();
        let error = match ended {
            Ended::Redis(error) if was_connected => servers.explained_later(error),
            Ended::Redis(error) => servers.explained(error),
            Ended::Fenced(reason) => format!("it is read anew: {}", meaning(reason)),
        };
        match self.following.fails(&error) {
            Some(trouble) => tracing::warn!(
                redis,
                error,
                failures = trouble.failures,
                seconds = trouble.seconds(),
                "the purge log cannot be followed"
            ),
            None => tracing::debug!(redis, error, "the purge log cannot be followed"),
        }
    }

    /// An append was told another generation, which may be known by now.
    async fn look_at_generation(&self, link: &Link) -> Result<Infallible, Ended> {
        loop {
            self.other_generation.notified().await;
            let head = self.scripts(link).head().await?;
            if head.generation != self.purges.generation() {
                return Err(Ended::Fenced("generation"));
            }
        }
    }

    fn fence(&self, reason: &'static str) {
        self.lease.end();
        let mut standing = self.standing.lock();
        standing.joined = false;
        standing.since = None;
        drop(standing);
        self.metrics.fenced(reason);
    }

    /// Reads the log: head, then snapshot. It serves when it has a lease besides.
    async fn join(&self, link: &Link) -> Result<(), Ended> {
        let mut scripts = self.scripts(link);
        loop {
            let head = scripts.head().await?;
            let known = self.see(head.generation, head.known);
            if known < self.settings.split {
                // Another master may still give receipts: no fence is taken until it cannot.
                let left = self.settings.split - known;
                let seconds = left.as_secs_f64().ceil();
                tracing::warn!(
                    seconds,
                    "the purge log began anew: nothing that is stored is served until purge_log.split is over"
                );
                sleep(left).await;
                continue;
            }
            if let Some(snapshot) = read_snapshot(&mut scripts, head).await? {
                self.take_over(head, &snapshot);
                return Ok(());
            }
        }
    }

    fn take_over(&self, head: Head, snapshot: &Snapshot) {
        let is_new = self.purges.generation() != head.generation;
        self.purges.take_over(head.generation, snapshot);
        self.apply_waiting();
        let mut standing = self.standing.lock();
        standing.joined = true;
        standing.token = head.token;
        standing.head = head.position;
        standing.since = None;
        standing.counts.clear();
        drop(standing);
        if is_new {
            self.metrics.generations.inc();
        }
        self.tell_applied();
    }

    /// Notes since when a generation is known, by this instance or by one that told it so; for how long.
    fn see(&self, generation: Generation, known: Duration) -> Duration {
        let now = self.lease.uptime();
        let mut standing = self.standing.lock();
        let seen = standing.seen.filter(|(seen, _)| *seen == generation);
        let told = now.before(known);
        let since = seen.map_or(told, |(_, since)| since.min(told));
        standing.seen = Some((generation, since));
        now.since(since)
    }

    /// For how long it is known that this generation is there.
    fn known(&self, generation: Generation) -> Duration {
        let seen = self.standing.lock().seen;
        let seen = seen.filter(|(seen, _)| *seen == generation);
        seen.map_or(Duration::ZERO, |(_, since)| {
            self.lease.uptime().since(since)
        })
    }

    /// The tail.
    async fn follow(&self, mut link: Link) -> Result<Infallible, Ended> {
        loop {
            let fence = self.purges.fence();
            let head = self.standing.lock().head;
            let records = link.records(&self.keys.log, fence.position).await?;
            if records.is_empty() && head > fence.position {
                return Err(Ended::Fenced("trimmed"));
            }
            if records.is_empty() {
                continue;
            }
            for record in records {
                self.apply(record)?;
            }
            self.apply_waiting();
            let fence = self.purges.fence();
            let (generation, applied) = (fence.generation, fence.position);
            let mut scripts = self.scripts(&link);
            let found = scripts.acknowledge(generation, &self.incarnation, applied);
            if found.await? != generation {
                return Err(Ended::Fenced("generation"));
            }
        }
    }

    fn apply(&self, record: Record) -> Result<(), Ended> {
        let Fence {
            generation,
            position,
        } = self.purges.fence();
        if record.generation != generation {
            return Err(Ended::Fenced("generation"));
        }
        if record.position != position.next() {
            return Err(Ended::Fenced("trimmed"));
        }
        if record.predecessor != self.standing.lock().token {
            return Err(Ended::Fenced("predecessor"));
        }
        let slots = record.slots.iter().copied();
        self.purges.apply_slots(record.position, record.mode, slots);
        self.standing.lock().token = record.token;
        if record.from != self.incarnation {
            self.ledger.lock().found(record);
        } else if let Some(id) = record.receipt {
            // Its answer may come later.
            self.ledger.lock().placed(id, record.place());
        }
        self.tell_applied();
        self.grant();
        Ok(())
    }

    fn tell_applied(&self) {
        let fence = self.purges.fence();
        self.applied.send_replace(fence);
        self.purge_metrics.applied(fence.position.ordinal());
    }

    async fn renew(&self, link: &Link) -> Result<Infallible, Ended> {
        let mut every = interval(self.settings.renew);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            every.tick().await;
            let fence = self.purges.fence();
            let mut scripts = self.scripts(link);
            // The lease runs from here.
            let sent = self.lease.uptime();
            let renewing = scripts.renew(
                fence.generation,
                &self.incarnation,
                &self.settings.instance,
                fence.position,
                Times {
                    known: self.known(fence.generation),
                    lease: self.settings.lease,
                },
            );
            let renewed = match renewing.await {
                Ok(renewed) => renewed,
                Err(error) => {
                    self.metrics.renewal("failed");
                    if error.code() != Some(FULL) {
                        return Err(error.into());
                    }
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(%error, "this instance serves nothing that is stored");
                    }
                    // All who could remove the dead may be dead.
                    let status = scripts.status().await?;
                    self.bury(link, &status).await?;
                    continue;
                }
            };
            match renewed {
                Renewed::OtherGeneration => {
                    self.metrics.renewal("other-generation");
                    return Err(Ended::Fenced("generation"));
                }
                Renewed::Granted { since, status } => {
                    self.metrics.renewal("granted");
                    self.granted(since, sent, status.head);
                    self.bury(link, &status).await?;
                    self.update(&status);
                    if self.following.is_well() || self.following.stays_well() {
                        self.tell_well();
                    }
                }
            }
        }
    }

    fn granted(&self, since: Position, sent: Uptime, head: Position) {
        let mut standing = self.standing.lock();
        standing.since = Some(since);
        standing.granted = sent.after(self.settings.lease);
        standing.head = standing.head.max(head);
        drop(standing);
        self.grant();
    }

    /// It serves once it has applied what was in the log when it was registered.
    fn grant(&self) {
        let standing = self.standing.lock();
        let has_applied = |since| standing.joined && self.purges.fence().position >= since;
        if standing.since.is_some_and(has_applied) {
            self.lease.extend(standing.granted);
        }
    }

    /// Removes those whose count was not seen to change for too long: their leases have run out.
    async fn bury(&self, link: &Link, status: &Status) -> Result<(), Ended> {
        for peer in self.silent(&status.peers) {
            if self.scripts(link).gone(status.generation, &peer).await? {
                self.metrics.gone.inc();
                tracing::warn!(
                    instance = %peer.name, incarnation = %peer.incarnation,
                    "an instance is gone: receipts do not wait for it any more"
                );
            }
        }
        Ok(())
    }

    fn silent(&self, peers: &[Peer]) -> Vec<Peer> {
        let now = self.lease.uptime();
        let others = || {
            peers
                .iter()
                .filter(|peer| peer.incarnation != self.incarnation)
        };
        let gauge = i64::try_from(peers.len()).unwrap_or(i64::MAX);
        self.metrics.instances.set(gauge);
        let mut standing = self.standing.lock();
        let longest = others().map(|peer| peer.lease).max().unwrap_or_default();
        standing.longest = standing.longest.max(longest);
        let counts = &mut standing.counts;
        counts.retain(|known, _| others().any(|peer| peer.incarnation == *known));
        let mut silent = Vec::new();
        for peer in others() {
            let seen = counts
                .entry(peer.incarnation.clone())
                .or_insert((peer.count, now));
            if seen.0 != peer.count {
                *seen = (peer.count, now);
            } else if now.since(seen.1) >= self.silence(peer.lease) {
                silent.push(peer.clone());
            }
        }
        silent
    }

    /// How long whoever has this lease is silent until it has surely run out. Instances that are being
    /// given other settings do not all have the same.
    fn silence(&self, lease: Duration) -> Duration {
        // By 1 % slow there, and as much fast here.
        self.settings.gone.max(lease.saturating_mul(103) / 100)
    }

    /// After which no instance serves any more that had a lease of another generation.
    pub(super) fn silence_of_all(&self) -> Duration {
        let longest = self.standing.lock().longest;
        self.silence(longest)
    }

    /// Appends what waits for that, whenever there is something, and lets go of what is complete; takes
    /// over what others have left. What Redis refuses is tried again: the log is followed meanwhile.
    async fn replay(&self, link: &Link) -> Result<Infallible, Ended> {
        let mut is_told = false;
        // Also at once: a process may have gone while Redis was away.
        let mut every = interval(LOOK_FOR_LEFT);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.append_waiting(link).await {
                Ok(true) => {}
                Ok(false) => {
                    self.keeper.settle(&self.ledger).await;
                    tokio::select! {
                        () = self.spooled.notified() => {}
                        _at = every.tick() => {
                            self.keeper.look(&self.ledger).await;
                            self.apply_waiting();
                        }
                    }
                }
                Err(Ended::Redis(error)) if error.code().is_some() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(%error, "Redis refuses purges that wait for the purge log");
                    }
                    sleep(REFUSED).await;
                }
                Err(ended) => return Err(ended),
            }
        }
    }

    /// Whether anything was spooled: purges of a generation that is lost go first, then the first of the spool.
    async fn append_waiting(&self, link: &Link) -> Result<bool, Ended> {
        self.append_lost(link).await?;
        let Some(first) = self.keeper.first() else {
            return Ok(false);
        };
        self.append_again(link, first.id, &first.draft).await?;
        self.keeper.placed();
        Ok(true)
    }

    /// The purges of a generation that is lost, whose receipts are not complete, are appended to
    /// this one: they may have been in a log that nobody read.
    async fn append_lost(&self, link: &Link) -> Result<(), Ended> {
        let generation = self.purges.generation();
        let lost = self.ledger.lock().lost(generation);
        for (id, draft) in lost {
            let place = self.append_again(link, id, &draft).await?;
            if place.generation != generation {
                return Err(Ended::Fenced("generation"));
            }
        }
        Ok(())
    }

    /// What waits to be appended counts here meanwhile, whatever has been applied since.
    fn apply_waiting(&self) {
        let waiting = self.ledger.lock().waiting(self.purges.generation());
        for draft in waiting {
            self.purges.apply_slots_ahead(draft.mode, draft.slots());
        }
    }

    pub(super) fn scripts(&self, link: &Link) -> Scripts<'_> {
        Scripts {
            keys: &self.keys,
            connection: link.scripts.clone(),
        }
    }
}

/// What a reason of the metrics means.
fn meaning(reason: &str) -> &str {
    match reason {
        "generation" => "Redis lost it (a restart, FLUSHALL, a failover), and it began anew",
        "predecessor" => "it is not the one that was read so far",
        "trimmed" => "this instance was away for longer than it goes back",
        "snapshot" => "it changes faster than it can be read",
        other => other,
    }
}

fn drilled() -> Ended {
    RedisError::from((ErrorKind::Io, "a drill: it counts as unreachable")).into()
}

/// Nothing: the generation changed meanwhile.
async fn read_snapshot(scripts: &mut Scripts<'_>, head: Head) -> Result<Option<Snapshot>, Ended> {
    let mut snapshot = Snapshot {
        applied: head.position,
        slots: Vec::new(),
    };
    let mut cursor = "0".to_owned();
    for _ in 0..PAGES_MAX {
        let page = scripts.snapshot(head.generation, &cursor).await?;
        if page.generation != head.generation {
            return Ok(None);
        }
        snapshot.slots.extend(page.slots);
        if page.cursor == "0" {
            return Ok(Some(snapshot));
        }
        cursor = page.cursor;
    }
    Err(Ended::Fenced("snapshot"))
}

/// Pages of a snapshot: a full table has some 130, and a table that grows meanwhile twice as many.
const PAGES_MAX: usize = 2000;

/// What the log answers that has no place for another instance.
const FULL: &str = "FULL";

/// The pause after Redis has refused a purge.
const REFUSED: Duration = Duration::from_secs(1);

/// How often purges are looked for that other processes have left.
const LOOK_FOR_LEFT: Duration = Duration::from_secs(10);

/// How often receipts are looked after: soon, then less and less often.
pub(super) const LOOK_MIN: Duration = Duration::from_millis(2);
pub(super) const LOOK_MAX: Duration = Duration::from_millis(250);
