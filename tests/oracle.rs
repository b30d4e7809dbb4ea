//! What is decided about a request and a response, twice: by the product's functions, and by a model
//! that is written from the text of the RFCs and looks through all that ever happened. Random
//! sequences of requests, answers, purges, unsafe requests and time go through both, and whatever is
//! seen of them must be the same.
//!
//! `ORACLE_SEED=7 ORACLE_STEPS=50000 cargo test --test oracle` repeats a run. A difference is
//! printed with its seed and the fewest steps that show it.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod oracle {
    pub(crate) mod asked;
    pub(crate) mod compare;
    pub(crate) mod edge;
    pub(crate) mod generate;
    pub(crate) mod history;
    pub(crate) mod model;
    pub(crate) mod random;
    pub(crate) mod rules;
    pub(crate) mod script;
    pub(crate) mod terms;
    pub(crate) mod words;
}

use oracle::compare::{Bench, setting};
use oracle::rules::Rule;

const SEED: u64 = 9111;

/// Steps in which every rule that is left out of the model must be missed.
const MISSED_WITHIN: u64 = 1_000_000;

#[test]
fn the_product_and_the_model_decide_alike() {
    let (seed, steps) = (
        setting("ORACLE_SEED", SEED),
        setting("ORACLE_STEPS", 200_000),
    );
    let difference = Bench::new().run(seed, steps, None);
    assert!(difference.is_none(), "{}", difference.unwrap());
}

#[test]
#[ignore = "takes minutes"]
fn the_product_and_the_model_decide_alike_for_a_million_steps() {
    let (seed, steps) = (
        setting("ORACLE_SEED", SEED + 1),
        setting("ORACLE_STEPS", 1_000_000),
    );
    let difference = Bench::new().run(seed, steps, None);
    assert!(difference.is_none(), "{}", difference.unwrap());
}

#[test]
fn a_model_without_one_of_its_rules_is_told_from_the_product() {
    let bench = Bench::new();
    let unnoticed = |rule: &&Rule| bench.run(SEED, MISSED_WITHIN, Some(**rule)).is_none();
    let unnoticed: Vec<&Rule> = Rule::ALL.iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
}
