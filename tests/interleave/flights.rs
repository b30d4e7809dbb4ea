//! What requests for one key do to the registry of flights (`fetch/flight.rs`), with purges and the end of
//! a lease among them: one leader, no wait without an end, nothing that left before a purge for who asks
//! after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use loom::thread;

use crate::atomics::{PREEMPTIONS_MAX, explore_within};
use crate::clock::SkippingBoottime;
use crate::entry::StoredResponse;
use crate::exchange::{Fence, Position};
use crate::fields::vary::Vary;
use crate::flight::{Flight, Flights, Follow, Landing, Lead};
use crate::key::{EntryKey, Folding};
use crate::lease::Lease;
use crate::locks::{Mutex, now, wait};
use crate::{FIRST, Mode, Purges, Scope, at, purge};

/// Flights that one request follows until one lands.
const FOLLOWED_MAX: usize = 3;

/// As [`PREEMPTIONS_MAX`], where three threads also look at the table.
const PREEMPTIONS_WITH_PURGE: usize = 3;

/// An instance, and what its requests see.
struct World {
    purges: Arc<Purges>,
    lease: Arc<Lease>,
    flights: Arc<Flights>,
    key: EntryKey,
    /// Fences of the leaders that are under way, as far as they are known.
    under_way: Mutex<Vec<Fence>>,
    /// Leaders that left.
    departed: AtomicU64,
}

/// Lets requests meet in every order, and looks whether they leave a flight behind.
fn explore_requests(preemptions: usize, work: impl Fn(&Arc<World>) + Send + Sync + 'static) {
    let lease = Arc::new(Lease::not_granted(Arc::new(SkippingBoottime::default())));
    // The table takes longer to make than an order to try.
    let purges = Arc::new(Purges::with_lease(FIRST, Arc::clone(&lease)));
    explore_within(preemptions, move || {
        let world = Arc::new(World::new(&purges, &lease));
        work(&world);
        assert_eq!(world.flights.count(), 0, "a flight was left behind");
    });
}

impl World {
    /// With all that threads look at made before there is another thread.
    fn new(purges: &Arc<Purges>, lease: &Arc<Lease>) -> Self {
        lease.extend(lease.uptime().after(Duration::from_secs(3600)));
        let response = StoredResponse::tagged("a", at(FIRST, 0));
        let key = response.key();
        assert_eq!(purges.fence(), at(FIRST, 0), "each order begins anew");
        assert!(purges.still_open(at(FIRST, 0), key));
        assert!(purges.admit(Arc::clone(&response)).is_some());
        Self {
            purges: Arc::clone(purges),
            lease: Arc::clone(lease),
            flights: Flights::new(Arc::clone(purges)),
            key: key.select(&Vary::default(), &HeaderMap::new(), Folding::Careful),
            under_way: Mutex::new(Vec::new()),
            departed: AtomicU64::new(0),
        }
    }

    fn join(&self) -> Flight {
        self.flights.join(&self.key)
    }

    fn lead(&self) -> Lead {
        match self.join() {
            Flight::Lead(lead) => lead,
            Flight::Follow(_) => panic!("nobody else is there"),
        }
    }

    fn follow(&self) -> Follow {
        match self.join() {
            Flight::Follow(follow) => follow,
            Flight::Lead(_) => panic!("there are two leaders"),
        }
    }

    /// A request, to its end.
    fn ask(&self) -> Landing {
        let before = self.purges.fence();
        for _ in 0..FOLLOWED_MAX {
            match self.join() {
                Flight::Lead(lead) => return self.fly(lead, before),
                Flight::Follow(follow) => match wait(follow.landing()) {
                    Landing::Abandoned => {}
                    landing => return landing,
                },
            }
        }
        panic!("only leaders that are gone");
    }

