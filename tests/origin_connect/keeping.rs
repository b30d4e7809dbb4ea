//! How long connections live, and what of trailers arrives.

use bytes::Bytes;

use super::*;

#[tokio::test]
async fn a_connection_that_has_become_too_old_takes_no_more_requests() {
    let origin = Origin::start(|_| async { Reply::ok("content") }).await;
    let mut stage = Stage::at(origin.uri());
    stage.settings.connecting.age_max = SHORT;
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    origin.lost(1).await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    assert_eq!(origin.connections(), 2);
    let aged = stage.count("origin_connections_retired_total", ",reason=\"age\"");
    assert!(aged >= 1, "{}", stage.text());
}

#[tokio::test]
async fn an_exchange_that_outlives_its_connections_age_ends_well() {
    let (pieces, reply) = Reply::pieces();
    let reply = parking_lot::Mutex::new(Some(reply));
    let origin = Origin::start(move |_| {
        std::future::ready(reply.lock().take().unwrap_or_else(|| Reply::ok("next")))
    })
    .await;
    let mut stage = Stage::at(origin.uri());
    stage.settings.connecting.age_max = SHORT;
    let upstream = stage.upstream();
    let response = upstream.send(request("/")).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    pieces.send(Bytes::from_static(b"late")).await.unwrap();
    drop(pieces);
    assert_eq!(content(response).await.unwrap(), "late");
    origin.lost(1).await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_its_time() {
    let origin = Origin::start(|_| async { Reply::ok("content") }).await;
    let mut stage = Stage::at(origin.uri());
    stage.settings.keepalive = SHORT;
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    assert_eq!(stage.count("origin_connections", ""), 1);
    origin.lost(1).await;
    stage
        .reaches("origin_connections_retired_total", ",reason=\"idle\"", 1)
        .await;
    assert_eq!(stage.count("origin_connections", ""), 0);
}

#[tokio::test]
async fn no_more_unused_connections_are_kept_than_allowed() {
    let together = Arc::new(tokio::sync::Barrier::new(3));
    let origin = Origin::start(move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Reply::ok("content")
        }
    })
    .await;
    let mut stage = Stage::at(origin.uri());
    stage.settings.pool_idle_max = 1;
    let upstream = stage.upstream();
    assert_eq!(get_together(&upstream, 3, "content").await, 3);
    origin.lost(2).await;
    assert_eq!(stage.count("origin_connections", ""), 1);
}

#[tokio::test]
async fn an_upstream_that_goes_takes_its_connections_with_it() {
    let origin = Origin::start(|_| async { Reply::ok("content") }).await;
    let upstream = Stage::at(origin.uri()).upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    drop(upstream);
    origin.lost(1).await;
}

#[tokio::test]
async fn trailers_of_chunked_content_arrive() {
    let origin = Origin::start(|_| async {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n\
             7\r\ncontent\r\n0\r\nx-checksum: abc\r\n\r\n",
        )
    })
    .await;
    let upstream = Stage::at(origin.uri()).upstream();
    let mut asking = request("/");
    asking
        .headers_mut()
        .insert("te", "trailers".parse().unwrap());
    let response = upstream.send(asking).await.unwrap();
    let (content, trailers) = content_and_trailers(response).await.unwrap();
    assert_eq!(content, "content");
    assert_eq!(trailers.unwrap()["x-checksum"], "abc");
    let seen = origin.requests().remove(0);
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(seen.header("connection"), Some("te"));
}
