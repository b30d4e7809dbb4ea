//! The bytes that the log takes in Redis.

use http::StatusCode;
use serde_json::{Value, json};

use super::edge::{EVERYTHING, Edge, Versions, settings};
use super::processes::{get, signal};
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};

const MIB: u64 = 1 << 20;
const LOG: &str = "cms-edge:{default}:log";

/// 500 long URLs, then `last`: some 750 KB, and about as many scopes as one purge takes.
fn long(round: usize, last: &str) -> String {
    let padding = "x".repeat(1500);
    let mut urls: Vec<Value> = (0..500)
        .map(|at| json!(format!("/{round}/{at}/{padding}")))
        .collect();
    urls.push(json!(last));
    json!({ "urls": urls }).to_string()
}

async fn key_of(redis: &Server) -> String {
    let keys: Vec<String> = redis.ask(&["KEYS", "cms-edge:*:log"]).await;
    keys.first().cloned().unwrap_or_else(|| LOG.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_purges_are_whole_and_the_log_stays_small() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let more = "size_max = \"1MiB\"\n";
    let a = Edge::start_with("a", &redis, &versions, more).await;
    a.serves().await;
    let b = Edge::start_with("b", &redis, &versions, more).await;
    b.serves().await;
    for round in 0..20 {
        let path = format!("/page/{round}");
        b.get(&path).await;
        assert!(b.get(&path).await.is_hit());
        let published = versions.publish();
        let receipt = a.purge(&long(round, &path)).await;
        assert_eq!(receipt["complete"], true);
        let named = receipt["scopes"].as_array().unwrap();
        let last = named.last().unwrap().as_str().unwrap();
        assert!(
            last.starts_with("and ") && last.ends_with(" more"),
            "{last}"
        );
        // It is not named, and purged all the same.
        assert_eq!(b.get(&path).await.text(), published);
    }
    let log = key_of(&redis).await;
    let takes: u64 = redis.ask(&["MEMORY", "USAGE", &log, "SAMPLES", "0"]).await;
    let records: u64 = redis.ask(&["XLEN", &log]).await;
    println!("{records} records take {takes} bytes");
    assert!(takes < MIB * 3 / 2, "{takes}");
    assert!((8..20).contains(&records), "{records}");
    assert_eq!(
        a.metric("cms_edge_purge_log_trimmed_total").await,
        20 - records
    );
    assert_eq!(a.metric("cms_edge_purge_log_scopes_cut_total").await, 20);
    // Small ones are named, and stay many.
    let receipt = a.purge(EVERYTHING).await;
    assert_eq!(receipt["scopes"], json!(["everything"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_while_the_log_was_trimmed_serves_nothing_that_was_purged() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let more = "size_max = \"1MiB\"\n";
    let a = Edge::start_with("a", &redis, &versions, more).await;
    a.serves().await;
    let folder = tempfile::tempdir().unwrap();
    let b = Program::serve(folder.path(), &settings(&redis, &versions, more)).await;
    eventually("b serves hits", || async { get(&b, "/x").await.is_hit() }).await;
    signal(&b, "-STOP").await;
    let published = versions.publish();
    let (_, first) = a.purge_locally(r#"{"urls": ["/x"]}"#).await;
    for round in 0..20 {
        let (status, receipt) = a.purge_locally(&long(round, "/y")).await;
        assert_eq!(status, StatusCode::OK, "{receipt}");
    }
    a.completed(&first["id"]).await;
    signal(&b, "-CONT").await;
    assert_eq!(get(&b, "/x").await.text(), published);
    eventually("b serves hits again", || async {
        get(&b, "/x").await.is_hit()
    })
    .await;
    assert_eq!(get(&b, "/x").await.text(), published);
}

/// What docs/purging.md says of the memory of usual records.
#[tokio::test(flavor = "multi_thread")]
async fn a_usual_record_takes_what_is_said() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    for round in 0..500 {
        a.purge_locally(&format!(r#"{{"tags": ["article:{round}"]}}"#))
            .await;
    }
    let log = key_of(&redis).await;
    let takes: u64 = redis.ask(&["MEMORY", "USAGE", &log, "SAMPLES", "0"]).await;
    println!("a record takes {} bytes", takes / 500);
    assert!(takes / 500 <= 300, "{takes}");
}
