//! Receipts: which purges wait for whom. Bounded in number and in bytes. Those that are complete, and
//! those of others, are forgotten in turn, which takes nothing from what they promised. This instance's
//! own are not until they are complete: it may have to append them again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::record::{Draft, Record};
use super::scripts::{Peer, Status};
use super::spool::Room;
use crate::clock::Uptime;
use crate::exchange::Generation;
use crate::purge::receipt::{InstanceState, Receipt, ReceiptId, State};

/// Receipts that can be asked for.
const RECEIPTS_MAX: usize = 10_000;
/// Bytes of the records behind them.
const BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    kept: HashMap<Key, Kept>,
    /// Those that may be forgotten, and first which; some that are not there any more, or are open again.
    forgettable: VecDeque<Key>,
    bytes: usize,
    /// Those that this instance has to see to their end.
    open: Vec<Key>,
    open_bytes: usize,
}

type Key = (u64, u64);

/// Since when it is known that the generation is there, and how long that has to be before a receipt is
/// complete: until all leases of the generation before have run out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quarantine {
    pub(super) seen: Option<(Generation, Uptime)>,
    pub(super) now: Uptime,
    pub(super) length: Duration,
}

#[derive(Debug)]
struct Kept {
    id: ReceiptId,
    draft: Arc<Draft>,
    /// Where it stands in the log now; nothing: it waits for Redis.
    place: Option<ReceiptId>,
    asked: Instant,
    is_own: bool,
    is_durable: bool,
    is_complete: bool,
    instances: Vec<Applied>,
}

#[derive(Debug)]
struct Applied {
    incarnation: String,
    name: String,
    after: Option<Duration>,
}

impl Ledger {
    /// A purge of this instance's own was appended.
    pub(super) fn appended(&mut self, draft: &Arc<Draft>, place: ReceiptId, asked: Instant) {
        self.add(Kept {
            place: Some(place),
            is_own: true,
            ..Kept::new(place, draft, asked)
        });
    }

    /// For how many more of this instance's own there is a place.
    pub(super) fn room(&self) -> Room {
        Room {
            purges: RECEIPTS_MAX.saturating_sub(self.open.len()),
            bytes: BYTES_MAX.saturating_sub(self.open_bytes),
        }
    }

    /// It waits for Redis, and is known by `id` from now on.
    pub(super) fn spooled(&mut self, draft: &Arc<Draft>, id: ReceiptId) {
        self.add(Kept {
            is_own: true,
            ..Kept::new(id, draft, Instant::now())
        });
    }

    /// It outlasts a restart.
    pub(super) fn is_on_disk(&mut self, id: ReceiptId) {
        if let Some(kept) = self.kept.get_mut(&key(id)) {
            kept.is_durable = true;
        }
    }

    /// Another process has left it on disk.
    pub(super) fn taken_over(&mut self, draft: &Arc<Draft>, id: ReceiptId) {
        if self.kept.contains_key(&key(id)) {
            self.own(key(id));
        } else {
            self.spooled(draft, id);
        }
        self.is_on_disk(id);
    }

    /// A record that another one has appended.
    pub(super) fn found(&mut self, record: Record) {
        let id = record.receipt.unwrap_or_else(|| record.place());
        self.recalled(id, record);
    }

    /// The record of the purge that is known by `id`.
    pub(super) fn recalled(&mut self, id: ReceiptId, record: Record) {
        let place = record.place();
        if let Some(kept) = self.kept.get_mut(&key(id)) {
            kept.stands_at(place);
            return;
        }
        let draft = Arc::new(Draft::from(record));
        self.add(Kept {
            place: Some(place),
            ..Kept::new(id, &draft, Instant::now())
        });
    }

    /// A purge that somebody has appended before was asked for here, too: both see to it.
    pub(super) fn repeated(&mut self, draft: &Arc<Draft>, place: ReceiptId, asked: Instant) {
        if self.kept.contains_key(&key(place)) {
            self.own(key(place));
        } else {
            self.appended(draft, place, asked);
        }
    }

