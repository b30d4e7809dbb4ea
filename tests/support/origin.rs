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

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The largest request head this origin reads, in bytes.
const HEAD_BYTES_MAX: usize = 256 * 1024;

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

/// What the origin does with one request. Afterwards the connection stays open for the next one,
/// unless the reply says otherwise.
#[must_use]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
    end: End,
}

enum Content {
    /// With `Content-Length`.
    Whole(Bytes),
    /// Chunked; pieces as they come.
    Pieces(mpsc::Receiver<Bytes>),
    /// Instead of a response: these bytes.
    Raw(Bytes),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    KeepOpen,
    Close,
    /// Closes without having said so.
    Vanish,
    /// After so many bytes of the content: closes.
    CutAfter(usize),
    /// After so many bytes of the content: sends nothing more until the other side has gone.
    StallAfter(usize),
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            content: Content::Whole(Bytes::new()),
            end: End::KeepOpen,
        }
    }

    /// 200 with `Content-Length`.
    pub(crate) fn ok(content: impl Into<Bytes>) -> Self {
        Self::new(200).content(content)
    }

    pub(crate) fn content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = Content::Whole(content.into());
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap();
        self
    }

    /// Whether it is a 304.
    pub(crate) fn is_not_modified(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    /// Adds a field; may be called again with the same name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// 200, chunked, whose content comes from the other end of the channel: each message is one
    /// chunk, and dropping the sender ends the content.
    pub(crate) fn pieces() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, pieces) = mpsc::channel(16);
        let mut reply = Self::new(200);
        reply.content = Content::Pieces(pieces);
        (sender, reply)
    }

    /// 200, chunked, with these chunks.
    pub(crate) fn chunked(chunks: &[&str]) -> Self {
        let (sender, pieces) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender
                .try_send(Bytes::copy_from_slice(chunk.as_bytes()))
                .unwrap();
        }
        let mut reply = Self::new(200);
        reply.content = Content::Pieces(pieces);
        reply
    }

    /// These bytes instead of a response; then the connection is closed.
    pub(crate) fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut reply = Self::new(200).close();
        reply.content = Content::Raw(bytes.into());
        reply
    }

    /// Never answers; the connection stays open until the other side closes it.
    pub(crate) fn silent() -> Self {
        let mut reply = Self::raw("");
        reply.end = End::StallAfter(0);
        reply
    }

    /// Closes the connection without an answer.
    pub(crate) fn hang_up() -> Self {
        Self::raw("")
    }

    /// Closes the connection after the response, with `Connection: close`.
    pub(crate) fn close(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Closes the connection after the response, which does not say so.
    pub(crate) fn vanish(mut self) -> Self {
        self.end = End::Vanish;
        self
    }

    /// Breaks off: sends only `bytes` of the content, then closes the connection. Chunked content
    /// ends without its last chunk.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::CutAfter(bytes);
        self
    }

    /// Stalls: sends only `bytes` of the content, then nothing until the other side has gone.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.end = End::StallAfter(bytes);
        self
    }
}

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

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
    let mut wire = Wire {
        transport,
        buffer: BytesMut::new(),
    };
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
    wire.transport.shutdown().await
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

/// One connection, read and written as HTTP/1.1 by hand.
struct Wire {
    transport: Box<dyn Transport>,
    buffer: BytesMut,
}

impl Wire {
    /// The next request, or none when the other side has closed.
    async fn request(&mut self, connection: usize) -> io::Result<Option<Received>> {
        let Some(head) = self.until(b"\r\n\r\n").await? else {
            return Ok(None);
        };
        let head = String::from_utf8(head.to_vec()).map_err(io::Error::other)?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().parse();
        let target = words.next().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name: HeaderName = name.parse().map_err(io::Error::other)?;
            headers.append(name, value.trim().parse().map_err(io::Error::other)?);
        }
        let content = self.content(&headers).await?;
        Ok(Some(Received {
            method: method.map_err(io::Error::other)?,
            target,
            headers,
            content,
            connection,
        }))
    }

    async fn content(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        if headers.contains_key(http::header::TRANSFER_ENCODING) {
            return self.chunks().await;
        }
        let length = headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        self.exactly(length.unwrap_or(0)).await
    }

    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut content = BytesMut::new();
        loop {
            let line = self.until(b"\r\n").await?.unwrap_or_default();
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(content.freeze());
            }
            content.extend_from_slice(&chunk[..size]);
        }
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Option<Bytes>> {
        loop {
            let found = self.buffer.windows(end.len()).position(|w| w == end);
            if let Some(at) = found {
                return Ok(Some(self.buffer.split_to(at + end.len()).freeze()));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of the request is too long"));
            }
            if self.transport.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.buffer.len() < length {
            if self.transport.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Waits until the other side closes the connection.
    async fn closed(&mut self) -> io::Result<()> {
        while self.transport.read_buf(&mut self.buffer).await? > 0 {}
        Ok(())
    }

    /// Whether the connection stays open.
    async fn answer(&mut self, reply: Reply, head_only: bool) -> io::Result<bool> {
        let mut left = match reply.end {
            End::CutAfter(bytes) | End::StallAfter(bytes) => bytes,
            End::KeepOpen | End::Close | End::Vanish => usize::MAX,
        };
        let breaks_off = left != usize::MAX;
        let head = head_of(&reply);
        match reply.content {
            Content::Raw(bytes) => self.write(&bytes).await?,
            Content::Whole(content) => {
                self.write(&head).await?;
                if !head_only {
                    self.write(&content[..content.len().min(left)]).await?;
                }
            }
            Content::Pieces(mut pieces) => {
                self.write(&head).await?;
                while left > 0 && !head_only {
                    let Some(piece) = pieces.recv().await else {
                        break;
                    };
                    let piece = piece.slice(..piece.len().min(left));
                    left -= piece.len();
                    let size = format!("{:x}\r\n", piece.len());
                    let chunk = [size.as_bytes(), &piece, b"\r\n"].concat();
                    self.write(&chunk).await?;
                }
                if !breaks_off && !head_only {
                    self.write(b"0\r\n\r\n").await?;
                }
            }
        }
        if matches!(reply.end, End::StallAfter(_)) {
            self.closed().await?;
        }
        Ok(reply.end == End::KeepOpen)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }
}

/// Status line and fields. Framing fields are added where they belong, unless the reply has its
/// own.
fn head_of(reply: &Reply) -> Vec<u8> {
    let status = reply.status;
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &reply.headers {
        head.extend_from_slice(name.as_ref());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let contentless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match &reply.content {
        _ if reply.headers.contains_key(http::header::CONTENT_LENGTH) => {}
        Content::Whole(_) if contentless => {}
        Content::Whole(content) => {
            head.extend_from_slice(format!("content-length: {}\r\n", content.len()).as_bytes());
        }
        Content::Pieces(_) => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Content::Raw(_) => {}
    }
    if reply.end == End::Close {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
