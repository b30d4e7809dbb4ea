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
use tokio::time::{Instant, Sleep, sleep, timeout};
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
    write_patience: Duration,
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
    /// `deadline` covers resolving, TCP and TLS of one connection. `write_patience` is how long an
    /// origin server may take nothing off a connection that has something for it.
    pub(super) const fn new(
        deadline: Duration,
        write_patience: Duration,
        tls: Option<Arc<ClientConfig>>,
        metrics: UpstreamMetrics,
    ) -> Self {
        Self {
            deadline,
            write_patience,
            tls,
            metrics,
        }
    }

    async fn connect(self, server: Uri) -> Result<Stream, ConnectError> {
        let transport = timeout(self.deadline, self.transport(&server))
            .await
            .map_err(|_| ConnectError::Timeout)??;
        self.metrics.connection_opened();
        Ok(Stream {
            transport,
            used: Used::default(),
            write_patience: self.write_patience,
            stalled: None,
        })
    }

    async fn transport(&self, server: &Uri) -> Result<Transport, ConnectError> {
        let began = Instant::now();
        let addresses = resolve(server).await?;
        let left = self.deadline.saturating_sub(began.elapsed());
        let tcp = connect_tcp(&addresses, left).await?;
        prepare(&tcp).map_err(ConnectError::Connect)?;
        match &self.tls {
            Some(tls) if is_secure(server) => {
                let name = server_name(server).map_err(ConnectError::Tls)?;
                let handshake = TlsConnector::from(Arc::clone(tls)).connect(name, tcp);
                let tls = handshake.await.map_err(ConnectError::Tls)?;
                Ok(Transport::Tls(TokioIo::new(Box::new(tls))))
            }
            _ => Ok(Transport::Plain(TokioIo::new(tcp))),
        }
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

fn is_secure(server: &Uri) -> bool {
    server.scheme() == Some(&Scheme::HTTPS)
}

async fn resolve(server: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
    let usual_port = if is_secure(server) { 443 } else { 80 };
    let port = server.port_u16().unwrap_or(usual_port);
    let found = tokio::net::lookup_host((host(server), port))
        .await
        .map_err(ConnectError::Resolve)?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

/// Tries the addresses in turn. Each gets its share of the time that is left, so that one which
/// swallows packets does not use up what the others need.
async fn connect_tcp(
    addresses: &[SocketAddr],
    within: Duration,
) -> Result<TcpStream, ConnectError> {
    let began = Instant::now();
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = ConnectError::Resolve(none);
    for (at, address) in addresses.iter().enumerate() {
        let left = within.saturating_sub(began.elapsed());
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
    write_patience: Duration,
    /// Runs while something waits to be written. Nobody else watches an upload whose response is
    /// there already, nor the last words of TLS.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Transport {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Transport {
    fn as_io(&mut self) -> Pin<&mut dyn Io> {
        match self {
            Self::Plain(io) => Pin::new(io),
            Self::Tls(io) => Pin::new(io),
        }
    }
}

trait Io: Read + Write + Unpin {}
impl<T: Read + Write + Unpin> Io for T {}

impl Stream {
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let outcome = write(self.transport.as_io(), cx);
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        self.stalled
            .get_or_insert_with(|| Box::pin(sleep(self.write_patience)))
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
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
        self.transport.as_io().poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_shutdown(cx))
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
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, pieces))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn a_certificate_has_to_be_valid_for_the_host_without_brackets_or_port() {
        for (server, expected) in [
            ("https://cms.example.org:8443", "cms.example.org"),
            ("https://[::1]:8443", "::1"),
            ("https://127.0.0.1", "127.0.0.1"),
        ] {
            let name = server_name(&server.parse().unwrap()).unwrap();
            assert_eq!(name.to_str(), expected);
        }
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let dead = [refusing().await];
        assert!(matches!(
            connect_tcp(&dead, SHORT).await,
            Err(ConnectError::Connect(_))
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead[0], listener.local_addr().unwrap()];
        let stream = connect_tcp(&addresses, SHORT).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_leaves_time_for_the_next_one() {
        let swallowing = TcpSocket::new_v4().unwrap();
        swallowing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let swallowing = swallowing.listen(1).unwrap();
        let address = swallowing.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [address, alive.local_addr().unwrap()];
        let stream = connect_tcp(&addresses, SHORT).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
        assert!(matches!(
            connect_tcp(&addresses[..1], SHORT).await,
            Err(ConnectError::Timeout)
        ));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_resolved() {
        assert!(matches!(
            connect_tcp(&[], SHORT).await,
            Err(ConnectError::Resolve(_))
        ));
    }

    async fn refusing() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }
}
