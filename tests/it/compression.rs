//! Content codings: what is compressed, what is decoded, and what that costs.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{
    Field, brotlied, decoded, gzipped, next_tap, piecewise, reply, route, with,
};
use crate::support::stage::{Answer, Stage, whole};

const HTML: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html; charset=utf-8"),
    ("etag", "\"a\""),
];

fn text() -> String {
    "der Gemeinderat tagt, le conseil se réunit. ".repeat(100)
}

/// An origin that always answers this.
async fn sending(content: impl Into<Bytes>, fields: &'static [Field]) -> Origin {
    let content = content.into();
    Origin::start(move |_| {
        let content = content.clone();
        async move { reply(content, fields) }
    })
    .await
}

async fn accepting(stage: &Stage, codings: &str) -> Answer {
    stage.get("/a", &[("accept-encoding", codings)]).await
}

/// The content as a client sees it that understands the coding.
fn content(answer: &Answer) -> String {
    let plain = decoded(&answer.field("content-encoding"), &answer.body);
    String::from_utf8(plain).unwrap()
}

async fn derived(stage: &Stage) -> u64 {
    stage.metric("cms_edge_derived_total").await
}

#[tokio::test]
async fn clients_get_the_best_coding_on_a_miss_and_on_a_hit() {
    for (codings, coding) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("identity", ""),
        ("deflate", ""),
        ("br;q=0", ""),
        ("*", "br"),
    ] {
        let origin = sending(text(), HTML).await;
        let stage = Stage::start(&origin, "").await;
        for is_hit in [false, true] {
            let answer = accepting(&stage, codings).await;
            assert_eq!(answer.is_hit(), is_hit);
            assert_eq!(answer.field("content-encoding"), coding, "{codings}");
            assert_eq!(content(&answer), text());
            assert_eq!(answer.field("vary"), "accept-encoding");
            let etag = if coding.is_empty() {
                "\"a\""
            } else {
                "W/\"a\""
            };
            assert_eq!(answer.field("etag"), etag);
        }
        assert_eq!(
            origin.requests()[0].header("accept-encoding"),
            Some("identity")
        );
    }
}

