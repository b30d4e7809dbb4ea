//! Clients that ask without a pause on connections they keep, and count what becomes of it.
//!
//! A failure is a request without its right answer, and an HTTP/1 connection that ends without the
//! answer before having said so: a client could not tell whether its next request was received.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::origin::PATIENCE;

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) answered: AtomicU64,
    /// Connections opened.
    pub(crate) connections: AtomicU64,
    pub(crate) failures: Mutex<Vec<String>>,
    stop: AtomicBool,
}

pub(crate) struct Load {
    pub(crate) counts: Arc<Counts>,
    clients: JoinSet<()>,
}

type Sent = Result<Response<Incoming>, String>;

impl Load {
    /// `http1` and `http2` clients, each with one request at a time.
    pub(crate) fn start(to: SocketAddr, http1: usize, http2: usize) -> Self {
        let counts = Arc::new(Counts::default());
        let mut clients = JoinSet::new();
        for _ in 0..http1 {
            clients.spawn(over_http1(to, Arc::clone(&counts)));
        }
        for _ in 0..http2 {
            clients.spawn(over_http2(to, Arc::clone(&counts)));
        }
        Self { counts, clients }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.counts.answered.load(SeqCst)
    }

    /// Ends it, and fails if anything was lost. Returns the requests.
    pub(crate) async fn finish(mut self) -> u64 {
        self.counts.stop.store(true, SeqCst);
        while let Some(client) = timeout(PATIENCE, self.clients.join_next()).await.unwrap() {
            client.unwrap();
        }
        let failures = self.counts.failures.lock();
        let (sent, answered) = (self.counts.sent.load(SeqCst), self.answered());
        let connections = self.counts.connections.load(SeqCst);
        println!(
            "{sent} requests, {answered} answered, {} failed, over {connections} connections",
            failures.len()
        );
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(sent, answered);
        sent
    }
}

impl Counts {
    fn is_over(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn fail(&self, what: impl Into<String>) {
        self.failures.lock().push(what.into());
    }

    async fn connect(&self, to: SocketAddr) -> Option<TokioIo<TcpStream>> {
        match TcpStream::connect(to).await {
            Ok(stream) => {
                self.connections.fetch_add(1, SeqCst);
                stream.set_nodelay(true).unwrap();
                Some(TokioIo::new(stream))
            }
            Err(error) => {
                self.fail(format!("connect: {error}"));
                None
            }
        }
    }

    /// The next path: two of three were asked for before.
    fn path(&self) -> String {
        let number = self.sent.fetch_add(1, SeqCst);
        match number % 3 {
            0 => format!("/new/{number}"),
            _ => format!("/known/{}", number % 50),
        }
    }

    /// Whether the connection goes on.
    async fn take(&self, path: &str, sent: Sent) -> bool {
        let response = match sent {
            Ok(response) => response,
            Err(why) => {
                self.fail(why);
                return false;
            }
        };
        let goes_on = response
            .headers()
            .get(CONNECTION)
            .is_none_or(|value| value != "close");
        let status = response.status();
        let body = response.into_body().collect().await;
        match body.map(|body| body.to_bytes()) {
            Ok(body) if status == 200 && body == path => {
                self.answered.fetch_add(1, SeqCst);
            }
            Ok(_) => self.fail(format!("{path}: {status}, or another content")),
            Err(error) => self.fail(format!("{path}: {error:?}")),
        }
        goes_on
    }
}

async fn over_http1(to: SocketAddr, counts: Arc<Counts>) {
    while !counts.is_over() {
        let Some(stream) = counts.connect(to).await else {
            return;
        };
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut goes_on = true;
        while goes_on && !counts.is_over() {
            if let Err(error) = sender.ready().await {
                counts.fail(format!("HTTP/1 ended without having said so: {error:?}"));
                break;
            }
            let path = counts.path();
            let request = Request::get(&path)
                .header(HOST, "www.example.test")
                .body(Empty::<Bytes>::new());
            let sent = sender.send_request(request.unwrap()).await;
            let sent = sent.map_err(|error| format!("HTTP/1 {path}: {error:?}"));
            goes_on = counts.take(&path, sent).await;
        }
    }
}

async fn over_http2(to: SocketAddr, counts: Arc<Counts>) {
    while !counts.is_over() {
        let Some(stream) = counts.connect(to).await else {
            return;
        };
        let executor = TokioExecutor::new();
        let (mut sender, connection) = http2::handshake(executor, stream).await.unwrap();
        let ended = tokio::spawn(connection);
        // It is not ready once it was told that the connection goes away.
        while sender.ready().await.is_ok() && !counts.is_over() {
            let path = counts.path();
            let request = Request::get(format!("http://www.example.test{path}"))
                .body(Empty::<Bytes>::new())
                .unwrap();
            match sender.try_send_request(request).await {
                Ok(response) => {
                    counts.take(&path, Ok(response)).await;
                }
                Err(mut error) => {
                    // It was told between being ready and sending: this was not sent.
                    if error.take_message().is_some() {
                        counts.sent.fetch_sub(1, SeqCst);
                        continue;
                    }
                    let why = format!("HTTP/2 {path}: {:?}", error.into_error());
                    counts.take(&path, Err(why)).await;
                    break;
                }
            }
        }
        drop(sender);
        if let Err(error) = ended.await.unwrap() {
            counts.fail(format!("HTTP/2 ended badly: {error:?}"));
        }
    }
}
