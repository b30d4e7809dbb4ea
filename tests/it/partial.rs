//! Parts of representations in profile "rfc": stored, completed, and never taken for the whole.

use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, reply, route};
use crate::support::stage::{Answer, Stage};

const DIGITS: &str = "0123456789";
const FRESH: Field = ("cache-control", "max-age=60");
const STRONG: Field = ("etag", "\"a\"");

fn partial(range: &'static str, content: &'static str, fields: &[Field]) -> Reply {
    reply(content, fields)
        .with_status(206)
        .header("content-range", range)
}

/// An origin that honours `Range: bytes=0-4` and `bytes=5-`.
async fn ranged(fields: &'static [Field]) -> Origin {
    Origin::start(move |request| async move {
        match request.header("range").unwrap_or_default() {
            "bytes=0-4" => partial("bytes 0-4/10", "01234", fields),
            "bytes=5-" => partial("bytes 5-9/10", "56789", fields),
            "bytes=5-9" => partial("bytes 5-9/10", "56789", fields),
            _ => reply(DIGITS, fields),
        }
    })
    .await
}

fn seen(answer: &Answer) -> (u16, String, String) {
    let range = answer.field("content-range");
    (answer.status.as_u16(), range, answer.text())
}

fn part(range: &str, content: &str) -> (u16, String, String) {
    (206, range.to_owned(), content.to_owned())
}

