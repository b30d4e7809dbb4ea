//! What the program says about itself. A sink at the bottom of the house: it calls nobody.

pub mod access_log;
pub mod budget;
pub mod cache;
pub mod claims;
pub mod histogram;
pub mod lifecycle;
mod log_target;
pub mod origin;
pub mod origin_pool;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod process;
pub mod purge;
pub mod purge_log;
pub mod redact;
pub mod redis;
pub mod request_id;
pub mod server;
pub mod servers;
pub mod trace;
pub mod transform;
pub mod upgrade;
