//! The atomics of the program under `loom`. Slots, of which a table has half a million, are made when they
//! are first touched, so a test touches them before it has threads. Outside of a model they are the usual
//! ones.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};

use loom::sync::atomic as modelled;
pub(crate) use std::sync::atomic::Ordering;

thread_local! {
    static IS_EXPLORING: Cell<bool> = const { Cell::new(false) };
}

/// Times that a thread is stopped for another one where it need not be.
const PREEMPTIONS_MAX: usize = 4;

/// Does it in every order.
pub(crate) fn explore(work: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS_MAX);
    IS_EXPLORING.set(true);
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        work();
    });
    assert!(runs.load(Ordering::Relaxed) > 5, "threads met in few ways");
    println!("{} orders", runs.load(Ordering::Relaxed));
    IS_EXPLORING.set(false);
}

#[derive(Default)]
pub(crate) struct AtomicU64 {
    first: u64,
    usual: std::sync::atomic::AtomicU64,
    modelled: OnceLock<Box<modelled::AtomicU64>>,
}

impl AtomicU64 {
    /// What is made like this is no slot, and is there for the model at once.
    pub(crate) fn new(value: u64) -> Self {
        let made = Self {
            first: value,
            usual: std::sync::atomic::AtomicU64::new(value),
            modelled: OnceLock::new(),
        };
        made.modelled();
        made
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        match self.modelled() {
            Some(modelled) => modelled.load(order),
            None => self.usual.load(order),
        }
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        match self.modelled() {
            Some(modelled) => modelled.store(value, order),
            None => self.usual.store(value, order),
        }
    }

    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        match self.modelled() {
            Some(modelled) => modelled.fetch_add(value, order),
            None => self.usual.fetch_add(value, order),
        }
    }

    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        match self.modelled() {
            Some(modelled) => modelled.fetch_max(value, order),
            None => self.usual.fetch_max(value, order),
        }
    }

    fn modelled(&self) -> Option<&modelled::AtomicU64> {
        let make = || Box::new(modelled::AtomicU64::new(self.first));
        IS_EXPLORING
            .get()
            .then(|| &**self.modelled.get_or_init(make))
    }
}

impl fmt::Debug for AtomicU64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtomicU64")
    }
}

/// All that was ever stored, and an atomic that says which one is in place.
pub(crate) struct ArcSwap<T> {
    stored: Mutex<Vec<Arc<T>>>,
    current: modelled::AtomicUsize,
    /// Synchronises nothing. `loom` turns a store and the load before it around, but not the loads before
    /// that; changes it all does.
    turn: modelled::AtomicUsize,
}

pub(crate) struct Guard<T>(T);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self {
            stored: Mutex::new(vec![Arc::new(value)]),
            current: modelled::AtomicUsize::new(0),
            turn: modelled::AtomicUsize::new(0),
        }
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let current = self.current.load(Ordering::Acquire);
        let stored = self.stored.lock().expect("nobody panics with it");
        Guard(Arc::clone(
            stored.get(current).expect("it was stored before"),
        ))
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        let last = {
            let mut stored = self.stored.lock().expect("nobody panics with it");
            stored.push(value);
            stored.len() - 1
        };
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.current.store(last, Ordering::Release);
    }
}

impl<T> fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArcSwap")
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