#[tokio::test]
async fn a_miss_without_a_known_length_is_compressed_on_its_way() {
    let (origin, mut taps) = piecewise(HTML).await;
    let stage = Stage::start(&origin, "").await;
    let fields = [("accept-encoding", "gzip")];
    let request = stage.begin(Method::GET, "/a", &fields, "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    for piece in text().as_bytes().chunks(1000) {
        tap.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(tap);
    let answer = whole(response).await;
    assert_eq!(content(&answer), text());
    assert_eq!(answer.field("etag"), "W/\"a\"");
    assert_eq!(answer.field("content-length"), "");
    assert!(answer.body.len() < text().len() / 4);
}

#[tokio::test]
async fn a_coding_is_made_once_and_kept() {
    let origin = sending(text(), HTML).await;
    let stage = Stage::start(&origin, "").await;
    for (codings, made) in [("br", 1), ("gzip", 2), ("identity", 2), ("br", 2)] {
        for _ in 0..5 {
            assert_eq!(content(&accepting(&stage, codings).await), text());
        }
        assert_eq!(derived(&stage).await, made, "{codings}");
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_304_keeps_the_codings_that_were_made() {
    let body = text();
    let origin = Origin::start(move |request| {
        let body = body.clone();
        async move {
            match request.header("if-none-match") {
                None => reply(body, HTML),
                Some(_) => with(Reply::new(304), HTML),
            }
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    accepting(&stage, "br").await;
    accepting(&stage, "br").await;
    stage.clock.advance(std::time::Duration::from_secs(60));
    let validated = accepting(&stage, "br").await;
    assert!(validated.cache_status().contains("fwd-status=304"));
    assert_eq!(validated.field("content-encoding"), "br");
    assert_eq!(derived(&stage).await, 1);
}

#[tokio::test]
async fn small_bodies_and_other_types_are_left_alone() {
    const PICTURE: &[Field] = &[
        ("cache-control", "max-age=60"),
        ("content-type", "image/png"),
    ];
    const UNTYPED: &[Field] = &[("cache-control", "max-age=60")];
    for (size, fields, coding) in [
        (1023, HTML, ""),
        (1024, HTML, "br"),
        (9000, PICTURE, ""),
        (9000, UNTYPED, ""),
    ] {
        let origin = sending(vec![b'x'; size], fields).await;
        let stage = Stage::start(&origin, "").await;
        for _ in 0..2 {
            let answer = accepting(&stage, "br").await;
            let case = format!("{size} {fields:?}");
            assert_eq!(answer.field("content-encoding"), coding, "{case}");
            let vary = if coding.is_empty() {
                ""
            } else {
                "accept-encoding"
            };
            assert_eq!(answer.field("vary"), vary, "{case}");
        }
    }
}

#[tokio::test]
async fn what_is_compressed_where_is_the_routes_decision() {
    for (keys, coding) in [
        ("enabled = false", ""),
        ("types = [\"text/css\"]", ""),
        ("min_size = \"100KiB\"", ""),
        ("types = [\"text/*\"]", "br"),
    ] {
        let origin = sending(text(), HTML).await;
        let stage = Stage::start(&origin, &route(&format!("[route.compress]\n{keys}"))).await;
        for _ in 0..2 {
            let answer = accepting(&stage, "br").await;
            assert_eq!(answer.field("content-encoding"), coding, "{keys}");
        }
    }
}

#[tokio::test]
async fn no_transform_leaves_the_content_as_it_is() {
    const PLAIN: &[Field] = &[
        ("cache-control", "max-age=60, no-transform"),
        ("content-type", "text/html"),
        ("etag", "\"a\""),
    ];
    const GZIP: &[Field] = &[
        ("cache-control", "max-age=60, no-transform"),
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
    ];
    let plain = sending(text(), PLAIN).await;
    let stage = Stage::start(&plain, "").await;
    for _ in 0..2 {
        let answer = accepting(&stage, "br").await;
        assert_eq!(answer.field("content-encoding"), "");
        assert_eq!(answer.field("etag"), "\"a\"");
    }
    let gzip = sending(gzipped(text().as_bytes()), GZIP).await;
    let stage = Stage::start(&gzip, "").await;
    for _ in 0..2 {
        let answer = accepting(&stage, "identity").await;
        assert_eq!(answer.field("content-encoding"), "gzip");
    }
}

const GZIP: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html"),
    ("content-encoding", "gzip"),
    ("etag", "\"z\""),
];
const BROTLI: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html"),
    ("content-encoding", "br"),
    ("etag", "\"z\""),
];

#[tokio::test]
async fn what_arrives_compressed_is_used_as_it_is_and_decoded_for_others() {
    for (arrives, bytes, fields) in [
        ("gzip", gzipped(text().as_bytes()), GZIP),
        ("br", brotlied(text().as_bytes()), BROTLI),
    ] {
        let other = if arrives == "br" { "gzip" } else { "br" };
        // Each kind of client as the first, which fills, and on the hit.
        for (codings, coding) in [
            ("gzip, br", arrives),
            (arrives, arrives),
            (other, other),
            ("identity", ""),
        ] {
            let origin = sending(bytes.clone(), fields).await;
            let stage = Stage::start(&origin, "").await;
            for is_hit in [false, true] {
                let answer = accepting(&stage, codings).await;
                assert_eq!(answer.is_hit(), is_hit);
                assert_eq!(
                    answer.field("content-encoding"),
                    coding,
                    "{arrives}, {codings}"
                );
                assert_eq!(content(&answer), text());
                assert_eq!(answer.field("vary"), "accept-encoding");
                let as_it_is = coding == arrives;
                assert_eq!(
                    answer.field("etag"),
                    if as_it_is { "\"z\"" } else { "W/\"z\"" }
                );
                if as_it_is {
                    assert_eq!(answer.body, bytes, "never twice");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_slow_compressed_body_is_decoded_for_a_client_that_does_not_accept_it() {
    let (origin, mut taps) = piecewise(GZIP).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[("accept-encoding", "identity")], "");
    let feed = async {
        let tap = next_tap(&mut taps).await;
        let bytes = gzipped(text().as_bytes());
        let (first, second) = bytes.split_at(bytes.len() / 2);
        tap.send(Bytes::copy_from_slice(first)).await.unwrap();
        // Longer than the edge waits for a whole before it sends on what it has.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        tap.send(Bytes::copy_from_slice(second)).await.unwrap();
    };
    let (response, ()) = tokio::join!(request, feed);
    let answer = whole(response).await;
    assert_eq!(answer.field("content-encoding"), "");
    assert_eq!(answer.text(), text());
}

#[tokio::test]
async fn content_that_is_not_in_its_coding_is_not_decoded() {
    let origin = sending("{\"not\": \"gzip\"}".repeat(100), GZIP).await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let answer = accepting(&stage, "identity").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.field("content-encoding"), "gzip");
        assert_eq!(answer.text(), "{\"not\": \"gzip\"}".repeat(100));
        assert_eq!(answer.field("etag"), "\"z\"");
    }
    let corrupt = r#"cms_edge_not_derived_total{reason="corrupt"}"#;
    assert!(stage.metric(corrupt).await >= 1);
}

#[tokio::test]
async fn a_bomb_is_not_decoded() {
    let bomb = gzipped(&vec![0; 32 << 20]);
    let origin = sending(bomb.clone(), GZIP).await;
    let stage = Stage::start(&origin, "").await;
    for codings in ["identity", "br"] {
        let answer = accepting(&stage, codings).await;
        assert_eq!(answer.field("content-encoding"), "gzip");
        assert_eq!(answer.body, bomb);
    }
    let bombs = r#"cms_edge_not_derived_total{reason="bomb"}"#;
    assert!(stage.metric(bombs).await >= 1);
}

#[tokio::test]
async fn a_coding_that_is_none_is_ignored() {
    const FIELDS: &[Field] = &[
        ("cache-control", "max-age=60"),
        ("content-type", "text/html"),
        ("content-encoding", "None"),
    ];
    let origin = sending(text(), FIELDS).await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let plain = accepting(&stage, "identity").await;
        assert_eq!(plain.field("content-encoding"), "");
        assert_eq!(plain.text(), text());
        let compressed = accepting(&stage, "br").await;
        assert_eq!(compressed.field("content-encoding"), "br");
        assert_eq!(content(&compressed), text());
    }
    assert_eq!(origin.hits(), 1);
    // Nor where the answer is one client's.
    let post = stage.send(Method::POST, "/a", &[], "x").await;
    assert_eq!(post.field("content-encoding"), "");
}

#[tokio::test]
async fn a_coding_we_do_not_know_is_stored_as_it_is() {
    const FIELDS: &[Field] = &[
        ("cache-control", "max-age=60"),
        ("content-type", "text/html"),
        ("content-encoding", "zstd"),
    ];
    let origin = sending("zstandard", FIELDS).await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let answer = accepting(&stage, "br").await;
        assert_eq!(answer.field("content-encoding"), "zstd");
        assert_eq!(answer.text(), "zstandard");
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn vary_is_on_every_variant_and_on_their_304() {
    let origin = sending(text(), HTML).await;
    let stage = Stage::start(&origin, "").await;
    for codings in ["identity", "gzip", "br"] {
        for condition in ["\"x\"", "\"a\"", "W/\"a\""] {
            let fields = [("accept-encoding", codings), ("if-none-match", condition)];
            let answer = stage.get("/a", &fields).await;
            assert_eq!(answer.field("vary"), "accept-encoding", "{fields:?}");
            let is_current = condition != "\"x\"";
            assert_eq!(answer.status == StatusCode::NOT_MODIFIED, is_current);
        }
    }
}

#[tokio::test]
async fn head_says_what_get_would_send() {
    let origin = sending(text(), HTML).await;
    let stage = Stage::start(&origin, "").await;
    let fields = [("accept-encoding", "br")];
    accepting(&stage, "br").await;
    let get = accepting(&stage, "br").await;
    let head = stage.send(Method::HEAD, "/a", &fields, "").await;
    assert!(head.body.is_empty());
    for name in ["content-encoding", "content-length", "etag", "vary"] {
        assert_ne!(head.field(name), "");
        assert_eq!(head.field(name), get.field(name));
    }
}

#[tokio::test]
async fn what_is_never_stored_is_compressed_on_its_way() {
    const FIELDS: &[Field] = &[("cache-control", "private"), ("content-type", "text/html")];
    let origin = sending(text(), FIELDS).await;
    let stage = Stage::start(&origin, "").await;
    for method in [Method::GET, Method::POST] {
        let answer = stage
            .send(method, "/a", &[("accept-encoding", "br")], "")
            .await;
        assert_eq!(answer.field("content-encoding"), "br");
        assert_eq!(content(&answer), text());
        assert_eq!(answer.field("vary"), "accept-encoding");
    }
}
