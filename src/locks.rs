//! What threads lock and wait on, from one place: as with `atomics.rs`, `tests/interleave.rs` puts a model
//! of it under the very files that use it.

pub use parking_lot::Mutex;
pub use tokio::sync::watch;
