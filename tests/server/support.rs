//! What the tests of the server share: certificates, handlers, clients on raw sockets and on TLS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::budget::Budget;
use cms_edge::connection::Connection;
use cms_edge::server::clients::Clients;
use cms_edge::server::tls::{self, Certificate, MinVersion, Pem};
use cms_edge::server::{Drained, Handler, HttpMode, Limits, Settings, bind};
use cms_edge::telemetry::server::ServerMetrics;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

/// More than any condition in these tests takes on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what)
        .await
        .expect("this should have happened by now")
}

/// Answers by path; see [`Handler::handle`] below.
pub(crate) struct Paths {
    /// Requests for `/gate` that have arrived.
    pub(crate) arrived: Semaphore,
    /// One permit lets one request for `/gate` go on.
    pub(crate) gate: Semaphore,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            arrived: Semaphore::new(0),
            gate: Semaphore::new(0),
        }
    }
}

pub(crate) const LARGE_BYTES: usize = 32 * 1024 * 1024;

impl Handler for Paths {
    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Response<Body> {
        let content = match request.uri().path() {
            "/gate" => {
                self.arrived.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
                "passed".to_owned()
            }
            "/panic" => panic!("a handler that panics"),
            "/echo" => {
                let content = request.into_body().collect().await;
                content.map_or_else(
                    |error| error.to_string(),
                    |content| String::from_utf8_lossy(&content.to_bytes()).into_owned(),
                )
            }
            "/large" => return Response::new(Body::full(vec![b'x'; LARGE_BYTES])),
            "/endless" => return Response::new(Body::stream(Endless)),
            "/connection" => format!(
                "{} {} {}",
                connection.scheme,
                connection.sni.as_deref().unwrap_or("-"),
                connection.local
            ),
            "/client" => format!(
                "{} {} via {}",
                connection.scheme,
                connection.peer.ip(),
                connection.via.ip()
            ),
            path => format!("{} {path}", request.method()),
        };
        Response::new(Body::full(content))
    }
}

/// Content without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 65536])))))
    }
}

/// A server that runs until it is told to stop.
pub(crate) struct Running {
    pub(crate) http: Vec<SocketAddr>,
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) handler: Arc<Paths>,
    pub(crate) metrics: Arc<ServerMetrics>,
    pub(crate) certificates: Option<Arc<tls::Certificates>>,
    pub(crate) task: JoinHandle<Drained>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Running {
    pub(crate) fn begin_stop(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stop(mut self) -> Drained {
        self.begin_stop();
        soon(self.task).await.unwrap()
    }

    pub(crate) async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.http[0]).await.unwrap()
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, condition: impl Fn(&ServerMetrics) -> bool) {
        soon(async {
            while !condition(&self.metrics) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(crate) fn short_limits() -> Limits {
    Limits {
        drain: SOON,
        ..Limits::default()
    }
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn settings(limits: Limits) -> Settings {
    Settings {
        https: vec![],
        http: vec![loopback()],
        http_mode: HttpMode::Serve,
        tls: None,
        hsts: None,
        clients: Clients::default(),
        limits,
    }
}

pub(crate) async fn start(settings: Settings) -> Running {
    start_within(settings, Budget::unbounded()).await
}

pub(crate) async fn start_within(settings: Settings, budget: Arc<Budget>) -> Running {
    let metrics = Arc::new(ServerMetrics::unregistered());
    let listeners = bind(settings, Arc::clone(&metrics)).await.unwrap();
    let listeners = listeners.within(budget);
    let handler = Arc::new(Paths::default());
    let (shutdown, told) = oneshot::channel();
    let (http, https) = (listeners.http().to_vec(), listeners.https().to_vec());
    let certificates = listeners.certificates();
    let task = tokio::spawn(listeners.serve(Arc::clone(&handler), async {
        told.await.ok();
    }));
    Running {
        http,
        https,
        handler,
        metrics,
        certificates,
        task,
        shutdown: Some(shutdown),
    }
}

/// A self-signed certificate as PEM, and its DER.
pub(crate) fn certificate(
    names: &[&str],
    hosts: &[&str],
) -> (Certificate, CertificateDer<'static>) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = Certificate {
        cert_pem: Pem::Bytes(made.cert.pem().into_bytes()),
        key_pem: Pem::Bytes(made.signing_key.serialize_pem().into_bytes()),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
    };
    (certificate, made.cert.der().clone())
}

pub(crate) fn https_settings(certificates: Vec<Certificate>, min_version: MinVersion) -> Settings {
    Settings {
        https: vec![loopback()],
        tls: Some(tls::Settings {
            certificates,
            min_version,
            client_ca: None,
        }),
        ..settings(short_limits())
    }
}

/// A TLS client that trusts `roots`.
pub(crate) fn client_config(
    roots: &[CertificateDer<'static>],
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> rustls::ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    name: &str,
    config: rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    soon(connector.connect(name, stream)).await
}

pub(crate) type Http1 = http1::SendRequest<Empty<Bytes>>;
pub(crate) type Http2 = http2::SendRequest<Empty<Bytes>>;

pub(crate) async fn http1<S>(stream: S) -> (Http1, JoinHandle<hyper::Result<()>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

pub(crate) async fn http2<S>(stream: S) -> (Http2, JoinHandle<hyper::Result<()>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

pub(crate) fn get(uri: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder().uri(uri);
    let request = match uri.starts_with('/') {
        true => request.header("host", "a.example"),
        false => request,
    };
    request.body(Empty::new()).unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let content = soon(response.into_body().collect()).await.unwrap();
    String::from_utf8(content.to_bytes().to_vec()).unwrap()
}

/// Sends `bytes` on a connection of its own and returns what comes until the server closes it.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

/// What comes until the server closes the connection; a reset is a failure.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The status of each response in `answer`, whose bodies have no line that looks like one.
pub(crate) fn statuses(answer: &str) -> Vec<u16> {
    answer
        .split("HTTP/1.")
        .skip(1)
        .map(|response| response[2..5].parse().unwrap())
        .collect()
}

/// One response with a Content-Length from a connection that stays open: head and content.
pub(crate) async fn one_response(stream: &mut TcpStream) -> (String, String) {
    soon(async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let fields: HashMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        let length = fields["content-length"].parse().unwrap();
        let mut content = vec![0; length];
        stream.read_exact(&mut content).await.unwrap();
        (head.clone(), String::from_utf8(content).unwrap())
    })
    .await
}
