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
async fn who_joins_a_log_that_others_have_known_for_long_need_not_wait() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let long = "split = \"10m\"\ngone = \"5m\"\n";
    let b = Edge::start_with("b", &redis, &versions, long).await;
    for _ in 0..3 {
        // For all that b knows another master may give receipts.
        a.purge(EVERYTHING).await;
        b.get("/x").await;
        assert!(!b.get("/x").await.is_hit());
    }
    a.boottime.skip(Duration::from_secs(3600));
    eventually("a has told for how long it knows the log", || async {
        let known: u64 = redis.ask(&["HGET", STATE, "known"]).await;
        known > 15 * 60 * 1000
    })
    .await;
    let c = Edge::start_with("c", &redis, &versions, long).await;
    c.serves().await;
    let receipt = c.purge(EVERYTHING).await;
    assert_eq!(receipt["complete"], true, "{receipt}");
    // A log that begins anew is known to nobody.
    let _ok: String = redis.ask(&["FLUSHALL"]).await;
    c.is_fenced().await;
    let known: Option<u64> = redis.ask(&["HGET", STATE, "known"]).await;
    assert!(known.is_none_or(|known| known < 60_000), "{known:?}");
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
    let _done: redis::Value = redis.ask(&["EVAL", lost, "2", STATE, LOG]).await;
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

const STATE: &str = "cms-edge:{default}:state";
const LOG: &str = "cms-edge:{default}:log";

#[tokio::test(flavor = "multi_thread")]
async fn records_older_than_any_lease_are_trimmed_and_nobody_reads_the_log_anew() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    for _ in 0..5 {
        a.purge(EVERYTHING).await;
    }
    let length = || async { redis.ask::<u64>(&["XLEN", LOG]).await };
    assert_eq!(length().await, 5);
    // As if the head had stood at 3 long ago.
    let _set: u64 = redis.ask(&["HSET", STATE, "aged", "-1000 3"]).await;
    eventually("those up to 3 are gone", || async { length().await == 2 }).await;
    let aged: String = redis.ask(&["HGET", STATE, "aged"]).await;
    assert!(aged.ends_with(" 5") && !aged.starts_with('-'), "{aged}");
    // A clock that was set back begins anew.
    let _set: u64 = redis.ask(&["HSET", STATE, "aged", "99999999999 5"]).await;
    eventually("it begins anew", || async {
        let aged: String = redis.ask(&["HGET", STATE, "aged"]).await;
        aged != "99999999999 5"
    })
    .await;
    assert_eq!(length().await, 2);
    let b = Edge::start("b", &redis, &versions).await;
    let receipt = b.purge(EVERYTHING).await;
    assert_eq!(receipt["instances"].as_array().unwrap().len(), 2);
    for reason in ["trimmed", "predecessor"] {
        let series = format!("cms_edge_purge_log_fenced_total{{reason=\"{reason}\"}}");
        assert_eq!(a.metric(&series).await, 0, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_about_as_many_records_as_it_is_told() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start_with("a", &redis, &versions, "records = 100\n").await;
    a.serves().await;
    for _ in 0..450 {
        a.purge_locally(EVERYTHING).await;
    }
    let length: u64 = redis.ask(&["XLEN", LOG]).await;
    assert!((100..=300).contains(&length), "{length}");
}

/// Who has noted a number would else take one that lives, and was registered anew, for one that is silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_made_again_has_a_number_that_was_never_there() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let _a = Edge::start("a", &redis, &versions).await;
    let registered = || async {
        let id: String = redis.ask(&["HGET", STATE, "ids"]).await;
        let field = format!("i:{id}");
        let text: Option<String> = redis.ask(&["HGET", STATE, &field]).await;
        // applied, since, count, name
        let count = text.map(|text| text.split(' ').nth(2).unwrap().parse::<u64>().unwrap());
        count.map(|count| (field, count))
    };
    let mut seen = 0;
    for _ in 0..3 {
        let found = std::cell::RefCell::new(None);
        eventually("it is registered", || async {
            *found.borrow_mut() = registered().await;
            found.borrow().is_some()
        })
        .await;
        let (field, count) = found.into_inner().unwrap();
        assert!(count > seen, "{count} after {seen}");
        seen = count;
        let _removed: u64 = redis.ask(&["HDEL", STATE, &field]).await;
        let _set: u64 = redis.ask(&["HSET", STATE, "ids", ""]).await;
    }
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
    let _done: redis::Value = redis.ask(&["EVAL", other, "2", STATE, LOG]).await;
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
