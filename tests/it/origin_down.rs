//! What clients are told when the origin fails.

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Gate, reply, route};
use crate::support::stage::{Answer, Stage};

fn assert_failed(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status);
    let told = format!("cms-edge; error={error}");
    assert_eq!(answer.field("proxy-status"), told);
    assert_eq!(answer.field("cache-control"), "no-store");
    assert!(answer.cache_status().contains("; fwd="));
    assert!(!answer.text().contains("127.0.0.1"), "where the origin is");
}

#[tokio::test]
async fn an_origin_that_refuses_connections_is_a_502() {
    let origin = Origin::start(|_| async { Reply::ok("a") }).await;
    let stage = Stage::start(&origin, "").await;
    drop(origin);
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let answer = stage.send(method.clone(), "/a", &[], "").await;
        if method == Method::HEAD {
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
            continue;
        }
        assert_failed(&answer, 502, "connection_refused");
    }
}

#[tokio::test]
async fn an_origin_that_hangs_up_is_a_502() {
    let origin = Origin::start(|_| async { Reply::hang_up() }).await;
    let stage = Stage::start(&origin, "").await;
    assert_failed(&stage.get("/a", &[]).await, 502, "connection_terminated");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_502() {
    let origin = Origin::start(|_| async { Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n") }).await;
    let stage = Stage::start(&origin, "").await;
    assert_failed(&stage.get("/a", &[]).await, 502, "http_protocol_error");
}

#[tokio::test]
async fn an_origin_that_does_not_answer_is_a_504() {
    let origin = Origin::start(|_| async { Reply::silent() }).await;
    let settings = format!("first_byte_timeout = \"100ms\"\n{}", route(""));
    let stage = Stage::start(&origin, &settings).await;
    let answer = stage.get("/a", &[]).await;
    assert_failed(&answer, 504, "http_response_timeout");
}

#[tokio::test]
async fn an_origin_with_no_room_is_a_503() {
    let gate = Gate::shut();
    let waiting = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = waiting.clone();
        async move {
            gate.pass().await;
            reply("a", &[("cache-control", "max-age=60")])
        }
    })
    .await;
    let settings = format!("concurrency = 1\nqueue = 0\n{}", route(""));
    let stage = std::sync::Arc::new(Stage::start(&origin, &settings).await);
    let first = std::sync::Arc::clone(&stage);
    let first = tokio::spawn(async move { first.get("/first", &[]).await });
    origin.saw(1).await;
    let second = stage.get("/second", &[]).await;
    assert_failed(&second, 503, "connection_limit_reached");
    gate.open();
    assert_eq!(first.await.unwrap().text(), "a");
    // The place is free again, and the failure was not kept.
    assert_eq!(stage.get("/second", &[]).await.text(), "a");
}

#[tokio::test]
async fn a_place_that_does_not_become_free_in_time_is_a_503() {
    let origin = Origin::start(|_| async { Reply::silent() }).await;
    let settings = format!("concurrency = 1\nqueue_timeout = \"100ms\"\n{}", route(""));
    let stage = std::sync::Arc::new(Stage::start(&origin, &settings).await);
    let first = std::sync::Arc::clone(&stage);
    let first = tokio::spawn(async move { first.get("/first", &[]).await });
    origin.saw(1).await;
    let second = stage.get("/second", &[]).await;
    assert_failed(&second, 503, "connection_limit_reached");
    first.abort();
}

#[tokio::test]
async fn an_error_of_the_origins_own_passes_as_it_is() {
    let origin = Origin::start(|_| async {
        Reply::new(503)
            .content("maintenance")
            .header("retry-after", "60")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let answer = stage.get("/a", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text(), "maintenance");
    assert_eq!(answer.field("retry-after"), "60");
}
