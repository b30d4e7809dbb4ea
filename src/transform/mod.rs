//! Content codings: whole representations for the store, and streams for clients.

pub mod coder;
pub mod derive;
pub mod stream;

pub use self::derive::{Deriver, NotDerived};
