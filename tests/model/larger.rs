//! Larger worlds, for an optimised build.

use super::rules::{Faults, Rule, World};
use super::worlds::{
    FAILOVER, FLUSH, KILL, NONE, SPLIT, TRIM, TWO, assert_kept, assert_superfluous, small,
};

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
