//! Worlds that are looked at, and what is held of them.

use super::explore::explore;
use super::rules::{Faults, Rule, World};

pub(crate) const NONE: Faults = Faults {
    failovers: 0,
    splits: 0,
    flushes: 0,
    trims: 0,
    kills: 0,
};
pub(crate) const FAILOVER: Faults = Faults {
    failovers: 1,
    ..NONE
};
pub(crate) const FLUSH: Faults = Faults { flushes: 1, ..NONE };
pub(crate) const TRIM: Faults = Faults { trims: 1, ..NONE };
pub(crate) const KILL: Faults = Faults { kills: 1, ..NONE };

/// Two instances, two keys, two purges, one exchange with the origin.
pub(crate) const TWO: World = World {
    keys: 2,
    hard: 2,
    ..World::small()
};

/// Nothing that can happen in `world` breaks a promise, and whatever has happened, all get back
/// to serving hits.
pub(crate) fn assert_kept(name: &str, world: World) {
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
pub(crate) fn assert_needed(rule: Rule, world: World) {
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
pub(crate) fn assert_superfluous(rule: Rule, world: World) {
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
pub(crate) const STATES_MAX: usize = 3_000_000;

pub(crate) const fn small(faults: Faults) -> World {
    World {
        faults,
        ..World::small()
    }
}

/// A soft purge, and a look at whether fences ever go back.
pub(crate) const SOFT: World = World {
    hard: 0,
    soft: 1,
    fetches: 2,
    monotone: true,
    ..World::small()
};

/// Clocks that lose a tick in a lease, which is a tick shorter for it.
pub(crate) const DRIFT: World = World {
    gone: 2,
    drift: true,
    ..World::small()
};

pub(crate) const COARSE: World = World {
    coarse_validators: true,
    ..World::small()
};

pub(crate) const SPLIT: World = World {
    split: 1,
    faults: Faults { splits: 1, ..NONE },
    ..World::small()
};
