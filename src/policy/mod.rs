//! RFC 9111 as pure functions: no I/O, no clock, no log. One file per section.
//!
//! | section | question | function |
//! | --- | --- | --- |
//! | §3 | may this response be stored? | [`storability::assess`] |
//! | §3.3, §3.4 | what of incomplete responses? | [`partial`] |
//! | §4 | what answers this request? | [`reuse::decide`] |
//! | §4.2.1 | how long is it fresh? | [`freshness::lifetime`] |
//! | §4.2.2 | what if nobody said? | [`heuristic::lifetime`] |
//! | §4.2.3 | how old is it? | [`age::corrected_initial_age`] |
//! | §4.3 | how is it validated, and freshened? | [`validation`] |
//! | §4.4 | what does an unsafe request invalidate? | [`invalidation::invalidated`] |

pub mod age;
pub mod freshness;
pub mod heuristic;
pub mod invalidation;
pub mod partial;
pub mod posted;
pub mod reuse;
pub mod rule;
pub mod storability;
pub mod validation;

pub use self::rule::{CacheRule, Profile, StatusTtl, TtlMode};
