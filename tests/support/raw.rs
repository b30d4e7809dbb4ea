//! An origin and a client of a few bytes each: what they send and when is the test's business.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::origin::{Origin, PATIENCE, Reply};
use super::stage::Stage;

/// How long nothing has to come before a test believes that nothing does.
const QUIET: Duration = Duration::from_millis(150);

/// A listener whose connections the test serves by hand.
pub(crate) struct RawOrigin(TcpListener);

impl RawOrigin {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// An instance whose one route goes here. `settings` are of the upstream, and of `[server]`
    /// where they begin with `server.`; `route` are keys of the route.
    pub(crate) async fn stage(&self, settings: &str, route: &str) -> Stage {
        let unused = Origin::start(|_| async { Reply::ok("unused") }).await;
        let is_server = |line: &&str| line.starts_with("server.");
        let (server, upstream): (Vec<&str>, Vec<&str>) = settings.lines().partition(is_server);
        let text = format!(
            "{}\n[upstream.raw]\nservers = [\"http://{}\"]\n{}\n[[route]]\nname = \"all\"\n\
             path = \"/*\"\nupstream = \"raw\"\n{route}\n",
            server.join("\n"),
            self.address(),
            upstream.join("\n"),
        );
        Stage::start(&unused, &text).await
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> RawStream {
        let accepted = timeout(PATIENCE, self.0.accept()).await;
        RawStream::new(accepted.expect("a connection").unwrap().0)
    }

    /// The next connection, and the head of the first request on it.
    pub(crate) async fn asked(&self) -> (RawStream, String) {
        let mut stream = self.accept().await;
        let head = stream.until("\r\n\r\n").await;
        (stream, head)
    }

    pub(crate) async fn is_quiet(&self) -> bool {
        timeout(QUIET, self.0.accept()).await.is_err()
    }
}

/// One end of a connection, read as text.
pub(crate) struct RawStream {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawStream {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::new(TcpStream::connect(to).await.unwrap())
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let buffer = Vec::new();
        Self { stream, buffer }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Ends the sending side.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// What comes up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .buffer
                .windows(end.len())
                .position(|w| w == end.as_bytes());
            if let Some(at) = found {
                let rest = self.buffer.split_off(at + end.len());
                let text = std::mem::replace(&mut self.buffer, rest);
                return String::from_utf8(text).unwrap();
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("waited in vain for {end:?}"));
            let seen = String::from_utf8_lossy(&self.buffer);
            assert!(read.unwrap() > 0, "ended before {end:?}: {seen}");
        }
    }

    /// All that comes until the other side ends, well or not.
    pub(crate) async fn rest(&mut self) -> String {
        let read = async {
            while self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .is_ok_and(|n| n > 0)
            {}
        };
        timeout(PATIENCE, read).await.expect("an end");
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// Whether nothing has come that was not looked at, and nothing comes for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let read = timeout(QUIET, self.stream.read_buf(&mut self.buffer)).await;
        read.is_err() && self.buffer.is_empty()
    }
}
