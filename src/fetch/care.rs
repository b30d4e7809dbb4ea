//! How the servers of an upstream are chosen, watched and spared: the settings of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};

/// Whom to ask next, and when to stop asking.
#[derive(Clone, Debug, PartialEq)]
pub struct Care {
    pub choice: Choice,
    /// By the place of the server in `Settings::servers`.
    pub shares: Vec<Share>,
    /// What holds for servers that `shares` does not reach.
    pub share: Share,
    /// Statuses that count as failures of their server.
    pub fail_statuses: Statuses,
    /// How long the weight of a server that has come back takes to grow to its full size; zero =
    /// it is there at once.
    pub slow_start: Duration,
    /// Nothing: servers are judged by their answers to clients alone.
    pub check: Option<Check>,
    /// Repetitions in percent of the requests of the last ten seconds, on top of ten a second.
    pub retry_budget: u32,
    pub breaker: Breaker,
    /// Exchanges whose head takes longer are told of; zero = none.
    pub slow_threshold: Duration,
}

/// How the next server is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Choice {
    /// Of two servers taken at random by their weights, the one with less to do.
    #[default]
    PowerOfTwo,
    /// The one with the fewest exchanges under way for its weight.
    LeastConnections,
    /// In turn, by weight.
    RoundRobin,
}

/// One server's part of the work, and what it is forgiven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// From 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// Is asked only while none of the others can be.
    pub backup: bool,
    /// Failures in a row within `fail_timeout` after which it is left out; 0 = never.
    pub max_fails: u32,
    /// How long it is left out.
    pub fail_timeout: Duration,
}

/// The largest weight of a server.
pub const WEIGHT_MAX: u32 = 100;

/// Requests that only ask how a server is.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Path and query.
    pub path: PathAndQuery,
    /// Nothing: as requests of clients have it, or the server's own name.
    pub host: Option<HeaderValue>,
    pub interval: Duration,
    /// For the whole exchange, connecting included.
    pub timeout: Duration,
    /// Good checks in a row that bring a server back; at least 1.
    pub healthy: u32,
    /// Bad ones that take it out; at least 1.
    pub unhealthy: u32,
    /// What a good answer has.
    pub statuses: Statuses,
}

/// Some statuses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statuses(pub Vec<RangeInclusive<u16>>);

/// When an upstream is not asked at all for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Breaker {
    /// Exchanges that failed in a row; 0 = never.
    pub failures: u32,
    pub open_for: Duration,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            choice: Choice::default(),
            shares: Vec::new(),
            share: Share::default(),
            fail_statuses: Statuses::default(),
            slow_start: Duration::ZERO,
            check: None,
            retry_budget: 20,
            breaker: Breaker::default(),
            slow_threshold: Duration::ZERO,
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            weight: 1,
            backup: false,
            max_fails: 3,
            fail_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 20,
            open_for: Duration::from_secs(5),
        }
    }
}

impl Care {
    /// The share of the server at this place.
    pub(super) fn share_of(&self, at: usize) -> &Share {
        self.shares.get(at).unwrap_or(&self.share)
    }
}

impl Statuses {
    pub(super) fn contain(&self, status: StatusCode) -> bool {
        self.0.iter().any(|some| some.contains(&status.as_u16()))
    }
}