    /// What a leader does that had read `before` when it joined.
    fn fly(&self, mut lead: Lead, mut before: Fence) -> Landing {
        if let Some(first) = lead.before() {
            let _whatever_it_brought = wait(first.landing());
            before = self.purges.fence();
            lead.departs();
        }
        let fence = self.purges.fence();
        // The flight's own fence is between the two.
        let known = (before == fence).then_some(fence);
        if let Some(known) = known {
            let mut others = self.under_way.lock();
            assert!(!others.contains(&known), "two leaders, one fence");
            others.push(known);
        }
        let number = self.departed.fetch_add(1, Ordering::Relaxed) + 1;
        let landing = Landing::Overtaken(StoredResponse::fetched(fence, number));
        if let Some(known) = known {
            self.under_way.lock().retain(|other| *other != known);
        }
        lead.land(landing.clone());
        landing
    }

    /// Behind which fence the answer was fetched.
    fn fence_of(landing: &Landing) -> Fence {
        match landing {
            Landing::Overtaken(response) => response.fence(),
            other => panic!("it brought a response, not {other:?}"),
        }
    }

    /// As which of all it left, from 1.
    fn number_of(landing: &Landing) -> u64 {
        match landing {
            Landing::Overtaken(response) => response.number(),
            other => panic!("it brought a response, not {other:?}"),
        }
    }

    fn departed(&self) -> u64 {
        self.departed.load(Ordering::Relaxed)
    }
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

/// Those who lead, and what those who follow have by now.
fn sort(flights: impl IntoIterator<Item = Flight>) -> (Vec<Lead>, Vec<Follow>) {
    let (mut leads, mut follows) = (Vec::new(), Vec::new());
    for flight in flights {
        match flight {
            Flight::Lead(lead) => leads.push(lead),
            Flight::Follow(follow) => follows.push(follow),
        }
    }
    (leads, follows)
}

#[test]
fn of_those_who_ask_at_once_one_leads_and_all_others_get_what_it_brings() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let others = [(); 2].map(|()| spawn(world, World::join));
        let own = world.join();
        let all = others.map(|other| other.join().unwrap()).into_iter();
        let (mut leads, follows) = sort(all.chain([own]));
        assert_eq!((leads.len(), follows.len()), (1, 2));
        leads.pop().unwrap().land(Landing::NotShared);
        for follow in follows {
            assert!(matches!(now(follow.landing()), Some(Landing::NotShared)));
        }
    });
}

#[test]
fn who_follows_is_there_when_the_flight_lands_or_comes_too_late_and_leads() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let lead = world.lead();
        let others = [(); 2].map(|()| spawn(world, |world| world.ask()));
        world.fly(lead, at(FIRST, 0));
        for other in others {
            assert_eq!(World::fence_of(&other.join().unwrap()), at(FIRST, 0));
        }
        assert!(world.departed() <= 3);
    });
}

#[test]
fn nobody_waits_for_a_leader_that_is_gone() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let lead = world.lead();
        let others = [(); 2].map(|()| spawn(world, |world| world.ask()));
        drop(lead);
        for other in others {
            assert_eq!(World::fence_of(&other.join().unwrap()), at(FIRST, 0));
        }
        assert!((1..=2).contains(&world.departed()));
    });
}

#[test]
fn in_the_place_of_a_leader_that_goes_while_others_come_there_is_one() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let lead = world.lead();
        let others = [(); 2].map(|()| spawn(world, World::join));
        drop(lead);
        let (mut leads, follows) = sort(others.map(|other| other.join().unwrap()));
        assert!(leads.len() <= 1, "two came in its place");
        for follow in follows {
            // Who follows the one that is gone knows it, and comes again.
            match now(follow.landing()) {
                None => assert_eq!(leads.len(), 1),
                Some(Landing::Abandoned) => leads.extend(sort([world.join()]).0),
                Some(other) => panic!("nothing landed: {other:?}"),
            }
        }
        assert_eq!(leads.len(), 1);
        drop(leads);
    });
}

