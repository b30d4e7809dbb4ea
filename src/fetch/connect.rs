//! New connections to origin servers: name, TCP and TLS, or a socket in the file system.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::connecting::Protocol;
use super::error::Kind;
use super::resolve::Name;
use super::stream::{Stream, Transport};
use super::tls::{HTTP2, Tls};
use crate::telemetry::origin_pool::PoolMetrics;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

/// How long a connection may be silent before the kernel asks whether the other side is there,
/// how often it asks, and how many questions may stay unanswered.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 3;

/// Makes connections to one server.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) way: Way,
    pub(super) protocol: Protocol,
    /// For one connection: name, TCP over all its addresses, and TLS.
    pub(super) deadline: Duration,
    /// How long the server may take nothing off a connection that has something for it.
    pub(super) write_patience: Duration,
    pub(super) metrics: PoolMetrics,
}

/// How the server is reached.
#[derive(Debug)]
pub(super) enum Way {
    Tcp {
        name: Arc<Name>,
        /// None: without TLS.
        tls: Option<(Tls, ServerName<'static>)>,
    },
    Unix(Box<Path>),
}

/// A connection on which nothing was said yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) stream: Stream,
    /// Where it leads; none for a socket in the file system.
    pub(super) address: Option<SocketAddr>,
    pub(super) is_http2: bool,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the name could not be resolved")]
    Resolve(#[source] Arc<io::Error>),
    #[error("the connection was refused")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the server does not speak HTTP/2")]
    NotHttp2,
    #[error("the HTTP handshake failed")]
    Http(#[source] hyper::Error),
    #[error("the deadline was over")]
    Timeout,
}

impl ConnectError {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Resolve(_) => Kind::Resolve,
            Self::Connect(_) | Self::Http(_) => Kind::Connect,
            Self::Tls(_) | Self::NotHttp2 => Kind::Tls,
            Self::Timeout => Kind::ConnectTimeout,
        }
    }
}

impl Connector {
    /// Whether a connection may turn out to carry many requests at once.
    pub(super) const fn may_be_http2(&self) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Auto => matches!(&self.way, Way::Tcp { tls: Some(_), .. }),
        }
    }

    /// With `http1`, whatever the protocol says, one that speaks HTTP/1.1. The caller keeps the
    /// deadline; it is used here to share the time among addresses.
    pub(super) async fn connect(&self, http1: bool) -> Result<Fresh, ConnectError> {
        let (transport, address, negotiated) = match &self.way {
            Way::Unix(path) => {
                let unix = UnixStream::connect(path).await;
                let unix = unix.map_err(ConnectError::Connect)?;
                (Transport::Unix(TokioIo::new(unix)), None, false)
            }
            Way::Tcp { name, tls } => {
                let began = Instant::now();
                let addresses = name.addresses().await.map_err(ConnectError::Resolve)?;
                let left = self.deadline.saturating_sub(began.elapsed());
                let (tcp, address) = connect_tcp(&addresses, left).await?;
                prepare(&tcp).map_err(ConnectError::Connect)?;
                let (transport, negotiated) = match tls {
                    None => (Transport::Plain(TokioIo::new(tcp)), false),
                    Some((tls, name)) => secured(tcp, tls, name, http1).await?,
                };
                (transport, Some(address), negotiated)
            }
        };
        let is_secure = matches!(transport, Transport::Tls(_));
        let is_http2 = match self.protocol {
            _ if http1 => false,
            Protocol::Http2 if is_secure && !negotiated => return Err(ConnectError::NotHttp2),
            Protocol::Http2 => true,
            Protocol::Http1 | Protocol::Auto => negotiated,
        };
        let open = self.metrics.opened();
        Ok(Fresh {
            stream: Stream::new(transport, self.write_patience, open),
            address,
            is_http2,
        })
    }
}

/// Answers whether HTTP/2 was agreed on, too.
async fn secured(
    tcp: TcpStream,
    tls: &Tls,
    name: &ServerName<'static>,
    http1: bool,
) -> Result<(Transport, bool), ConnectError> {
    let config = if http1 { &tls.http1 } else { &tls.usual };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp);
    let stream = handshake.await.map_err(ConnectError::Tls)?;
    let negotiated = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    Ok((Transport::Tls(TokioIo::new(Box::new(stream))), negotiated))
}

/// Tries the addresses in turn. Each gets its share of the time that is left, so that one which
/// swallows packets does not use up what the others need.
async fn connect_tcp(
    addresses: &[SocketAddr],
    within: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let addresses = addresses.get(..ADDRESSES_MAX).unwrap_or(addresses);
    let began = Instant::now();
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = ConnectError::Resolve(Arc::new(none));
    for (at, address) in addresses.iter().enumerate() {
        let left = within.saturating_sub(began.elapsed());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(1);
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
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

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let dead = [refusing().await];
        assert!(matches!(
            connect_tcp(&dead, SHORT).await,
            Err(ConnectError::Connect(_))
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead[0], listener.local_addr().unwrap()];
        let (stream, tried) = connect_tcp(&addresses, SHORT).await.unwrap();
        assert_eq!(
            (stream.peer_addr().unwrap(), tried),
            (addresses[1], addresses[1])
        );
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
        let (stream, _) = connect_tcp(&addresses, SHORT).await.unwrap();
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
