//! The way to the origin servers: one [`Upstream`] is one configured group of them.
//!
//! It bounds how much goes there at a time, takes the servers in turn, keeps connections, puts a
//! deadline on every wait, and repeats a request only where that is safe.

mod attempt;
mod balance;
mod body;
mod breaker;
mod care;
mod connect;
mod connecting;
mod error;
pub mod flight;
mod head;
mod health;
mod limit;
mod link;
mod loan;
mod pool;
mod probe;
mod reserve;
mod resolve;
mod retry;
mod roster;
mod server;
mod setup;
mod shape;
mod slow;
mod stream;
mod tls;
mod trouble;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use self::body::OriginBody;
pub use self::care::{Breaker, Care, Check, Choice, Share, Statuses, WEIGHT_MAX};
pub use self::connecting::{Connecting, Identity, Protocol};
pub use self::error::{Error, Kind};
pub use self::resolve::Resolver;
pub use self::server::Address;
pub use self::tls::client_config;

use self::attempt::Connections;
use self::body::Held;
use self::breaker::Leave;
use self::head::Head;
use self::limit::Limiter;
use self::link::Arriving;
use self::loan::{Lender, Loan};
use self::pool::Via;
use self::probe::Checks;
use self::reserve::Reserve;
use self::retry::{Budget, Content, Failed, Next};
use self::roster::{Roster, Seat};
use self::slow::Slow;
use self::trouble::Trouble;
use crate::body::Body;
use crate::telemetry::origin::{OriginMetrics, UpstreamMetrics};

/// What an upstream is made of. Equal settings keep their upstream over a reload.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// At least one.
    pub servers: Vec<Address>,
    pub host: HostRule,
    /// For one connection: name, TCP over all its addresses, and TLS.
    pub connect_timeout: Duration,
    /// From having a connection until the head of the response, including the time it takes to
    /// send the content of the request.
    pub first_byte_timeout: Duration,
    /// Between two pieces of the content of a response, while somebody waits for the next one; and
    /// how long a server may take nothing of what is sent to it.
    pub idle_timeout: Duration,
    /// How long an unused connection is kept.
    pub keepalive: Duration,
    /// Unused connections kept per server; 0 = none.
    pub pool_idle_max: usize,
    /// Exchanges at a time, over all servers; at least 1.
    pub concurrency: usize,
    /// Requests that may wait for one of those places.
    pub queue: usize,
    /// How long each may wait.
    pub queue_timeout: Duration,
    /// How many other servers may be tried when no connection comes about. With 0, a dead
    /// connection of the pool is not replaced either.
    pub retries: u32,
    /// The roots that server certificates have to lead to; none = the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    pub connecting: Connecting,
    /// How long somebody waits who could be answered with something stale; zero = as long as
    /// anybody else. The exchange goes on.
    pub stale_wait: Duration,
    /// Whom of the servers to ask, and when to stop asking.
    pub care: Care,
}

/// What an origin server is told it is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostRule {
    /// As the client said.
    Preserve,
    /// The authority of the server.
    Upstream,
    Literal(HeaderValue),
}

