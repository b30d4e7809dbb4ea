//! Requests for a part.

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, next_tap, piecewise, read, reply, route, with};
use crate::support::stage::{Answer, Stage, whole};

const FIELDS: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html"),
    ("etag", "\"a\""),
    ("last-modified", "Fri, 20 Nov 2026 12:00:00 GMT"),
];
const DIGITS: &str = "0123456789";

async fn digits() -> Origin {
    Origin::start(|_| async { reply(DIGITS, FIELDS) }).await
}

/// Status, `Content-Range` and content.
fn part(answer: &Answer) -> (u16, String, String) {
    (
        answer.status.as_u16(),
        answer.field("content-range"),
        answer.text(),
    )
}

fn parts(status: u16, range: &str, content: &str) -> (u16, String, String) {
    (status, range.to_owned(), content.to_owned())
}

#[tokio::test]
async fn single_ranges_come_from_the_stored_response() {
    let origin = digits().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for (range, expected) in [
        ("bytes=0-3", parts(206, "bytes 0-3/10", "0123")),
        ("bytes=7-", parts(206, "bytes 7-9/10", "789")),
        ("bytes=7-99", parts(206, "bytes 7-9/10", "789")),
        ("bytes=-2", parts(206, "bytes 8-9/10", "89")),
        ("bytes=-99", parts(206, "bytes 0-9/10", DIGITS)),
        ("bytes=10-", parts(416, "bytes */10", "")),
        ("bytes=-0", parts(416, "bytes */10", "")),
        // Several, none, and what is no range: the whole.
        ("bytes=0-1,3-4", parts(200, "", DIGITS)),
        ("bytes=", parts(200, "", DIGITS)),
        ("bytes=3-1", parts(200, "", DIGITS)),
        ("lines=0-1", parts(200, "", DIGITS)),
    ] {
        let answer = stage.get("/a", &[("range", range)]).await;
        assert_eq!(part(&answer), expected, "{range}");
        assert!(answer.is_hit());
        if answer.status == StatusCode::PARTIAL_CONTENT {
            assert_eq!(answer.field("etag"), "\"a\"");
            assert_eq!(
                answer.field("content-length"),
                answer.body.len().to_string()
            );
        }
    }
    let head = stage.send(Method::HEAD, "/a", &[("range", "bytes=0-3")], "");
    assert_eq!(head.await.status, StatusCode::OK, "ranges are of GET alone");
    let whole = stage.get("/a", &[]).await;
    assert_eq!(whole.field("accept-ranges"), "bytes");
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn if_range_gives_the_whole_where_it_does_not_match() {
    let origin = digits().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for (condition, status) in [
        ("\"a\"", 206),
        ("\"b\"", 200),
        ("W/\"a\"", 200),
        ("Fri, 20 Nov 2026 12:00:00 GMT", 206),
        ("Fri, 20 Nov 2026 12:00:01 GMT", 200),
    ] {
        let fields = [("range", "bytes=0-3"), ("if-range", condition)];
        let answer = stage.get("/a", &fields).await;
        assert_eq!(answer.status, status, "{condition}");
    }
}

#[tokio::test]
async fn other_preconditions_come_before_the_range() {
    let origin = digits().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let fields = [("range", "bytes=0-3"), ("if-none-match", "\"a\"")];
    assert_eq!(
        stage.get("/a", &fields).await.status,
        StatusCode::NOT_MODIFIED
    );
}

#[tokio::test]
async fn a_range_on_a_miss_stores_the_whole() {
    let origin = digits().await;
    let stage = Stage::start(&origin, "").await;
    let miss = stage.get("/a", &[("range", "bytes=2-4")]).await;
    assert_eq!(part(&miss), parts(206, "bytes 2-4/10", "234"));
    assert_eq!(origin.requests()[0].header("range"), None);
    let hit = stage.get("/a", &[]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.text(), DIGITS);
}

#[tokio::test]
async fn a_range_on_a_slow_miss_is_there_before_the_rest_is() {
    // The origin says 10 bytes, sends 5, and then nothing.
    let origin = Origin::start(|_| async { reply(DIGITS, FIELDS).stall_after(5) }).await;
    let stage = Stage::start(&origin, "").await;
    let miss = stage.get("/a", &[("range", "bytes=2-4")]).await;
    assert_eq!(part(&miss), parts(206, "bytes 2-4/10", "234"));
    assert_eq!(miss.field("content-length"), "3");
    let none = [("range", "bytes=2-4"), ("if-range", "\"b\"")];
    let other = Origin::start(|_| async { reply(DIGITS, FIELDS) }).await;
    let stage = Stage::start(&other, "").await;
    assert_eq!(stage.get("/a", &none).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_range_of_unknown_length_is_answered_with_the_whole() {
    let (origin, mut taps) = piecewise(FIELDS).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[("range", "bytes=0-3")], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    assert_eq!(response.status(), StatusCode::OK);
    tap.send(DIGITS.into()).await.unwrap();
    drop(tap);
    assert_eq!(whole(response).await.text(), DIGITS);
    let hit = stage.get("/a", &[("range", "bytes=0-3")]).await;
    assert_eq!(part(&hit), parts(206, "bytes 0-3/10", "0123"));
}

#[tokio::test]
async fn a_range_is_of_the_plain_content_also_for_clients_that_accept_codings() {
    let text = "a sentence that compresses well. ".repeat(100);
    let stored = text.clone();
    let origin = Origin::start(move |_| {
        let text = stored.clone();
        async move { reply(text, FIELDS) }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let fields = [("range", "bytes=2-9"), ("accept-encoding", "gzip, br")];
    // On the miss, on the hit, and beside a compressed representation.
    for compressed in [false, false, true] {
        if compressed {
            let fields = [("accept-encoding", "br")];
            let answer = stage.get("/a", &fields).await;
            assert_eq!(answer.field("content-encoding"), "br");
        }
        let answer = stage.get("/a", &fields).await;
        let range = format!("bytes 2-9/{}", text.len());
        assert_eq!(part(&answer), parts(206, &range, &text[2..10]));
        assert_eq!(answer.field("content-encoding"), "");
        assert_eq!(answer.field("vary"), "accept-encoding");
    }
}

/// An origin with ranges, of content that is larger than the stage of [`small`] stores.
async fn film() -> Origin {
    Origin::start(|request| async move {
        let content = "0123456789".repeat(1000);
        let fields: &[Field] = &[("cache-control", "max-age=60"), ("etag", "\"film\"")];
        match request.header("range") {
            None => reply(content, fields),
            Some("bytes=9000-9004") => with(
                Reply::new(206)
                    .content("01234")
                    .header("content-range", "bytes 9000-9004/10000"),
                fields,
            ),
            Some(other) => panic!("{other}"),
        }
    })
    .await
}

async fn small(origin: &Origin) -> Stage {
    Stage::start(origin, &route("max_object_size = \"1KiB\"")).await
}

#[tokio::test]
async fn ranges_of_what_is_too_large_to_store_are_asked_of_the_origin() {
    let origin = film().await;
    let stage = small(&origin).await;
    let whole = stage.get("/film", &[]).await;
    assert!(whole.cache_status().contains("detail=too-large"));
    let fields = [
        ("range", "bytes=9000-9004"),
        ("if-range", "\"film\""),
        ("cookie", "_ga=1"),
        ("accept-encoding", "br"),
    ];
    let answer = stage.get("/film", &fields).await;
    let expected = parts(206, "bytes 9000-9004/10000", "01234");
    assert_eq!(part(&answer), expected);
    let asked = &origin.requests()[1];
    assert_eq!(asked.header("if-range"), Some("\"film\""));
    assert_eq!(asked.header("cookie"), None);
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_first_range_of_what_turns_out_too_large_is_asked_for_once_more() {
    let origin = film().await;
    let stage = small(&origin).await;
    let fields = [("range", "bytes=9000-9004")];
    let answer = stage.get("/film", &fields).await;
    assert_eq!(part(&answer), parts(206, "bytes 9000-9004/10000", "01234"));
    let ranges: Vec<bool> = origin
        .requests()
        .iter()
        .map(|request| request.header("range").is_some())
        .collect();
    assert_eq!(ranges, [false, true]);
}

#[tokio::test]
async fn a_stream_that_turns_out_too_large_goes_on_as_the_whole() {
    let (origin, mut taps) = piecewise(&[("cache-control", "max-age=60")]).await;
    let stage = small(&origin).await;
    let request = stage.begin(Method::GET, "/film", &[("range", "bytes=0-4")], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    for _ in 0..10 {
        tap.send(vec![b'x'; 1000].into()).await.unwrap();
        assert_eq!(read(&mut body, 1000).await.len(), 1000);
    }
}
