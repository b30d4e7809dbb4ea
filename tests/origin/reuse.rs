//! Connections are used again, and requests are repeated on dead ones where that does no harm.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::fetch::Kind;
use http::StatusCode;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::sync::Barrier;

use crate::stage::{Stage, content, failure, get, pool_settles, post, put, request};
use crate::support::origin::{Origin, Reply};

#[tokio::test]
async fn exchanges_one_after_another_share_a_connection() {
    let origin = Origin::start(|_| async { Reply::ok("content") }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    for _ in 0..5 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
        pool_settles().await;
    }
    assert_eq!((origin.hits(), origin.connections()), (5, 1));
}

#[tokio::test]
async fn a_response_that_was_read_only_in_part_gives_its_connection_up() {
    let origin = Origin::start(|_| async { Reply::ok("content").stall_after(3) }).await;
    let stage = Stage::new(&[origin.uri()]);
    let upstream = stage.upstream();
    let mut response = upstream.send(request("/")).await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    assert!(
        stage
            .text()
            .contains("origin_in_flight{upstream=\"cms\"} 1")
    );
    drop(response);
    origin.lost(1).await;
    assert!(
        stage
            .text()
            .contains("origin_in_flight{upstream=\"cms\"} 0")
    );
}

#[tokio::test]
async fn a_get_is_repeated_when_its_pooled_connection_turns_out_to_be_dead() {
    let origin = mortal().await;
    let stage = Stage::new(&[origin.uri()]);
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/1").await.unwrap(), "alive");
    pool_settles().await;
    assert_eq!(get(&upstream, "/2").await.unwrap(), "alive");
    let targets: Vec<_> = origin
        .requests()
        .into_iter()
        .map(|request| (request.connection, request.target))
        .collect();
    let expected = [(0, "/1"), (0, "/2"), (1, "/2")].map(|(on, what)| (on, what.to_owned()));
    assert_eq!(targets, expected);
    let retries = "origin_retries_total{upstream=\"cms\",reason=\"closed\"} 1";
    assert!(stage.text().contains(retries), "{}", stage.text());
}

#[tokio::test]
async fn the_repeated_request_takes_none_of_the_other_pooled_connections() {
    let together = Arc::new(Barrier::new(2));
    let used = Mutex::new(HashSet::new());
    let origin = Origin::start(move |request| {
        let first = used.lock().insert(request.connection);
        let together = Arc::clone(&together);
        async move {
            if !first {
                return Reply::hang_up();
            }
            if request.target == "/together" {
                together.wait().await;
            }
            Reply::ok("alive")
        }
    })
    .await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let (one, two) = tokio::join!(get(&upstream, "/together"), get(&upstream, "/together"));
    assert!(one.is_ok() && two.is_ok());
    pool_settles().await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
    assert_eq!((origin.hits(), origin.connections()), (4, 3));
}

#[tokio::test]
async fn a_connection_that_was_closed_without_a_word_does_not_fail_a_get() {
    let origin = Origin::start(|_| async { Reply::ok("content").vanish() }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    for round in 1..=10 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
        origin.lost(round).await;
    }
    assert_eq!(origin.hits(), 10);
}

#[tokio::test]
async fn a_post_is_not_repeated_on_a_dead_connection_once_it_may_have_arrived() {
    let origin = mortal().await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    for content in [Body::empty(), Body::full("form")] {
        assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
        pool_settles().await;
        let before = origin.hits();
        let error = upstream.send(post("/", content)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Closed);
        assert_eq!(error.kind.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(origin.hits(), before + 1);
    }
}

#[tokio::test]
async fn a_put_is_repeated_with_all_its_content_when_its_pooled_connection_is_dead() {
    let origin = mortal().await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let large = vec![b'x'; 64 * 1024];
    let (writer, reader) = cms_edge::body::tee::tee(None);
    for piece in ["in ", "pieces"] {
        writer.write(piece.into()).unwrap();
    }
    writer.finish(None);
    for (body, expected) in [
        (Body::full("an article"), Bytes::from("an article")),
        (Body::full(large.clone()), large.into()),
        (Body::stream(reader), "in pieces".into()),
    ] {
        assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
        pool_settles().await;
        let response = upstream.send(put("/", body, &[])).await.unwrap();
        assert_eq!(content(response).await.unwrap(), "alive");
        pool_settles().await;
        let sent = origin.requests();
        let [.., first, second] = sent.as_slice() else {
            panic!("two requests have come")
        };
        assert_ne!(first.connection, second.connection);
        assert_eq!(first.content, expected);
        assert_eq!(second.content, expected);
    }
}

#[tokio::test]
async fn a_put_is_not_repeated_without_its_whole_content_or_under_a_condition() {
    let origin = mortal().await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let too_large = Body::full(vec![b'x'; 64 * 1024 + 1]);
    for request in [
        put("/", too_large, &[]),
        put("/", Body::full("new"), &[("if-match", "\"old\"")]),
        put("/", Body::full("new"), &[("if-none-match", "*")]),
    ] {
        assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
        pool_settles().await;
        let before = origin.hits();
        let error = upstream.send(request).await.unwrap_err();
        assert_eq!(error.kind, Kind::Closed);
        assert_eq!(origin.hits(), before + 1);
    }
}

#[tokio::test]
async fn without_retries_a_dead_connection_is_not_replaced() {
    let origin = mortal().await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.retries = 0;
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
    pool_settles().await;
    assert_eq!(failure(&upstream, "/").await.kind, Kind::Closed);
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_without_an_answer_is_not_replaced() {
    let origin = Origin::start(|_| async { Reply::hang_up() }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    assert_eq!(failure(&upstream, "/").await.kind, Kind::Closed);
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_connection_the_origin_closed_while_it_idled_is_not_used() {
    let origin = Origin::start(|_| async { Reply::ok("content").close() }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    for round in 1..=3 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
        origin.lost(round).await;
    }
    let response = upstream.send(post("/", Body::full("form"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(origin.connections(), 4);
}

/// The first request on each connection is answered; the second one kills the connection.
async fn mortal() -> Origin {
    let used = Mutex::new(HashSet::new());
    Origin::start(move |request| {
        let first = used.lock().insert(request.connection);
        std::future::ready(if first {
            Reply::ok("alive")
        } else {
            Reply::hang_up()
        })
    })
    .await
}
