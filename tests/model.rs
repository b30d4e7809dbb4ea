//! The purge log that instances share, explored: every order in which things can happen, with
//! every fault, in a world that is small enough to be looked at whole. `docs/purge-log.md` tells
//! the protocol; each of its rules has a test here that leaves it out and shows what then happens.
//!
//! Larger worlds: `cargo test --release --test model -- --ignored --nocapture`. To read the
//! counter-examples: `cargo test --test model is_needed -- --nocapture`.

mod model {
    pub(crate) mod cache;
    pub(crate) mod explore;
    pub(crate) mod log;
    pub(crate) mod rules;
    pub(crate) mod same;
    pub(crate) mod settle;
    pub(crate) mod split;
    pub(crate) mod state;
    pub(crate) mod steps;
}

use model::explore::explore;
use model::rules::{Faults, Rule, World};

const NONE: Faults = Faults {
    failovers: 0,
    splits: 0,
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

/// Without `rule` a promise is broken in `world`.
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

/// Without `rule` all is as well as with it.
fn assert_superfluous(rule: Rule, world: World) {
    let explored = explore(&world.without(rule), usize::MAX, true);
    let explored = explored.unwrap_or_else(|| panic!("{rule:?}: not explored whole"));
    println!(
        "without {rule:?}: {} states, and all is well",
        explored.states
    );
    assert!(
        explored.violation.is_none(),
        "without {rule:?}: {:?}",
        explored.violation
    );
}

/// More than any counter-example takes.
const STATES_MAX: usize = 3_000_000;

const fn small(faults: Faults) -> World {
    World {
        faults,
        ..World::small()
    }
}

/// A soft purge, and a look at whether fences ever go back.
const SOFT: World = World {
    hard: 0,
    soft: 1,
    fetches: 2,
    monotone: true,
    ..World::small()
};

/// Clocks that lose a tick in a lease, which is a tick shorter for it.
const DRIFT: World = World {
    gone: 2,
    drift: true,
    ..World::small()
};

const COARSE: World = World {
    coarse_validators: true,
    ..World::small()
};

const SPLIT: World = World {
    split: 1,
    faults: Faults { splits: 1, ..NONE },
    ..World::small()
};

// What is kept, whatever happens.

#[test]
fn no_order_of_events_breaks_a_promise() {
    assert_kept("no fault", TWO);
}

#[test]
fn no_failover_breaks_a_promise() {
    assert_kept(
        "failover",
        World {
            faults: FAILOVER,
            ..TWO
        },
    );
}

#[test]
fn no_flush_breaks_a_promise() {
    assert_kept(
        "flush",
        World {
            faults: FLUSH,
            ..TWO
        },
    );
}

#[test]
fn no_trim_breaks_a_promise() {
    assert_kept(
        "trim",
        World {
            faults: TRIM,
            ..TWO
        },
    );
}

#[test]
fn no_restart_breaks_a_promise() {
    assert_kept(
        "restart",
        World {
            faults: KILL,
            ..TWO
        },
    );
}

#[test]
fn no_late_joiner_breaks_a_promise() {
    assert_kept(
        "late joiner",
        World {
            late: 1,
            hard: 2,
            ..World::small()
        },
    );
}

#[test]
fn no_slow_clock_breaks_a_promise() {
    assert_kept("slow clock", DRIFT);
}

#[test]
fn no_coarse_validator_breaks_a_promise() {
    assert_kept(
        "coarse validator",
        World {
            fetches: 2,
            ..COARSE
        },
    );
}

#[test]
fn fences_do_not_go_back() {
    assert_kept("soft purge", SOFT);
    assert_kept(
        "soft purge, no memory",
        World {
            memory: false,
            ..SOFT
        },
    );
}

#[test]
fn no_second_master_breaks_a_promise() {
    assert_kept(
        "two masters",
        World {
            fetches: 0,
            ..SPLIT
        },
    );
}

// What each rule is for.

#[test]
fn the_fence_is_read_before_the_request_leaves() {
    assert_needed(Rule::FenceBeforeFetch, World::small());
}

#[test]
fn generation_and_position_are_read_in_one_piece() {
    assert_needed(
        Rule::FenceInOnePiece,
        World {
            instances: 1,
            hard: 2,
            ..small(FLUSH)
        },
    );
}

#[test]
fn a_304_has_the_fence_of_its_own_exchange() {
    assert_needed(Rule::ValidatingFence, World::small());
}

#[test]
fn what_was_purged_is_not_validated() {
    assert_needed(Rule::UnconditionalAfterPurge, COARSE);
}

#[test]
fn without_a_lease_nothing_is_validated() {
    assert_needed(Rule::UnconditionalWhileFenced, COARSE);
}

#[test]
fn memory_compares_and_sets() {
    assert_needed(Rule::MemoryCompareAndSet, SOFT);
}

#[test]
fn redis_compares_and_sets() {
    assert_needed(
        Rule::SharedCompareAndSet,
        World {
            memory: false,
            ..SOFT
        },
    );
}

#[test]
fn values_of_another_generation_are_not_served() {
    assert_needed(Rule::ValuesOfThisGeneration, small(FAILOVER));
}

#[test]
fn another_generation_fences_an_instance() {
    assert_needed(
        Rule::RecordsOfThisGeneration,
        World {
            hard: 2,
            ..small(FLUSH)
        },
    );
}

#[test]
fn another_predecessor_fences_an_instance() {
    assert_needed(
        Rule::Predecessor,
        World {
            keys: 2,
            hard: 2,
            ..small(TRIM)
        },
    );
}

#[test]
fn another_server_begins_a_new_generation() {
    assert_needed(Rule::ServerIdentity, small(FAILOVER));
}

#[test]
fn each_hit_asks_for_the_lease() {
    assert_needed(Rule::LeaseAtHit, World::small());
}

#[test]
fn a_lease_runs_from_the_sending() {
    assert_needed(Rule::LeaseFromSending, World::small());
}

#[test]
fn nobody_is_gone_before_their_lease_has_run_out() {
    assert_needed(Rule::GoneAfterLease, DRIFT);
}

#[test]
fn the_clock_runs_through_suspension() {
    assert_needed(Rule::ClockRunsOn, World::small());
}

#[test]
fn each_process_has_a_lease_of_its_own() {
    assert_needed(Rule::OneProcessOneLease, World::small());
}

#[test]
fn a_receipt_waits_for_all_who_are_registered() {
    assert_needed(Rule::ReceiptWaits, World::small());
}

#[test]
fn a_new_generation_gives_no_receipt_at_once() {
    assert_needed(Rule::Quarantine, small(FLUSH));
}

#[test]
fn a_record_is_acknowledged_after_it_was_applied() {
    assert_needed(Rule::AcknowledgeAfterApplying, World::small());
}

#[test]
fn own_records_are_applied_in_order_too() {
    assert_needed(Rule::Contiguous, TWO);
}

#[test]
fn a_joiner_reads_the_log_before_it_serves() {
    assert_needed(Rule::JoinerReads, small(KILL));
}

#[test]
fn a_joiner_takes_over_the_snapshot() {
    assert_needed(Rule::SnapshotMerged, small(KILL));
}

#[test]
fn the_head_is_read_before_the_snapshot() {
    assert_needed(Rule::HeadFirst, small(KILL));
}

#[test]
fn a_joiner_catches_up_with_its_registration() {
    assert_needed(Rule::CatchUp, World::small());
}

#[test]
fn the_registration_remembers_the_head() {
    assert_needed(Rule::CatchUpRemembered, World::small());
}

#[test]
fn no_flight_is_joined_across_a_purge() {
    assert_needed(Rule::FlightsEndAtPurges, World::small());
}

#[test]
fn no_flight_is_joined_without_a_lease() {
    assert_needed(Rule::FlightsNeedLease, World::small());
}

#[test]
fn no_fence_is_taken_while_another_master_lives() {
    assert_needed(
        Rule::WaitOutTheOther,
        World {
            instances: 1,
            ..SPLIT
        },
    );
}

#[test]
fn the_quarantine_outlasts_another_master() {
    assert_needed(
        Rule::QuarantineOutlastsTheOther,
        World {
            split: 2,
            fetches: 0,
            ..SPLIT
        },
    );
}

#[test]
fn a_lost_purge_is_appended_again() {
    let explored = explore(&SPLIT.without(Rule::AppendAgain), STATES_MAX, true);
    let violation = explored.and_then(|explored| explored.violation);
    println!("without AppendAgain: {violation:?}");
    assert!(violation.is_some_and(|violation| violation.what.contains("get back")));
}

// What seemed to be a rule.

#[test]
fn a_restart_may_keep_its_memory() {
    assert_superfluous(Rule::RestartForgets, small(KILL));
}

#[test]
fn a_lease_may_outlast_its_generation() {
    assert_superfluous(Rule::LeaseAnew, small(FLUSH));
}

// Larger worlds, for an optimised build.

#[test]
#[ignore = "takes minutes"]
fn large_worlds_with_two_instances() {
    for (name, faults) in [
        ("no fault", NONE),
        ("failover", FAILOVER),
        ("flush", FLUSH),
        ("trim", TRIM),
        ("restart", KILL),
    ] {
        assert_kept(
            name,
            World {
                fetches: 2,
                faults,
                ..TWO
            },
        );
    }
}

#[test]
#[ignore = "takes minutes"]
fn large_worlds_with_three_instances() {
    let larger = World {
        instances: 3,
        hard: 2,
        ..World::small()
    };
    for (name, faults) in [
        ("three, two purges, failover", FAILOVER),
        ("three, two purges, flush", FLUSH),
        ("three, two purges, restart", KILL),
    ] {
        assert_kept(name, World { faults, ..larger });
    }
    let three = World {
        instances: 3,
        ..World::small()
    };
    for (name, faults) in [
        ("three, no fault", NONE),
        ("three, failover", FAILOVER),
        ("three, flush", FLUSH),
        ("three, restart", KILL),
    ] {
        assert_kept(name, World { faults, ..three });
    }
    let trim = World {
        hard: 2,
        fetches: 0,
        faults: TRIM,
        ..three
    };
    assert_kept("three, two purges, trim", trim);
    assert_kept(
        "three, two keys",
        World {
            keys: 2,
            hard: 2,
            ..three
        },
    );
}

#[test]
#[ignore = "takes minutes"]
fn large_worlds_with_other_faults() {
    assert_kept("three purges", World { hard: 3, ..TWO });
    assert_kept(
        "hard and soft, failover",
        World {
            hard: 1,
            soft: 1,
            faults: FAILOVER,
            ..TWO
        },
    );
    let twice = Faults {
        kills: 1,
        ..FAILOVER
    };
    assert_kept(
        "failover and restart",
        World {
            hard: 2,
            faults: twice,
            ..World::small()
        },
    );
    let twice = Faults {
        flushes: 1,
        ..FAILOVER
    };
    assert_kept(
        "failover and flush",
        World {
            hard: 2,
            faults: twice,
            ..World::small()
        },
    );
    assert_kept(
        "longer lease, failover",
        World {
            lease: 2,
            gone: 2,
            ..small(FAILOVER)
        },
    );
    assert_kept(
        "slow clocks, flush",
        World {
            lease: 1,
            gone: 2,
            drift: true,
            ..small(FLUSH)
        },
    );
    assert_kept("two masters", SPLIT);
    assert_kept(
        "two masters, longer",
        World {
            split: 2,
            lease: 2,
            gone: 2,
            ..SPLIT
        },
    );
}

/// States are told apart only by what can matter. Here they are told apart by everything.
#[test]
#[ignore = "takes minutes"]
fn worlds_looked_at_in_full() {
    for faults in [FAILOVER, FLUSH, TRIM] {
        assert_superfluous(Rule::RestartForgets, small(faults));
    }
}
