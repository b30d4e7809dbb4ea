//! Readers who ask at a steady pace, whatever happens, and count what goes wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::support::origin::PATIENCE;
use crate::support::redis_server::eventually;
use crate::support::stage::HOST_NAME;

/// How many there are. None asks again before it was answered.
pub(crate) const READERS: u64 = 20;
/// How often each asks: 500 requests a second together.
const EVERY: Duration = Duration::from_millis(40);
/// Pages that are asked for again and again.
const PAGES: u64 = 40;
/// Every so many requests ask for a page that nobody had.
const NEW_EVERY: u64 = 10;

/// See the module.
pub(crate) struct Readers {
    counts: Arc<Counts>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    answered: AtomicU64,
    errors: AtomicU64,
    stop: AtomicBool,
}

impl Readers {
    pub(crate) fn start(at: SocketAddr) -> Self {
        let counts = Arc::new(Counts::default());
        let read = |_| tokio::spawn(read(at, Arc::clone(&counts)));
        Self {
            tasks: (0..READERS).map(read).collect(),
            counts,
        }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn read_on(&self, more: u64) {
        let until = self.counts.answered.load(Ordering::SeqCst) + more;
        eventually("readers read on", || async {
            self.counts.answered.load(Ordering::SeqCst) >= until
        })
        .await;
    }

    /// Waits until all have stopped; errors they got.
    pub(crate) async fn stop(self) -> u64 {
        self.counts.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.counts.errors.load(Ordering::SeqCst)
    }
}

async fn read(at: SocketAddr, counts: Arc<Counts>) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sender = connect(at).await;
    while !counts.stop.load(Ordering::SeqCst) {
        every.tick().await;
        let number = counts.asked.fetch_add(1, Ordering::SeqCst);
        let path = match number % NEW_EVERY {
            0 => format!("/new/{number}"),
            _ => format!("/{}", number % PAGES),
        };
        let is_well = timeout(PATIENCE, ask(&mut sender, &path)).await;
        if is_well != Ok(Some(())) {
            counts.errors.fetch_add(1, Ordering::SeqCst);
            sender = connect(at).await;
        }
        counts.answered.fetch_add(1, Ordering::SeqCst);
    }
}

async fn connect(at: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(at).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Nothing: it was not answered with 200 and the whole page.
async fn ask(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Option<()> {
    let request = Request::get(path).header(HOST, HOST_NAME);
    let request = request.body(Empty::new()).ok()?;
    sender.ready().await.ok()?;
    let response = sender.send_request(request).await.ok()?;
    let is_well = response.status() == 200;
    let content = response.into_body().collect().await.ok()?.to_bytes();
    (is_well && content == path.as_bytes()).then_some(())
}
