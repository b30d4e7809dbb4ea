//! What is rare: instances that are not set alike, a log that is lost at a bad moment or refuses, a
//! log full of dead, senders that hang up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cms_edge::clock::SystemBoottime;
use cms_edge::config;
use cms_edge::entry::purges::{Mode, Purges};
use cms_edge::entry::scope::Scope;
use cms_edge::exchange::Generation;
use cms_edge::lease::Lease;
use cms_edge::outage::Outage;
use cms_edge::purge::log::Log as _;
use cms_edge::purge::shared::{Parts, SharedLog};
use cms_edge::purge::{Cause, Purge};
use cms_edge::telemetry::purge::PurgeMetrics;
use cms_edge::telemetry::purge_log::PurgeLogMetrics;
use http::{Method, StatusCode};
use tokio::time::timeout;

use super::edge::{EVERYTHING, Edge, Versions, settings};
use crate::support::redis_server::{Server, eventually};

const POSITION: &str = "cms_edge_purge_log_position";
const GENERATIONS: &str = "cms_edge_purge_log_generations_total";

/// What stands in the log can be read, and nothing can be added to it.
async fn refuses_records(redis: &Server, refuses: bool) {
    let right = if refuses { "-xadd" } else { "+xadd" };
    let _ok: String = redis.ask(&["ACL", "SETUSER", "default", right]).await;
}

async fn loses_redis(edge: &Edge, is_lost: bool) {
    let method = if is_lost { Method::PUT } else { Method::DELETE };
    let (status, told) = edge.ask(method, "/drill/redis-down?for=1m", "").await;
    assert!(status.is_success(), "{status} {told}");
}

