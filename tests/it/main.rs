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
    pub(crate) mod recording;
    pub(crate) mod script;
    pub(crate) mod short;
    pub(crate) mod signing;
    pub(crate) mod stage;
}

/// The least that must work: a miss, a hit, a purge.
mod first_light;

/// What real CMSs send, through routes as their operators would write them.
mod cms;
/// A purge cannot lose to a fetch.
mod fence;
/// One copy per language, over HTTP.
mod languages;
/// Nothing private is shared.
mod privacy;
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
/// Publish webhooks, from the signature to what readers get.
mod webhooks;