    /// The purge known by `id` has a new place.
    pub(super) fn placed(&mut self, id: ReceiptId, place: ReceiptId) {
        if let Some(kept) = self.kept.get_mut(&key(id)) {
            kept.stands_at(place);
        }
    }

    /// The purge known by `id`, whoever has appended it, if it is not complete and stands in another
    /// generation.
    pub(super) fn strayed(&self, id: ReceiptId, generation: Generation) -> Option<Arc<Draft>> {
        let kept = self.kept.get(&key(id))?;
        let strays = kept.is_lost(generation) && !kept.is_complete;
        strays.then(|| Arc::clone(&kept.draft))
    }

    /// Nobody has to see to it any more: it is complete, or forgotten.
    pub(super) fn is_settled(&self, id: ReceiptId) -> bool {
        let kept = self.kept.get(&key(id));
        kept.is_none_or(|kept| kept.is_complete)
    }

    /// This instance's own purges that are not complete and stand in another generation, or nowhere.
    pub(super) fn lost(&self, generation: Generation) -> Vec<(ReceiptId, Arc<Draft>)> {
        let open = self.open.iter().filter_map(|key| self.kept.get(key));
        open.filter(|kept| kept.is_lost(generation))
            .map(|kept| (kept.id, Arc::clone(&kept.draft)))
            .collect()
    }

    /// This instance's own purges that are yet to be appended to this generation.
    pub(super) fn waiting(&self, generation: Generation) -> Vec<Arc<Draft>> {
        let open = self.open.iter().filter_map(|key| self.kept.get(key));
        let is_there = |kept: &Kept| kept.place.map(|place| place.generation) == Some(generation);
        open.filter(|kept| !kept.is_complete && !is_there(kept))
            .map(|kept| Arc::clone(&kept.draft))
            .collect()
    }

    /// Whether somebody may still have to apply something in the log.
    pub(super) fn has_open(&self) -> bool {
        let mut open = self.open.iter().filter_map(|key| self.kept.get(key));
        open.any(|kept| kept.place.is_some())
    }

    /// This instance has applied what stands at `place`.
    pub(super) fn applied(&mut self, place: ReceiptId, incarnation: &str, name: &str) {
        if let Some(kept) = self.kept.get_mut(&key(place)) {
            let after = kept.asked.elapsed();
            kept.applied(incarnation, name, Some(after));
        }
    }

    /// Who has come how far. How long it took, of purges that are complete now.
    pub(super) fn update(&mut self, status: &Status, quarantine: Quarantine) -> Vec<Duration> {
        let mut completed = Vec::new();
        let Self {
            kept, forgettable, ..
        } = self;
        let mut closed = 0;
        self.open.retain(|key| {
            let Some(kept) = kept.get_mut(key) else {
                return false;
            };
            kept.update(status, quarantine);
            if kept.is_complete {
                completed.push(kept.asked.elapsed());
                closed += kept.draft.weight();
                forgettable.push_back(*key);
            }
            !kept.is_complete
        });
        self.open_bytes = self.open_bytes.saturating_sub(closed);
        completed
    }

    /// As [`Ledger::update`], for one that anybody may have appended.
    pub(super) fn update_one(&mut self, id: ReceiptId, status: &Status, quarantine: Quarantine) {
        if let Some(kept) = self.kept.get_mut(&key(id)) {
            kept.update(status, quarantine);
        }
    }

    pub(super) fn receipt(&self, id: ReceiptId) -> Option<Receipt> {
        self.kept.get(&key(id)).map(Kept::receipt)
    }

