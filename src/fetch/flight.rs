//! Collapsed forwarding (RFC 9111 §4): one leader forwards, followers wait for its outcome.

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;

use crate::entry::StoredResponse;
use crate::entry::purges::Purges;
use crate::exchange::Fence;
use crate::key::EntryKey;
use crate::locks::{Mutex, watch};

/// How a flight ended.
#[derive(Clone, Debug)]
pub enum Landing {
    /// The response was stored: look it up again.
    Stored,
    /// The response may not be shared: forward on your own, do not wait again.
    NotShared,
    /// The origin could not answer, and would not answer a follower either.
    Failed {
        status: StatusCode,
        /// RFC 9209 error type.
        error: &'static str,
    },
    /// What it brought was purged on the way, and is not in the store. Whoever followed had asked
    /// before that purge was confirmed, and may have it (see [`Flights::join`]): were they to lead
    /// again one after another, a series of purges would send all of them to the origin.
    Overtaken(Arc<StoredResponse>),
    /// The leader was dropped: one follower leads.
    Abandoned,
}

/// Flights for one key that may be under way at once, each but the first because of a purge that came
/// since the one before it left. Whoever comes then waits for the newest of them: one wait more for a
/// page that is purged faster than it is made, and not a request to the origin for each purge.
pub const UNDER_WAY_MAX: usize = 4;

/// All open flights of this instance.
#[derive(Debug)]
pub struct Flights {
    open: Mutex<HashMap<EntryKey, Open>>,
    purges: Arc<Purges>,
}

/// The flights for one key; there is at least one.
#[derive(Debug, Default)]
struct Open {
    /// Those that have left, in this order.
    under_way: Vec<UnderWay>,
    /// The one that waits for the last of them.
    next: Option<Landed>,
}

#[derive(Debug)]
struct UnderWay {
    /// Read before its exchange leaves.
    fence: Fence,
    landing: Landed,
}

type Landed = watch::Receiver<Option<Landing>>;

#[derive(Debug)]
pub enum Flight {
    Lead(Lead),
    Follow(Follow),
}

/// The right, and the duty, to fetch one key. Dropping it without landing abandons the flight, so
/// no follower waits for a leader that is gone.
#[derive(Debug)]
#[must_use]
pub struct Lead {
    flights: Arc<Flights>,
    key: EntryKey,
    landing: watch::Sender<Option<Landing>>,
    before: Option<Follow>,
}

/// A place behind a leader.
#[derive(Debug)]
pub struct Follow(Landed);

impl Flights {
    pub fn new(purges: Arc<Purges>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(HashMap::new()),
            purges,
        })
    }

    /// Follows the flight for `key` if one is open and no purge has been applied since its fence
    /// that could cover what it brings; leads a new one otherwise. The flight's fence is read here,
    /// before the leader's exchange reads its own.
    ///
    /// While nothing stored may be served, only a flight is followed that has not left: it is not
    /// known what was purged since. Who comes while one is under way leads the next, which leaves
    /// when that has landed (see [`Lead::before`]). The same while a purge is applied ahead of the
    /// log: it covers whatever leaves now, and all would leave at once. And the same where
    /// [`UNDER_WAY_MAX`] are under way.
    pub fn join(self: &Arc<Self>, key: &EntryKey) -> Flight {
        let mut all = self.open.lock();
        let open = all.entry(key.clone()).or_default();
        if let Some(next) = &open.next {
            return Flight::Follow(Follow(next.clone()));
        }
        let mut before = None;
        if let Some(newest) = open.under_way.last() {
            let follow = Follow(newest.landing.clone());
            let may_serve = self.purges.may_serve();
            if may_serve && self.purges.still_open(newest.fence, key.primary()) {
                return Flight::Follow(follow);
            }
            // A new one's fence would be no newer.
            let is_covered = newest.fence == self.purges.fence();
            if !may_serve || is_covered || open.under_way.len() >= UNDER_WAY_MAX {
                before = Some(follow);
            }
        }
        let (landing, landed) = watch::channel(None);
        if before.is_some() {
            open.next = Some(landed);
        } else {
            open.leaves(self.purges.fence(), landed);
        }
        Flight::Lead(Lead {
            flights: Arc::clone(self),
            key: key.clone(),
            landing,
            before,
        })
    }

    /// Keys that flights are open for now.
    pub fn count(&self) -> usize {
        self.open.lock().len()
    }
}