/// While settings are being changed, one instance after the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_lease_is_longer_is_waited_for_as_long() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let longer = "lease = \"4s\"\ngone = \"5s\"\n";
    let b = Edge::start_with("b", &redis, &versions, longer).await;
    b.serves().await;
    b.get("/x").await;
    // Of a generation that is old enough.
    assert_eq!(a.purge(r#"{"tags": ["t"]}"#).await["complete"], true);
    loses_redis(&b, true).await;
    assert!(b.get("/x").await.is_hit());
    let published = versions.publish();
    let (_, receipt) = a.purge_locally(EVERYTHING).await;
    a.completed(&receipt["id"]).await;
    assert_eq!(b.get("/x").await.text(), published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_purge_is_appended_again_when_that_is_refused_for_a_while() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    let mut ids = Vec::new();
    for tag in ["one", "two"] {
        let (_, receipt) = a.purge_locally(&format!(r#"{{"tags": ["{tag}"]}}"#)).await;
        ids.push(receipt["id"].clone());
    }
    refuses_records(&redis, true).await;
    let _ok: String = redis.ask(&["FLUSHALL"]).await;
    for edge in [&a, &b] {
        eventually("it has joined the new log", || async {
            edge.metric(GENERATIONS).await == 2
        })
        .await;
        // It has read the log, and goes on with what it knows.
        edge.serves().await;
    }
    let fenced = b
        .metric("cms_edge_purge_log_fenced_total{reason=\"trimmed\"}")
        .await;
    assert_eq!(fenced, 0, "what is refused leaves no gap");
    refuses_records(&redis, false).await;
    for id in &ids {
        assert_eq!(a.completed(id).await["complete"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_a_lost_log_become_complete_wherever_they_are_asked_for() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let mut a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    let (_, receipt) = a.purge_locally(EVERYTHING).await;
    eventually("b has applied it", || async {
        b.metric(POSITION).await == 1
    })
    .await;
    let _ok: String = redis.ask(&["FLUSHALL"]).await;
    a.completed(&receipt["id"]).await;
    b.completed(&receipt["id"]).await;
    // Whoever has appended it is no more.
    let (_, receipt) = a.purge_locally(r#"{"tags": ["one"]}"#).await;
    eventually("b knows it", || async {
        b.receipt(&receipt["id"]).await.1["scopes"][0] == "tag:one"
    })
    .await;
    a.kill();
    let _ok: String = redis.ask(&["FLUSHALL"]).await;
    let completed = b.completed(&receipt["id"]).await;
    assert_eq!(completed["scopes"][0], "tag:one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_full_of_the_dead_lets_the_living_in() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let mut first = Edge::start("first", &redis, &versions).await;
    first.stop().await;
    let ids: Vec<String> = (0..256).map(|at| format!("{at:032x}")).collect();
    let state = "cms-edge:{default}:state";
    for id in &ids {
        let field = format!("i:{id}");
        let _new: u64 = redis.ask(&["HSET", state, &field, "0 0 1 dead"]).await;
    }
    let _known: u64 = redis.ask(&["HSET", state, "ids", &ids.join(" ")]).await;
    let a = Edge::start_with("a", &redis, &versions, "").await;
    a.serves().await;
    assert_eq!(a.metric("cms_edge_purge_log_gone_total").await, 256);
}

/// Whoever drops the future of a handler drops the wait for its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_counts_whose_sender_hangs_up() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let more = format!("spool = \"{}\"\n", folder.path().display());
    let text = settings(&redis, &versions, &more);
    let config = config::parse(&text, "edge.toml", Path::new(""), []).unwrap();
    let lease = Arc::new(Lease::not_granted(Arc::new(SystemBoottime)));
    let purges = Arc::new(Purges::with_lease(Generation::new(1), Arc::clone(&lease)));
    let parts = Parts {
        purges: Arc::clone(&purges),
        lease,
        purge_metrics: PurgeMetrics::unregistered(),
        metrics: PurgeLogMetrics::unregistered(),
        outage: Outage::default(),
    };
    let log = SharedLog::start(config.shared_log("a").unwrap().unwrap(), parts).unwrap();
    eventually("it serves", || async { purges.may_serve() }).await;
    redis.suspend();
    let purge = Purge::new(vec![Scope::Everything], Mode::Hard, Cause::Admin).unwrap();
    let is_waiting = timeout(Duration::ZERO, log.append(purge)).await.is_err();
    assert!(is_waiting);
    let bytes = || {
        let files = std::fs::read_dir(folder.path()).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum::<u64>()
    };
    eventually("it is kept for later", || async { bytes() > 0 }).await;
}

/// A purge that waits counts where it waits, also over what others have stored behind later records.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_waits_covers_what_others_have_stored() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let more = format!("[redis]\nurl = \"{}\"\ntimeout = \"1s\"\n", redis.url());
    let a = Edge::start_with("a", &redis, &versions, &more).await;
    let b = Edge::start_with("b", &redis, &versions, &more).await;
    for edge in [&a, &b] {
        edge.serves().await;
    }
    for is_new_log in [false, true] {
        loses_redis(&a, true).await;
        if is_new_log {
            let _ok: String = redis.ask(&["FLUSHALL"]).await;
            eventually("b reads it", || async { b.metric(GENERATIONS).await == 2 }).await;
            b.serves().await;
        }
        for tag in ["one", "two", "three"] {
            b.purge_locally(&format!(r#"{{"tags": ["{tag}"]}}"#)).await;
        }
        let position = b.metric(POSITION).await;
        let path = format!("/{is_new_log}");
        let stored = "cms_edge_redis_writes_total{outcome=\"stored\"}";
        let before = b.metric(stored).await;
        b.get(&path).await;
        eventually("it is in Redis", || async {
            b.metric(stored).await > before
        })
        .await;
        let published = versions.publish();
        refuses_records(&redis, true).await;
        let (status, receipt) = a.purge_locally(EVERYTHING).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
        loses_redis(&a, false).await;
        eventually("a knows all records", || async {
            a.metric(POSITION).await == position
        })
        .await;
        eventually("it asks Redis again", || async {
            a.metric("cms_edge_redis_breaker_open").await == 0
        })
        .await;
        for _ in 0..20 {
            assert_eq!(a.get(&path).await.text(), published);
        }
        refuses_records(&redis, false).await;
        a.completed(&receipt["id"]).await;
        a.serves().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_be_given_what_stored_responses_and_the_log_need() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let rights = "on >password-of-edge ~cms-edge:* ~{default:* +@read +@write +@scripting +info \
                  +ping +time";
    let words: Vec<&str> = ["ACL", "SETUSER", "edge"]
        .into_iter()
        .chain(rights.split_ascii_whitespace())
        .collect();
    let _ok: String = redis.ask(&words).await;
    let url = format!("redis://edge:password-of-edge@127.0.0.1:{}", redis.port);
    let more = format!("url = \"\"\n[redis]\nurl = \"{url}\"\ntimeout = \"1s\"\n");
    let a = Edge::start_with("a", &redis, &versions, &more).await;
    let b = Edge::start_with("b", &redis, &versions, &more).await;
    for edge in [&a, &b] {
        edge.serves().await;
        eventually("Redis is asked", || async {
            edge.metric("cms_edge_redis_breaker_open").await == 0
        })
        .await;
    }
    let stored = "cms_edge_redis_writes_total{outcome=\"stored\"}";
    let before = a.metric(stored).await;
    a.get("/x").await;
    eventually("it is in Redis", || async {
        a.metric(stored).await > before
    })
    .await;
    assert!(b.get("/x").await.is_hit());
    assert_eq!(a.purge(EVERYTHING).await["complete"], true);
    let refused: Vec<redis::Value> = redis.ask(&["ACL", "LOG"]).await;
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_came_later_knows_the_receipts_of_before() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let receipt = a.purge(r#"{"tags": ["one"], "mode": "soft"}"#).await;
    let b = Edge::start("b", &redis, &versions).await;
    let recalled = b.completed(&receipt["id"]).await;
    for member in ["id", "mode", "scopes"] {
        assert_eq!(recalled[member], receipt[member], "{member}");
    }
    let none = format!("{}9", receipt["id"].as_str().unwrap());
    assert_eq!(b.receipt(&none.into()).await.0, StatusCode::NOT_FOUND);
}

const EVERYTHING_HOOK: &str = r#"
[[webhook]]
name = "hub"
path = "/_cms-edge/webhook/hub"
dialect = "standard"
secrets = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
[[webhook.rule]]
events = ["*"]
everything = true
"#;

/// What was applied ahead of a record that turns out to be there already must not hold for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_repeated_without_redis_leaves_hits_behind() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start_with("a", &redis, &versions, EVERYTHING_HOOK).await;
    a.serves().await;
    assert_eq!(a.deliver("msg_1").await["duplicate"], false);
    redis.suspend();
    let again = a.deliver("msg_1").await;
    assert_eq!(again["state"], "spooled", "{again}");
    redis.resume();
    a.completed(&again["id"]).await;
    a.serves().await;
}
