//! What a complete receipt says, and when one is complete.

use http::{Method, StatusCode};

use super::edge::{EVERYTHING, Edge, Versions};
use crate::support::redis_server::{Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_receipt_has_ended_the_hits_of_all_instances() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    let c = Edge::start("c", &redis, &versions).await;
    for round in 0..20 {
        let path = format!("/{round}");
        for edge in [&a, &b, &c] {
            edge.get(&path).await;
            assert!(edge.get(&path).await.is_hit());
        }
        let published = versions.publish();
        let receipt = a.purge(EVERYTHING).await;
        assert_eq!(receipt["complete"], true, "{receipt}");
        let instances = receipt["instances"].as_array().unwrap();
        let mut names: Vec<_> = instances
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(instances.iter().all(|one| one["state"] == "applied"));
        for edge in [&a, &b, &c] {
            assert_eq!(edge.get(&path).await.text(), published);
        }
    }
    let seen = a.metric("cms_edge_purge_propagation_seconds_count").await;
    assert_eq!(seen, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_who_has_not_applied_it_and_waits_until_it_is_gone() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let mut b = Edge::start("b", &redis, &versions).await;
    assert_eq!(a.purge(EVERYTHING).await["complete"], true);
    b.kill();
    let path = "/purge?wait=all&timeout=50ms";
    let (status, receipt) = a.ask(Method::POST, path, EVERYTHING).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&receipt["complete"], &receipt["state"]),
        (&false.into(), &"settling".into())
    );
    let instances = receipt["instances"].as_array().unwrap();
    let laggard = instances
        .iter()
        .find(|one| one["state"] == "pending")
        .unwrap();
    assert_eq!(laggard["name"], "b");
    let receipt = a.completed(&receipt["id"]).await;
    assert_eq!(
        receipt["instances"].as_array().unwrap().len(),
        1,
        "{receipt}"
    );
    assert_eq!(a.metric("cms_edge_purge_log_gone_total").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ends_leaves_and_is_not_waited_for() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let mut b = Edge::start("b", &redis, &versions).await;
    assert_eq!(
        a.purge(EVERYTHING).await["instances"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    b.stop().await;
    let receipt = a.purge(EVERYTHING).await;
    assert_eq!(receipt["complete"], true);
    assert_eq!(
        receipt["instances"].as_array().unwrap().len(),
        1,
        "{receipt}"
    );
    assert_eq!(a.metric("cms_edge_purge_log_gone_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_log_gives_no_complete_receipt_before_leases_of_another_have_run_out() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start_with("a", &redis, &versions, "gone = \"1m\"\n").await;
    a.serves().await;
    let (_, receipt) = a.purge_locally(EVERYTHING).await;
    assert_eq!(receipt["state"], "settling");
    let (_, receipt) = a.receipt(&receipt["id"]).await;
    assert_eq!(receipt["complete"], false, "{receipt}");
    a.boottime.skip(std::time::Duration::from_secs(60));
    assert_eq!(a.completed(&receipt["id"]).await["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_knows_the_receipts_of_all() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    let receipt = a.purge(r#"{"tags": ["one", "two"], "mode": "soft"}"#).await;
    let elsewhere = b.completed(&receipt["id"]).await;
    for member in ["id", "mode", "scopes", "complete"] {
        assert_eq!(elsewhere[member], receipt[member], "{member}");
    }
    assert_eq!(
        b.receipt(&"0000000000000001-1".into()).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_purge_makes_stale_on_all_instances() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    let b = Edge::start("b", &redis, &versions).await;
    b.get("/x").await;
    versions.publish();
    let receipt = a
        .purge(r#"{"prefixes": ["http://www.example.test/x"], "mode": "soft"}"#)
        .await;
    assert_eq!(
        (&receipt["complete"], &receipt["mode"]),
        (&true.into(), &"soft".into())
    );
    eventually("b has fetched it anew", || async {
        b.get("/x").await.text() == "2"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_known_purges_nothing() {
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let a = Edge::start("a", &redis, &versions).await;
    a.get("/x").await;
    let (status, problem) = a.ask(Method::POST, "/purge?wait=both", EVERYTHING).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("wait=both"));
    assert!(a.get("/x").await.is_hit());
}

/// The figures of ten instances in one process: `cargo test --test purge_log -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn ten_instances_apply_a_thousand_purges() {
    const PURGES: usize = 1000;
    let (redis, versions) = (Server::start(&[]).await, Versions::start().await);
    let mut edges = Vec::new();
    for at in 0..10 {
        edges.push(Edge::start(&format!("edge-{at}"), &redis, &versions).await);
    }
    edges[0].purge(EVERYTHING).await;
    let mut took = Vec::new();
    for at in 0..PURGES {
        let asked = tokio::time::Instant::now();
        let command = format!(r#"{{"tags": ["article:{at}"]}}"#);
        let receipt = edges[at % edges.len()].purge(&command).await;
        assert_eq!(receipt["complete"], true, "{receipt}");
        assert_eq!(receipt["instances"].as_array().unwrap().len(), 10);
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    let (median, slow) = (took[PURGES / 2], took[PURGES * 99 / 100]);
    println!("{PURGES} purges, asked until complete on 10: p50 {median:?}, p99 {slow:?}");
}
