//! The Redis tier on real servers, which the tests start: `apt-get install redis-server`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod program;
    pub(crate) mod redis_server;
    pub(crate) mod redis_topology;
    pub(crate) mod stage;
}

/// A tier, its servers, and responses to put into it.
#[path = "redis/bench.rs"]
mod bench;
/// Who fetches for all.
#[path = "redis/claims.rs"]
mod claims;
/// Clocks differ.
#[path = "redis/clocks.rs"]
mod clocks;
/// Redis fails in each way while readers read on.
#[path = "redis/degradation.rs"]
mod degradation;
/// `cms-edge demo --redis URL`.
#[path = "redis/demo.rs"]
mod demo;
/// An operator takes Redis away.
#[path = "redis/drill.rs"]
mod drill;
/// The same over TLS.
#[path = "redis/drill_tls.rs"]
mod drill_tls;
/// Redis stops, dies, comes back, and is full.
#[path = "redis/failing.rs"]
mod failing;
/// Nobody asks for anything.
#[path = "redis/idle.rs"]
mod idle;
/// Whole instances that share a Redis.
#[path = "redis/instances.rs"]
mod instances;
/// Large values on a slow network.
#[path = "redis/large.rs"]
mod large;
/// A cluster that is changed.
#[path = "redis/moving.rs"]
mod moving;
/// What is stored for several URLs.
#[path = "redis/no_vary_search.rs"]
mod no_vary_search;
/// Many readers at a steady pace.
#[path = "redis/readers.rs"]
mod readers;
/// What is put is found, by whom it is for.
#[path = "redis/sharing.rs"]
mod sharing;
/// What was superseded, when what supersedes it is purged.
#[path = "redis/superseded.rs"]
mod superseded;
/// TLS, users, sockets, Sentinels, clusters.
#[path = "redis/topology.rs"]
mod topology;
/// Nothing is believed that is read.
#[path = "redis/trust.rs"]
mod trust;