impl Open {
    fn leaves(&mut self, fence: Fence, landing: Landed) {
        self.under_way.push(UnderWay { fence, landing });
    }
}

impl Lead {
    /// The flight that has to end before this one leaves, if there is one. Whoever takes it calls
    /// [`Lead::departs`] afterwards.
    pub const fn before(&mut self) -> Option<Follow> {
        self.before.take()
    }

    /// From now on nobody follows this flight who needs one that leaves later.
    pub fn departs(&self) {
        let own = self.landing.subscribe();
        let mut all = self.flights.open.lock();
        if let Some(open) = all.get_mut(&self.key)
            && let Some(next) = open.next.take_if(|next| next.same_channel(&own))
        {
            open.leaves(self.flights.purges.fence(), next);
        }
    }

    pub fn land(self, landing: Landing) {
        self.landing.send_replace(Some(landing));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let own = self.landing.subscribe();
        let mut all = self.flights.open.lock();
        if let Some(open) = all.get_mut(&self.key) {
            open.next.take_if(|next| next.same_channel(&own));
            open.under_way
                .retain(|flight| !flight.landing.same_channel(&own));
            if open.next.is_none() && open.under_way.is_empty() {
                all.remove(&self.key);
            }
        }
        drop(all);
        self.landing.send_if_modified(|landing| {
            let is_abandoned = landing.is_none();
            if is_abandoned {
                *landing = Some(Landing::Abandoned);
            }
            is_abandoned
        });
    }
}

