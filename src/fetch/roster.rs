//! The servers of an upstream at work: who has a seat, who is left out, and what is told of it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::balance::{Balance, Evidence};
use super::care::Care;
use super::error::Kind;
use super::health::Thresholds;
use super::server::Server;
use crate::telemetry::origin::UpstreamMetrics;
use crate::telemetry::servers::ServerMetrics;

/// Shared by the exchanges of an upstream.
#[derive(Debug)]
pub(super) struct Roster {
    upstream: Box<str>,
    members: Vec<(Server, ServerMetrics)>,
    balance: Mutex<Balance>,
}

/// An exchange's seat at its server, given back when dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Seat {
    roster: Arc<Roster>,
    at: usize,
}

impl Roster {
    pub(super) fn new(
        upstream: &str,
        servers: Vec<Server>,
        care: &Care,
        metrics: &UpstreamMetrics,
    ) -> Self {
        // Without randomness the servers take their turns in the same order after each start.
        let seed = getrandom::u64().unwrap_or_default();
        let members = servers.into_iter().map(|server| {
            let metrics = metrics.care().server(server.name());
            metrics.up(true);
            (server, metrics)
        });
        let members: Vec<_> = members.collect();
        Self {
            upstream: upstream.into(),
            balance: Mutex::new(Balance::new(members.len(), care, seed, Instant::now())),
            members,
        }
    }

    /// A seat at the next server that is not in `tried`; none when all were.
    pub(super) fn seat(self: &Arc<Self>, tried: &[usize]) -> Option<Seat> {
        let at = self.balance.lock().pick(tried, Instant::now())?;
        let (_, metrics) = self.members.get(at)?;
        metrics.began();
        Some(Seat {
            roster: Arc::clone(self),
            at,
        })
    }

    pub(super) fn server(&self, at: usize) -> Option<&Server> {
        self.members.get(at).map(|(server, _)| server)
    }

    pub(super) fn succeeded(&self, at: usize) {
        if self.balance.lock().succeeded(at, Instant::now()) {
            self.tell(at, true, "it answers");
        }
    }

    /// The attempt failed with `kind`, which has to be the server's fault.
    pub(super) fn failed(&self, at: usize, kind: Kind) {
        let evidence = if kind.is_before_sending() {
            Evidence::Certain
        } else {
            Evidence::Doubtful
        };
        self.count_failure(at, evidence, kind.label());
    }

    /// The server answered with a status that counts as a failure.
    pub(super) fn answered_badly(&self, at: usize) {
        self.count_failure(at, Evidence::Doubtful, "status");
    }

    /// A check of the server has ended.
    pub(super) fn checked(&self, at: usize, is_good: bool, of: Thresholds) {
        if let Some((_, metrics)) = self.members.get(at) {
            metrics.checked(is_good);
        }
        let changed = self.balance.lock().checked(at, is_good, Instant::now(), of);
        if let Some(is_up) = changed {
            self.tell(at, is_up, "health checks");
        }
    }

    fn count_failure(&self, at: usize, evidence: Evidence, reason: &'static str) {
        if self.balance.lock().failed(at, evidence, Instant::now()) {
            if let Some((_, metrics)) = self.members.get(at) {
                metrics.ejected();
            }
            self.tell(at, false, reason);
        }
    }

    fn tell(&self, at: usize, is_up: bool, reason: &'static str) {
        let Some((server, metrics)) = self.members.get(at) else {
            return;
        };
        metrics.up(self.balance.lock().is_up(at));
        let (upstream, server) = (&*self.upstream, server.name());
        if is_up {
            tracing::info!(upstream, server, reason, "server is back");
        } else {
            tracing::warn!(upstream, server, reason, "server left out");
        }
    }
}

impl Seat {
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The name of its server.
    pub(super) fn name(&self) -> &str {
        self.roster.server(self.at).map_or("", Server::name)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.roster.balance.lock().release(self.at);
        if let Some((_, metrics)) = self.roster.members.get(self.at) {
            metrics.ended();
        }
    }
}
