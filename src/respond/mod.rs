//! Response heads: what clients are sent of an origin's fields, responses from the store, and
//! those made here. Pure.

pub mod head;
pub mod partial;
pub mod stored;
pub mod synthetic;

/// The pseudonym in `Via` and `Cache-Status`.
pub const NAME: &str = "cms-edge";
