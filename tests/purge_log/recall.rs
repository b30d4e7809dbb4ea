//! Receipts whose process is gone: any instance tells what has become of them.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use super::edge::{EVERYTHING, Edge, Versions, ask, settings};
use super::processes::{get, signal};
use super::spool::is_free;
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};

const MINUTE: &str = "gone = \"1m\"\n";

pub(crate) async fn completed(program: &Program, id: &Value) -> Value {
    let path = format!("/purge/{}", id.as_str().unwrap());
    eventually("the receipt is complete", || async {
        ask(program.admin, Method::GET, &path, "").await.1["complete"] == true
    })
    .await;
    ask(program.admin, Method::GET, &path, "").await.1
}

pub(crate) async fn killed(mut program: Program) {
    signal(&program, "-KILL").await;
    program.ended().await;
}

/// Until the receipt is no more than settling, and it is.
async fn settles(edge: &Edge, id: &Value) {
    eventually("the purge is in the log", || async {
        edge.receipt(id).await.1["state"] == "settling"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_spooled_is_known_by_its_id_everywhere_after_a_kill() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let text = settings(
        &redis,
        &versions,
        &format!("spool = \"{}\"\n", spool.display()),
    );
    let a = Program::serve(folder.path(), &text).await;
    let b = Edge::start("b", &redis, &versions).await;
    eventually("a serves hits", || async { get(&a, "/x").await.is_hit() }).await;
    redis.kill();
    let (status, receipt) = ask(a.admin, Method::POST, "/purge", r#"{"tags": ["one"]}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    assert_eq!(receipt["durable"], true);
    let id = &receipt["id"];
    killed(a).await;
    let a = Program::serve(folder.path(), &text).await;
    redis.restart().await;
    for receipt in [completed(&a, id).await, b.completed(id).await] {
        assert_eq!(
            (&receipt["id"], &receipt["scopes"][0]),
            (id, &"tag:one".into())
        );
    }
    // Nobody has it in a file any more, and these have not seen it pass by.
    killed(a).await;
    let a = Program::serve(folder.path(), &text).await;
    assert_eq!(completed(&a, id).await["scopes"][0], "tag:one");
    let c = Edge::start("c", &redis, &versions).await;
    assert_eq!(c.completed(id).await["mode"], "hard");
    assert_eq!(b.metric("cms_edge_purge_log_position").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spooled_outlasts_its_process_and_its_log_until_it_is_complete() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let more = format!("{MINUTE}spool = \"{}\"\n", folder.path().display());
    let mut a = Edge::start_with("a", &redis, &versions, &more).await;
    a.serves().await;
    redis.kill();
    let (_, receipt) = a.purge_locally(EVERYTHING).await;
    assert_eq!(receipt["state"], "spooled");
    let id = &receipt["id"];
    redis.restart().await;
    settles(&a, id).await;
    a.kill();
    is_free(folder.path()).await;
    redis.restart().await;
    let a = Edge::start_with("a", &redis, &versions, &more).await;
    settles(&a, id).await;
    a.boottime.skip(Duration::from_secs(60));
    a.completed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_whose_process_was_killed_becomes_complete_elsewhere() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let text = settings(&redis, &versions, "");
    let a = Program::serve(folder.path(), &text).await;
    let b = Edge::start("b", &redis, &versions).await;
    eventually("a serves hits", || async { get(&a, "/x").await.is_hit() }).await;
    let (_, receipt) = ask(a.admin, Method::POST, "/purge", EVERYTHING).await;
    killed(a).await;
    let c = Edge::start("c", &redis, &versions).await;
    for edge in [&b, &c] {
        let receipt = edge.completed(&receipt["id"]).await;
        assert_eq!(receipt["scopes"][0], "everything");
    }
    assert_eq!(c.metric("cms_edge_purge_log_position").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_whose_process_and_log_are_gone_becomes_complete_where_it_was_read() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let mut a = Edge::start_with("a", &redis, &versions, MINUTE).await;
    let b = Edge::start_with("b", &redis, &versions, MINUTE).await;
    a.serves().await;
    b.serves().await;
    let (_, receipt) = a.purge_locally(EVERYTHING).await;
    let id = &receipt["id"];
    settles(&b, id).await;
    a.kill();
    redis.restart().await;
    eventually("b has joined the new log", || async {
        b.metric("cms_edge_purge_log_generations_total").await == 2
    })
    .await;
    for _ in 0..3 {
        settles(&b, id).await;
    }
    b.boottime.skip(Duration::from_secs(60));
    assert_eq!(b.completed(id).await["scopes"][0], "everything");
    assert_eq!(b.metric("cms_edge_purge_log_position").await, 1, "once");
    let c = Edge::start_with("c", &redis, &versions, MINUTE).await;
    c.has_joined().await;
    c.boottime.skip(Duration::from_secs(60));
    c.completed(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nobody_says_that_a_purge_is_not_known() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let id = Value::from("00000000000000aa-1");
    assert_eq!(a.receipt(&id).await.0, StatusCode::NOT_FOUND);
    redis.kill();
    eventually("it cannot be asked", || async {
        let (status, problem) = a.receipt(&id).await;
        status == StatusCode::SERVICE_UNAVAILABLE
            && problem["detail"]
                .as_str()
                .unwrap()
                .contains("cannot be asked")
    })
    .await;
}
