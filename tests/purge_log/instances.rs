//! Instances that come late, come again, sleep, or fall behind.

use std::time::Duration;

use super::edge::{EVERYTHING, Edge, Versions};
use crate::support::redis_server::{Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_late_takes_part() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    for _ in 0..3 {
        a.purge(EVERYTHING).await;
    }
    let b = Edge::start("b", &redis, &versions).await;
    b.get("/x").await;
    assert_eq!(b.metric("cms_edge_purge_log_position").await, 3);
    let published = versions.publish();
    let receipt = a.purge(EVERYTHING).await;
    assert_eq!(receipt["instances"].as_array().unwrap().len(), 2);
    assert_eq!(b.get("/x").await.text(), published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_instance_is_another_one_of_the_same_name() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let mut b = Edge::start("b", &redis, &versions).await;
    a.purge(EVERYTHING).await;
    b.kill();
    let b = Edge::start("b", &redis, &versions).await;
    let receipt = a.purge(EVERYTHING).await;
    assert_eq!(receipt["complete"], true, "{receipt}");
    b.get("/x").await;
    assert!(b.get("/x").await.is_hit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_slept_past_its_lease_serves_nothing_before_it_has_a_new_one() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.get("/x").await;
    // Redis stands still meanwhile, so that there is no new lease before the hit is asked for.
    redis.suspend();
    a.boottime.skip(Duration::from_secs(3600));
    let published = versions.publish();
    let answer = a.get("/x").await;
    assert!(
        !answer.is_hit() && answer.text() == published,
        "{}",
        answer.cache_status()
    );
    redis.resume();
    a.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_log_is_read_from_its_snapshot() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.purge(EVERYTHING).await;
    a.get("/x").await;
    let published = versions.publish();
    // Only the stream is lost, and a record with it that nobody has read: a stands still.
    let lost = "local s, l = KEYS[1], KEYS[2] \
        redis.call('UNLINK', l) redis.call('HINCRBY', s, 'head', 1) \
        redis.call('HSET', s, 'token', '5', 'h:e', redis.call('HGET', s, 'head'))";
    let _done: redis::Value = redis
        .ask(&[
            "EVAL",
            lost,
            "2",
            "cms-edge:{default}:state",
            "cms-edge:{default}:log",
        ])
        .await;
    eventually("a has read the log anew", || async {
        a.metric("cms_edge_purge_log_fenced_total{reason=\"trimmed\"}")
            .await
            == 1
    })
    .await;
    eventually("a serves again", || async { a.get("/x").await.is_hit() }).await;
    assert_eq!(a.get("/x").await.text(), published);
    assert_eq!(a.metric("cms_edge_purge_log_position").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_format_purges_everything() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.get("/x").await;
    let published = versions.publish();
    let other = "local s, l = KEYS[1], KEYS[2] \
        local head = redis.call('HINCRBY', s, 'head', 1) \
        redis.call('XADD', l, head .. '-0', 'format', '99', \
          'generation', redis.call('HGET', s, 'generation'), \
          'predecessor', redis.call('HGET', s, 'token'), 'token', '00000000000000aa', 'x', 'y') \
        redis.call('HSET', s, 'token', '00000000000000aa')";
    let _done: redis::Value = redis
        .ask(&[
            "EVAL",
            other,
            "2",
            "cms-edge:{default}:state",
            "cms-edge:{default}:log",
        ])
        .await;
    eventually("it is purged", || async {
        a.get("/x").await.text() == published
    })
    .await;
    assert!(a.get("/x").await.is_hit());
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_do_not_hear_of_each_other() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.purge(EVERYTHING).await;
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(
        keys.iter()
            .all(|key| key.starts_with("cms-edge:{default}:")),
        "{keys:?}"
    );
}

const HOOK: &str = r#"
[[webhook]]
name = "hub"
path = "/_cms-edge/webhook/hub"
dialect = "standard"
secrets = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
[[webhook.rule]]
events = ["*"]
tags = ["all"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_another_instance_has_served_is_known() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start_with("a", &redis, &versions, HOOK).await;
    let b = Edge::start_with("b", &redis, &versions, HOOK).await;
    a.serves().await;
    b.serves().await;
    let first = a.deliver("msg_1").await;
    assert_eq!(first["duplicate"], false, "{first}");
    let again = b.deliver("msg_1").await;
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&true.into(), &first["id"])
    );
    assert_eq!(a.deliver("msg_2").await["duplicate"], false);
    assert_eq!(b.metric("cms_edge_purge_duplicates_total").await, 1);
}
