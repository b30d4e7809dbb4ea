//! Listeners, TLS, connections, drain: everything between a client's socket and a request that may
//! be routed.
//!
//! A connection's way: `listen` accepts it within the cap, `serve` learns whose it is
//! (`proxy_protocol`, `clients`) and whether that address may have one more (`addresses`), shakes
//! hands and serves it with hyper, `wire`, `head` and `frames` read along, `admit` refuses what must
//! not reach a handler, `watch` and `stalled` keep the deadlines, `holding` counts what is held in
//! memory, `upgrade` runs the tunnel that a connection may become.

mod activity;
mod addresses;
mod admit;
mod block;
mod certificate_files;
pub mod clients;
mod drive;
mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod holding;
pub mod hsts;
mod hyper_settings;
pub mod inherit;
mod listen;
mod not_after;
mod proxy_protocol;
mod redirect;
mod serve;
mod stalled;
pub mod tls;
mod upgrade;
mod watch;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::budget::Budget;
use crate::connection::Connection;
use crate::telemetry::server::ServerMetrics;
use inherit::{Inherited, Passed, Role};
use listen::Listener;
use serve::Service;

/// Where to listen and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses with TLS; they need `tls`. Port 0 takes a free one.
    pub https: Vec<SocketAddr>,
    /// Addresses without TLS. They speak HTTP/1 and, with prior knowledge, HTTP/2.
    pub http: Vec<SocketAddr>,
    /// What the addresses without TLS are for.
    pub http_mode: HttpMode,
    pub tls: Option<tls::Settings>,
    /// `None`: responses say nothing of it.
    pub hsts: Option<hsts::Hsts>,
    pub clients: clients::Clients,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpMode {
    #[default]
    Serve,
    /// Every request is redirected to `https` on `port`.
    Redirect { port: u16 },
}

/// The bounds of one set of listeners. Deadlines are noticed up to a quarter late.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long connections may take to end once the server is told to stop.
    pub drain: Duration,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How long a request head may take, from its first byte; and the first byte of a connection.
    pub header_timeout: Duration,
    /// How long a connection may be without a request, and how long a client may take nothing of
    /// a response.
    pub idle_timeout: Duration,
    /// Connections that are served at once; more wait in the listen backlog. At least 1.
    pub connections_max: usize,
    /// HTTP/2 streams that are open at once on a connection.
    pub streams_max: u32,
    /// Header fields of a request; the cookie fields of HTTP/2 count as one.
    pub headers_max: usize,
    /// Bytes of a request head.
    pub header_bytes_max: usize,
    /// Bytes of a request's method and target.
    pub target_bytes_max: usize,
    /// Bytes that the heads of an HTTP/2 connection's open requests may hold together, counted as
    /// RFC 9113 §10.5.1 counts them.
    pub connection_header_bytes_max: usize,
    /// Connections of one address (of one /64 network with IPv6); 0: any number.
    pub connections_per_address: usize,
    /// Addresses that may have any number.
    pub connections_per_address_exempt: Vec<IpNet>,
    /// Bytes per second that a client must take of a response, over `idle_timeout`; 0: any.
    pub send_rate_min: u64,
    /// Frames per second that an HTTP/2 connection may send for long, four times as many at once:
    /// RST_STREAM;
    pub resets_per_second: u32,
    /// SETTINGS, PING, PRIORITY, WINDOW_UPDATE and unknown ones, beyond those that come with
    /// requests and answer content;
    pub control_frames_per_second: u32,
    /// frames that carry nothing, or next to nothing.
    pub empty_frames_per_second: u32,
    /// Requests per second that an HTTP/2 connection may have refused for what they are (target,
    /// fields, Host, framing) for long, four times as many at once.
    pub refused_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            connections_max: 10_000,
            streams_max: 128,
            headers_max: 100,
            header_bytes_max: 32 * 1024,
            target_bytes_max: 8 * 1024,
            connection_header_bytes_max: 1024 * 1024,
            connections_per_address: 256,
            connections_per_address_exempt: loopback(),
            send_rate_min: 64,
            resets_per_second: 100,
            control_frames_per_second: 500,
            empty_frames_per_second: 100,
            refused_per_second: 2,
        }
    }
}

fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
    vec![v4.into(), v6.into()]
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Answers requests. A panic in it ends the connection (HTTP/1) or the stream (HTTP/2) it was
/// called for, and no other.
pub trait Handler: Send + Sync + 'static {
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Whether a request is answered also where all others are redirected to `https`: what a
    /// machine sends that would not follow.
    fn is_exempt_from_redirect(&self, _request: &Request<Incoming>) -> bool {
        false
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{0} is to speak TLS, but there is no certificate")]
    NoTls(SocketAddr),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// What became of the connections that were open when the server was told to stop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drained {
    /// Ended by themselves.
    pub finished: usize,
    /// Still open after `Limits::drain`, and cut.
    pub cut: usize,
}

