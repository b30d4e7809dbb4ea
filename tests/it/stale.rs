//! Stale responses: while they are validated, and when the origin fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, Gate, reply, route, until};
use crate::support::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);

/// The first answer is `good`, later ones are what `then` makes.
async fn then_failing(good: &'static [Field], then: fn() -> Reply) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |_| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                reply("good", good)
            } else {
                then()
            }
        }
    })
    .await
}

#[tokio::test]
async fn stale_is_served_at_once_while_one_request_validates_it() {
    let gate = Gate::shut();
    let count = Arc::new(AtomicUsize::new(0));
    let waiting = gate.clone();
    let origin = Origin::start(move |_| {
        let (number, gate) = (count.fetch_add(1, Ordering::SeqCst), waiting.clone());
        async move {
            if number > 0 {
                gate.pass().await;
            }
            let fields = [("cache-control", "max-age=60, stale-while-revalidate=30")];
            reply(format!("version {number}"), &fields)
        }
    })
    .await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(70));

    // The origin is held back: whoever waited for it would not come back.
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let stage = Arc::clone(&stage);
        clients.spawn(async move { stage.get("/a", &[]).await });
    }
    for answer in clients.join_all().await {
        assert_eq!(answer.text(), "version 0");
        assert_eq!(answer.cache_status(), "cms-edge; hit; ttl=-10");
    }
    origin.saw(2).await;
    assert_eq!(origin.hits(), 2, "one validation for all of them");
    gate.open();
    until("a fresh response", || async {
        stage.get("/a", &[]).await.text() == "version 1"
    })
    .await;
    assert_eq!(
        stage.get("/a", &[]).await.cache_status(),
        "cms-edge; hit; ttl=60"
    );
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn after_the_window_clients_wait_for_the_origin() {
    let origin = Origin::start(|_| async {
        reply(
            "a",
            &[("cache-control", "max-age=60, stale-while-revalidate=30")],
        )
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(90));
    let answer = stage.get("/a", &[]).await;
    assert!(!answer.is_hit());
    assert!(answer.cache_status().contains("fwd=stale"));
}

#[tokio::test]
async fn a_failed_validation_behind_the_clients_back_leaves_what_is_there() {
    let origin = then_failing(&[("cache-control", "max-age=60")], || Reply::new(503)).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"30s\"")).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(MINUTE);
    for asked in 2..5 {
        let stale = stage.get("/a", &[]).await;
        assert_eq!(
            (stale.status, stale.text()),
            (StatusCode::OK, "good".into())
        );
        origin.saw(asked).await;
        let fills = || async { stage.metric("cms_edge_fills").await == 0 };
        until("the end of the validation", fills).await;
        stage.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn an_origin_that_fails_is_not_asked_again_for_every_stale_answer() {
    let origin = then_failing(&[("cache-control", "max-age=60")], || Reply::new(503)).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"30s\"")).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(stage.get("/a", &[]).await.text(), "good");
        origin.saw(2).await;
        let fills = || async { stage.metric("cms_edge_fills").await == 0 };
        until("the end of the validation", fills).await;
    }
    assert_eq!(origin.hits(), 2, "one attempt within a second");
    stage.clock.advance(Duration::from_secs(1));
    stage.get("/a", &[]).await;
    origin.saw(3).await;
}

#[tokio::test]
async fn what_the_origin_wants_validated_each_time_stands_in_for_no_error() {
    let good: &[Field] = &[
        ("cache-control", "no-cache, max-age=600"),
        ("etag", "\"a\""),
    ];
    let origin = then_failing(good, || Reply::new(503).content("the origin's own error")).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let answer = stage.get("/a", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text(), "the origin's own error");
}

/// What stands in after the first failure, a minute after its lifetime has ended.
async fn assert_stands_in(stage: &Stage, error: &str) {
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    let stale = stage.get("/a", &[]).await;
    assert_eq!(
        (stale.status, stale.text()),
        (StatusCode::OK, "good".into())
    );
    let status = stale.cache_status();
    assert_eq!(status, format!("cms-edge; hit; ttl=-60; detail={error}"));
    assert_eq!(stale.field("age"), "120");
}

const GOOD: &[Field] = &[("cache-control", "max-age=60")];

#[tokio::test]
async fn stale_stands_in_when_the_connection_is_refused() {
    let origin = then_failing(GOOD, Reply::hang_up).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    stage.get("/a", &[]).await;
    drop(origin);
    assert_stands_in(&stage, "connection_refused").await;
}

#[tokio::test]
async fn stale_stands_in_for_server_errors() {
    for status in ["500", "502", "503", "504"] {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first {
                    reply("good", GOOD)
                } else {
                    Reply::new(status.parse().unwrap())
                }
            }
        })
        .await;
        let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
        assert_stands_in(&stage, "origin-error").await;
    }
}

#[tokio::test]
async fn stale_stands_in_when_the_origin_does_not_answer_in_time() {
    let origin = then_failing(GOOD, Reply::silent).await;
    let settings = route("stale_while_revalidate = \"0s\"");
    let settings = format!("first_byte_timeout = \"100ms\"\n{settings}");
    let stage = Stage::start(&origin, &settings).await;
    assert_stands_in(&stage, "http_response_timeout").await;
}

#[tokio::test]
async fn client_errors_are_answers_and_nothing_stands_in_for_them() {
    let origin = then_failing(GOOD, || Reply::new(404).content("gone")).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    assert_eq!(stage.get("/a", &[]).await.status, StatusCode::NOT_FOUND);
    // And what was stored is not there any more.
    let fields = [("cache-control", "max-stale=1000")];
    assert_eq!(stage.get("/a", &fields).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_stale_stands_in_over_must_revalidate() {
    for control in [
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
        "s-maxage=60",
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first {
                    reply("good", &[("cache-control", control)])
                } else {
                    Reply::new(503).content("the origin's own error")
                }
            }
        })
        .await;
        let stage = Stage::start(&origin, "").await;
        stage.get("/a", &[]).await;
        stage.clock.advance(2 * MINUTE);
        let answer = stage.get("/a", &[("cache-control", "max-stale")]).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{control}");
        assert_eq!(answer.text(), "the origin's own error");
    }
}

#[tokio::test]
async fn the_window_for_errors_ends() {
    let origin = then_failing(GOOD, || Reply::new(503)).await;
    let keys = "stale_while_revalidate = \"0s\"\nstale_if_error = \"30s\"";
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(89));
    assert_eq!(stage.get("/a", &[]).await.status, StatusCode::OK);
    stage.clock.advance(Duration::from_secs(1));
    let answer = stage.get("/a", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn nothing_stands_in_over_a_hard_purge() {
    let origin = then_failing(GOOD, || Reply::new(503)).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    stage.purge(r#"{"everything":true}"#).await;
    let answer = stage.get("/a", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_requests_own_window_counts_for_the_origins_errors() {
    // RFC 5861 §4: stale-if-error "indicates that when an error is encountered, a cached stale
    // response MAY be used to satisfy the request", in requests as well.
    let good: &[Field] = &[("cache-control", "max-age=60")];
    let origin = then_failing(good, || Reply::new(503)).await;
    let keys =
        "stale_if_error = \"0s\"\nstale_while_revalidate = \"0s\"\nrequest_directives = true";
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    let asked = [("cache-control", "stale-if-error=90")];
    let answer = stage.get("/a", &asked).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "good".into())
    );
    stage.clock.advance(MINUTE);
    for asked in [&asked[..], &[]] {
        let answer = stage.get("/a", asked).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
