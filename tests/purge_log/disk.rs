//! The spool on disk: disks that are full, and what processes leave behind.

use std::path::Path;

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::edge::{Edge, Versions, ask, settings};
use super::processes::get;
use super::recall::{completed, killed};
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::{exchange, whole};

/// KiB that a file may have.
const LIMIT: u64 = 8;

fn sharing(spool: &Path, redis: &Server, versions: &Versions) -> String {
    settings(
        redis,
        versions,
        &format!("spool = \"{}\"\n", spool.display()),
    )
}

async fn serves(program: &Program) {
    eventually("it serves hits", || async {
        get(program, "/x").await.is_hit()
    })
    .await;
}

/// A purge of so many long tags while there is no Redis.
async fn spooled(program: &Program, tags: usize) -> Value {
    let tags: Vec<String> = (0..tags)
        .map(|at| format!("{at}{}", "x".repeat(180)))
        .collect();
    let command = serde_json::json!({ "tags": tags }).to_string();
    let (status, receipt) = ask(program.admin, Method::POST, "/purge", &command).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    receipt
}

async fn metrics(program: &Program) -> String {
    let request = Request::get("/metrics").header("host", "admin");
    let request = request.body(Full::default()).unwrap();
    whole(exchange(program.admin, request).await)
        .await
        .text()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_nothing_from_what_was_promised_before_and_after() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = own.path().join("spool");
    let text = sharing(&spool, &redis, &versions);
    let a = Program::serve_limited(own.path(), &text, LIMIT).await;
    serves(&a).await;
    redis.kill();
    let (mut durable, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..LIMIT {
        let receipt = spooled(&a, 10).await;
        let is_durable = receipt["durable"] == true;
        let ids = if is_durable {
            &mut durable
        } else {
            &mut refused
        };
        ids.push(receipt["id"].clone());
    }
    assert!(
        !durable.is_empty() && !refused.is_empty(),
        "the disk is full"
    );
    let last = spooled(&a, 1).await;
    assert_eq!(last["durable"], true, "a short one has a place behind them");
    durable.push(last["id"].clone());
    let metrics = metrics(&a).await;
    let failed = format!(
        "cms_edge_purge_log_spool_failed_total{{reason=\"write\"}} {}",
        refused.len()
    );
    assert!(metrics.contains(&failed), "{metrics}");
    killed(a).await;
    let b = Program::serve(others.path(), &text).await;
    redis.restart().await;
    for id in &durable {
        assert_eq!(completed(&b, id).await["complete"], true);
    }
    for id in &refused {
        let path = format!("/purge/{}", id.as_str().unwrap());
        let (status, _) = ask(b.admin, Method::GET, &path, "").await;
        assert_eq!(
            status,
            StatusCode::NOT_FOUND,
            "it was said that it is not durable"
        );
    }
}

/// A full disk is no reason to refuse what memory can keep.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_does_not_take_is_in_the_log_when_redis_is_back() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let text = sharing(&folder.path().join("spool"), &redis, &versions);
    let a = Program::serve_limited(folder.path(), &text, 1).await;
    serves(&a).await;
    redis.kill();
    let receipt = spooled(&a, 10).await;
    assert_eq!(receipt["durable"], false);
    redis.restart().await;
    assert_eq!(completed(&a, &receipt["id"]).await["complete"], true);
}

/// As after an upgrade: the new process has been there all the time.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_is_taken_over_by_one_that_runs() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = one.path().join("spool");
    let text = sharing(&spool, &redis, &versions);
    let a = Program::serve(one.path(), &text).await;
    let b = Program::serve(other.path(), &text).await;
    let c = Edge::start("c", &redis, &versions).await;
    serves(&a).await;
    serves(&b).await;
    redis.kill();
    let mut ids = Vec::new();
    for tags in 1..=3 {
        let receipt = spooled(&a, tags).await;
        assert_eq!(receipt["durable"], true);
        ids.push(receipt["id"].clone());
    }
    killed(a).await;
    redis.restart().await;
    for (at, id) in ids.iter().enumerate() {
        let receipt = completed(&b, id).await;
        assert_eq!(receipt["scopes"].as_array().unwrap().len(), at + 1);
        c.completed(id).await;
    }
    eventually(
        "only the file of who lives is left, and is empty",
        || async {
            let files = std::fs::read_dir(&spool).unwrap();
            let bytes: Vec<u64> = files
                .map(|file| file.unwrap().metadata().map_or(0, |file| file.len()))
                .collect();
            bytes == [0]
        },
    )
    .await;
}

/// While Redis is there all the time, and nothing else happens.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_looked_for_again_and_again() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = one.path().join("spool");
    let text = sharing(&spool, &redis, &versions);
    let a = Program::serve(one.path(), &text).await;
    let b = Program::serve(other.path(), &text).await;
    serves(&a).await;
    serves(&b).await;
    let path = "/drill/redis-down?for=1m";
    let (status, told) = ask(a.admin, Method::PUT, path, "").await;
    assert!(status.is_success(), "{told}");
    let receipt = spooled(&a, 1).await;
    assert_eq!(receipt["durable"], true);
    killed(a).await;
    let found = || async { metrics(&b).await.contains("cms_edge_purge_log_position 1") };
    for _ in 0..3 {
        // A look may be up to 10 s away, which is all that one wait may take.
        let waited = async {
            while !found().await {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(std::time::Duration::from_secs(8), waited)
            .await
            .is_ok()
        {
            break;
        }
    }
    assert_eq!(completed(&b, &receipt["id"]).await["complete"], true);
}