#[tokio::test]
async fn a_part_is_stored_and_answers_ranges_within_it() {
    let origin = ranged(&[FRESH, STRONG]).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    let first = stage.get("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!(seen(&first), part("bytes 0-4/10", "01234"));
    assert_eq!(
        first.cache_status(),
        "cms-edge; fwd=uri-miss; stored; ttl=60"
    );
    for (range, expected) in [
        ("bytes=0-4", part("bytes 0-4/10", "01234")),
        ("bytes=2-3", part("bytes 2-3/10", "23")),
        ("bytes=4-4", part("bytes 4-4/10", "4")),
    ] {
        let answer = stage.get("/a", &[("range", range)]).await;
        assert_eq!(seen(&answer), expected, "{range}");
        assert!(answer.is_hit(), "{range}");
        assert_eq!(
            answer.field("content-length"),
            answer.body.len().to_string()
        );
    }
    assert_eq!(origin.hits(), 1);
    let beyond = stage.get("/a", &[("range", "bytes=5-9")]).await;
    assert_eq!(seen(&beyond), part("bytes 5-9/10", "56789"));
    assert_eq!(
        beyond.cache_status(),
        "cms-edge; fwd=partial; stored; ttl=60"
    );
}

#[tokio::test]
async fn a_part_is_completed_where_the_strong_validator_is_the_same() {
    let origin = ranged(&[FRESH, STRONG]).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    stage.get("/a", &[("range", "bytes=0-4")]).await;
    let whole = stage.get("/a", &[]).await;
    assert_eq!(seen(&whole), (200, String::new(), DIGITS.to_owned()));
    assert!(whole.cache_status().starts_with("cms-edge; fwd=partial"));
    let asked = &origin.requests()[1];
    assert_eq!(asked.header("range"), Some("bytes=5-"));
    assert_eq!(asked.header("if-range"), Some("\"a\""));
    let again = stage.get("/a", &[]).await;
    assert!(again.is_hit());
    assert_eq!((again.text(), origin.hits()), (DIGITS.to_owned(), 2));
}

#[tokio::test]
async fn what_has_no_strong_validator_is_fetched_as_a_whole() {
    for fields in [&[FRESH][..], &[FRESH, ("etag", "W/\"a\"")]] {
        let origin = ranged(fields).await;
        let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
        stage.get("/a", &[("range", "bytes=0-4")]).await;
        let whole = stage.get("/a", &[]).await;
        assert_eq!(seen(&whole), (200, String::new(), DIGITS.to_owned()));
        let asked = origin.requests();
        assert!(asked.iter().all(|asked| asked.header("if-range").is_none()));
        assert_eq!(asked.last().unwrap().header("range"), None);
        assert!(stage.get("/a", &[]).await.is_hit());
    }
}

#[tokio::test]
async fn a_part_of_what_has_changed_is_dropped() {
    let origin = Origin::start(|request| async move {
        match request.header("range").unwrap_or_default() {
            "bytes=0-4" => partial("bytes 0-4/10", "01234", &[FRESH, STRONG]),
            _ => reply("another", &[FRESH, ("etag", "\"b\"")]),
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    stage.get("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!(stage.get("/a", &[]).await.text(), "another");
    let range = stage.get("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!(seen(&range), part("bytes 0-4/7", "anoth"));
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_purge_ends_a_part() {
    let origin = ranged(&[FRESH, STRONG]).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    for (at, purge) in [r#"{"tags":["route:all"]}"#, r#"{"everything":true}"#]
        .iter()
        .enumerate()
    {
        stage.get("/a", &[("range", "bytes=0-4")]).await;
        assert_eq!(origin.hits(), at + 1);
        assert!(stage.get("/a", &[("range", "bytes=0-4")]).await.is_hit());
        stage.purge(purge).await;
    }
    stage.get("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!(origin.hits(), 3);
}

#[tokio::test]
async fn a_malformed_part_is_passed_on_and_not_stored() {
    // RFC 9110 §14.4: "The recipient of an invalid Content-Range MUST NOT attempt to recombine the
    // received content with a stored representation. A proxy that receives such a message SHOULD
    // forward it downstream."
    let origin =
        Origin::start(|_| async { partial("bytes 4-9/10", "01234", &[FRESH, STRONG]) }).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    for hits in 1..3 {
        let answer = stage.get("/a", &[("range", "bytes=-5")]).await;
        assert_eq!(seen(&answer), part("bytes 4-9/10", "01234"));
        assert_eq!(
            answer.cache_status(),
            "cms-edge; fwd=uri-miss; detail=partial"
        );
        assert_eq!(origin.hits(), hits);
    }
}

#[tokio::test]
async fn an_origin_without_ranges_is_asked_once() {
    let origin = Origin::start(|_| async { reply(DIGITS, &[FRESH, STRONG]) }).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    for range in ["bytes=0-4", "bytes=5-9"] {
        let answer = stage.get("/a", &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    }
    assert_eq!(origin.hits(), 1);
    assert_eq!(origin.requests()[0].header("range"), Some("bytes=0-4"));
}

#[tokio::test]
async fn outside_the_profile_a_206_that_nobody_asked_for_goes_to_whoever_asked_for_just_that() {
    let origin =
        Origin::start(|_| async { partial("bytes 0-4/10", "01234", &[FRESH, STRONG]) }).await;
    let stage = Stage::start(&origin, "").await;
    for (range, status) in [("bytes=0-4", 206), ("bytes=0-5", 502), ("bytes=-5", 502)] {
        let answer = stage.get("/a", &[("range", range)]).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
        assert!(!answer.is_hit());
    }
    assert_eq!(stage.get("/a", &[]).await.status, StatusCode::BAD_GATEWAY);
    assert!(
        origin
            .requests()
            .iter()
            .all(|asked| asked.header("range").is_none())
    );
}

#[tokio::test]
async fn a_part_that_breaks_off_is_not_stored() {
    let origin = Origin::start(|_| async {
        partial("bytes 0-4/10", "01234", &[FRESH, STRONG]).cut_after(2)
    })
    .await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    for hits in 1..3 {
        let request = stage.begin(Method::GET, "/a", &[("range", "bytes=0-4")], "");
        let content = request.await.into_body().collect().await;
        assert!(content.is_err(), "the client sees that it broke off");
        assert_eq!(origin.hits(), hits);
    }
}

#[tokio::test]
async fn a_part_is_for_whoever_vary_selects() {
    let fields: &[Field] = &[FRESH, STRONG, ("vary", "x-a")];
    let origin = ranged(fields).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    let range = ("range", "bytes=0-4");
    stage.get("/a", &[range, ("x-a", "1")]).await;
    assert!(stage.get("/a", &[range, ("x-a", "1")]).await.is_hit());
    assert!(!stage.get("/a", &[range, ("x-a", "2")]).await.is_hit());
}

#[tokio::test]
async fn a_change_and_the_end_of_its_lifetime_end_a_part() {
    let origin = ranged(&[FRESH, STRONG]).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    let range = [("range", "bytes=0-4")];
    stage.get("/a", &range).await;
    assert!(stage.get("/a", &range).await.is_hit());
    stage.send(Method::POST, "/a", &[], "").await;
    assert!(!stage.get("/a", &range).await.is_hit());
    stage.clock.advance(Duration::from_secs(61));
    assert!(!stage.get("/a", &range).await.is_hit());
}

#[tokio::test]
async fn only_if_cached_takes_a_part() {
    let origin = ranged(&[FRESH, STRONG]).await;
    let stage = Stage::start(&origin, &route("profile = \"rfc\"")).await;
    stage.get("/a", &[("range", "bytes=0-4")]).await;
    let only = ("cache-control", "only-if-cached");
    for (range, status) in [("bytes=1-2", 206), ("bytes=4-5", 504)] {
        let answer = stage.get("/a", &[("range", range), only]).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
    }
    assert_eq!(stage.get("/a", &[only]).await.status.as_u16(), 504);
}
