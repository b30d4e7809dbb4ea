//! What is kept, whatever happens.

use super::rules::World;
use super::worlds::{COARSE, DRIFT, FAILOVER, FLUSH, KILL, SOFT, SPLIT, TRIM, TWO, assert_kept};

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