    fn add(&mut self, kept: Kept) {
        let key = key(kept.id);
        let weight = kept.draft.weight();
        self.bytes = self.bytes.saturating_add(weight);
        if kept.is_own {
            self.open.push(key);
            self.open_bytes = self.open_bytes.saturating_add(weight);
        } else {
            self.forgettable.push_back(key);
        }
        if let Some(before) = self.kept.insert(key, kept) {
            self.bytes = self.bytes.saturating_sub(before.draft.weight());
        }
        while self.kept.len() > RECEIPTS_MAX || self.bytes > BYTES_MAX {
            // If there is none: whoever asks for room is told that there is none.
            let Some(oldest) = self.forgettable.pop_front() else {
                break;
            };
            if self.kept.get(&oldest).is_some_and(Kept::is_open) {
                continue;
            }
            if let Some(forgotten) = self.kept.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(forgotten.draft.weight());
            }
        }
    }

    /// This instance sees to it from now on, unless it is complete.
    fn own(&mut self, key: Key) {
        if let Some(kept) = self.kept.get_mut(&key)
            && !kept.is_own
            && !kept.is_complete
        {
            kept.is_own = true;
            self.open.push(key);
            self.open_bytes = self.open_bytes.saturating_add(kept.draft.weight());
        }
    }
}

impl Kept {
    fn new(id: ReceiptId, draft: &Arc<Draft>, asked: Instant) -> Self {
        Self {
            id,
            draft: Arc::clone(draft),
            place: None,
            asked,
            is_own: false,
            is_durable: false,
            is_complete: false,
            instances: Vec::new(),
        }
    }

    const fn is_open(&self) -> bool {
        self.is_own && !self.is_complete
    }

    /// It stands in a generation that is another one.
    fn is_lost(&self, generation: Generation) -> bool {
        self.place
            .is_some_and(|place| place.generation != generation)
    }

    /// The first place in a generation counts.
    fn stands_at(&mut self, place: ReceiptId) {
        let is_new = self
            .place
            .is_none_or(|known| known.generation != place.generation);
        if is_new && !self.is_complete {
            self.place = Some(place);
            self.instances.clear();
        }
    }

    fn update(&mut self, status: &Status, quarantine: Quarantine) {
        let Some(place) = self.place.filter(|_| !self.is_complete) else {
            return;
        };
        if place.generation != status.generation {
            return;
        }
        // Whoever is not registered any more does not serve.
        self.instances
            .retain(|one| one.after.is_some() || status.peers.iter().any(|peer| one.is(peer)));
        let mut all = true;
        for peer in &status.peers {
            let has_applied = peer.applied >= place.position;
            all &= has_applied;
            let after = has_applied.then(|| self.asked.elapsed());
            self.applied(&peer.incarnation, &peer.name, after);
        }
        let is_over = quarantine.seen.is_some_and(|(generation, since)| {
            generation == place.generation && quarantine.now.since(since) >= quarantine.length
        });
        self.is_complete = all && is_over;
    }

    fn applied(&mut self, incarnation: &str, name: &str, after: Option<Duration>) {
        let mut known = self.instances.iter_mut();
        match known.find(|one| one.incarnation == incarnation) {
            Some(one) => one.after = one.after.or(after),
            None => self.instances.push(Applied {
                incarnation: incarnation.to_owned(),
                name: name.to_owned(),
                after,
            }),
        }
    }

    fn receipt(&self) -> Receipt {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Receipt {
            id: self.id,
            state: match self.place {
                _ if self.is_complete => State::Complete,
                Some(_) => State::Settling,
                None => State::Spooled {
                    durable: self.is_durable,
                },
            },
            mode: self.draft.mode,
            scopes: self.draft.scopes.clone(),
            instances: self
                .instances
                .iter()
                .map(|one| InstanceState {
                    name: one.name.as_str().into(),
                    applied_ms: one.after.map(millis),
                })
                .collect(),
            duplicate: false,
        }
    }
}

impl Applied {
    fn is(&self, peer: &Peer) -> bool {
        self.incarnation == peer.incarnation
    }
}