/// Sockets that are bound and listen; clients may connect already.
pub struct Listeners {
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    sockets: Vec<Listener>,
    terms: Terms,
    limits: Limits,
    metrics: Arc<ServerMetrics>,
    budget: Arc<Budget>,
}

/// What the listeners go by when they answer.
struct Terms {
    http_mode: HttpMode,
    certificates: Option<Arc<tls::Certificates>>,
    hsts: Option<HeaderValue>,
    clients: clients::Clients,
}

/// Loads the certificates and binds every address, or none.
pub async fn bind(settings: Settings, metrics: Arc<ServerMetrics>) -> Result<Listeners, BindError> {
    bind_or_inherit(settings, metrics, &mut Inherited::default(), Role::Http).await
}

/// As [`bind`], but takes the sockets of `inherited` that are for these addresses. `plain` is the
/// role of the addresses without TLS; admin addresses are that with TLS, too.
pub async fn bind_or_inherit(
    settings: Settings,
    metrics: Arc<ServerMetrics>,
    inherited: &mut Inherited,
    plain: Role,
) -> Result<Listeners, BindError> {
    let (certificates, acceptor) = match &settings.tls {
        Some(tls) if !settings.https.is_empty() => {
            let certificates = Arc::new(tls::Certificates::load(&tls.certificates).await?);
            let config = tls::server_config(Arc::clone(&certificates), tls).await?;
            (Some(certificates), Some(TlsAcceptor::from(config)))
        }
        _ => (None, None),
    };
    if let (Some(address), None) = (settings.https.first(), &acceptor) {
        return Err(BindError::NoTls(*address));
    }
    let with_tls = settings.https.iter().map(|address| (address, &acceptor));
    let without = settings.http.iter().map(|address| (address, &None));
    let mut bound = Vec::new();
    for (address, acceptor) in with_tls.chain(without) {
        let role = match (plain, acceptor) {
            (Role::Http, Some(_)) => Role::Https,
            _ => plain,
        };
        let socket = match inherited.take(role, *address) {
            Ok(Some(socket)) => (socket, *address),
            Ok(None) => listen::bind(*address)?,
            Err(source) => {
                let address = *address;
                return Err(BindError::Listen { address, source });
            }
        };
        bound.push((socket, acceptor.clone(), role));
    }
    let mut sockets = Vec::new();
    for (socket, acceptor, role) in bound {
        sockets.push(Listener::listen(socket, acceptor, role)?);
    }
    let addresses = |scheme| {
        let of_scheme = sockets
            .iter()
            .filter(move |socket| socket.scheme() == scheme);
        of_scheme.map(Listener::address).collect()
    };
    Ok(Listeners {
        https: addresses(Scheme::Https),
        http: addresses(Scheme::Http),
        sockets,
        terms: Terms {
            http_mode: settings.http_mode,
            certificates,
            hsts: settings.hsts.map(hsts::Hsts::value),
            clients: settings.clients,
        },
        limits: settings.limits,
        metrics,
        budget: Budget::unbounded(),
    })
}

impl Listeners {
    /// The connections take their memory from `budget`, and are refused when it is used up.
    pub fn within(mut self, budget: Arc<Budget>) -> Self {
        self.budget = budget;
        self
    }

    /// The addresses with TLS, with the ports that were taken.
    pub fn https(&self) -> &[SocketAddr] {
        &self.https
    }

    /// The addresses without TLS, with the ports that were taken.
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The sockets once more, for a process that is to listen on them too.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn pass_on(&self) -> std::io::Result<Vec<Passed>> {
        self.sockets.iter().map(Listener::pass_on).collect()
    }

    /// The certificates in use, to replace them while connections are served.
    pub fn certificates(&self) -> Option<Arc<tls::Certificates>> {
        self.terms.certificates.clone()
    }

    /// Serves until `shutdown` is ready, then accepts what has already connected, lets every
    /// request in flight end for up to [`Limits::drain`], and cuts what is left.
    pub async fn serve<H: Handler>(
        self,
        handler: Arc<H>,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let stop = CancellationToken::new();
        // A server that is dropped instead of shut down closes its sockets and connections too.
        let _stop_when_dropped = stop.clone().drop_guard();
        let service = Service::new(handler, self.terms, self.limits, self.metrics, self.budget);
        let tasks: Vec<_> = self
            .sockets
            .into_iter()
            .map(|socket| tokio::spawn(socket.serve(Arc::clone(&service), stop.clone())))
            .collect();
        shutdown.await;
        stop.cancel();
        let mut drained = Drained::default();
        for task in tasks {
            let of_socket = task.await.unwrap_or_default();
            drained.finished += of_socket.finished;
            drained.cut += of_socket.cut;
        }
        drained
    }
}
