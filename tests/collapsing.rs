//! One fetch for all instances: several of them, in this process and as programs of their own, on
//! a real redis-server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod program;
    pub(crate) mod redis_server;
    pub(crate) mod stage;
}

#[path = "collapsing"]
mod collapsing {
    /// Programs and their crowd of clients.
    pub(crate) mod fleet;
    /// Leaders that die, a Redis that does.
    mod killed;
    /// What cannot be shared makes nobody wait.
    mod not_shared;
    /// Purges that come on the way.
    mod purged;
    /// One request at the origin.
    mod together;
}
