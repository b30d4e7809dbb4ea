//! Health checks: each server is asked how it is, whether or not clients ask for anything.

use std::sync::Arc;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderValue, Request, StatusCode};
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::attempt::Connections;
use super::care::Check;
use super::head::Head;
use super::health::Thresholds;
use super::pool::Via;
use super::roster::Roster;
use super::server::Server;
use super::{HostRule, Settings, SetupError, loan, setup};
use crate::body::Body;
use crate::telemetry::origin::OriginMetrics;

const AGENT: HeaderValue = HeaderValue::from_static("cms-edge (health check)");

/// The checks of an upstream's servers. They end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Checks {
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// What all checks of an upstream share.
struct Checker {
    check: Check,
    host: HostRule,
    /// With connections of their own, each for one check.
    servers: Vec<Server>,
    connections: Connections,
    roster: Arc<Roster>,
}

impl Checks {
    /// One task for each of `servers`. Their beginnings are spread over the interval, so that the
    /// checks of many instances do not come together.
    pub(super) fn start(
        check: Check,
        settings: &Settings,
        upstream: &str,
        roster: &Arc<Roster>,
    ) -> Result<Self, SetupError> {
        let runtime = Handle::try_current().map_err(|_| SetupError::NoRuntime)?;
        let host = match &check.host {
            Some(host) => HostRule::Literal(host.clone()),
            None => settings.host.clone(),
        };
        // Nobody waits for them: they do not belong to the series about requests.
        let unseen = OriginMetrics::default().upstream(upstream);
        let pool_idle_max = 0;
        let alone = Settings {
            pool_idle_max,
            ..settings.clone()
        };
        let servers = setup::servers(&alone, unseen.pool())?;
        let count = servers.len();
        let checker = Arc::new(Checker {
            check,
            host,
            servers,
            connections: Connections::new(settings.first_byte_timeout, unseen),
            roster: Arc::clone(roster),
        });
        let start = |at| {
            let checker = Arc::clone(&checker);
            AbortOnDropHandle::new(runtime.spawn(async move { checker.run(at).await }))
        };
        let tasks = (0..count).map(start).collect();
        Ok(Self { _tasks: tasks })
    }
}

impl Checker {
    async fn run(&self, at: usize) {
        let thresholds = Thresholds {
            healthy: self.check.healthy,
            unhealthy: self.check.unhealthy,
        };
        let first = Instant::now() + part_of(self.check.interval);
        let mut turns = interval_at(first, self.check.interval);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let answer = timeout(self.check.timeout, self.ask(at)).await;
            let is_good = matches!(answer, Ok(Some(status)) if self.check.statuses.contain(status));
            self.roster.checked(at, is_good, thresholds);
        }
    }

    /// The status that the server answers with, if it does. A connection of its own tells whether
    /// clients could have one.
    async fn ask(&self, at: usize) -> Option<StatusCode> {
        let server = self.servers.get(at)?;
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.check.path.clone().into();
        request.headers_mut().insert(USER_AGENT, AGENT);
        let (head, content) = Head::split(request).ok()?;
        let (loan, _lender) = loan::lend(content, false);
        let request = head.to(&server.site, &self.host, loan).ok()?;
        let answer = self.connections.exchange(server, request, Via::Fresh).await;
        answer.ok().map(|response| response.status())
    }
}

/// A random part of it; all of it without randomness.
fn part_of(interval: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX);
    interval.mul_f64(f64::from(part) / f64::from(u32::MAX))
}
