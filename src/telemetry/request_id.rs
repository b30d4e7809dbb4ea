//! Request ids: unique without a random number for each.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes ids of 24 hexadecimal digits: eight that name this process, sixteen that count.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        // Without randomness the ids are unique in this process only, which the log survives.
        Self {
            process: getrandom::u32().unwrap_or_default(),
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    pub fn next(&self) -> RequestId {
        RequestId {
            process: self.process,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// One request's id; formatted only where it is shown.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    process: u32,
    number: u64,
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}{:016x}", self.process, self.number)
    }
}
