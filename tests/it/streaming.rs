//! Bodies on their way: how soon they reach the client, how much of them is held, and what is
//! left of them when somebody leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::support::origin::{Origin, PATIENCE, Reply};
use crate::support::short::{Field, next_tap, piecewise, raw, read, reply, route, until, with};
use crate::support::stage::{Stage, whole};

const FRESH: &[Field] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/html"),
];

#[tokio::test]
async fn the_first_byte_of_a_miss_arrives_before_the_last_has_left() {
    let (origin, mut taps) = piecewise(FRESH).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    let mut body = response.into_body();
    for piece in ["first", "second"] {
        tap.send(piece.into()).await.unwrap();
        assert_eq!(read(&mut body, piece.len()).await, piece.as_bytes());
    }
    drop(tap);
    assert!(body.frame().await.is_none());
    let hit = stage.get("/a", &[]).await;
    assert!(
        hit.is_hit(),
        "stored by the time the client has its last byte"
    );
    assert_eq!(hit.text(), "firstsecond");
}

#[tokio::test]
async fn the_first_byte_of_a_compressed_miss_arrives_before_the_last_has_left() {
    for coding in ["br", "gzip"] {
        let (origin, mut taps) = piecewise(FRESH).await;
        let stage = Stage::start(&origin, "").await;
        let fields = [("accept-encoding", coding)];
        let request = stage.begin(Method::GET, "/a", &fields, "");
        let (response, tap) = tokio::join!(request, next_tap(&mut taps));
        assert_eq!(response.headers()["content-encoding"], coding);
        let mut body = response.into_body();
        let piece = "the first paragraph of a long page. ".repeat(100);
        tap.send(Bytes::from(piece.clone())).await.unwrap();
        let mut seen = Vec::new();
        while begun(coding, &seen) != piece.as_bytes() {
            seen.extend(read(&mut body, 1).await);
        }
        drop(tap);
        assert!(body.collect().await.is_ok());
        assert_eq!(stage.get("/a", &[]).await.text(), piece);
    }
}

