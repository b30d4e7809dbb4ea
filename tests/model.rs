//! The purge log that instances share, explored: every order in which things can happen, with
//! every fault, in a world that is small enough to be looked at whole. `docs/purge-log.md` tells
//! the protocol; each of its rules has a test here that leaves it out and shows what then happens.
//!
//! Larger worlds: `cargo test --release --test model -- --ignored --nocapture`. To read the
//! counter-examples: `cargo test --test model is_needed -- --nocapture`.

mod model {
    pub mod cache;
    pub mod explore;
    pub mod log;
    pub mod rules;
    pub mod same;
    pub mod settle;
    pub mod state;
    pub mod steps;
}

use model::explore::explore;
use model::rules::{Faults, Rule, World};

const NONE: Faults = Faults {
    failovers: 0,
    flushes: 0,
    trims: 0,
    kills: 0,
};
const FAILOVER: Faults = Faults {
    failovers: 1,
    ..NONE
};
const FLUSH: Faults = Faults { flushes: 1, ..NONE };
const TRIM: Faults = Faults { trims: 1, ..NONE };
const KILL: Faults = Faults { kills: 1, ..NONE };

/// Two instances, two keys, two purges, one exchange with the origin.
const TWO: World = World {
    keys: 2,
    hard: 2,
    ..World::small()
};

/// Nothing that can happen in `world` breaks a promise, and whatever has happened, all get back
/// to serving hits.
fn assert_kept(name: &str, world: World) {
    let explored = explore(&world, usize::MAX, true);
    let explored = explored.unwrap_or_else(|| panic!("{name}: not explored whole"));
    println!(
        "{name}: {} states, {} steps deep",
        explored.states, explored.depth
    );
    assert!(
        explored.violation.is_none(),
        "{name}: {:?}",
        explored.violation
    );
}

/// Without `rule` a promise is broken in `world`, and with it it is kept.
fn assert_needed(rule: Rule, world: World) {
    let explored = explore(&world.without(rule), STATES_MAX, false);
    let explored = explored.unwrap_or_else(|| panic!("{rule:?}: not explored whole"));
    let violation = explored
        .violation
        .unwrap_or_else(|| panic!("without {rule:?} all is well in {} states", explored.states));
    println!(
        "without {rule:?}, after {} states: {violation:?}",
        explored.states
    );
}

const STATES_MAX: usize = 3_000_000;

fn faults(faults: Faults) -> World {
    World {
        faults,
        ..World::small()
    }
}

#[test]
fn fence_before_fetch_is_needed() {
    assert_needed(Rule::FenceBeforeFetch, World::small());
}
#[test]
fn fence_in_one_piece_is_needed() {
    assert_needed(
        Rule::FenceInOnePiece,
        World {
            hard: 2,
            ..faults(FLUSH)
        },
    );
}
#[test]
fn validating_fence_is_needed() {
    assert_needed(Rule::ValidatingFence, World::small());
}
#[test]
fn unconditional_after_purge_is_needed() {
    assert_needed(
        Rule::UnconditionalAfterPurge,
        World {
            coarse_validators: true,
            ..World::small()
        },
    );
}
#[test]
fn unconditional_while_fenced_is_needed() {
    assert_needed(
        Rule::UnconditionalWhileFenced,
        World {
            coarse_validators: true,
            ..World::small()
        },
    );
}
#[test]
fn memory_cas_is_needed() {
    assert_needed(
        Rule::MemoryCompareAndSet,
        World {
            hard: 0,
            soft: 1,
            fetches: 2,
            monotone: true,
            ..World::small()
        },
    );
}
#[test]
fn shared_cas_is_needed() {
    assert_needed(
        Rule::SharedCompareAndSet,
        World {
            hard: 0,
            soft: 1,
            fetches: 2,
            memory: false,
            monotone: true,
            ..World::small()
        },
    );
}
#[test]
fn values_gen_is_needed() {
    assert_needed(Rule::ValuesOfThisGeneration, faults(FAILOVER));
}
#[test]
fn records_gen_is_needed() {
    assert_needed(
        Rule::RecordsOfThisGeneration,
        World {
            hard: 2,
            ..faults(FLUSH)
        },
    );
}
#[test]
fn predecessor_is_needed() {
    assert_needed(
        Rule::Predecessor,
        World {
            keys: 2,
            hard: 2,
            ..faults(TRIM)
        },
    );
}
#[test]
fn identity_is_needed() {
    assert_needed(Rule::ServerIdentity, faults(FAILOVER));
}
#[test]
fn lease_at_hit_is_needed() {
    assert_needed(Rule::LeaseAtHit, World::small());
}
#[test]
fn lease_from_sending_is_needed() {
    assert_needed(Rule::LeaseFromSending, World::small());
}
#[test]
fn gone_after_lease_is_needed() {
    assert_needed(Rule::GoneAfterLease, World::small());
}
#[test]
fn clock_is_needed() {
    assert_needed(Rule::ClockRunsOn, World::small());
}
#[test]
fn one_process_is_needed() {
    assert_needed(Rule::OneProcessOneLease, World::small());
}
#[test]
fn receipt_waits_is_needed() {
    assert_needed(Rule::ReceiptWaits, World::small());
}
#[test]
fn quarantine_is_needed() {
    assert_needed(Rule::Quarantine, faults(FLUSH));
}
#[test]
fn ack_is_needed() {
    assert_needed(Rule::AcknowledgeAfterApplying, World::small());
}
#[test]
fn contiguous_is_needed() {
    assert_needed(
        Rule::Contiguous,
        World {
            keys: 2,
            hard: 2,
            ..World::small()
        },
    );
}
#[test]
fn joiner_reads_is_needed() {
    assert_needed(Rule::JoinerReads, faults(KILL));
}
#[test]
fn snapshot_is_needed() {
    assert_needed(Rule::SnapshotMerged, faults(KILL));
}
#[test]
fn head_first_is_needed() {
    assert_needed(Rule::HeadFirst, faults(KILL));
}
#[test]
fn catch_up_is_needed() {
    assert_needed(Rule::CatchUp, faults(KILL));
}
#[test]
fn catch_up_remembered_is_needed() {
    assert_needed(Rule::CatchUpRemembered, World::small());
}
#[test]
fn lease_anew_is_needed() {
    assert_needed(
        Rule::LeaseAnew,
        World {
            hard: 2,
            ..faults(FLUSH)
        },
    );
}
#[test]
fn flights_purges_is_needed() {
    assert_needed(Rule::FlightsEndAtPurges, World::small());
}
#[test]
fn flights_lease_is_needed() {
    assert_needed(Rule::FlightsNeedLease, World::small());
}
#[test]
fn restart_is_needed() {
    assert_needed(
        Rule::RestartForgets,
        World {
            fetches: 2,
            hard: 2,
            ..faults(KILL)
        },
    );
}

#[test]
fn small_kept() {
    for f in [NONE, FAILOVER, FLUSH, TRIM, KILL] {
        let t = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        assert_kept("two", World { faults: f, ..TWO });
        println!(
            "{:?}",
            std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - t
        );
    }
}
