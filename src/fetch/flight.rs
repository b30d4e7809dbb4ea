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

/// All open flights of this instance.
#[derive(Debug)]
pub struct Flights {
    open: Mutex<HashMap<EntryKey, Open>>,
    purges: Arc<Purges>,
}

#[derive(Debug)]
struct Open {
    /// Read before its exchange leaves; nothing: it waits for the one before it.
    fence: Option<Fence>,
    landing: watch::Receiver<Option<Landing>>,
}

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
pub struct Follow(watch::Receiver<Option<Landing>>);

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
    /// log: it covers whatever leaves now, and all would leave at once.
    pub fn join(self: &Arc<Self>, key: &EntryKey) -> Flight {
        let mut open = self.open.lock();
        let mut before = None;
        if let Some(flight) = open.get(key) {
            let follow = Follow(flight.landing.clone());
            let Some(fence) = flight.fence else {
                return Flight::Follow(follow);
            };
            let may_serve = self.purges.may_serve();
            if may_serve && self.purges.still_open(fence, key.primary()) {
                return Flight::Follow(follow);
            }
            // A new one's fence would be no newer.
            if !may_serve || fence == self.purges.fence() {
                before = Some(follow);
            }
        }
        let (landing, follow) = watch::channel(None);
        let flight = Open {
            fence: before.is_none().then(|| self.purges.fence()),
            landing: follow,
        };
        open.insert(key.clone(), flight);
        Flight::Lead(Lead {
            flights: Arc::clone(self),
            key: key.clone(),
            landing,
            before,
        })
    }

    /// Flights that are open now.
    pub fn count(&self) -> usize {
        self.open.lock().len()
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
        let mut open = self.flights.open.lock();
        if let Some(flight) = open.get_mut(&self.key)
            && flight.landing.same_channel(&self.landing.subscribe())
        {
            flight.fence = Some(self.flights.purges.fence());
        }
    }

    pub fn land(self, landing: Landing) {
        self.landing.send_replace(Some(landing));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut open = self.flights.open.lock();
        // A newer flight may have taken the place.
        if open
            .get(&self.key)
            .is_some_and(|flight| flight.landing.same_channel(&self.landing.subscribe()))
        {
            open.remove(&self.key);
        }
        drop(open);
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