#[test]
fn of_those_whom_a_leader_left_one_leads() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let lead = world.lead();
        let follows = [world.follow(), world.follow()];
        let others = follows.map(|follow| {
            spawn(world, move |world| {
                assert!(matches!(wait(follow.landing()), Landing::Abandoned));
                world.join()
            })
        });
        drop(lead);
        let (leads, follows) = sort(others.map(|other| other.join().unwrap()));
        assert_eq!((leads.len(), follows.len()), (1, 1));
        drop(leads);
    });
}

#[test]
fn who_asks_after_a_purge_gets_nothing_that_left_before_it() {
    explore_requests(PREEMPTIONS_MAX, |world| {
        let lead = world.lead();
        let asking = spawn(world, |world| {
            purge(&world.purges, 1);
            World::fence_of(&world.ask())
        });
        world.fly(lead, at(FIRST, 0));
        assert_eq!(asking.join().unwrap(), at(FIRST, 1));
    });
}

#[test]
fn a_purge_between_leaves_nobody_without_an_answer() {
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        ask_around_a_purge(world, |lead| drop(world.fly(lead, at(FIRST, 0))));
    });
}

#[test]
fn nor_does_a_purge_while_the_leader_goes() {
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        ask_around_a_purge(world, drop)
    });
}

/// One asks, one purges and asks, and `end` is what the leader before them does.
fn ask_around_a_purge(world: &Arc<World>, end: impl FnOnce(Lead)) {
    let lead = world.lead();
    let asking = spawn(world, |world| World::fence_of(&world.ask()));
    let after = spawn(world, |world| {
        purge(&world.purges, 1);
        World::fence_of(&world.ask())
    });
    end(lead);
    assert!(asking.join().unwrap().position <= Position::new(1));
    assert_eq!(after.join().unwrap(), at(FIRST, 1));
}

/// It raises slots above what is applied: until it is in the log it covers whatever leaves.
#[test]
fn a_purge_that_is_not_in_the_log_yet_does_not_let_all_leave_at_once() {
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        world.purges.apply_ahead(Mode::Hard, [&Scope::tag("a")]);
        let others = [(); 2].map(|()| spawn(world, |world| world.ask()));
        world.ask();
        for other in others {
            assert_eq!(World::fence_of(&other.join().unwrap()), at(FIRST, 0));
        }
    });
}

/// Nobody knows what was purged since it ended.
#[test]
fn without_a_lease_who_asks_gets_what_leaves_later() {
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        let lead = world.lead();
        let others = [(); 2].map(|()| {
            spawn(world, |world| {
                world.lease.end();
                let departed = world.departed();
                (departed, World::number_of(&world.ask()))
            })
        });
        world.fly(lead, at(FIRST, 0));
        for other in others {
            let (departed, number) = other.join().unwrap();
            assert!(number > departed, "it had left before");
        }
        assert!(world.departed() <= 3);
    });
}

#[test]
fn behind_one_that_is_not_followed_any_longer_one_waits_and_others_follow_it() {
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        join_behind(world, |world| world.lease.end());
    });
    explore_requests(PREEMPTIONS_WITH_PURGE, |world| {
        join_behind(world, |world| {
            world.purges.apply_ahead(Mode::Hard, [&Scope::tag("a")]);
        });
    });
}

/// Two come behind one that is under way when `end` has ended that it is followed.
fn join_behind(world: &Arc<World>, end: impl FnOnce(&World)) {
    let first = world.lead();
    end(world);
    let others = [(); 2].map(|()| spawn(world, World::join));
    let (mut leads, mut follows) = sort(others.map(|other| other.join().unwrap()));
    assert_eq!((leads.len(), follows.len()), (1, 1));
    first.land(Landing::NotShared);
    let next = spawn(world, move |world| {
        world.fly(leads.pop().unwrap(), at(FIRST, 0))
    });
    let landing = wait(follows.pop().unwrap().landing());
    assert_eq!(World::number_of(&landing), 1);
    assert_eq!(World::number_of(&next.join().unwrap()), 1);
}
