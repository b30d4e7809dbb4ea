//! cms-edge: the edge cache for multilingual CMSs.
//!
//! The rooms in the order of their ranks; arrows go down only, and `tests/house.rs` holds the
//! house to it. ARCHITECTURE.md tells the way of a request through them.

pub mod admin;
pub mod body;
pub mod clock;
pub mod exchange;
pub mod purge;
pub mod telemetry;
