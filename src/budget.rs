//! The memory that work in progress may take: counted where it is taken, given back where it is
//! let go.
//!
//! Counted are estimates of what a stranger can make the process hold: what each connection costs
//! by itself, the heads of requests in flight and the pieces of responses that a connection holds,
//! the buffers of exchanges with an origin, the content of fills, and what their clients have not
//! taken yet. Not counted are stored responses, which have a bound of their own, and what does not
//! grow with the load. Nothing waits here: those who take ask for the [`Pressure`] first and do
//! less under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one open connection is taken to cost, in bytes: its task, its buffers, its TLS session.
pub const CONNECTION_BYTES: u64 = 16 * 1024;

/// What the buffers of one exchange with an origin are taken to cost, in bytes.
pub const EXCHANGE_BYTES: u64 = 64 * 1024;

/// What memory is taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Use {
    /// Connections of clients, [`CONNECTION_BYTES`] each.
    Connections,
    /// What connections hold beyond that: heads of requests, pieces of responses.
    Held,
    /// Exchanges with an origin, [`EXCHANGE_BYTES`] each.
    Exchanges,
    /// Content that is collected for the store.
    Fills,
    /// Content that a fill has brought and its client has not taken.
    Responses,
}

impl Use {
    pub const ALL: [Self; 5] = [
        Self::Connections,
        Self::Held,
        Self::Exchanges,
        Self::Fills,
        Self::Responses,
    ];

    /// The value of the label `use`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Held => "held",
            Self::Exchanges => "exchanges",
            Self::Fills => "fills",
            Self::Responses => "responses",
        }
    }
}

/// What was not done for want of memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Shed {
    /// A miss was answered with what is stale.
    Stale,
    /// A miss was passed on without being stored.
    Unstored,
    /// A stale answer was not validated in the background.
    Validation,
    /// A fill that had begun was not stored.
    Fill,
    /// A request was answered 503.
    Request,
    /// A connection was closed as soon as it was accepted.
    Connection,
}

impl Shed {
    pub const ALL: [Self; 6] = [
        Self::Stale,
        Self::Unstored,
        Self::Validation,
        Self::Fill,
        Self::Request,
        Self::Connection,
    ];

    /// The value of the label `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Unstored => "unstored",
            Self::Validation => "validation",
            Self::Fill => "fill",
            Self::Request => "request",
            Self::Connection => "connection",
        }
    }
}

/// How much room is left.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pressure {
    /// Enough.
    Low,
    /// Three quarters are taken: nothing more is collected for the store.
    Soft,
    /// All is taken: nothing is done that takes more.
    Hard,
}

/// What may be taken, and what is taken now.
#[derive(Debug)]
pub struct Budget {
    max: u64,
    total: AtomicU64,
    uses: [AtomicU64; Use::ALL.len()],
    shed: [AtomicU64; Shed::ALL.len()],
}

impl Budget {
    /// `max` in bytes.
    pub fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            max,
            total: AtomicU64::new(0),
            uses: Default::default(),
            shed: Default::default(),
        })
    }

    /// One that is never used up.
    pub fn unbounded() -> Arc<Self> {
        Self::new(u64::MAX)
    }

    pub const fn max(&self) -> u64 {
        self.max
    }

    pub fn pressure(&self) -> Pressure {
        let total = self.total.load(Relaxed);
        if total >= self.max {
            Pressure::Hard
        } else if total >= self.max / 4 * 3 {
            Pressure::Soft
        } else {
            Pressure::Low
        }
    }

    /// Bytes that are taken for `what`.
    pub fn used(&self, what: Use) -> u64 {
        self.uses
            .get(what as usize)
            .map_or(0, |used| used.load(Relaxed))
    }

    /// Something was not done.
    pub fn shed(&self, kind: Shed) {
        if let Some(count) = self.shed.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How often something was not done.
    pub fn shed_count(&self, kind: Shed) -> u64 {
        self.shed
            .get(kind as usize)
            .map_or(0, |count| count.load(Relaxed))
    }

    /// Takes `bytes` until what is returned is dropped. Always succeeds.
    pub fn take(self: &Arc<Self>, what: Use, bytes: u64) -> Charge {
        let mut charge = Charge {
            budget: Arc::clone(self),
            what,
            bytes: 0,
        };
        charge.add(bytes);
        charge
    }

    fn add(&self, what: Use, bytes: u64) {
        if let Some(used) = self.uses.get(what as usize) {
            used.fetch_add(bytes, Relaxed);
            self.total.fetch_add(bytes, Relaxed);
        }
    }

    fn give_back(&self, what: Use, bytes: u64) {
        if let Some(used) = self.uses.get(what as usize) {
            used.fetch_sub(bytes, Relaxed);
            self.total.fetch_sub(bytes, Relaxed);
        }
    }
}

/// Bytes that are taken; given back when it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    what: Use,
    bytes: u64,
}

impl Charge {
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.budget.add(self.what, bytes);
    }

    /// Gives `bytes` back, at most what is taken.
    pub fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.give_back(self.what, bytes);
    }

    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// Bytes that several take together, and that follow what is really held from a distance.
#[derive(Debug)]
pub struct SharedCharge {
    budget: Arc<Budget>,
    what: Use,
    bytes: AtomicU64,
}

impl SharedCharge {
    /// Nothing is taken yet.
    pub const fn new(budget: Arc<Budget>, what: Use) -> Self {
        Self {
            budget,
            what,
            bytes: AtomicU64::new(0),
        }
    }

    /// Bytes that are taken.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Takes exactly `bytes` from now on.
    pub fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Relaxed);
        if bytes > before {
            self.budget.add(self.what, bytes - before);
        } else {
            self.budget.give_back(self.what, before - bytes);
        }
    }
}

impl Drop for SharedCharge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let budget = Budget::new(100);
        let mut charge = budget.take(Use::Fills, 10);
        charge.add(20);
        charge.give_back(5);
        assert_eq!(budget.used(Use::Fills), 25);
        charge.give_back(500);
        assert_eq!(budget.used(Use::Fills), 0);
        charge.add(7);
        drop(charge);
        let shared = SharedCharge::new(Arc::clone(&budget), Use::Held);
        shared.set(9);
        shared.set(4);
        assert_eq!(budget.used(Use::Held), 4);
        drop(shared);
        assert!(Use::ALL.iter().all(|what| budget.used(*what) == 0));
        assert_eq!(budget.pressure(), Pressure::Low);
    }

    #[test]
    fn pressure_rises_with_the_sum_of_all_uses() {
        let budget = Budget::new(100);
        let _a = budget.take(Use::Connections, 74);
        assert_eq!(budget.pressure(), Pressure::Low);
        let _b = budget.take(Use::Exchanges, 1);
        assert_eq!(budget.pressure(), Pressure::Soft);
        let c = budget.take(Use::Responses, 25);
        assert_eq!(budget.pressure(), Pressure::Hard);
        drop(c);
        assert_eq!(budget.pressure(), Pressure::Soft);
        assert_eq!(Budget::unbounded().pressure(), Pressure::Low);
    }
}
