//! The way to the origin servers: one [`Upstream`] is one configured group of them.
//!
//! It bounds how much goes there at a time, takes the servers in turn, keeps connections, puts a
//! deadline on every wait, and repeats a request only where that is safe.

mod attempt;
mod balance;
mod body;
mod connect;
mod error;
pub mod flight;
mod head;
mod limit;
mod loan;
mod retry;
mod tls;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use self::body::OriginBody;
pub use self::error::{Error, Kind};

use self::attempt::{Connections, Via};
use self::balance::Balance;
use self::body::Held;
use self::head::{Head, Server};
use self::limit::Limiter;
use self::loan::{Lender, Loan};
use self::retry::{Budget, Content, Failed, Next};
use self::trouble::Trouble;
use crate::body::Body;
use crate::telemetry::origin::{OriginMetrics, UpstreamMetrics};

/// What an upstream is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host[:port]` or `https://host[:port]`, at least one.
    pub servers: Vec<Uri>,
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
    #[error("`{0}` is not a server: write http://host:port or https://host:port")]
    Server(Uri),
    #[error("the concurrency of an upstream is at least 1")]
    NoConcurrency,
    #[error("a certificate given as a root cannot be used")]
    Ca(#[source] rustls::Error),
    #[error("there are no root certificates to check the server's certificate with")]
    NoRoots,
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A group of origin servers that stand in for each other.
#[derive(Debug)]
pub struct Upstream {
    name: Box<str>,
    servers: Vec<Server>,
    host: HostRule,
    idle_timeout: Duration,
    retries: u32,
    balance: Mutex<Balance>,
    limiter: Limiter,
    connections: Connections,
    metrics: UpstreamMetrics,
    trouble: Trouble,
}

impl Upstream {
    /// Opens no connection yet.
    pub fn new(
        name: &str,
        settings: Settings,
        metrics: Arc<OriginMetrics>,
    ) -> Result<Self, SetupError> {
        let servers = servers(&settings.servers)?;
        if settings.concurrency == 0 {
            return Err(SetupError::NoConcurrency);
        }
        let secure = servers.iter().any(Server::is_secure);
        let tls = secure
            .then(|| tls::client_config(settings.ca.as_deref()))
            .transpose()?;
        let metrics = metrics.upstream(name);
        let limiter = Limiter::new(
            settings.concurrency.min(Semaphore::MAX_PERMITS),
            settings.queue,
            settings.queue_timeout,
            metrics.clone(),
        );
        Ok(Self {
            name: name.into(),
            balance: Mutex::new(Balance::new(servers.len())),
            servers,
            limiter,
            connections: Connections::new(&settings, tls, metrics.clone()),
            host: settings.host,
            idle_timeout: settings.idle_timeout,
            retries: settings.retries,
            metrics,
            trouble: Trouble::default(),
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

    async fn exchange(&self, request: Request<Body>) -> Result<Response<OriginBody>, Error> {
        let place = self.limiter.place().await.map_err(Error::new)?;
        let (response, server, lender) = self.attempts(request).await?;
        let held = Held {
            _place: place,
            _lender: lender,
            server: server.name().into(),
            metrics: self.metrics.clone(),
        };
        Ok(response.map(|incoming| OriginBody::new(incoming, held, self.idle_timeout)))
    }

    async fn attempts(
        &self,
        request: Request<Body>,
    ) -> Result<(Response<Incoming>, &Server, Lender), Error> {
        let (head, mut content) = Head::split(request)?;
        let empty = content.is_end_stream();
        let mut budget = Budget::new(self.retries);
        let usual = head.via();
        let (mut tried, mut via) = (Vec::new(), usual);
        let unavailable = || Error::new(Kind::Connect);
        let (mut at, mut server) = self.pick(&tried).ok_or_else(unavailable)?;
        loop {
            let (loan, lender) = loan::lend(content);
            let mut request = head.to(server, &self.host, loan)?;
            self.relay_interim(&head, &mut request);
            let failure = match self.connections.exchange(request, via).await {
                Ok(response) => {
                    self.balance.lock().succeeded(at);
                    return Ok((response, server, lender));
                }
                Err(failure) => failure,
            };
            let error = failure.error.at(server.name());
            let kind = error.kind;
            self.note_failure(at, server, kind);
            let returned = lender.take_back();
            let next = budget.spend(Failed {
                kind,
                connection_reused: failure.connection_reused,
                idempotent: head.method().is_idempotent(),
                content: match &returned {
                    _ if empty => Content::Empty,
                    Some(_) => Content::Untouched,
                    None => Content::Consumed,
                },
            });
            match next {
                Next::GiveUp => return Err(error),
                Next::AnotherServer => {
                    tried.push(at);
                    (at, server) = self.pick(&tried).ok_or(error)?;
                    via = usual;
                }
                Next::FreshConnection => via = Via::Fresh,
            }
            self.metrics.retried(kind.label());
            content = returned.unwrap_or_default();
        }
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

    fn pick(&self, tried: &[usize]) -> Option<(usize, &Server)> {
        let at = self.balance.lock().pick(tried, Instant::now())?;
        self.servers.get(at).map(|server| (at, server))
    }

    fn note_failure(&self, at: usize, server: &Server, kind: Kind) {
        if kind.is_before_sending() && self.balance.lock().failed(at, Instant::now()) {
            let (upstream, server) = (self.name(), server.name());
            self.metrics.ejected(server);
            tracing::warn!(upstream, server, reason = kind.label(), "server left out");
        }
    }
}

fn servers(uris: &[Uri]) -> Result<Vec<Server>, SetupError> {
    if uris.is_empty() {
        return Err(SetupError::NoServer);
    }
    uris.iter()
        .map(|uri| {
            connect::server_name(uri).map_err(|_| SetupError::Server(uri.clone()))?;
            Server::new(uri)
        })
        .collect()
}
