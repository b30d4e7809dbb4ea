//! `Cache-Status` (RFC 9211), parameter by parameter.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, Gate, reply, route};
use crate::support::stage::Stage;

const FIELDS: &[Field] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

async fn tagged() -> Origin {
    Origin::start(|request| async move {
        match request.header("if-none-match") {
            Some("\"a\"") => Reply::new(304).header("etag", "\"a\""),
            _ => reply("0123456789", FIELDS),
        }
    })
    .await
}

#[tokio::test]
async fn it_says_why_a_request_went_forward_and_what_came_back() {
    // RFC 9211 §2.3: fwd-status is said where it is not the status of the response.
    let origin = tagged().await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    let first = [("if-none-match", "\"a\"")];
    for (fields, expected) in [
        (
            &first[..],
            "cms-edge; fwd=uri-miss; fwd-status=200; stored; ttl=60",
        ),
        (&first, "cms-edge; hit; ttl=60"),
        (
            &[("cache-control", "no-cache")],
            "cms-edge; fwd=request; fwd-status=304; stored; ttl=60",
        ),
        (
            &[("authorization", "a")],
            "cms-edge; fwd=bypass; detail=bypass-header",
        ),
        (&[("if-match", "\"a\"")], "cms-edge; fwd=request"),
    ] {
        let answer = stage.get("/a", fields).await;
        assert_eq!(answer.cache_status(), expected, "{fields:?}");
    }
    stage.clock.advance(Duration::from_secs(61));
    let stale = stage.get("/a", &[]).await;
    assert_eq!(
        stale.cache_status(),
        "cms-edge; fwd=stale; fwd-status=304; stored; ttl=60"
    );
    let range = stage.get("/b", &[("range", "bytes=0-3")]).await;
    assert_eq!(range.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        range.cache_status(),
        "cms-edge; fwd=uri-miss; fwd-status=200; stored; ttl=60"
    );
    let posted = stage.send(Method::POST, "/a", &[], "").await;
    assert_eq!(posted.cache_status(), "cms-edge; fwd=method");
}

#[tokio::test]
async fn it_says_who_waited_for_somebody_elses_request() {
    let gate = Gate::shut();
    let waiting = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = waiting.clone();
        async move {
            gate.pass().await;
            reply("a", FIELDS)
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let both = async {
        let first = stage.get("/a", &[]);
        let second = async {
            origin.saw(1).await;
            let second = stage.get("/a", &[]);
            gate.open();
            second.await
        };
        tokio::join!(first, second)
    };
    let (first, second) = both.await;
    assert_eq!(
        first.cache_status(),
        "cms-edge; fwd=uri-miss; stored; ttl=60"
    );
    // Whether it came before the first was stored is up to chance.
    let second = second.cache_status();
    assert!(
        [
            "cms-edge; fwd=uri-miss; collapsed; ttl=60",
            "cms-edge; hit; ttl=60"
        ]
        .contains(&&*second),
        "{second}"
    );
}

#[tokio::test]
async fn it_says_the_key_where_the_operator_wants_it() {
    // RFC 9211 §2.6.
    let origin = tagged().await;
    let stage = Stage::start(&origin, &route("cache_status_key = true")).await;
    for expected in [
        "cms-edge; fwd=uri-miss; stored; ttl=60; key=\"http://www.example.test/a?x=1",
        "cms-edge; hit; ttl=60; key=\"http://www.example.test/a?x=1",
    ] {
        let said = stage.get("/a?x=1", &[]).await.cache_status();
        assert!(said.starts_with(expected), "{said}");
    }
    let stage = Stage::start(&origin, "").await;
    assert!(!stage.get("/a", &[]).await.cache_status().contains("key="));
}