const fn key(id: ReceiptId) -> Key {
    (id.generation.token(), id.position.ordinal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::purges::Mode;
    use crate::exchange::Position;

    const GENERATION: Generation = Generation::new(7);

    fn place(generation: Generation, position: u64) -> ReceiptId {
        ReceiptId {
            generation,
            position: Position::new(position),
        }
    }

    fn draft() -> Arc<Draft> {
        Arc::new(Draft {
            token: 1,
            mode: Mode::Hard,
            scopes: vec!["tag:a".to_owned()],
            slots: "t".to_owned(),
            delivery: None,
        })
    }

    fn status(generation: Generation, applied: &[u64]) -> Status {
        let peers = applied.iter().enumerate().map(|(at, applied)| Peer {
            incarnation: format!("i{at}"),
            name: format!("edge-{at}"),
            applied: Position::new(*applied),
            count: 1,
            lease: Duration::ZERO,
        });
        Status {
            generation,
            head: Position::new(1),
            peers: peers.collect(),
        }
    }

    fn after(seconds: u64) -> Quarantine {
        Quarantine {
            seen: Some((GENERATION, Uptime::default())),
            now: Uptime::default().after(Duration::from_secs(seconds)),
            length: Duration::from_secs(6),
        }
    }

    #[tokio::test]
    async fn it_is_complete_when_all_who_are_registered_have_applied_it() {
        let mut ledger = Ledger::default();
        let id = place(GENERATION, 5);
        ledger.appended(&draft(), id, Instant::now());
        assert!(
            ledger
                .update(&status(GENERATION, &[5, 4]), after(9))
                .is_empty()
        );
        let receipt = ledger.receipt(id).unwrap();
        assert!(!receipt.is_complete() && receipt.instances[1].applied_ms.is_none());
        assert_eq!(&*receipt.instances[1].name, "edge-1");
        // The laggard is gone.
        assert_eq!(ledger.update(&status(GENERATION, &[5]), after(9)).len(), 1);
        let receipt = ledger.receipt(id).unwrap();
        assert!(receipt.is_complete() && receipt.instances.len() == 1);
        assert!(!ledger.has_open());
    }

    #[tokio::test]
    async fn it_is_not_before_the_quarantine_is_over() {
        let mut ledger = Ledger::default();
        let id = place(GENERATION, 5);
        ledger.appended(&draft(), id, Instant::now());
        assert!(
            ledger
                .update(&status(GENERATION, &[5]), after(5))
                .is_empty()
        );
        assert!(!ledger.receipt(id).unwrap().is_complete());
        assert_eq!(ledger.update(&status(GENERATION, &[5]), after(6)).len(), 1);
    }

    #[tokio::test]
    async fn a_purge_of_a_lost_generation_gets_another_place() {
        let mut ledger = Ledger::default();
        let old = place(Generation::new(1), 5);
        ledger.appended(&draft(), old, Instant::now());
        assert!(
            ledger
                .update(&status(GENERATION, &[9]), after(9))
                .is_empty()
        );
        assert_eq!(ledger.lost(GENERATION)[0].0, old);
        ledger.placed(old, place(GENERATION, 1));
        assert!(ledger.lost(GENERATION).is_empty());
        assert_eq!(ledger.update(&status(GENERATION, &[1]), after(9)).len(), 1);
        assert!(ledger.receipt(old).unwrap().is_complete());
    }

    #[tokio::test]
    async fn what_waits_for_redis_is_spooled_until_it_has_a_place() {
        let mut ledger = Ledger::default();
        let id = place(Generation::new(99), 1);
        ledger.spooled(&draft(), id);
        ledger.is_on_disk(id);
        let spooled = State::Spooled { durable: true };
        assert_eq!(ledger.receipt(id).unwrap().state, spooled);
        assert!(!ledger.has_open());
        ledger.placed(id, place(GENERATION, 3));
        assert_eq!(ledger.receipt(id).unwrap().state, State::Settling);
        assert!(ledger.has_open());
    }

    fn record(place: ReceiptId, receipt: Option<ReceiptId>) -> Record {
        Record {
            generation: place.generation,
            position: place.position,
            predecessor: 0,
            token: 1,
            mode: Mode::Hard,
            scopes: vec!["tag:a".to_owned()],
            slots: Vec::new(),
            from: "i".to_owned(),
            receipt,
        }
    }

    #[tokio::test]
    async fn what_others_have_appended_is_known_by_the_id_that_was_given() {
        let mut ledger = Ledger::default();
        let id = place(Generation::new(99), 1);
        ledger.found(record(place(GENERATION, 3), Some(id)));
        assert!(ledger.receipt(place(GENERATION, 3)).is_none());
        assert!(!ledger.is_settled(id));
        ledger.update_one(id, &status(GENERATION, &[3]), after(9));
        assert!(ledger.receipt(id).unwrap().is_complete());
        assert!(ledger.is_settled(id));
    }

    #[tokio::test]
    async fn what_another_has_appended_strays_with_its_generation() {
        let mut ledger = Ledger::default();
        let (old, new) = (place(Generation::new(1), 5), place(GENERATION, 1));
        ledger.found(record(old, None));
        assert!(ledger.strayed(old, Generation::new(1)).is_none());
        assert!(ledger.strayed(old, GENERATION).is_some());
        assert!(ledger.lost(GENERATION).is_empty(), "it is not its own");
        ledger.found(record(new, Some(old)));
        assert!(ledger.strayed(old, GENERATION).is_none());
        ledger.update_one(old, &status(GENERATION, &[1]), after(9));
        assert!(ledger.receipt(old).unwrap().is_complete());
    }

    fn found(ledger: &mut Ledger, position: u64) {
        ledger.found(record(place(GENERATION, position), None));
    }

    #[tokio::test]
    async fn the_oldest_of_others_are_forgotten() {
        let mut ledger = Ledger::default();
        for at in 0..=RECEIPTS_MAX as u64 {
            found(&mut ledger, at + 1);
        }
        assert!(ledger.receipt(place(GENERATION, 1)).is_none());
        assert!(ledger.receipt(place(GENERATION, 2)).is_some());
        assert!(ledger.kept.len() <= RECEIPTS_MAX && ledger.forgettable.len() <= RECEIPTS_MAX);
    }

    #[tokio::test]
    async fn what_is_complete_is_forgotten_and_what_is_open_is_not() {
        let mut ledger = Ledger::default();
        for at in 1..=2 {
            ledger.appended(&draft(), place(GENERATION, at), Instant::now());
        }
        // Another's, which this one has to see to as well.
        found(&mut ledger, 3);
        ledger.repeated(&draft(), place(GENERATION, 3), Instant::now());
        assert_eq!(ledger.update(&status(GENERATION, &[1]), after(9)).len(), 1);
        for at in 0..RECEIPTS_MAX as u64 {
            found(&mut ledger, at + 4);
        }
        assert!(ledger.receipt(place(GENERATION, 1)).is_none());
        for open in 2..=3 {
            assert!(ledger.receipt(place(GENERATION, open)).is_some());
        }
        assert_eq!(ledger.lost(Generation::new(8)).len(), 2);
        assert_eq!(ledger.kept.len(), RECEIPTS_MAX);
    }

    #[tokio::test]
    async fn there_is_no_room_when_only_open_ones_of_its_own_are_left() {
        let mut ledger = Ledger::default();
        for at in 1..=RECEIPTS_MAX as u64 {
            assert!(ledger.room().takes(&draft()));
            ledger.appended(&draft(), place(GENERATION, at), Instant::now());
        }
        assert!(!ledger.room().takes(&draft()));
        found(&mut ledger, RECEIPTS_MAX as u64 + 1);
        let lost = ledger.lost(Generation::new(8)).len();
        assert_eq!(lost, RECEIPTS_MAX, "no promise is forgotten");
        assert_eq!(ledger.update(&status(GENERATION, &[1]), after(9)).len(), 1);
        assert!(ledger.room().takes(&draft()));
        let long = Arc::new(Draft {
            slots: "t".repeat(BYTES_MAX / 2),
            ..(*draft()).clone()
        });
        let mut ledger = Ledger::default();
        ledger.spooled(&long, place(GENERATION, 1));
        assert!(ledger.room().takes(&draft()) && !ledger.room().takes(&long));
        // They complete, and are let go of.
        ledger.placed(place(GENERATION, 1), place(GENERATION, 2));
        ledger.update(&status(GENERATION, &[2]), after(9));
        assert!(ledger.room().takes(&long) && ledger.open_bytes == 0);
    }
}
