//! Nothing is believed that is read.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::bench::{Bench, plain, varied};
use crate::support::redis_server::{Server, eventually};

/// The one key that is there, and the field that is not the index.
async fn only(server: &Server) -> (String, String) {
    let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
    let fields: Vec<String> = server.ask(&["HKEYS", &names[0]]).await;
    let field = fields.into_iter().find(|field| field != "i").unwrap();
    (names[0].clone(), field)
}

#[tokio::test]
async fn a_damaged_value_is_a_miss_and_is_dropped() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let damages: [&[u8]; 3] = [b"", b"garbage", b"cmse\x00\x01"];
    for damage in damages {
        assert!(bench.put(&plain("/a", "hello").response()).await);
        let (name, field) = only(&server).await;
        let damage = String::from_utf8(damage.to_vec()).unwrap();
        let _: u64 = server.ask(&["HSET", &name, &field, &damage]).await;
        assert_eq!(bench.find("/a", "").await, None);
        eventually("it is dropped", || async {
            server.ask::<u64>(&["DBSIZE"]).await == 0
        })
        .await;
    }
    assert_eq!(bench.metric("redis_corrupt_total"), 3);
    assert!(bench.put(&plain("/a", "hello").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_value_of_another_key_is_a_miss_and_is_dropped() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&varied("/a", "a", "for a").response()).await);
    let (name, field) = only(&server).await;
    assert!(bench.put(&varied("/a", "b", "for b").response()).await);
    // The value of one variant under the name of the other.
    let swap = "local fields = redis.call('HKEYS', KEYS[1]) \
                for _, f in ipairs(fields) do if f ~= 'i' and f ~= ARGV[1] then \
                redis.call('HSET', KEYS[1], f, redis.call('HGET', KEYS[1], ARGV[1])) end end \
                return 1";
    let _: u64 = server.ask(&["EVAL", swap, "1", &name, &field]).await;
    assert_eq!(bench.find("/a", "b").await, None);
    eventually("it is counted and dropped", || async {
        bench.metric("redis_corrupt_total") == 1 && server.ask::<u64>(&["HLEN", &name]).await == 2
    })
    .await;
    assert_eq!(bench.find("/a", "a").await.unwrap(), "for a");
}

#[tokio::test]
async fn a_key_that_is_not_ours_is_dropped() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    for damage in ["type", "index", "no value"] {
        assert!(bench.put(&plain("/a", "hello").response()).await);
        let (name, field) = only(&server).await;
        match damage {
            "type" => {
                let _: String = server.ask(&["SET", &name, "text"]).await;
            }
            "index" => {
                let _: u64 = server.ask(&["HSET", &name, "i", "some other text\n"]).await;
            }
            _ => {
                let _: u64 = server.ask(&["HDEL", &name, &field]).await;
            }
        }
        assert_eq!(bench.find("/a", "").await, None, "{damage}");
        eventually("it is dropped", || async {
            server.ask::<u64>(&["DBSIZE"]).await == 0
        })
        .await;
        assert_eq!(bench.metric("redis_breaker_open"), 0);
    }
    assert_eq!(bench.metric("redis_corrupt_total"), 3);
}

/// A reply that came for a request that was given up, and went to the next one, would be another
/// reader's page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reply_of_a_cancelled_lookup_goes_to_nobody() {
    const PATHS: usize = 50;
    const READERS: usize = 16;
    const ROUNDS: usize = 200;
    let server = Server::start(&[]).await;
    let bench = Arc::new(Bench::before(&server).await);
    for at in 0..PATHS {
        // Of different sizes, so that replies come in different numbers of pieces.
        let body = format!("/{at} {}", "x".repeat(at * 997 % 20_000));
        assert!(bench.put(&plain(&format!("/{at}"), &body).response()).await);
    }
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let bench = Arc::clone(&bench);
        readers.spawn(async move {
            let mut whole = 0_usize;
            for round in 0..ROUNDS {
                let path = format!("/{}", (reader * 7 + round * 13) % PATHS);
                let mut lookup = Box::pin(bench.find(&path, ""));
                // Polled a few times, so that it is given up at every stage.
                let polls = (reader + round) % 5;
                let mut polled = 0;
                let found = std::future::poll_fn(|context| {
                    polled += 1;
                    match lookup.as_mut().poll(context) {
                        std::task::Poll::Ready(found) => std::task::Poll::Ready(Some(found)),
                        _ if polls > 0 && polled >= polls => std::task::Poll::Ready(None),
                        _ => std::task::Poll::Pending,
                    }
                })
                .await;
                drop(lookup);
                if let Some(found) = found {
                    let found = found.expect("it is there");
                    assert!(found.starts_with(format!("{path} ").as_bytes()), "{path}");
                    whole += 1;
                }
            }
            whole
        });
    }
    let mut whole = 0;
    while let Some(reader) = readers.join_next().await {
        whole += reader.unwrap();
    }
    assert!((1..READERS * ROUNDS).contains(&whole), "some were given up");
    assert_eq!(bench.metric("redis_corrupt_total"), 0);
    assert_eq!(bench.find("/1", "").await.unwrap().len(), 3 + 997);
}
