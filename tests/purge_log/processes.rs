//! The program itself, killed and stopped in its tracks.

use http::Request;
use http::header::HOST;
use http_body_util::Full;
use tokio::process::Command;

use super::edge::{EVERYTHING, Edge, Versions, settings};
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::{Answer, HOST_NAME, exchange, whole};

pub(crate) async fn get(program: &Program, path: &str) -> Answer {
    let request = Request::get(path).header(HOST, HOST_NAME);
    whole(exchange(program.http[0], request.body(Full::default()).unwrap()).await).await
}

pub(crate) async fn signal(program: &Program, signal: &str) {
    let id = program.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status().await;
    assert!(sent.unwrap().success());
}

/// Whether each thread is stopped (proc_pid_stat(5): `T`). The signal takes a moment.
fn stands(process: u32) -> bool {
    let mut threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.all(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat"));
        stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" T"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_serves_nothing_that_was_purged_meanwhile() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let folder = tempfile::tempdir().unwrap();
    let b = Program::serve(folder.path(), &settings(&redis, &versions, "")).await;
    for _ in 0..3 {
        eventually("b serves hits", || async { get(&b, "/x").await.is_hit() }).await;
        signal(&b, "-STOP").await;
        eventually("all its threads stand", || async { stands(b.id()) }).await;
        let published = versions.publish();
        let (_, receipt) = a.purge_locally(EVERYTHING).await;
        // It is not waited for any more when its lease has run out, asleep as it is.
        let receipt = a.completed(&receipt["id"]).await;
        assert_eq!(
            receipt["instances"].as_array().unwrap().len(),
            1,
            "{receipt}"
        );
        signal(&b, "-CONT").await;
        assert_eq!(get(&b, "/x").await.text(), published);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_delays_a_receipt_and_one_that_ends_does_not() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let text = settings(&redis, &versions, "");
    for is_killed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut b = Program::serve(folder.path(), &text).await;
        eventually("b serves hits", || async { get(&b, "/x").await.is_hit() }).await;
        let gone = a.metric("cms_edge_purge_log_gone_total").await;
        if is_killed {
            signal(&b, "-KILL").await;
        } else {
            b.terminate().await;
        }
        b.ended().await;
        let receipt = a.purge(EVERYTHING).await;
        assert_eq!(receipt["complete"], true, "{receipt}");
        let buried = a.metric("cms_edge_purge_log_gone_total").await - gone;
        assert_eq!(buried, u64::from(is_killed));
    }
}
