//! What the program says about itself. A sink at the bottom of the house: it calls nobody.

pub mod access_log;
pub mod cache;
pub mod origin;
pub mod purge;
pub mod redis;
pub mod request_id;
pub mod server;
pub mod upgrade;