impl Follow {
    /// Waits for the leader. The wait ends: a leader is bounded by the origin's deadlines, and
    /// lands when it is dropped.
    pub async fn landing(mut self) -> Landing {
        match self.0.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().unwrap_or(Landing::Abandoned),
            Err(_) => Landing::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::clock::SystemBoottime;
    use crate::entry::purges::Mode;
    use crate::entry::scope::Scope;
    use crate::exchange::{Generation, Position};
    use crate::fields::vary::Vary;
    use crate::key::{Folding, KeyRule, TargetUri};
    use crate::lease::Lease;

    fn flights() -> (Arc<Purges>, Arc<Flights>, EntryKey) {
        let purges = Arc::new(Purges::new(Generation::new(1)));
        let target = TargetUri::parse("https", "a.example", "/a", None).unwrap();
        let key = KeyRule::default().key(&target, &HeaderMap::new()).key;
        let key = key.select(&Vary::default(), &HeaderMap::new(), Folding::Careful);
        (Arc::clone(&purges), Flights::new(purges), key)
    }

    fn lead(flight: Flight) -> Lead {
        match flight {
            Flight::Lead(lead) => lead,
            Flight::Follow(_) => panic!("follows"),
        }
    }

    fn follow(flight: Flight) -> Follow {
        match flight {
            Flight::Follow(follow) => follow,
            Flight::Lead(_) => panic!("leads"),
        }
    }

    #[tokio::test]
    async fn followers_learn_how_the_flight_landed() {
        let (_, flights, key) = flights();
        let leader = lead(flights.join(&key));
        let follower = follow(flights.join(&key));
        leader.land(Landing::Stored);
        assert!(matches!(follower.landing().await, Landing::Stored));
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_leader_that_is_dropped_abandons_its_followers() {
        let (_, flights, key) = flights();
        let leader = lead(flights.join(&key));
        let follower = follow(flights.join(&key));
        drop(leader);
        assert!(matches!(follower.landing().await, Landing::Abandoned));
    }

    #[tokio::test]
    async fn without_a_lease_only_a_flight_that_has_not_left_is_followed() {
        let lease = Arc::new(Lease::not_granted(Arc::new(SystemBoottime)));
        let (_, _, key) = flights();
        let purges = Purges::with_lease(Generation::new(1), lease);
        let flights = Flights::new(Arc::new(purges));
        let first = lead(flights.join(&key));
        let mut next = lead(flights.join(&key));
        let waiting = follow(flights.join(&key));
        let before = next.before().unwrap();
        first.land(Landing::NotShared);
        assert!(matches!(before.landing().await, Landing::NotShared));
        next.departs();
        let mut third = lead(flights.join(&key));
        assert!(third.before().is_some());
        next.land(Landing::Stored);
        assert!(matches!(waiting.landing().await, Landing::Stored));
        drop(third);
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn while_a_purge_is_ahead_of_the_log_one_flight_is_under_way_and_one_waits() {
        let (purges, flights, key) = flights();
        let first = lead(flights.join(&key));
        purges.apply_ahead(Mode::Hard, [&Scope::tag("any")]);
        let mut next = lead(flights.join(&key));
        let waiting = follow(flights.join(&key));
        let before = next.before().unwrap();
        first.land(Landing::Stored);
        assert!(matches!(before.landing().await, Landing::Stored));
        next.departs();
        assert!(lead(flights.join(&key)).before().is_some());
        purges.apply(Position::new(1), Mode::Hard, [&Scope::tag("any")]);
        assert!(lead(flights.join(&key)).before().is_none());
        next.land(Landing::NotShared);
        assert!(matches!(waiting.landing().await, Landing::NotShared));
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_leader_that_gives_up_before_it_leaves_lets_nobody_leave_beside_the_one_before() {
        let (purges, flights, key) = flights();
        let first = lead(flights.join(&key));
        purges.apply_ahead(Mode::Hard, [&Scope::tag("any")]);
        let next = lead(flights.join(&key));
        let waiting = follow(flights.join(&key));
        drop(next);
        assert!(matches!(waiting.landing().await, Landing::Abandoned));
        let mut in_its_place = lead(flights.join(&key));
        assert!(in_its_place.before().is_some());
        first.land(Landing::NotShared);
        drop(in_its_place);
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn however_many_purges_come_so_many_flights_are_under_way_and_one_waits() {
        let (purges, flights, key) = flights();
        let mut leads = Vec::new();
        for position in 1..=UNDER_WAY_MAX as u64 {
            let mut leader = lead(flights.join(&key));
            assert!(leader.before().is_none());
            leads.push(leader);
            purges.apply(Position::new(position), Mode::Hard, [&Scope::tag("any")]);
        }
        let mut next = lead(flights.join(&key));
        let before = next.before().unwrap();
        let waiting = follow(flights.join(&key));
        leads.pop().unwrap().land(Landing::Stored);
        assert!(matches!(before.landing().await, Landing::Stored));
        next.departs();
        let following = follow(flights.join(&key));
        next.land(Landing::NotShared);
        for follow in [waiting, following] {
            assert!(matches!(follow.landing().await, Landing::NotShared));
        }
        assert!(lead(flights.join(&key)).before().is_none());
        drop(leads);
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_request_after_a_purge_leads_a_new_flight() {
        let (purges, flights, key) = flights();
        let old = lead(flights.join(&key));
        purges.apply(Position::new(1), Mode::Hard, [&Scope::tag("any")]);
        let new = lead(flights.join(&key));
        old.land(Landing::Stored);
        let follower = follow(flights.join(&key));
        new.land(Landing::NotShared);
        assert!(matches!(follower.landing().await, Landing::NotShared));
        assert_eq!(flights.count(), 0);
    }
}
