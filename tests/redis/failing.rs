//! Redis stops, dies, comes back, and is full. Nobody waits for it more than once, and nothing has
//! to be restarted.

use std::sync::Arc;
use std::time::Duration;

use cms_edge::store::StoreError;
use cms_edge::store::redis::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bench::{Bench, plain, servers, settings};
use crate::support::redis_server::{PATIENCE, Server, eventually, free_port};

/// With a deadline that tests can wait out.
fn impatient(server: &Server) -> Settings {
    Settings {
        timeout: Duration::from_millis(200),
        ..settings(servers(&server.url()))
    }
}

/// Waits until it is found at `/a` again. A busy machine may miss a short deadline once more.
async fn finds(bench: &Bench, content: &str) {
    eventually("it is found again", || async {
        let found = bench.ask("/a", "").await.ok().and_then(|reply| reply.entry);
        found.is_some_and(|entry| entry.content().original() == content)
    })
    .await;
}

#[tokio::test]
async fn redis_that_hangs_is_waited_for_once_and_then_left_alone() {
    let server = Server::start(&[]).await;
    let bench = Bench::with(impatient(&server)).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    server.suspend();
    assert_eq!(bench.ask("/a", "").await.unwrap_err(), StoreError::Deadline);
    for _ in 0..100 {
        let reply = bench.ask("/a", "").await.unwrap();
        assert!(reply.entry.is_none());
    }
    assert_eq!(
        (bench.lookups("deadline"), bench.lookups("skipped")),
        (1, 100)
    );
    assert!(!bench.put(&plain("/b", "b").response()).await);
    assert_eq!(bench.writes("skipped"), 1);
    server.resume();
    finds(&bench, "hello").await;
}

#[tokio::test]
async fn redis_that_dies_and_comes_back_is_found_again() {
    let mut server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    server.kill();
    let _fails_or_is_skipped = bench.ask("/a", "").await;
    bench.is_closed().await;
    assert!(bench.ask("/a", "").await.unwrap().entry.is_none());
    server.restart().await;
    bench.is_open().await;
    assert_eq!(bench.find("/a", "").await, None, "it came back empty");
    assert!(bench.put(&plain("/a", "again").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "again");
}

#[tokio::test]
async fn redis_that_is_not_there_at_the_start_is_found_later() {
    let port = free_port();
    let bench = Bench::new(settings(servers(&format!("redis://127.0.0.1:{port}"))));
    assert!(bench.ask("/a", "").await.unwrap().entry.is_none());
    assert!(!bench.put(&plain("/a", "hello").response()).await);
    let server = Server::spawn(port, &[]);
    server.is_there().await;
    bench.is_open().await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
}

#[tokio::test]
async fn redis_that_is_flushed_is_a_miss() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    let _: String = server.ask(&["FLUSHALL"]).await;
    assert_eq!(bench.find("/a", "").await, None);
    assert_eq!(bench.metric("redis_breaker_open"), 0);
}

#[tokio::test]
async fn redis_that_is_full_refuses_puts_and_answers_lookups() {
    let server = Server::start(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]).await;
    let bench = Bench::before(&server).await;
    let body = "x".repeat(900 << 10);
    for at in 0..20 {
        bench.put(&plain(&format!("/{at}"), &body).response()).await;
    }
    assert!(bench.writes("full") > 0 && bench.writes("stored") > 0);
    assert_eq!(bench.find("/0", "").await.unwrap(), body);
    assert_eq!(bench.metric("redis_breaker_open"), 0);
    assert_eq!(bench.metric("redis_trips_total"), 0);
}

#[tokio::test]
async fn redis_that_evicts_is_a_miss_and_is_told_of() {
    let server = Server::start(&["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let bench = Bench::before(&server).await;
    eventually("INFO is read", || async {
        bench.metric("redis_used_memory_bytes") > 0
    })
    .await;
    assert_eq!(bench.metric("redis_evicts_any"), 1);
    let body = "x".repeat(900 << 10);
    for at in 0..20 {
        assert!(bench.put(&plain(&format!("/{at}"), &body).response()).await);
    }
    assert_eq!(bench.find("/0", "").await, None);
    assert_eq!(bench.find("/19", "").await.unwrap(), body);
}

#[tokio::test]
async fn redis_that_is_slow_or_talks_nonsense_is_left_alone_until_it_is_well() {
    let server = Server::start(&[]).await;
    let between = Between::start(server.port).await;
    let url = format!("redis://127.0.0.1:{}", between.port);
    let bench = Bench::with(Settings {
        timeout: Duration::from_millis(200),
        ..settings(servers(&url))
    })
    .await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    for mood in [Mood::Slow(Duration::from_millis(400)), Mood::Nonsense] {
        between.mood.send_replace(mood);
        assert!(bench.ask("/a", "").await.is_err(), "{mood:?}");
        bench.is_closed().await;
        // Its own looks at Redis do not find it well.
        between.asked(3).await;
        assert!(bench.ask("/a", "").await.unwrap().entry.is_none());
        assert_eq!(bench.metric("redis_breaker_open"), 1, "{mood:?}");
        between.mood.send_replace(Mood::Well);
        finds(&bench, "hello").await;
    }
    assert_eq!(bench.metric("redis_corrupt_total"), 0);
}

/// Stands between an instance and Redis, and disturbs the replies.
pub(crate) struct Between {
    pub(crate) port: u16,
    pub(crate) mood: watch::Sender<Mood>,
    /// Pieces of replies.
    replies: watch::Receiver<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// Later by so much.
    Slow(Duration),
    Nonsense,
}

impl Between {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mood, moods) = watch::channel(Mood::Well);
        let (count, replies) = watch::channel(0);
        let count = Arc::new(count);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let redis = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_redis, mut to_redis) = redis.into_split();
                let (moods, count) = (moods.clone(), Arc::clone(&count));
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_redis).await });
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(read @ 1..) = from_redis.read(&mut buffer).await {
                        let mood = *moods.borrow();
                        count.send_modify(|count| *count += 1);
                        let reply: &[u8] = match mood {
                            Mood::Well => &buffer[..read],
                            Mood::Slow(pause) => {
                                tokio::time::sleep(pause).await;
                                &buffer[..read]
                            }
                            Mood::Nonsense => b"!!no reply at all\r\n",
                        };
                        if to_client.write_all(reply).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            port,
            mood,
            replies,
        }
    }

    /// Waits for so many more pieces of replies.
    async fn asked(&self, more: u64) {
        let mut replies = self.replies.clone();
        let until = *replies.borrow() + more;
        let asked = replies.wait_for(|count| *count >= until);
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let bench = Bench::new(settings(servers(&url)));
    for _ in 0..3 {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    }
    assert!(bench.ask("/a", "").await.unwrap().entry.is_none());
    assert_eq!(bench.lookups("skipped"), 1);
}

#[tokio::test]
async fn a_user_who_may_not_write_reads() {
    let rules = "edge on >secret ~* +@read +ping +client +info +hello";
    let mut settings_of_server = vec!["--user"];
    settings_of_server.extend(rules.split(' '));
    let server = Server::start(&settings_of_server).await;
    let url = format!("redis://edge:secret@127.0.0.1:{}", server.port);
    let (reader, writer) = (
        Bench::with(settings(servers(&url))).await,
        Bench::before(&server).await,
    );
    assert!(!reader.put(&plain("/a", "hello").response()).await);
    assert_eq!(reader.writes("refused"), 1);
    assert!(writer.put(&plain("/a", "hello").response()).await);
    assert_eq!(reader.find("/a", "").await.unwrap(), "hello");
}
