//! An origin in trouble: visitors who could have something stale do not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Gate, reply, route, until};
use crate::support::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);

/// Answers once per target, and never again.
async fn hanging() -> Origin {
    let seen = parking_lot::Mutex::new(std::collections::HashSet::new());
    Origin::start(move |request| {
        let is_new = !request.target.starts_with("/new") && seen.lock().insert(request.target);
        std::future::ready(if is_new {
            reply("good", &[("cache-control", "max-age=60")])
        } else {
            Reply::silent()
        })
    })
    .await
}

/// The first answer is "version 0"; later ones wait at the gate.
async fn gated() -> (Origin, Gate) {
    let gate = Gate::shut();
    let waiting = gate.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (number, gate) = (count.fetch_add(1, Ordering::SeqCst), waiting.clone());
        async move {
            if number > 0 {
                gate.pass().await;
            }
            let fields = [("cache-control", "max-age=60"), ("cache-tag", "a")];
            reply(format!("version {number}"), &fields)
        }
    })
    .await;
    (origin, gate)
}

fn no_background() -> String {
    route("stale_while_revalidate = \"0s\"")
}

#[tokio::test]
async fn with_an_open_breaker_stale_is_served_at_once_and_the_rest_is_a_503() {
    let origin = hanging().await;
    let settings = format!(
        "first_byte_timeout = \"100ms\"\n[upstream.origin.breaker]\nfailures = 2\n\
         open_for = \"10m\"\n{}",
        no_background()
    );
    let stage = Stage::start(&origin, &settings).await;
    for path in ["/a", "/b"] {
        stage.get(path, &[]).await;
    }
    stage.clock.advance(2 * MINUTE);
    for path in ["/new/1", "/new/2"] {
        assert_eq!(stage.get(path, &[]).await.status.as_u16(), 504);
    }
    let opened = "cms_edge_origin_breaker_opened_total{upstream=\"origin\"}";
    assert_eq!(stage.metric(opened).await, 1);
    let asked = origin.hits();
    for path in ["/a", "/b", "/a"] {
        let stale = stage.get(path, &[]).await;
        assert_eq!((stale.status.as_u16(), &*stale.text()), (200, "good"));
        assert_eq!(
            stale.cache_status(),
            "cms-edge; hit; ttl=-60; detail=destination_unavailable"
        );
    }
    let head = stage.send(Method::HEAD, "/a", &[], "").await;
    assert_eq!((head.status.as_u16(), head.text().len()), (200, 0));
    assert!(head.is_hit(), "{}", head.cache_status());
    let refused = stage.get("/new/3", &[]).await;
    assert_eq!(refused.status.as_u16(), 503);
    assert_eq!(
        refused.field("proxy-status"),
        "cms-edge; error=destination_unavailable"
    );
    assert_eq!(refused.field("cache-control"), "no-store");
    assert_eq!(origin.hits(), asked, "nobody asked");
}

#[tokio::test]
async fn nobody_waits_long_for_an_origin_that_hangs_while_something_stale_can_stand_in() {
    let (origin, gate) = gated().await;
    let settings = format!("stale_wait = \"50ms\"\n{}", no_background());
    let stage = Arc::new(Stage::start(&origin, &settings).await);
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let stage = Arc::clone(&stage);
        clients.spawn(async move { stage.get("/a", &[]).await });
    }
    for stale in clients.join_all().await {
        assert_eq!((stale.status.as_u16(), &*stale.text()), (200, "version 0"));
        assert!(stale.is_hit(), "{}", stale.cache_status());
    }
    for _ in 0..20 {
        let stale = stage.get("/a", &[]).await;
        assert_eq!(
            stale.cache_status(),
            "cms-edge; hit; ttl=-60; detail=destination_unavailable",
            "not even for a while"
        );
    }
    assert_eq!(origin.hits(), 2, "one exchange, which goes on");
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
async fn without_a_wait_of_their_own_and_with_nothing_stale_clients_wait_for_the_origin() {
    for (settings, path) in [
        ("stale_wait = \"0s\"\n", "/a"),
        ("stale_wait = \"10ms\"\n", "/b"),
    ] {
        let (origin, gate) = gated().await;
        let settings = format!("{settings}{}", no_background());
        let stage = Arc::new(Stage::start(&origin, &settings).await);
        stage.get("/a", &[]).await;
        stage.clock.advance(2 * MINUTE);
        let waiting = Arc::clone(&stage);
        let client = tokio::spawn(async move { waiting.get(path, &[]).await });
        origin.saw(2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!client.is_finished(), "{path}");
        gate.open();
        assert_eq!(client.await.unwrap().text(), "version 1");
    }
}

#[tokio::test]
async fn what_was_purged_softly_is_asked_for_however_the_origin_did_before() {
    let (origin, gate) = gated().await;
    let settings = format!("stale_wait = \"50ms\"\n{}", no_background());
    let stage = Stage::start(&origin, &settings).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    assert_eq!(stage.get("/a", &[]).await.text(), "version 0");
    stage.purge(r#"{"tags":["a"],"mode":"soft"}"#).await;
    gate.open();
    until("a response from after the purge", || async {
        stage.get("/a", &[]).await.text() == "version 2"
    })
    .await;
}

#[tokio::test]
async fn what_was_purged_hard_does_not_stand_in_for_an_open_breaker() {
    let origin = hanging().await;
    let settings = format!(
        "first_byte_timeout = \"100ms\"\n[upstream.origin.breaker]\nfailures = 1\n\
         open_for = \"10m\"\n{}",
        no_background()
    );
    let stage = Stage::start(&origin, &settings).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(2 * MINUTE);
    assert_eq!(stage.get("/new", &[]).await.status.as_u16(), 504);
    assert_eq!(stage.get("/a", &[]).await.text(), "good");
    stage.purge(r#"{"everything":true}"#).await;
    assert_eq!(stage.get("/a", &[]).await.status.as_u16(), 503);
}
