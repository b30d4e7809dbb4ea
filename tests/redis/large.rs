//! What is large comes slowly, and is no reason to leave Redis alone.

use std::sync::Arc;
use std::time::Duration;

use cms_edge::store::StoreError;
use cms_edge::store::redis::Settings;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bench::{Bench, plain, servers, settings};
use crate::support::redis_server::{Server, eventually};

const LARGE_BYTES: usize = 4 << 20;

fn large_ones(server: &Server) -> Settings {
    Settings {
        object_bytes_max: 2 * LARGE_BYTES,
        ..settings(servers(&server.url()))
    }
}

/// As a reader or a writer far away has it.
fn from_afar(line: &Line) -> Settings {
    Settings {
        servers: servers(&format!("redis://127.0.0.1:{}", line.port)),
        object_bytes_max: 2 * LARGE_BYTES,
        timeout: Duration::from_millis(300),
        connections: 1,
        ..settings(servers("redis://127.0.0.1"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_comes_too_slowly_is_a_miss_and_closes_the_way_for_nobody() {
    let server = Server::start(&[]).await;
    let near = Bench::with(large_ones(&server)).await;
    let body = "x".repeat(LARGE_BYTES);
    assert!(near.put(&plain("/large", &body).response()).await);
    assert!(near.put(&plain("/small", "small").response()).await);
    let line = Line::start(server.port).await;
    let far = Bench::with(from_afar(&line)).await;
    line.replies.send_replace(Pace::Slow);
    let late = far.ask("/large", "").await.unwrap_err();
    assert_eq!(late, StoreError::Deadline);
    // Nobody waits behind it.
    let behind = far.ask("/small", "").await.unwrap();
    assert!(behind.entry.is_none());
    assert_eq!(far.lookups("busy"), 1);
    line.replies.send_replace(Pace::Fast);
    eventually("what is small is found", || async {
        let found = far.ask("/small", "").await.unwrap().entry;
        found.is_some()
    })
    .await;
    // It is not asked for again so soon.
    assert!(far.ask("/large", "").await.unwrap().entry.is_none());
    assert_eq!(far.lookups("skipped"), 1);
    assert_eq!(far.metric("redis_trips_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_never_ends_ends_the_connection() {
    let server = Server::start(&[]).await;
    let near = Bench::with(large_ones(&server)).await;
    let body = "x".repeat(LARGE_BYTES);
    assert!(near.put(&plain("/large", &body).response()).await);
    assert!(near.put(&plain("/small", "small").response()).await);
    let line = Line::start(server.port).await;
    let far = Bench::with(from_afar(&line)).await;
    line.replies.send_replace(Pace::StopsAfter(1 << 20));
    assert_eq!(
        far.ask("/large", "").await.unwrap_err(),
        StoreError::Deadline
    );
    eventually("the connection is given up", || async {
        let _busy_or_failed = far.ask("/small", "").await;
        far.metric("redis_trips_total") == 1
    })
    .await;
    line.replies.send_replace(Pace::Fast);
    eventually("Redis is found again", || async {
        let found = far.ask("/small", "").await;
        found.is_ok_and(|reply| reply.entry.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_something_behind_what_is_being_written_closes_the_way_for_nobody() {
    let server = Server::start(&[]).await;
    let line = Line::start(server.port).await;
    let far = Arc::new(Bench::with(from_afar(&line)).await);
    let small = plain("/small", "small").response();
    assert!(far.put(&small).await);
    line.commands.send_replace(Pace::Slow);
    let body = "x".repeat(LARGE_BYTES);
    let writing = {
        let (far, large) = (Arc::clone(&far), plain("/large", &body).response());
        tokio::spawn(async move { far.put(&large).await })
    };
    line.carries("the large value", 256 << 10).await;
    far.redis.remove(&small).await;
    assert_eq!(far.metric("redis_trips_total"), 0);
    line.commands.send_replace(Pace::Fast);
    assert!(writing.await.unwrap());
    eventually("it was dropped after all", || async {
        far.ask("/small", "").await.unwrap().entry.is_none()
    })
    .await;
}

/// How fast a direction is.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Fast,
    /// 64 KiB in 50 ms.
    Slow,
    /// So many more bytes of a connection, and no more.
    StopsAfter(usize),
}

/// Stands between an instance and Redis, and is slow.
struct Line {
    port: u16,
    commands: watch::Sender<Pace>,
    replies: watch::Sender<Pace>,
    carried: watch::Receiver<usize>,
}

impl Line {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (commands, replies) = (
            watch::Sender::new(Pace::Fast),
            watch::Sender::new(Pace::Fast),
        );
        let paces = (commands.subscribe(), replies.subscribe());
        let (count, carried) = watch::channel(0);
        let (ignored, _) = watch::channel(0);
        let (count, ignored) = (Arc::new(count), Arc::new(ignored));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let redis = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_redis, to_redis) = redis.into_split();
                let (commands, replies) = paces.clone();
                tokio::spawn(carry(from_client, to_redis, commands, Arc::clone(&count)));
                tokio::spawn(carry(from_redis, to_client, replies, Arc::clone(&ignored)));
            }
        });
        Self {
            port,
            commands,
            replies,
            carried,
        }
    }

    async fn carries(&self, what: &str, bytes: usize) {
        eventually(what, || async { *self.carried.borrow() >= bytes }).await;
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut paces: watch::Receiver<Pace>,
    count: Arc<watch::Sender<usize>>,
) {
    let mut buffer = vec![0; 64 << 10];
    let mut under_pace = 0;
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if paces.has_changed().unwrap_or(false) {
            under_pace = 0;
        }
        let pace = *paces.borrow_and_update();
        under_pace += read;
        count.send_modify(|count| *count += read);
        match pace {
            Pace::Fast => {}
            Pace::Slow => tokio::time::sleep(Duration::from_millis(50)).await,
            Pace::StopsAfter(bytes) if under_pace > bytes => return std::future::pending().await,
            Pace::StopsAfter(_) => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
