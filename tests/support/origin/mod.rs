//! A small scripted origin server on a real socket, plain or with TLS.
//!
//! ```ignore
//! let origin = Origin::start(|request| async move {
//!     match request.target.as_str() {
//!         "/slow" => Reply::silent(),                       // never answers
//!         "/half" => Reply::ok("0123456789").cut_after(4),  // says 10 bytes, sends 4, closes
//!         _ => Reply::ok("hello").header("cache-control", "max-age=60"),
//!     }
//! })
//! .await;
//! let settings = … origin.uri() …;
//! origin.saw(1).await;                                      // waits until a request has come
//! assert_eq!(origin.requests()[0].header("host"), Some("www.example.org"));
//! ```
//!
//! The handler runs once per request and may wait for a barrier or a channel before it returns.
//! Everything that came is recorded before the handler runs; when the other side leaves meanwhile,
//! the handler is dropped. Dropping the `Origin` closes its listener and every connection.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

mod reply;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub(crate) use self::reply::Reply;
use self::wire::{Transport, Wire};

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

type Handler =
    Arc<dyn Fn(Received) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static>;

/// A running origin server.
pub(crate) struct Origin {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    handler: Handler,
    requests: Mutex<Vec<Received>>,
    /// Requests, connections accepted, connections closed.
    counts: watch::Sender<Counts>,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: usize,
    accepted: usize,
    closed: usize,
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    /// The request target, byte for byte.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// What was in the content; decoded where it was chunked.
    pub(crate) content: Bytes,
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
}

impl Received {
    /// The first value of a field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Origin {
    /// Starts on a free port of 127.0.0.1.
    pub(crate) async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::listen(handler, None).await
    }

    /// Starts with TLS; see `support/authority.rs` for a configuration.
    pub(crate) async fn start_tls<H, F>(config: Arc<rustls::ServerConfig>, handler: H) -> Self
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::listen(handler, Some(TlsAcceptor::from(config))).await
    }

    /// `http://127.0.0.1:port`, or `https://localhost:port` with TLS.
    pub(crate) fn uri(&self) -> Uri {
        let uri = if self.secure {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        };
        uri.parse().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that came so far, in order.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.shared.requests.lock().clone()
    }

    /// How many requests came so far.
    pub(crate) fn hits(&self) -> usize {
        self.shared.counts.borrow().requests
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.counts.borrow().accepted
    }

    /// The largest number of handlers that ran at the same time.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.shared.in_flight_max.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have come.
    pub(crate) async fn saw(&self, count: usize) {
        self.wait_for("requests", |counts| counts.requests >= count)
            .await;
    }

    /// Waits until `count` connections are closed again.
    pub(crate) async fn lost(&self, count: usize) {
        self.wait_for("closed connections", |counts| counts.closed >= count)
            .await;
    }

    async fn wait_for(&self, what: &str, reached: impl Fn(&Counts) -> bool) {
        let mut counts = self.shared.counts.subscribe();
        let outcome = tokio::time::timeout(PATIENCE, counts.wait_for(reached)).await;
        assert!(outcome.is_ok(), "the origin waited in vain for {what}");
    }

    async fn listen<H, F>(handler: H, tls: Option<TlsAcceptor>) -> Self
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            handler: Arc::new(move |request| Box::pin(handler(request))),
            requests: Mutex::default(),
            counts: watch::Sender::default(),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        });
        let address = listener.local_addr().unwrap();
        let secure = tls.is_some();
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            secure,
            shared,
            accepting,
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A port of 127.0.0.1 on which nobody listens: connections are refused.
pub(crate) async fn refusing() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    format!("http://{address}").parse().unwrap()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((tcp, _)) = listener.accept().await else {
            return;
        };
        shared.counts.send_modify(|counts| counts.accepted += 1);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            // What goes wrong on a connection is what the test looks at from the other side.
            let _ = converse(tcp, tls, number, &shared).await;
            shared.counts.send_modify(|counts| counts.closed += 1);
        });
    }
}

async fn converse(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    number: usize,
    shared: &Shared,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let transport: Box<dyn Transport> = match tls {
        Some(tls) => Box::new(tls.accept(tcp).await?),
        None => Box::new(tcp),
    };
    let mut wire = Wire::new(transport);
    while let Some(request) = wire.request(number).await? {
        shared.requests.lock().push(request.clone());
        shared.counts.send_modify(|counts| counts.requests += 1);
        let head_only = request.method == Method::HEAD;
        let reply = {
            let _running = Running::begin(shared);
            tokio::select! {
                reply = (shared.handler)(request) => reply,
                gone = wire.closed() => return gone,
            }
        };
        if !wire.answer(reply, head_only).await? {
            break;
        }
    }
    wire.close().await
}

/// Counts a handler that runs.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.in_flight_max.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
