//! The atomics of the program under `loom`. Slots, of which a table has half a million, are made when they
//! are first touched, so a test touches them before it has threads. Outside of a model they are the usual
//! ones.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use loom::sync::atomic as modelled;
pub(crate) use std::sync::atomic::Ordering;

thread_local! {
    static IS_EXPLORING: Cell<bool> = const { Cell::new(false) };
    /// The order that is explored now. Its threads are all in one thread of the system.
    static MODELLED: RefCell<Order> = const {
        RefCell::new(Order { number: 0, all: Vec::new() })
    };
}

/// Times that a thread is stopped for another one where it need not be.
pub(crate) const PREEMPTIONS_MAX: usize = 4;

/// Whether what is made now is part of a model.
pub(crate) fn is_exploring() -> bool {
    IS_EXPLORING.get()
}

/// Does it in every order.
pub(crate) fn explore(work: impl Fn() + Send + Sync + 'static) {
    explore_within(PREEMPTIONS_MAX, work);
}

/// As [`explore`], with fewer preemptions.
pub(crate) fn explore_within(preemptions: usize, work: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    IS_EXPLORING.set(true);
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        MODELLED.with_borrow_mut(|order| {
            order.number += 1;
            order.all.clear();
        });
        work();
    });
    assert!(runs.load(Ordering::Relaxed) > 5, "threads met in few ways");
    println!("{} orders", runs.load(Ordering::Relaxed));
    IS_EXPLORING.set(false);
}

/// Small, and nothing to drop, since a table has half a million of them. What was made outside of a model
/// begins each order as it was made.
#[derive(Default)]
pub(crate) struct AtomicU64 {
    usual: std::sync::atomic::AtomicU64,
    /// The order for which it is modelled, and its place there.
    place: std::sync::atomic::AtomicU64,
}

impl AtomicU64 {
    /// What is made like this is no slot, and is there for the model at once.
    pub(crate) fn new(value: u64) -> Self {
        let made = Self {
            usual: std::sync::atomic::AtomicU64::new(value),
            ..Self::default()
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

    fn modelled(&self) -> Option<Rc<modelled::AtomicU64>> {
        IS_EXPLORING
            .get()
            .then(|| MODELLED.with_borrow_mut(|order| order.at(&self.place, &self.usual)))
    }
}

/// The modelled atomics of one order of threads.
struct Order {
    number: u64,
    all: Vec<Rc<modelled::AtomicU64>>,
}

impl Order {
    const PLACES: u64 = 1 << 20;

    /// What was made for another order is made anew, with what it was made with outside of all.
    fn at(
        &mut self,
        place: &std::sync::atomic::AtomicU64,
        usual: &std::sync::atomic::AtomicU64,
    ) -> Rc<modelled::AtomicU64> {
        let (number, at) = {
            let place = place.load(Ordering::Relaxed);
            (place / Self::PLACES, place % Self::PLACES)
        };
        if number == self.number {
            let at = usize::try_from(at).expect("it is small");
            return Rc::clone(self.all.get(at).expect("it was made for this order"));
        }
        let made = Rc::new(modelled::AtomicU64::new(usual.load(Ordering::Relaxed)));
        place.store(
            self.number * Self::PLACES + self.all.len() as u64,
            Ordering::Relaxed,
        );
        self.all.push(Rc::clone(&made));
        made
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
    current: AtomicU64,
    /// Synchronises nothing. `loom` turns a store and the load before it around, but not the loads before
    /// that; changes it all does.
    turn: AtomicU64,
}

pub(crate) struct Guard<T>(T);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self {
            stored: Mutex::new(vec![Arc::new(value)]),
            current: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        }
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let current = usize::try_from(self.current.load(Ordering::Acquire)).expect("it is small");
        let stored = self.stored.lock().expect("nobody panics with it");
        Guard(Arc::clone(
            stored.get(current).expect("it was stored before"),
        ))
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        let last = {
            let mut stored = self.stored.lock().expect("nobody panics with it");
            stored.push(value);
            stored.len() as u64 - 1
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
