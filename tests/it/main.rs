//! The whole program on real sockets, one file a subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "../support"]
mod support {
    pub(crate) mod decode;
    pub(crate) mod origin;
    pub(crate) mod script;
    pub(crate) mod short;
    pub(crate) mod stage;
}

/// The least that must work: a miss, a hit, a purge.
mod first_light;

/// A purge cannot lose to a fetch.
mod fence;
/// Many publish and read at once: a history without an older version after a receipt.
mod publishing;
/// Purges by the admin API and by method.
mod purging;
/// How long what is stored answers, and what a client is told about it.
mod reuse;
/// Stale responses: while they are validated, and when the origin fails.
mod stale;
/// Conditional requests to the origin, and what its answers make of a stored response.
mod validation;
/// Which request fields make another copy.
mod vary;
