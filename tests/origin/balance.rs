//! Several servers, and servers that cannot be reached.

use cms_edge::body::Body;
use cms_edge::fetch::{Choice, Kind};
use http::{StatusCode, Uri};

use crate::stage::{Stage, content, failure, get, post};
use crate::support::origin::{Origin, PATIENCE, Reply, refusing};

#[tokio::test]
async fn a_refused_connection_is_a_bad_gateway() {
    let upstream = Stage::new(&[refusing().await]).upstream();
    let error = failure(&upstream, "/").await;
    assert_eq!(error.kind, Kind::Connect);
    assert_eq!(error.kind.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(error.kind.proxy_status(), "connection_refused");
    assert!(
        error
            .server
            .is_some_and(|name| name.starts_with("127.0.0.1:"))
    );
}

#[tokio::test]
async fn two_servers_take_turns() {
    let first = Origin::start(|_| async { Reply::ok("first") }).await;
    let second = Origin::start(|_| async { Reply::ok("second") }).await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    let upstream = stage.upstream();
    for expected in ["first", "second", "first", "second"] {
        assert_eq!(get(&upstream, "/").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn with_one_server_dead_every_request_succeeds_and_the_dead_one_is_left_out() {
    let alive = Origin::start(|request| async move { Reply::ok(request.content) }).await;
    let mut stage = Stage::new(&[refusing().await, alive.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    let upstream = stage.upstream();
    for _ in 0..10 {
        let response = upstream.send(post("/", Body::full("form"))).await.unwrap();
        assert_eq!(content(response).await.unwrap(), "form");
    }
    assert_eq!(alive.hits(), 10);
    let text = stage.text();
    let retries = "origin_retries_total{upstream=\"cms\",reason=\"connect\"} 3";
    assert!(text.contains(retries), "{text}");
    assert!(
        text.contains("origin_ejections_total{upstream=\"cms\""),
        "{text}"
    );
}

#[tokio::test]
async fn without_retries_a_dead_server_is_an_error() {
    let alive = Origin::start(|_| async { Reply::ok("alive") }).await;
    let mut stage = Stage::new(&[refusing().await, alive.uri()]);
    stage.settings.retries = 0;
    stage.settings.care.choice = Choice::RoundRobin;
    let upstream = stage.upstream();
    assert_eq!(failure(&upstream, "/").await.kind, Kind::Connect);
    assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_bad_gateway() {
    let server: Uri = "http://origin.invalid:80".parse().unwrap();
    let mut stage = Stage::new(&[server]);
    stage.settings.connect_timeout = PATIENCE;
    let error = failure(&stage.upstream(), "/").await;
    assert_eq!(
        (error.kind, error.kind.proxy_status()),
        (Kind::Resolve, "dns_error")
    );
}
