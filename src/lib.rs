//! cms-edge: the edge cache for multilingual CMSs.
//!
//! The rooms in the order of their ranks; arrows go down only, and `tests/house.rs` holds the
//! house to it. ARCHITECTURE.md tells the way of a request through them.

pub mod atomics;
pub mod budget;
pub mod clock;
pub mod connection;
pub mod exchange;
pub mod fields;
pub mod interim;
pub mod lease;
pub mod locks;
pub mod sabotage;

pub mod body;
pub mod telemetry;
pub mod tunnel;

pub mod outage;
pub mod switches;

pub mod key;
pub mod policy;
pub mod route;

pub mod entry;

pub mod fetch;
pub mod respond;
pub mod store;
pub mod transform;

pub mod purge;

pub mod admin;
pub mod proxy;

pub mod server;

pub mod config;

pub mod app;
pub mod demo;
pub mod drill;
pub mod health;
pub mod run;

pub mod cli;
