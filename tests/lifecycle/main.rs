//! The life of a process: reloads, upgrades, sockets that are handed over, what the service manager
//! hears, and the end. The real binary, under load that counts every request.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "../support"]
mod support {
    pub(crate) mod client;
    pub(crate) mod origin;
    pub(crate) mod script;
    pub(crate) mod stage;
}

mod edge;
mod load;

/// No client notices a reload or an upgrade.
mod lossless;
/// The service manager: what it is told, what it hands over.
mod manager;
/// What a reload changes, and what it leaves.
mod reload;
