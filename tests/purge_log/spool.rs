//! Purges while Redis cannot be reached.

use http::StatusCode;

use super::edge::{EVERYTHING, Edge, Versions};
use crate::support::redis_server::{Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_without_redis_counts_here_at_once_and_everywhere_later() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    // It serves its hits whether or not it hears of others, so that its own purges show.
    let more = "serve_when_lost = true\n";
    let a = Edge::start_with("a", &redis, &versions, more).await;
    let b = Edge::start("b", &redis, &versions).await;
    a.has_joined().await;
    a.get("/x").await;
    assert!(a.get("/x").await.is_hit());
    b.get("/x").await;
    redis.suspend();
    let published = versions.publish();
    let (status, receipt) = a.purge_locally(EVERYTHING).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    assert_eq!(receipt["state"], "spooled");
    assert_eq!(
        (&receipt["complete"], &receipt["durable"]),
        (&false.into(), &false.into())
    );
    assert_eq!(a.metric("cms_edge_purge_log_spooled").await, 1);
    assert_eq!(a.get("/x").await.text(), published);
    redis.resume();
    let receipt = a.completed(&receipt["id"]).await;
    assert_eq!(receipt["state"], "complete");
    assert_eq!(b.get("/x").await.text(), published);
    assert_eq!(a.metric("cms_edge_purge_log_spooled").await, 0);
    redis.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_purge_waits_for_redis_what_is_stale_is_validated_one_at_a_time() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::stale().await);
    let a = Edge::start_with("a", &redis, &versions, "serve_when_lost = true\n").await;
    a.has_joined().await;
    a.get("/x").await;
    redis.suspend();
    versions.publish();
    let before = versions.origin.hits();
    assert!(a.get("/x").await.is_hit());
    eventually("it is validated", || async {
        versions.origin.hits() > before
    })
    .await;
    let under_way = versions.origin.hits();
    let (status, receipt) = a.purge_locally(r#"{"tags": ["another"]}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    for _ in 0..40 {
        assert!(a.get("/x").await.is_hit());
    }
    assert_eq!(versions.origin.hits(), under_way);
    redis.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spooled_purge_outlasts_its_process() {
    let (mut redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let folder = tempfile::tempdir().unwrap();
    let more = format!("spool = \"{}\"\n", folder.path().display());
    let mut a = Edge::start_with("a", &redis, &versions, &more).await;
    let b = Edge::start("b", &redis, &versions).await;
    a.serves().await;
    redis.kill();
    let mut ids = Vec::new();
    for tag in ["one", "two", "three"] {
        let (status, receipt) = a.purge_locally(&format!(r#"{{"tags": ["{tag}"]}}"#)).await;
        assert_eq!(
            (status, &receipt["durable"]),
            (StatusCode::ACCEPTED, &true.into())
        );
        ids.push(receipt["id"].clone());
    }
    a.kill();
    is_free(folder.path()).await;
    let a = Edge::start_with("a", &redis, &versions, &more).await;
    assert_eq!(a.receipt(&ids[0]).await.1["state"], "spooled");
    redis.restart().await;
    for (id, tag) in ids.iter().zip(["tag:one", "tag:two", "tag:three"]) {
        let receipt = a.completed(id).await;
        assert_eq!(receipt["scopes"][0], tag);
        assert_eq!(receipt["mode"], "hard");
    }
    eventually("b has applied them", || async {
        b.metric("cms_edge_purge_log_position").await == 3
    })
    .await;
    eventually("its file is empty", || async {
        let mut files = files(folder.path()).into_iter();
        files.all(|file| std::fs::metadata(file).map_or(0, |file| file.len()) == 0)
    })
    .await;
}

/// Until the file of a spool is nobody's.
pub(crate) async fn is_free(folder: &std::path::Path) {
    eventually("its file is free", || async {
        files(folder).iter().any(|file| {
            let file = std::fs::File::open(file).unwrap();
            file.try_lock().is_ok()
        })
    })
    .await;
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
