//! What threads do to the table of purges, to the lease and to the registry of flights, in every order that
//! the memory model of the language allows, as far as four preemptions go (three, where three threads meet).
//! The files are those of the program (`#[path]`); under them is `loom` in the place of atomics, locks and
//! channels.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

/// As `cms_edge::atomics`, for exploring.
#[path = "interleave/atomics.rs"]
mod atomics;

/// As `cms_edge::locks`, for exploring.
#[path = "interleave/locks.rs"]
mod locks;

#[allow(
    dead_code,
    unused_qualifications,
    unreachable_pub,
    reason = "a part of the program, of which the tests use a part"
)]
#[path = "interleave"]
mod program {
    #[path = "../../src/lease.rs"]
    pub(crate) mod lease;

    #[path = "../../src/fetch/flight.rs"]
    pub(crate) mod flight;

    pub(crate) mod entry;
}

/// What is explored of the registry of flights.
#[path = "interleave/flights.rs"]
mod flights;

pub(crate) use cms_edge::{clock, exchange, fields, key, sabotage};
pub(crate) use program::{entry, flight, lease};

use std::sync::Arc;
use std::time::Duration;

use atomics::explore;
use clock::SkippingBoottime;
use entry::StoredResponse;
use entry::purges::{Mode, Purges, Snapshot};
use entry::scope::Scope;
use entry::slots::SlotName;
use exchange::{Fence, Generation, Position};
use lease::Lease;
use loom::thread;

const FIRST: Generation = Generation::new(1);
const SECOND: Generation = Generation::new(2);

fn at(generation: Generation, position: u64) -> Fence {
    Fence {
        generation,
        position: Position::new(position),
    }
}

/// With all that the tests look at made before there is another thread.
fn purges(lease: Option<Arc<Lease>>) -> Arc<Purges> {
    let purges = match lease {
        Some(lease) => Purges::with_lease(FIRST, lease),
        None => Purges::new(FIRST),
    };
    assert_eq!(purges.fence(), at(FIRST, 0));
    for tag in ["a", "b"] {
        let entry = StoredResponse::tagged(tag, at(FIRST, 0));
        assert!(purges.is_untouched(at(FIRST, 0), entry.key()));
        assert!(purges.admit(entry).is_some());
    }
    Arc::new(purges)
}

fn purge(purges: &Purges, position: u64) {
    purges.apply(Position::new(position), Mode::Hard, &[Scope::tag("a")]);
}

#[test]
fn who_sees_a_position_sees_what_was_purged_up_to_it() {
    explore(|| {
        let purges = purges(None);
        let entry = StoredResponse::tagged("a", at(FIRST, 0));
        let applying = Arc::clone(&purges);
        let applying = thread::spawn(move || purge(&applying, 1));
        let fence = purges.fence();
        let is_served = purges.admit(Arc::clone(&entry)).is_some();
        assert!(fence.position < Position::new(1) || !is_served);
        applying.join().unwrap();
        assert!(purges.admit(entry).is_none());
        // What was fetched behind the fence is as good as the fence says.
        let fetched = StoredResponse::tagged("a", fence);
        let is_behind = fence.position == Position::new(1);
        assert_eq!(purges.admit(fetched).is_some(), is_behind);
    });
}

/// A look that took place before a purge does not speak for the time after it, however late it is noted.
#[test]
fn a_look_that_is_noted_late_hides_no_purge() {
    explore(|| {
        let purges = purges(None);
        let entry = StoredResponse::tagged("a", at(FIRST, 0));
        let (reading, read) = (Arc::clone(&purges), Arc::clone(&entry));
        let reader = thread::spawn(move || {
            let _before_or_after = reading.admit(read);
        });
        purge(&purges, 1);
        assert!(purges.admit(Arc::clone(&entry)).is_none());
        reader.join().unwrap();
        assert!(purges.admit(entry).is_none());
    });
}

#[test]
fn a_purge_that_is_not_in_the_log_yet_ends_what_is_stored() {
    explore(|| {
        let purges = purges(None);
        let entry = StoredResponse::tagged("a", at(FIRST, 0));
        let other = Arc::clone(&purges);
        let applying = thread::spawn(move || {
            other.apply(Position::new(1), Mode::Hard, &[Scope::tag("b")]);
        });
        purges.apply_ahead(Mode::Hard, &[Scope::tag("a")]);
        assert!(purges.admit(Arc::clone(&entry)).is_none());
        applying.join().unwrap();
        assert!(purges.admit(entry).is_none());
    });
}

#[test]
fn generation_and_position_change_in_one_piece() {
    explore(|| {
        let purges = purges(None);
        let entry = StoredResponse::tagged("a", at(FIRST, 0));
        let joining = Arc::clone(&purges);
        let joining = thread::spawn(move || {
            let snapshot = Snapshot {
                applied: Position::new(5),
                slots: vec![(SlotName::Everything, Mode::Hard, Position::new(5))],
            };
            joining.take_over(SECOND, &snapshot);
        });
        let fence = purges.fence();
        assert!(fence == at(FIRST, 0) || fence == at(SECOND, 5), "{fence:?}");
        let is_served = purges.admit(Arc::clone(&entry)).is_some();
        assert!(fence.generation == FIRST || !is_served);
        joining.join().unwrap();
        assert!(purges.admit(entry).is_none());
        let before = StoredResponse::tagged("b", at(SECOND, 4));
        assert!(purges.admit(before).is_none(), "the snapshot has ended it");
        let fetched = StoredResponse::tagged("b", at(SECOND, 5));
        assert!(purges.admit(fetched).is_some());
    });
}

#[test]
fn what_a_lease_that_ended_let_pass_was_asked_for_before() {
    explore(|| {
        let clock = Arc::new(SkippingBoottime::default());
        let lease = Arc::new(Lease::not_granted(clock));
        lease.extend(lease.uptime().after(Duration::from_secs(3600)));
        let purges = purges(Some(Arc::clone(&lease)));
        let entry = StoredResponse::tagged("a", at(FIRST, 0));
        let (reading, read) = (Arc::clone(&purges), Arc::clone(&entry));
        let reader = thread::spawn(move || {
            let _before_or_after = reading.admit(read);
        });
        lease.end();
        assert!(purges.admit(Arc::clone(&entry)).is_none());
        reader.join().unwrap();
        assert!(purges.admit(entry).is_none() && !purges.may_serve());
    });
}
