//! What each rule is for: without it a promise is broken. And what seemed to be a rule.

use super::explore::explore;
use super::rules::{Rule, World};
use super::worlds::{
    COARSE, DRIFT, FAILOVER, FLUSH, KILL, SOFT, SPLIT, STATES_MAX, TRIM, TWO, assert_needed,
    assert_superfluous, small,
};

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

#[test]
fn a_restart_may_keep_its_memory() {
    assert_superfluous(Rule::RestartForgets, small(KILL));
}

#[test]
fn a_lease_may_outlast_its_generation() {
    assert_superfluous(Rule::LeaseAnew, small(FLUSH));
}
