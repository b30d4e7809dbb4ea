//! The purge log that instances share, explored: every order in which things can happen, with
//! every fault, in a world that is small enough to be looked at whole. `docs/purge-log.md` tells
//! the protocol; each of its rules has a test here that leaves it out and shows what then happens.
//!
//! Larger worlds: `cargo test --release --test model -- --ignored --nocapture`. To read the
//! counter-examples: `cargo test --test model needed -- --nocapture`.

mod model {
    pub(crate) mod cache;
    pub(crate) mod explore;
    mod kept;
    mod larger;
    pub(crate) mod log;
    mod needed;
    pub(crate) mod rules;
    pub(crate) mod same;
    pub(crate) mod settle;
    pub(crate) mod split;
    pub(crate) mod state;
    pub(crate) mod steps;
    pub(crate) mod worlds;
}
