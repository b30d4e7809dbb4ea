//! What threads share without a lock, from one place: `tests/interleave.rs` puts a model of it under the
//! very files that use it, and explores in which orders threads may see what the others do.

pub use std::sync::atomic::{AtomicU64, Ordering};

pub use arc_swap::{ArcSwap, Guard};
