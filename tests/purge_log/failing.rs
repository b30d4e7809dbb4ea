//! Redis dies, hangs, forgets, and comes back: nothing older is served, and nobody gets an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Barrier;

use super::edge::{EVERYTHING, Edge, Versions};
use crate::support::redis_server::{Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_origin_is_asked_and_with_it_hits_are_served_again() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    a.get("/x").await;
    redis.kill();
    for edge in [&a, &b] {
        edge.is_fenced().await;
    }
    // Nobody can be told what is purged; nobody serves what may be.
    let published = versions.publish();
    for edge in [&a, &b] {
        for _ in 0..20 {
            let answer = edge.get("/x").await;
            assert_eq!(
                (answer.status, answer.text()),
                (StatusCode::OK, published.clone())
            );
        }
    }
    redis.restart().await;
    for edge in [&a, &b] {
        edge.serves().await;
        assert_eq!(edge.get("/x").await.text(), published);
    }
    let receipt = a.purge(EVERYTHING).await;
    assert_eq!(receipt["complete"], true, "{receipt}");
    assert_eq!(receipt["instances"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_ends_the_leases_and_no_memory() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.get("/x").await;
    let before = versions.origin.requests().len();
    redis.suspend();
    a.is_fenced().await;
    assert!(versions.origin.requests().len() > before);
    redis.resume();
    a.serves().await;
    // It is the same log: what was stored may be served.
    assert!(a.get("/x").await.is_hit());
    let generations = a.metric("cms_edge_purge_log_generations_total").await;
    assert_eq!(generations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_begins_anew_and_nothing_older_is_served() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    for (round, flush) in [true, false, true].into_iter().enumerate() {
        for edge in [&a, &b] {
            edge.get("/x").await;
            edge.get("/x").await;
        }
        let published = versions.publish();
        // The purge is in the log, and the log is gone.
        let (_, receipt) = a.purge_locally(EVERYTHING).await;
        if flush {
            let _ok: String = redis.ask(&["FLUSHALL"]).await;
        } else {
            redis.restart().await;
        }
        let receipt = a.completed(&receipt["id"]).await;
        assert_eq!(receipt["complete"], true, "{receipt}");
        for edge in [&a, &b] {
            assert_eq!(edge.get("/x").await.text(), published);
            edge.serves().await;
            assert_eq!(edge.get("/x").await.text(), published);
        }
        eventually("b has joined the new log", || async {
            let joined = b.metric("cms_edge_purge_log_generations_total").await;
            joined == round as u64 + 2
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_not_hidden_behind_what_may_be_purged() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let mut edges = Vec::new();
    for (name, more) in [("a", ""), ("b", "serve_when_lost = true\n")] {
        let edge = Edge::start_with(name, &redis, &versions, more).await;
        edge.has_joined().await;
        edge.serves().await;
        edge.get("/x").await;
        edges.push(edge);
    }
    redis.kill();
    edges[0].is_fenced().await;
    drop(versions);
    let fenced = edges[0].get("/x").await;
    assert_eq!(
        fenced.status,
        StatusCode::BAD_GATEWAY,
        "{}",
        fenced.cache_status()
    );
    // Whoever prefers old pages has said so.
    assert!(edges[1].get("/x").await.is_hit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_starts_without_redis_and_finds_it_later() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    redis.kill();
    let a = Edge::start_with("a", &redis, &versions, "").await;
    for _ in 0..3 {
        let answer = a.get("/x").await;
        assert!(answer.status == StatusCode::OK && !answer.is_hit());
    }
    redis.restart().await;
    a.serves().await;
}

/// One exchange under way and one waiting, however many ask.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_requests_share_the_exchange_that_leaves_next() {
    let versions = Versions::slow(Duration::from_millis(200)).await;
    let mut redis = Server::start(&[]).await;
    let a = Arc::new(Edge::start("a", &redis, &versions).await);
    redis.kill();
    a.is_fenced().await;
    const CLIENTS: usize = 50;
    let before = versions.origin.requests().len();
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (a, barrier) = (Arc::clone(&a), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                a.get("/shared").await
            })
        })
        .collect();
    for client in clients {
        let answer = client.await.unwrap();
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::OK, "1".to_owned())
        );
    }
    let asked = versions.origin.requests().len() - before;
    assert!(asked <= 5, "{asked} exchanges for {CLIENTS} clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_and_one_that_may_not_write_give_no_leases() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.get("/x").await;
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    a.is_fenced().await;
    let (status, spooled) = a.purge_locally(EVERYTHING).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{spooled}");
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    a.completed(&spooled["id"]).await;
    a.serves().await;
    let port = redis.port.to_string();
    // Its own replica, which never comes to anything: it is no master any more.
    let _ok: String = redis.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    a.is_fenced().await;
    let published = versions.publish();
    let _ok: String = redis.ask(&["REPLICAOF", "NO", "ONE"]).await;
    a.serves().await;
    assert_eq!(a.get("/x").await.text(), published);
    // It was promoted: nobody knows what another master was told meanwhile.
    assert_eq!(a.metric("cms_edge_purge_log_generations_total").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_do_what_the_paper_says_may_do_enough() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let rights = "on >password-of-edge ~cms-edge:* +@read +@write +@scripting +info";
    let words: Vec<&str> = ["ACL", "SETUSER", "edge"]
        .into_iter()
        .chain(rights.split(' '))
        .collect();
    let _ok: String = redis.ask(&words).await;
    let url = format!(
        "url = \"redis://edge:password-of-edge@127.0.0.1:{}\"\n",
        redis.port
    );
    let a = Edge::start_with("a", &redis, &versions, &url).await;
    a.serves().await;
    assert_eq!(a.purge(EVERYTHING).await["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_may_evict_the_log_is_told() {
    let versions = Versions::start().await;
    const EVICTABLE: &str = "cms_edge_purge_log_evictable";
    let limit = ["--maxmemory", "1gb", "--maxmemory-policy"];
    for (policy, may_evict) in [("allkeys-lru", 1), ("volatile-lru", 0)] {
        let redis = Server::start(&[limit.as_slice(), &[policy]].concat()).await;
        let a = Edge::start("a", &redis, &versions).await;
        eventually("it has looked", || async {
            a.metric(EVICTABLE).await == may_evict
        })
        .await;
    }
    // It looks again with each new connection.
    let mut redis = Server::start(&[]).await;
    let a = Edge::start("a", &redis, &versions).await;
    assert_eq!(a.metric(EVICTABLE).await, 0);
    redis
        .restart_with(&[limit.as_slice(), &["allkeys-lru"]].concat())
        .await;
    eventually("it has looked", || async { a.metric(EVICTABLE).await == 1 }).await;
}

/// The main promise under load: a reader on each instance, purges on one, and a log that is flushed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_a_complete_receipt_is_served_while_redis_fails() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let (redis_times, rounds) = (["flush", "none", "suspend", "restart"], 12);
    let a = Arc::new(Edge::start("a", &redis, &versions).await);
    let b = Arc::new(Edge::start("b", &redis, &versions).await);
    let over = Arc::new(AtomicBool::new(false));
    let floor = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let readers: Vec<_> = [&a, &b]
        .into_iter()
        .map(|edge| {
            let (edge, over, floor) = (Arc::clone(edge), Arc::clone(&over), Arc::clone(&floor));
            tokio::spawn(async move {
                let mut answers = 0_u64;
                while !over.load(Ordering::SeqCst) {
                    let least = floor.load(Ordering::SeqCst);
                    let answer = edge.get("/page").await;
                    assert_eq!(answer.status, StatusCode::OK);
                    let version: u64 = answer.text().parse().unwrap();
                    assert!(version >= least, "{version} after the receipt of {least}");
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for round in 0..rounds {
        let published: u64 = versions.publish().parse().unwrap();
        let (_, receipt) = a.purge_locally(EVERYTHING).await;
        match redis_times[round % redis_times.len()] {
            "flush" => {
                let _done = redis.try_ask::<String>(&["FLUSHALL"]).await;
            }
            "suspend" => {
                redis.suspend();
                a.is_fenced().await;
                redis.resume();
            }
            "restart" => redis.restart().await,
            _ => {}
        }
        a.completed(&receipt["id"]).await;
        floor.store(published, Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    eventually("both serve hits at the end", || async {
        a.get("/page").await.is_hit() && b.get("/page").await.is_hit()
    })
    .await;
}
