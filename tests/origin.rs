//! The way to the origin servers, over real sockets: reuse, balance, retries, deadlines, limits.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[path = "support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod origin;
    pub(crate) mod upstream;
}

/// Several servers, and servers that cannot be reached.
#[path = "origin/balance.rs"]
mod balance;
/// The circuit breaker.
#[path = "origin/breaker.rs"]
mod breaker;
/// Health checks.
#[path = "origin/checks.rs"]
mod checks;
/// Content of requests and responses, whole and broken off.
#[path = "origin/content.rs"]
mod content;
/// Every wait has an end.
#[path = "origin/deadlines.rs"]
mod deadlines;
/// The name that the origin is told.
#[path = "origin/host.rs"]
mod host;
/// How much runs and waits at a time.
#[path = "origin/limits.rs"]
mod limits;
/// Connections that are used again, or dead when they should be.
#[path = "origin/reuse.rs"]
mod reuse;
/// Weights, ejection, the retry budget.
#[path = "origin/servers.rs"]
mod servers;
/// Settings that cannot work.
#[path = "origin/setup.rs"]
mod setup;
/// What is asked of an upstream, and of what kind its origins are.
#[path = "origin/stage.rs"]
mod stage;
/// Whose certificate is believed.
#[path = "origin/tls.rs"]
mod tls;
