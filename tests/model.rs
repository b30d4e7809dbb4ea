//! tmp

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

#[test]
fn sizes() {
    let f = Faults::default();
    let base = World {
        keys: 2,
        hard: 2,
        fetches: 2,
        ..World::small()
    };
    for (name, world) in [
        ("plain", base),
        (
            "failover",
            World {
                faults: Faults { failovers: 1, ..f },
                ..base
            },
        ),
        (
            "flush",
            World {
                faults: Faults { flushes: 1, ..f },
                ..base
            },
        ),
        (
            "trim",
            World {
                faults: Faults { trims: 1, ..f },
                ..base
            },
        ),
        (
            "kill",
            World {
                faults: Faults { kills: 1, ..f },
                ..base
            },
        ),
    ] {
        let t = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let e = explore(&world, 3_000_000, true);
        let d = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - t.unwrap();
        println!("{name}: {e:?} {d:?}");
    }
}
