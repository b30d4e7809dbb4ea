//! Whether this instance should be sent requests.

use std::sync::atomic::{AtomicU8, Ordering};

/// Set by whoever starts and stops the process, read by `/readyz`.
#[derive(Debug)]
pub struct Readiness(AtomicU8);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not all listeners are open yet.
    Starting,
    Ready,
    /// Finishes what was accepted and accepts no more. There is no way back.
    Draining,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

impl State {
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

impl Readiness {
    pub const fn starting() -> Self {
        Self(AtomicU8::new(STARTING))
    }

    pub fn state(&self) -> State {
        match self.0.load(Ordering::Acquire) {
            STARTING => State::Starting,
            READY => State::Ready,
            _ => State::Draining,
        }
    }

    /// All listeners are open. Changes nothing once it drains.
    pub fn started(&self) {
        self.raise(READY);
    }

    pub fn drain(&self) {
        self.raise(DRAINING);
    }

    fn raise(&self, to: u8) {
        self.0.fetch_max(to, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_has_no_way_back() {
        let readiness = Readiness::starting();
        assert_eq!(readiness.state(), State::Starting);
        readiness.started();
        assert!(readiness.state().is_ready());
        readiness.drain();
        readiness.started();
        assert_eq!(readiness.state(), State::Draining);
    }
}
