//! New connections to origin servers: name, TCP, TLS, all within one deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Kind;
use crate::telemetry::origin::UpstreamMetrics;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

/// How long a connection may be silent before the kernel asks whether the other side is there,
/// how often it asks, and how many questions may stay unanswered.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 3;

/// Makes connections for the pool.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    deadline: Duration,
    tls: Option<Arc<ClientConfig>>,
    metrics: UpstreamMetrics,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the name could not be resolved")]
    Resolve(#[source] io::Error),
    #[error("the connection was refused")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the deadline was over")]
    Timeout,
}

impl ConnectError {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Resolve(_) => Kind::Resolve,
            Self::Connect(_) => Kind::Connect,
            Self::Tls(_) => Kind::Tls,
            Self::Timeout => Kind::ConnectTimeout,
        }
    }
}

/// Whether a connection has carried an exchange. Travels with the connection's metadata.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connector {
    /// `deadline` covers resolving, TCP and TLS of one connection.
    pub(super) const fn new(
        deadline: Duration,
        tls: Option<Arc<ClientConfig>>,
        metrics: UpstreamMetrics,
    ) -> Self {
        Self {
            deadline,
            tls,
            metrics,
        }
    }

    async fn connect(self, server: Uri) -> Result<Stream, ConnectError> {
        let deadline = Instant::now() + self.deadline;
        let stream = timeout_at(deadline, self.connect_until(&server, deadline))
            .await
            .map_err(|_| ConnectError::Timeout)??;
        self.metrics.connection_opened();
        Ok(stream)
    }

    async fn connect_until(&self, server: &Uri, deadline: Instant) -> Result<Stream, ConnectError> {
        let tcp = connect_tcp(&resolve(server).await?, deadline).await?;
        prepare(&tcp).map_err(ConnectError::Connect)?;
        let transport = match &self.tls {
            Some(tls) if server.scheme() == Some(&Scheme::HTTPS) => {
                let name = server_name(server).map_err(ConnectError::Tls)?;
                let handshake = TlsConnector::from(Arc::clone(tls)).connect(name, tcp);
                let tls = handshake.await.map_err(ConnectError::Tls)?;
                Transport::Tls(TokioIo::new(Box::new(tls)))
            }
            _ => Transport::Plain(TokioIo::new(tcp)),
        };
        Ok(Stream {
            transport,
            used: Used::default(),
        })
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        Box::pin(self.clone().connect(server))
    }
}

/// The name a certificate of `server` has to be valid for.
pub(super) fn server_name(server: &Uri) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host(server).to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// The host without the brackets of an IPv6 address.
fn host(server: &Uri) -> &str {
    let host = server.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

async fn resolve(server: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
    let secure = server.scheme() == Some(&Scheme::HTTPS);
    let port = server.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let found = tokio::net::lookup_host((host(server), port))
        .await
        .map_err(ConnectError::Resolve)?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

/// Tries the addresses in turn. Each gets its share of the time that is left, so that one which
/// swallows packets does not use up what the others need.
async fn connect_tcp(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, ConnectError> {
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = ConnectError::Resolve(none);
    for (at, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(1);
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => ConnectError::Connect(error),
            Err(_) => ConnectError::Timeout,
        };
    }
    Err(last)
}

fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES_MAX);
    SockRef::from(tcp).set_tcp_keepalive(&probes)
}

/// One connection to an origin server.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    used: Used,
}

#[derive(Debug)]
enum Transport {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.used.clone())
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Transport::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(io) => Pin::new(io).poll_write(cx, buffer),
            Transport::Tls(io) => Pin::new(io).poll_write(cx, buffer),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(io) => Pin::new(io).poll_flush(cx),
            Transport::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Transport::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(io) => io.is_write_vectored(),
            Transport::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(io) => Pin::new(io).poll_write_vectored(cx, buffers),
            Transport::Tls(io) => Pin::new(io).poll_write_vectored(cx, buffers),
        }
    }
}
