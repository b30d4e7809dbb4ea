//! The shared purge log: several instances and a real redis-server, which dies, hangs, forgets and
//! comes back.

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
    pub(crate) mod redis_topology;
    pub(crate) mod signing;
    pub(crate) mod stage;
}

#[path = "purge_log"]
mod purge_log {
    mod disk;
    pub(crate) mod edge;
    mod failing;
    mod instances;
    mod odds;
    mod processes;
    mod recall;
    mod receipts;
    mod size;
    mod spool;
    mod topology;
}
