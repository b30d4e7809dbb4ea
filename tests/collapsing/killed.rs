//! A leader is killed in mid-fetch, Redis is killed.

use super::fleet::{Fleet, Held};
use crate::support::origin::Reply;
use crate::support::redis_server::{Server, eventually};

fn page() -> Reply {
    Reply::ok("page").header("cache-control", "max-age=60")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_costs_one_more_request() {
    let (redis, held) = (Server::start(&[]).await, Held::start(|_| page()).await);
    let fleet = Fleet::start(10, &redis, &held.origin).await;
    let dying = fleet.crowd([0], 1, "/cold");
    held.was_asked("/cold", 1).await;
    assert_eq!(fleet.leader().await, 0);
    let clients = fleet.crowd(1..10, 20, "/cold");
    fleet.waits(1..10).await;
    fleet.signal(0, "-KILL").await;
    held.was_asked("/cold", 2).await;
    held.answer_all();
    for answer in clients.await.unwrap() {
        assert_eq!(answer.text(), "page");
    }
    assert_eq!(held.asked("/cold"), 2);
    assert!(dying.await.is_err(), "its client lost its connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_instance_asks_once() {
    let (mut redis, held) = (Server::start(&[]).await, Held::start(|_| page()).await);
    let fleet = Fleet::start(10, &redis, &held.origin).await;
    let clients = fleet.crowd(0..10, 20, "/cold");
    held.was_asked("/cold", 1).await;
    let leader = fleet.leader().await;
    fleet.waits((0..10).filter(|at| *at != leader)).await;
    redis.kill();
    held.was_asked("/cold", 10).await;
    held.answer_all();
    for answer in clients.await.unwrap() {
        assert_eq!(answer.text(), "page");
    }
    assert_eq!(held.asked("/cold"), 10);
    // And from the start, without a wait.
    for at in 0..10 {
        eventually("Redis is left alone", || async {
            fleet.metric(at, "cms_edge_redis_breaker_open").await == 1
        })
        .await;
    }
    let clients = fleet.crowd(0..10, 20, "/other");
    for answer in clients.await.unwrap() {
        assert_eq!(answer.text(), "page");
    }
    assert!(held.asked("/other") >= 10);
    for at in 0..10 {
        assert_eq!(fleet.metric(at, "cms_edge_redis_claims_waiting").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_costs_one_more_request_and_comes_back_too_late() {
    let (redis, held) = (Server::start(&[]).await, Held::start(|_| page()).await);
    let fleet = Fleet::start(3, &redis, &held.origin).await;
    let hanging = fleet.crowd([0], 1, "/cold");
    held.was_asked("/cold", 1).await;
    assert_eq!(fleet.leader().await, 0);
    let clients = fleet.crowd([1, 2], 20, "/cold");
    fleet.waits([1, 2]).await;
    fleet.signal(0, "-STOP").await;
    held.was_asked("/cold", 2).await;
    held.answer_all();
    for answer in clients.await.unwrap() {
        assert_eq!(answer.text(), "page");
    }
    fleet.signal(0, "-CONT").await;
    assert_eq!(hanging.await.unwrap()[0].text(), "page");
    for at in 0..3 {
        assert_eq!(fleet.get(at, "/cold", &[]).await.text(), "page");
    }
    assert_eq!(held.asked("/cold"), 2);
}
