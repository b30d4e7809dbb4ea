//! Header fields (RFC 9110 §5.5): their values parsed and written, and nothing else. One file a
//! field.

pub mod accept;
pub mod accept_encoding;
pub mod accept_language;
pub mod age;
pub mod cache_control;
pub mod cache_status;
pub mod conditional;
pub mod connection;
pub mod content_encoding;
pub mod content_language;
pub mod content_length;
pub mod cookie;
pub mod date;
pub mod entity_tag;
pub mod forwarded;
pub mod list;
pub mod media_type;
pub mod poisoning;
pub mod proxy_status;
pub mod range;
pub mod tags;
pub mod vary;
pub mod via;

/// Seconds that stand for "longer than anybody waits" (RFC 9111 §1.2.2).
pub const DELTA_MAX: u64 = 1 << 31;
