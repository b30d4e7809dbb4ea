//! What a HEAD says of what is stored (RFC 9111 §4.3.5).

use std::time::Duration;

use http::Method;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, reply, route};
use crate::support::stage::Stage;

const GET: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"a\""),
    ("x-a", "1"),
];

/// Answers a HEAD with these fields, and a GET with [`GET`].
async fn heading(fields: &'static [Field]) -> Origin {
    Origin::start(move |request| async move {
        match request.method {
            Method::HEAD => Reply::raw(head(fields)),
            _ => reply("content", GET),
        }
    })
    .await
}

fn head(fields: &[Field]) -> String {
    let lines: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("HTTP/1.1 200 OK\r\n{lines}connection: close\r\n\r\n")
}

async fn after_a_head(keys: &str, fields: &'static [Field]) -> (Stage, Origin) {
    let origin = heading(fields).await;
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(61));
    let told = stage.send(Method::HEAD, "/a", &[], "").await;
    assert_eq!(told.cache_status(), "cms-edge; fwd=stale");
    assert_eq!(origin.hits(), 2);
    (stage, origin)
}

#[tokio::test]
async fn a_head_freshens_what_it_describes() {
    for fields in [
        &[
            ("cache-control", "max-age=90"),
            ("etag", "\"a\""),
            ("x-a", "2"),
        ][..],
        &[
            ("cache-control", "max-age=90"),
            ("etag", "\"a\""),
            ("content-length", "7"),
            ("x-a", "2"),
        ],
    ] {
        let (stage, _origin) = after_a_head("stale_while_revalidate = \"0s\"", fields).await;
        let hit = stage.get("/a", &[]).await;
        assert_eq!(hit.cache_status(), "cms-edge; hit; ttl=90");
        assert_eq!(
            (hit.text(), hit.field("x-a")),
            ("content".into(), "2".into())
        );
    }
}

#[tokio::test]
async fn a_head_of_something_else_freshens_nothing() {
    for fields in [
        &[("cache-control", "max-age=90"), ("etag", "\"b\"")][..],
        &[
            ("cache-control", "max-age=90"),
            ("etag", "\"a\""),
            ("content-length", "8"),
        ],
        &[("cache-control", "no-store"), ("etag", "\"a\"")],
    ] {
        let (stage, origin) = after_a_head("stale_while_revalidate = \"0s\"", fields).await;
        assert!(!stage.get("/a", &[]).await.is_hit(), "{fields:?}");
        assert_eq!(origin.hits(), 3);
    }
}

#[tokio::test]
async fn what_has_no_validator_is_freshened_in_profile_rfc_alone() {
    const FIELDS: &[Field] = &[("cache-control", "max-age=90")];
    for (keys, is_hit) in [
        ("stale_while_revalidate = \"0s\"", false),
        ("profile = \"rfc\"", true),
    ] {
        let (stage, _origin) = after_a_head(keys, FIELDS).await;
        assert_eq!(stage.get("/a", &[]).await.is_hit(), is_hit, "{keys}");
    }
}

#[tokio::test]
async fn a_fresh_response_that_a_head_contradicts_is_not_served_again() {
    let origin = heading(&[("etag", "\"b\"")]).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let reload = [("cache-control", "no-cache")];
    stage.send(Method::HEAD, "/a", &reload, "").await;
    assert!(!stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn a_purge_that_comes_while_a_head_is_answered_wins() {
    let (origin, mut script) = crate::support::script::script().await;
    let stage = Stage::start(&origin, "").await;
    let get = async { script.asked().await.answer(reply("content", GET)) };
    tokio::join!(stage.get("/a", &[]), get);
    stage.clock.advance(Duration::from_secs(3600));
    let told = async {
        let asked = script.asked().await;
        stage
            .purge(r#"{"urls":["http://www.example.test/a"]}"#)
            .await;
        asked.answer(Reply::raw(head(GET)));
    };
    tokio::join!(stage.send(Method::HEAD, "/a", &[], ""), told);
    let get = async { script.asked().await.answer(reply("new", GET)) };
    let (read, ()) = tokio::join!(stage.get("/a", &[]), get);
    assert_eq!(read.text(), "new");
}
