//! One exchange with the origin: when the request left, when the response came, and the fence read
//! before it left.

use crate::clock::Timestamp;

/// The random token of one incarnation of the purge log. A log that was lost and begun anew has
/// another one, and nothing that was fetched under the old token may be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generation(u64);

impl Generation {
    pub const fn new(token: u64) -> Self {
        Self(token)
    }

    pub const fn token(self) -> u64 {
        self.0
    }
}

/// A place in the purge log. Records are numbered from 1 without gaps; 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position(u64);

impl Position {
    pub const fn new(ordinal: u64) -> Self {
        Self(ordinal)
    }

    pub const fn ordinal(self) -> u64 {
        self.0
    }

    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// How far the purge log had been applied, without a gap, when a request was forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fence {
    pub generation: Generation,
    pub position: Position,
}

impl Fence {
    /// Whether what was fetched under `self` may replace what was fetched under `other`: never an
    /// older fence a newer one, and never one generation's fence another's.
    pub fn may_replace(self, other: Self, current: Generation) -> bool {
        self.generation == current
            && (other.generation != current || self.position >= other.position)
    }
}

/// A request on its way to the origin. It is made before the first byte leaves, so that a purge
/// that arrives during the exchange is always newer than what the exchange brings back.
#[derive(Debug)]
#[must_use]
pub struct Forwarded {
    request_time: Timestamp,
    fence: Fence,
}

/// A finished exchange: `request_time` and `response_time` of RFC 9111 §4.2.3, and the fence.
///
/// ```compile_fail,E0451
/// // An exchange cannot be made up after the fact with a newer fence.
/// use cms_edge::{clock::Timestamp, exchange::{Exchange, Fence, Generation, Position}};
/// let t = Timestamp::from_millis(0);
/// let fence = Fence { generation: Generation::new(1), position: Position::new(9) };
/// let late = Exchange { request_time: t, response_time: t, fence };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    request_time: Timestamp,
    response_time: Timestamp,
    fence: Fence,
}

impl Forwarded {
    pub const fn begin(request_time: Timestamp, fence: Fence) -> Self {
        Self {
            request_time,
            fence,
        }
    }

    pub const fn received(self, response_time: Timestamp) -> Exchange {
        Exchange {
            request_time: self.request_time,
            response_time,
            fence: self.fence,
        }
    }
}

impl Exchange {
    /// The same exchange behind `own`, the record that its own response has appended to the purge log
    /// (RFC 9111 §4.4), which must not cover that response. `checked` is a fence that was read before
    /// it was found that nothing up to there covers the response. Nothing if another record came
    /// between that and its own: it might have to.
    pub fn behind(self, own: Position, checked: Fence) -> Option<Self> {
        let generation = self.fence.generation;
        let fence = Fence {
            generation,
            position: own,
        };
        let is_next = checked.generation == generation && checked.position.next() == own;
        is_next.then_some(Self { fence, ..self })
    }

    pub const fn request_time(&self) -> Timestamp {
        self.request_time
    }

    pub const fn response_time(&self) -> Timestamp {
        self.response_time
    }

    pub const fn fence(&self) -> Fence {
        self.fence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(generation: u64, position: u64) -> Fence {
        Fence {
            generation: Generation::new(generation),
            position: Position::new(position),
        }
    }

    #[test]
    fn an_older_fence_never_replaces_a_newer_one() {
        let now = Generation::new(1);
        assert!(fence(1, 5).may_replace(fence(1, 5), now));
        assert!(fence(1, 6).may_replace(fence(1, 5), now));
        assert!(!fence(1, 4).may_replace(fence(1, 5), now));
    }

    #[test]
    fn nothing_may_come_between_the_check_and_the_own_record() {
        let now = Timestamp::from_millis(0);
        let exchange = Forwarded::begin(now, fence(1, 3)).received(now);
        let behind = |own, checked| {
            let found = exchange.behind(Position::new(own), checked);
            found.map(|found| found.fence())
        };
        assert_eq!(behind(6, fence(1, 5)), Some(fence(1, 6)));
        for (own, checked) in [(7, fence(1, 5)), (5, fence(1, 5)), (6, fence(2, 5))] {
            assert_eq!(behind(own, checked), None, "{own} {checked:?}");
        }
    }

    #[test]
    fn another_generation_neither_replaces_nor_stays() {
        let now = Generation::new(2);
        assert!(!fence(1, 9).may_replace(fence(2, 1), now));
        assert!(fence(2, 1).may_replace(fence(1, 9), now));
    }
}
