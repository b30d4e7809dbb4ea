//! Conditional requests of clients.

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, next_tap, piecewise, reply, route};
use crate::support::stage::{Stage, whole};

const MODIFIED: &str = "Fri, 20 Nov 2026 12:00:00 GMT";
const BEFORE: &str = "Fri, 20 Nov 2026 11:59:59 GMT";
const AFTER: &str = "Fri, 20 Nov 2026 12:00:01 GMT";

const FIELDS: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html"),
    ("etag", "\"a\""),
    ("last-modified", MODIFIED),
    ("content-location", "/a.html"),
];

/// Conditions on a response with the entity tag "a" of [`MODIFIED`], and what comes of them.
const CONDITIONS: &[(&[Field], u16)] = &[
    (&[("if-none-match", "\"a\"")], 304),
    (&[("if-none-match", "W/\"a\"")], 304),
    (&[("if-none-match", "\"x\", \"a\"")], 304),
    (&[("if-none-match", "*")], 304),
    (&[("if-none-match", "\"b\"")], 200),
    (&[("if-none-match", "a")], 200),
    (&[("if-modified-since", MODIFIED)], 304),
    (&[("if-modified-since", AFTER)], 304),
    (&[("if-modified-since", BEFORE)], 200),
    (&[("if-modified-since", "yesterday")], 200),
    (
        &[("if-none-match", "\"b\""), ("if-modified-since", AFTER)],
        200,
    ),
];

#[tokio::test]
async fn conditions_are_answered_from_the_store() {
    let origin = Origin::start(|_| async { reply("content", FIELDS) }).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for (fields, status) in CONDITIONS {
        for method in [Method::GET, Method::HEAD] {
            let answer = stage.send(method, "/a", fields, "").await;
            assert_eq!(answer.status, *status, "{fields:?}");
            assert!(answer.is_hit());
        }
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn conditions_on_a_miss_do_not_reach_the_origin_and_mean_the_same() {
    let origin = Origin::start(|_| async { reply("content", FIELDS) }).await;
    let stage = Stage::start(&origin, "").await;
    for (row, (fields, status)) in CONDITIONS.iter().enumerate() {
        let path = format!("/{row}");
        let answer = stage.get(&path, fields).await;
        assert_eq!(answer.status, *status, "{fields:?}");
        assert!(!answer.is_hit());
        let hit = stage.get(&path, &[]).await;
        assert!(hit.is_hit(), "the whole was stored: {fields:?}");
        assert_eq!(hit.text(), "content");
    }
    for request in origin.requests() {
        let conditional = |name: &&str| request.header(name).is_some();
        let names = ["if-none-match", "if-modified-since"];
        assert_eq!(names.iter().find(|name| conditional(name)), None);
    }
}

#[tokio::test]
async fn what_only_the_origin_can_evaluate_goes_there() {
    // RFC 9111 §4.3.2: "A cache MUST NOT evaluate conditional header fields that only apply to an
    // origin server".
    let origin = Origin::start(|request| async move {
        match request
            .header("if-match")
            .or_else(|| request.header("if-unmodified-since"))
        {
            None => reply("content", FIELDS),
            Some("\"a\"" | MODIFIED) => reply("from the origin", FIELDS),
            Some(_) => Reply::new(412),
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for (field, status) in [
        (("if-match", "\"a\""), 200),
        (("if-match", "\"b\""), 412),
        (("if-unmodified-since", MODIFIED), 200),
        (("if-unmodified-since", BEFORE), 412),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let hits = origin.hits();
            let answer = stage.send(method, "/a", &[field], "").await;
            assert_eq!(answer.status, status, "{field:?}");
            assert_eq!(answer.cache_status(), "cms-edge; fwd=request");
            assert_eq!(origin.hits(), hits + 1);
        }
    }
    assert_eq!(stage.get("/a", &[]).await.text(), "content");
    let cached = [("if-match", "\"b\""), ("cache-control", "only-if-cached")];
    assert_eq!(stage.get("/b", &cached).await.status, 504);
}

#[tokio::test]
async fn a_304_on_a_miss_comes_before_the_content_has_and_the_content_is_stored() {
    let (origin, mut taps) = piecewise(FIELDS).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[("if-none-match", "\"a\"")], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    assert_eq!(whole(response).await.status, StatusCode::NOT_MODIFIED);
    tap.send("content".into()).await.unwrap();
    drop(tap);
    let hit = stage.get("/a", &[]).await;
    assert_eq!(hit.text(), "content");
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_304_has_the_fields_of_the_200_but_none_of_its_content() {
    let origin = Origin::start(|_| async { reply("content".repeat(200), FIELDS) }).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let answer = stage.get("/a", &[("if-none-match", "\"a\"")]).await;
    for name in [
        "cache-control",
        "content-location",
        "date",
        "etag",
        "vary",
        "age",
    ] {
        assert_ne!(answer.field(name), "", "{name}");
    }
    for name in ["content-length", "content-type", "content-encoding"] {
        assert_eq!(answer.field(name), "", "{name}");
    }
}

#[tokio::test]
async fn the_tag_of_a_compressed_representation_is_a_condition_for_every_coding() {
    let text = "a sentence that compresses well. ".repeat(100);
    let origin = Origin::start(move |_| {
        let text = text.clone();
        async move { reply(text, FIELDS) }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let compressed = [("accept-encoding", "br")];
    stage.get("/a", &compressed).await;
    let answer = stage.get("/a", &compressed).await;
    assert_eq!(answer.field("content-encoding"), "br");
    let etag = answer.field("etag");
    assert_eq!(etag, "W/\"a\"");
    for coding in ["br", "gzip", "identity"] {
        let fields = [("accept-encoding", coding), ("if-none-match", &*etag)];
        let answer = stage.get("/a", &fields).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{coding}");
        assert_eq!(answer.field("vary"), "accept-encoding");
        let expected = if coding == "identity" {
            "\"a\""
        } else {
            "W/\"a\""
        };
        assert_eq!(answer.field("etag"), expected);
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn errors_are_not_conditional() {
    let origin = Origin::start(|_| async { Reply::new(404).header("etag", "\"a\"") }).await;
    let stage = Stage::start(&origin, &route("ttl_by_status = { 404 = \"60s\" }")).await;
    for _ in 0..2 {
        let answer = stage.get("/a", &[("if-none-match", "\"a\"")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(origin.hits(), 1);
}