/// What can be decoded of content that has not ended.
fn begun(coding: &str, content: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut decoder: Box<dyn Read> = match coding {
        "br" => Box::new(brotli::Decompressor::new(content, 4096)),
        _ => Box::new(flate2::read::GzDecoder::new(content)),
    };
    let (mut plain, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = decoder.read(&mut buffer) {
        plain.extend_from_slice(&buffer[..read]);
    }
    plain
}

#[tokio::test]
async fn with_a_known_length_the_first_byte_is_early_too_and_the_length_is_told() {
    let origin = Origin::start(|_| async { reply("0123456789", FRESH).stall_after(5) }).await;
    let stage = Stage::start(&origin, "").await;
    let response = stage.begin(Method::GET, "/a", &[], "").await;
    assert_eq!(response.headers()["content-length"], "10");
    assert_eq!(read(&mut response.into_body(), 5).await, b"01234");
}

#[tokio::test]
async fn what_is_too_large_to_store_streams_through_with_or_without_a_length() {
    let content = "0123456789".repeat(1000);
    let sent = content.clone();
    let origin = Origin::start(move |request| {
        let content = sent.clone();
        async move {
            match request.target.as_str() {
                "/length" => reply(content, FRESH),
                _ => {
                    let pieces: Vec<&str> = (0..10).map(|n| &content[n * 1000..][..1000]).collect();
                    with(Reply::chunked(&pieces), FRESH)
                }
            }
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("max_object_size = \"4KiB\"")).await;
    for path in ["/length", "/chunked"] {
        for _ in 0..2 {
            let answer = stage.get(path, &[]).await;
            assert!(!answer.is_hit());
            assert_eq!(answer.text(), content);
        }
    }
    assert_eq!(origin.hits(), 4);
    let metric = r#"cms_edge_not_stored_total{reason="too-large"}"#;
    assert_eq!(stage.metric(metric).await, 4);
}

#[tokio::test]
async fn a_slow_reader_of_what_is_not_stored_holds_the_origin_back() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 2000;
    let (origin, mut taps) = piecewise(FRESH).await;
    let stage = Stage::start(&origin, &route("max_object_size = \"64KiB\"")).await;
    let request = stage.begin(Method::GET, "/a", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for _ in 0..PIECES {
            tap.send(vec![b'x'; PIECE].into()).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    // Nobody reads: the origin comes to a halt when the buffers of both sockets are full.
    let mut before = usize::MAX;
    until("the origin to stall", || {
        let now = sent.load(Ordering::SeqCst);
        let stalls = now == std::mem::replace(&mut before, now) && now > 0;
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stalls
        }
    })
    .await;
    let held = sent.load(Ordering::SeqCst);
    assert!(held < PIECES / 2, "{held} of {PIECES} pieces of 64 KiB");
    let body = timeout(3 * PATIENCE, response.into_body().collect()).await;
    assert_eq!(body.unwrap().unwrap().to_bytes().len(), PIECE * PIECES);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken_for_the_client_and_is_not_stored() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/length" => reply("0123456789", FRESH).cut_after(5),
            "/chunked" => with(Reply::chunked(&["01234", "56789"]), FRESH).cut_after(5),
            _ => reply("0123456789", &[("cache-control", "private")]).cut_after(5),
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for (path, asked) in [("/length", 1), ("/chunked", 3), ("/private", 5)] {
        for again in 0..2 {
            let response = stage.begin(Method::GET, path, &[], "").await;
            // It broke off before anything was sent on, or in the middle.
            if response.status() == StatusCode::OK {
                let body = timeout(PATIENCE, response.into_body().collect()).await;
                assert!(body.expect("an end").is_err(), "{path}");
            } else {
                assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
            }
            assert_eq!(origin.hits(), asked + again, "nothing is stored: {path}");
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_already_sees_the_body_break_off() {
    // Sent on as it comes: no status can take it back.
    for fields in [&[][..], &[("accept-encoding", "br")]] {
        let origin = Origin::start(|_| async {
            let content = "a page that compresses. ".repeat(1000);
            reply(content, FRESH).stall_after(10_000)
        })
        .await;
        let settings = format!("idle_timeout = \"300ms\"\n{}", route(""));
        let stage = Stage::start(&origin, &settings).await;
        let response = stage.begin(Method::GET, "/a", fields, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = timeout(PATIENCE, response.into_body().collect()).await;
        assert!(body.expect("an end").is_err());
        assert!(!stage_has(&stage, "/a").await);
    }
}

async fn stage_has(stage: &Stage, path: &str) -> bool {
    let answer = stage
        .get(path, &[("cache-control", "only-if-cached")])
        .await;
    answer.status != StatusCode::GATEWAY_TIMEOUT
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_does_not_stop_the_fill() {
    let (origin, mut taps) = piecewise(FRESH).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    tap.send("first".into()).await.unwrap();
    let mut body = response.into_body();
    read(&mut body, 5).await;
    drop(body);
    let open = r#"cms_edge_connections_open{scheme="http"}"#;
    until("the client to be gone", || async {
        stage.metric(open).await <= 1
    })
    .await;
    tap.send("second".into()).await.unwrap();
    drop(tap);
    until("the end of the fill", || async {
        stage.metric("cms_edge_fills").await == 0
    })
    .await;
    let hit = stage.get("/a", &[]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.text(), "firstsecond");
}

#[tokio::test]
async fn a_client_that_leaves_what_is_not_stored_frees_the_origin() {
    let (origin, mut taps) = piecewise(&[("cache-control", "private")]).await;
    let stage = Stage::start(&origin, "").await;
    let request = stage.begin(Method::GET, "/a", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    tap.send("first".into()).await.unwrap();
    drop(response);
    // The origin writes into a closed connection before long.
    let sending = async { while tap.send("more".into()).await.is_ok() {} };
    timeout(PATIENCE, sending)
        .await
        .expect("a closed connection");
    origin.lost(1).await;
}

#[tokio::test]
async fn trailers_pass_to_clients_that_take_them() {
    let origin = Origin::start(|_| async {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: private\r\ntrailer: x-checksum\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n",
        )
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let request = "GET /a HTTP/1.1\r\nhost: www.example.test\r\nte: trailers\r\nconnection: close, te\r\n\r\n";
    let answer = raw(&stage, request.as_bytes()).await;
    assert!(answer.contains("trailer: x-checksum"), "{answer}");
    assert!(answer.contains("x-checksum: abc\r\n"), "{answer}");
}

#[tokio::test]
async fn a_stored_response_has_no_trailers_and_announces_none() {
    let origin = Origin::start(|_| async {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntrailer: x-checksum\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n",
        )
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let hit = stage.get("/a", &[]).await;
    assert!(hit.is_hit());
    assert_eq!(
        (hit.field("trailer"), hit.text()),
        (String::new(), "hello".into())
    );
}

#[tokio::test]
async fn empty_bodies_are_whole_bodies() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/length" => reply("", FRESH),
            "/chunked" => with(Reply::chunked(&[]), FRESH),
            "/204" => with(Reply::new(204), FRESH),
            // As a framework redirects.
            _ => with(Reply::chunked(&[]), FRESH).header("location", "/x"),
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for path in ["/length", "/chunked", "/204", "/302"] {
        let miss = stage.get(path, &[("accept-encoding", "br")]).await;
        let hit = stage.get(path, &[("accept-encoding", "br")]).await;
        assert!(hit.is_hit(), "{path}");
        for answer in [miss, hit] {
            assert!(answer.body.is_empty());
            assert_eq!(answer.field("content-encoding"), "", "{path}");
        }
    }
    let no_content = stage.get("/204", &[]).await;
    assert_eq!(no_content.status, StatusCode::NO_CONTENT);
    assert_eq!(no_content.field("content-length"), "");
}

#[tokio::test]
async fn interim_answers_of_the_origin_are_not_taken_for_the_final_one() {
    let origin = Origin::start(|_| async {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nhello",
        )
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    assert_eq!(stage.get("/a", &[]).await.text(), "hello");
    assert_eq!(stage.get("/a", &[]).await.field("link"), "");
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_304_to_a_client_that_the_origin_answers_itself_passes() {
    // On a route without a cache conditions are the origin's to judge.
    let origin = Origin::start(|_| async { Reply::new(304).header("etag", "\"a\"") }).await;
    let stage = Stage::start(&origin, &route("cache = false")).await;
    let answer = whole(
        stage
            .begin(Method::GET, "/a", &[("if-none-match", "\"a\"")], "")
            .await,
    )
    .await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!(origin.requests()[0].header("if-none-match"), Some("\"a\""));
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_no_place_among_the_fills() {
    let (origin, mut taps) = piecewise(&[("cache-control", "max-age=60")]).await;
    let settings = format!(
        "[cache]\nfills_max = 1\n{}",
        route("max_object_size = \"1KiB\"")
    );
    let stage = Stage::start(&origin, &settings).await;
    let slow = async { stage.begin(Method::GET, "/large", &[], "").await };
    let send = async {
        let tap = next_tap(&mut taps).await;
        tap.send(vec![b'x'; 4096].into()).await.unwrap();
        tap
    };
    let (slow, tap) = tokio::join!(slow, send);
    until("the fill to be none any more", || async {
        stage.metric("cms_edge_fills").await == 0
    })
    .await;
    let small = async { stage.get("/small", &[]).await };
    let send = async {
        let tap = next_tap(&mut taps).await;
        tap.send("small".into()).await.unwrap();
    };
    let (small, ()) = tokio::join!(small, send);
    assert_eq!(small.text(), "small");
    assert!(stage.get("/small", &[]).await.is_hit());
    drop(tap);
    assert_eq!(whole(slow).await.body.len(), 4096);
}