/// Settings that no upstream can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the upstream has no server")]
    NoServer,
    #[error(
        "`{0}` is not a server: write http://host:port, https://host:port or unix:/absolute/path"
    )]
    Server(Address),
    #[error("the concurrency of an upstream is at least 1")]
    NoConcurrency,
    #[error("a certificate given as a root cannot be used")]
    Ca(#[source] rustls::Error),
    #[error("there are no root certificates to check the server's certificate with")]
    NoRoots,
    #[error("the client certificate cannot be used with the key in {path}")]
    Identity {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the weight of a server is a number from 1 to {WEIGHT_MAX}")]
    Weight,
    #[error("health checks need a runtime to run on")]
    NoRuntime,
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A group of origin servers that stand in for each other.
#[derive(Debug)]
pub struct Upstream {
    name: Box<str>,
    host: HostRule,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
    stale_wait: Duration,
    retries: u32,
    fail_statuses: Statuses,
    roster: Arc<Roster>,
    reserve: Reserve,
    breaker: Arc<breaker::Breaker>,
    limiter: Limiter,
    connections: Connections,
    metrics: UpstreamMetrics,
    trouble: Trouble,
    slow: Slow,
    _checks: Checks,
}

impl Upstream {
    /// Opens no connection yet. Health checks begin, and need a runtime.
    pub fn new(
        name: &str,
        settings: Settings,
        metrics: Arc<OriginMetrics>,
    ) -> Result<Self, SetupError> {
        let metrics = metrics.upstream(name);
        let servers = setup::servers(&settings, metrics.pool())?;
        if settings.concurrency == 0 {
            return Err(SetupError::NoConcurrency);
        }
        let care = &settings.care;
        if (0..servers.len()).any(|at| !(1..=WEIGHT_MAX).contains(&care.share_of(at).weight)) {
            return Err(SetupError::Weight);
        }
        let now = Instant::now();
        let roster = Arc::new(Roster::new(name, servers, care, &metrics));
        let checks = match &care.check {
            Some(check) => Checks::start(check.clone(), &settings, name, &roster)?,
            None => Checks::default(),
        };
        let breaker = metrics.care().breaker();
        Ok(Self {
            name: name.into(),
            roster,
            reserve: Reserve::new(care.retry_budget, now),
            breaker: Arc::new(breaker::Breaker::new(name.into(), care.breaker, breaker)),
            limiter: Limiter::new(
                settings.concurrency.min(Semaphore::MAX_PERMITS),
                settings.queue,
                settings.queue_timeout,
                metrics.clone(),
            ),
            connections: Connections::new(settings.first_byte_timeout, metrics.clone()),
            first_byte_timeout: settings.first_byte_timeout,
            idle_timeout: settings.idle_timeout,
            stale_wait: settings.stale_wait,
            retries: settings.retries,
            metrics,
            trouble: Trouble::default(),
            slow: Slow::new(care.slow_threshold, now),
            host: settings.host,
            fail_statuses: settings.care.fail_statuses,
            _checks: checks,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends `request` to one of the servers and answers with the head of the response, whatever
    /// its status, and its content on its way.
    ///
    /// The target of the request is its path and query; the rest of its URI is not looked at.
    /// `Host` follows the [`HostRule`], the framing fields follow the content. Fields about the
    /// client's connection (RFC 9110 §7.6.1) have to be gone already. Dropping the future gives
    /// the exchange up.
    ///
    /// A request with `Upgrade` goes over a connection of its own. Only it may be answered 101, to
    /// that protocol; the connection is then the response's (`hyper::upgrade::on`), and holds no
    /// place of the upstream any more. Interim responses go to the request's
    /// [`Relay`](crate::interim::Relay), if it has that extension.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<OriginBody>, Error> {
        let outcome = self.exchange(request).await;
        match &outcome {
            Ok(response) => {
                self.metrics.answered(response.status().as_u16());
                self.trouble.answered(&self.name);
            }
            Err(error) => {
                self.metrics.failed(error.kind.label());
                self.trouble.failed(&self.name, error);
            }
        }
        outcome
    }

    /// How long somebody waits for an answer who could have something stale, and after that how
    /// long the exchange may still be under way. Nothing: there is no difference.
    pub fn stale_wait(&self) -> Option<(Duration, Duration)> {
        let wait = self.stale_wait;
        let left = self.first_byte_timeout.checked_sub(wait)?;
        (!wait.is_zero()).then_some((wait, left))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<OriginBody>, Error> {
        let refused = || Error::new(Kind::BreakerOpen);
        // Whoever would be refused does not wait for a place first, nor has one for nothing.
        if self.breaker.is_open() {
            return Err(refused());
        }
        let place = self.limiter.place().await.map_err(Error::new)?;
        let leave = self.breaker.leave().ok_or_else(refused)?;
        let told = self.slow.watch(&request);
        let outcome = self.attempts(request).await;
        let server = outcome.as_ref().map(|(_, seat, _)| seat.name());
        self.slow.ended(told, server, &self.name, &self.metrics);
        self.judge(
            leave,
            outcome.as_ref().map(|(response, ..)| response.status()),
        );
        let (response, seat, lender) = outcome?;
        let held = Held {
            place: Some(place),
            _lender: lender,
            seat,
            metrics: self.metrics.clone(),
        };
        Ok(response.map(|arriving| OriginBody::new(arriving, held, self.idle_timeout)))
    }

    async fn attempts(
        &self,
        request: Request<Body>,
    ) -> Result<(Response<Arriving>, Seat, Lender), Error> {
        let (head, mut content) = Head::split(request)?;
        let empty = content.is_end_stream();
        let mut budget = Budget::new(self.retries);
        let idempotent = head.is_repeatable();
        let is_copied = idempotent && self.retries > 0;
        let usual = head.via();
        let (mut tried, mut via) = (Vec::new(), usual);
        self.reserve.earn();
        let nobody = || Error::new(Kind::Connect);
        let mut seat = self.roster.seat(&tried).ok_or_else(nobody)?;
        loop {
            let server = self.roster.server(seat.at()).ok_or_else(nobody)?;
            let (loan, mut lender) = loan::lend(content, is_copied);
            let mut request = head.to(&server.site, &self.host, loan)?;
            self.relay_interim(&head, &mut request);
            let failure = match self.connections.exchange(server, request, via).await {
                Ok(response) => {
                    lender.forget_copy();
                    self.note_answer(seat.at(), response.status());
                    return Ok((response, seat, lender));
                }
                Err(failure) => failure,
            };
            let mut error = failure.error.at(server.name());
            if error.kind == Kind::FirstByteTimeout && lender.is_awaited() {
                // The server could not answer yet: it is the client that is slow.
                error.kind = Kind::RequestTimeout;
            }
            let kind = error.kind;
            // A connection that had idled and was closed meanwhile says nothing of its server.
            let is_stale =
                failure.connection_reused && matches!(kind, Kind::Closed | Kind::Refused);
            if kind.is_trouble() && !is_stale {
                self.roster.failed(seat.at(), kind);
            }
            let (state, returned) = lender.take_back();
            let next = budget.spend(Failed {
                kind,
                connection_reused: failure.connection_reused,
                idempotent,
                content: if empty { Content::Empty } else { state },
            });
            match next {
                Next::GiveUp => return Err(error),
                Next::AnotherServer => {
                    tried.push(seat.at());
                    let Some(other) = self.roster.seat(&tried) else {
                        return Err(error);
                    };
                    (seat, via) = (other, usual);
                }
                Next::FreshConnection => via = Via::Fresh,
            }
            if !self.may_repeat() {
                return Err(error);
            }
            self.metrics.retried(kind.label());
            content = returned;
        }
    }

    fn may_repeat(&self) -> bool {
        let may = self.reserve.spend();
        if !may {
            self.metrics.care().budget_exhausted();
        }
        may
    }

    fn relay_interim(&self, head: &Head, request: &mut Request<Loan>) {
        let Some(relay) = head.relay().cloned() else {
            return;
        };
        let metrics = self.metrics.clone();
        hyper::ext::on_informational(request, move |interim| {
            let passed = relay.pass(interim.status(), interim.headers());
            metrics.interim(passed.as_str());
        });
    }

    fn note_answer(&self, at: usize, status: StatusCode) {
        if self.fail_statuses.contain(status) {
            self.roster.answered_badly(at);
        } else {
            self.roster.succeeded(at);
        }
    }

    /// What the exchange says of the upstream as a whole.
    fn judge(&self, leave: Leave, outcome: Result<StatusCode, &Error>) {
        match outcome {
            Ok(status) if self.fail_statuses.contain(status) => leave.failed(),
            Ok(_) => leave.succeeded(),
            Err(error) if error.kind.is_trouble() => leave.failed(),
            // Our own limits and the client's mistakes.
            Err(_) => drop(leave),
        }
    }
}
