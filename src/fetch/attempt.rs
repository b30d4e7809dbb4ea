//! One attempt: one request over one connection, with its deadlines, and what its failure means.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::UPGRADE;
use http::{Extensions, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};

use super::Settings;
use super::connect::{ConnectError, Connector, Used};
use super::error::{Error, Kind};
use super::loan::Loan;
use crate::fields::upgrade;
use crate::telemetry::origin::UpstreamMetrics;

/// Fields in the head of a response, and the bytes of that head. hyper looks at the latter after
/// each read, so that up to twice as many may be buffered.
const RESPONSE_FIELDS_MAX: usize = 256;
const RESPONSE_HEAD_BYTES_MAX: usize = 256 * 1024;

/// The connections to all servers of an upstream.
#[derive(Debug)]
pub(super) struct Connections {
    pooled: Client<Connector, Loan>,
    /// Makes a connection for each request and keeps none.
    fresh: Client<Connector, Loan>,
    first_byte_timeout: Duration,
    metrics: UpstreamMetrics,
}

/// Over which connection a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Via {
    Pooled,
    Fresh,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The connection had carried an exchange before this one.
    pub(super) connection_reused: bool,
}

impl Connections {
    pub(super) fn new(
        settings: &Settings,
        tls: Option<Arc<ClientConfig>>,
        metrics: UpstreamMetrics,
    ) -> Self {
        let connector = Connector::new(
            settings.connect_timeout,
            settings.idle_timeout,
            tls,
            metrics.clone(),
        );
        Self {
            pooled: client(settings, settings.pool_idle_max, connector.clone()),
            fresh: client(settings, 0, connector),
            first_byte_timeout: settings.first_byte_timeout,
            metrics,
        }
    }

    /// Sends `request`, and waits for the head of its response. The deadline begins when there is
    /// a connection, and covers sending the content of the request.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Loan>,
        via: Via,
    ) -> Result<Response<Incoming>, Failure> {
        let mut capture = capture_connection(&mut request);
        let protocol = request.headers().get(UPGRADE).cloned();
        let protocol = protocol.as_ref();
        let connected = async { drop(capture.wait_for_connection_metadata().await) };
        let mut response = match via {
            Via::Pooled => self.pooled.request(request),
            Via::Fresh => self.fresh.request(request),
        };
        let began = Instant::now();
        let sent = tokio::select! {
            biased;
            // Without a connection only failures end here; with one, a very quick response may.
            outcome = &mut response => return self.judge(outcome, began, protocol),
            () = connected => Instant::now(),
        };
        match timeout(self.first_byte_timeout, response).await {
            Ok(outcome) => self.judge(outcome, sent, protocol),
            Err(_) => Err(Failure::of_answer(Kind::FirstByteTimeout)),
        }
    }

    fn judge(
        &self,
        outcome: Result<Response<Incoming>, legacy::Error>,
        sent: Instant,
        protocol: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut response = outcome.map_err(Failure::of_client)?;
        self.metrics.first_byte(sent.elapsed());
        if let Some(used) = response.extensions_mut().remove::<Used>() {
            used.mark();
        }
        // RFC 9110 §7.8: a server "MUST NOT switch to a protocol that was not indicated".
        let is_asked_for =
            |protocol: &HeaderValue| upgrade::is_to(response.headers(), protocol.as_bytes());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && !protocol.is_some_and(is_asked_for)
        {
            return Err(Failure::of_answer(Kind::InvalidResponse));
        }
        Ok(response)
    }
}

impl Failure {
    const fn of_answer(kind: Kind) -> Self {
        Self {
            error: Error::new(kind),
            connection_reused: false,
        }
    }

    fn of_client(error: legacy::Error) -> Self {
        let mut extras = Extensions::new();
        if let Some(connection) = error.connect_info() {
            connection.get_extras(&mut extras);
        }
        Self {
            connection_reused: extras.get::<Used>().is_some_and(Used::is_marked),
            error: Error::from_source(kind_of(&error), error),
        }
    }
}

fn client(settings: &Settings, idle_max: usize, connector: Connector) -> Client<Connector, Loan> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.keepalive)
        .pool_max_idle_per_host(idle_max)
        .http1_max_headers(RESPONSE_FIELDS_MAX)
        .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
        .set_host(false)
        // Repeats only requests no byte of which was written, because the pooled connection had
        // been closed in the meantime: right for every method.
        .retry_canceled_requests(true)
        .build(connector)
}

fn kind_of(error: &legacy::Error) -> Kind {
    if let Some(connect) = find::<ConnectError>(error) {
        return connect.kind();
    }
    if error.is_connect() {
        return Kind::Connect;
    }
    match find::<hyper::Error>(error) {
        Some(http) if http.is_parse() => Kind::InvalidResponse,
        Some(http) if http.is_user() => Kind::RequestBody,
        // With TLS 1.3 a server refuses us only after the handshake looked complete.
        Some(_) if find::<io::Error>(error).is_some_and(is_tls) => Kind::Tls,
        _ => Kind::Closed,
    }
}

fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
