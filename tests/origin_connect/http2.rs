//! HTTP/2 to the origin.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cms_edge::fetch::{Kind, Protocol};
use http::{HeaderMap, Response, Version};
use support::authority::Authority;
use support::origin_http2::{Http2Origin, go_away};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::*;

async fn saying(what: &'static str) -> Http2Origin {
    Http2Origin::start(None, move |exchange| {
        exchange.ok(what);
        std::future::ready(())
    })
    .await
}

#[tokio::test]
async fn requests_that_come_together_share_one_connection() {
    let origin = saying("shared").await;
    let stage = Stage::speaking(origin.uri(), Protocol::Http2);
    let upstream = stage.upstream();
    assert_eq!(get_together(&upstream, 20, "shared").await, 20);
    assert_eq!(get(&upstream, "/").await.unwrap(), "shared");
    assert_eq!(origin.connections(), 1);
    assert_eq!(stage.count("origin_connections", ""), 1);
}

#[tokio::test]
async fn the_host_is_the_authority_and_nothing_of_the_connection_is_sent() {
    let origin = saying("content").await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let response = upstream.send(request("/a%2Fb?x=%5B")).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let content = post("/", Body::full("four"));
    upstream.send(content).await.unwrap();
    let heads = origin.heads();
    assert_eq!(heads[0].uri(), "http://www.example.org/a%2Fb?x=%5B");
    assert!(heads[0].headers().is_empty(), "{:?}", heads[0]);
    assert_eq!(heads[1].headers()["content-length"], "4");
    assert_eq!(heads[1].headers().len(), 1);
}

#[tokio::test]
async fn another_connection_is_opened_for_what_one_may_not_carry() {
    let together = Arc::new(Barrier::new(4));
    let origin = Http2Origin::start(None, move |exchange| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            exchange.ok("together");
        }
    })
    .await;
    let mut stage = Stage::speaking(origin.uri(), Protocol::Http2);
    stage.settings.connecting.streams_max = 2;
    let upstream = stage.upstream();
    assert_eq!(get_together(&upstream, 4, "together").await, 4);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn the_server_chooses_the_protocol_in_the_handshake() {
    let authority = Authority::new();
    let stage = |uri, protocol| {
        let mut stage = Stage::speaking(uri, protocol);
        stage.settings.ca = Some(vec![authority.certificate()]);
        stage
    };
    let config = authority.server_speaking("localhost", &["h2", "http/1.1"]);
    let modern = Http2Origin::start(Some(config), |exchange| {
        exchange.ok("two");
        std::future::ready(())
    })
    .await;
    for protocol in [Protocol::Auto, Protocol::Http2] {
        let upstream = stage(modern.uri(), protocol).upstream();
        assert_eq!(get_together(&upstream, 5, "two").await, 5);
    }
    assert_eq!(modern.connections(), 2);
    let uri = modern.heads()[0].uri().clone();
    assert_eq!(uri, "https://www.example.org/");
    for protocols in [&["http/1.1"][..], &[]] {
        let config = authority.server_speaking("localhost", protocols);
        let old = Origin::start_tls(config, |_| async { Reply::ok("one") }).await;
        let upstream = stage(old.uri(), Protocol::Auto).upstream();
        assert_eq!(get_together(&upstream, 5, "one").await, 5);
        let upstream = stage(old.uri(), Protocol::Http2).upstream();
        assert_eq!(failure(&upstream, request("/")).await.kind, Kind::Tls);
    }
}

#[tokio::test]
async fn a_plain_server_is_spoken_to_in_http1_unless_it_is_said_to_know_http2() {
    let origin = Origin::start(|_| async { Reply::ok("one") }).await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Auto).upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "one");
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let kind = failure(&upstream, request("/")).await.kind;
    assert!(
        matches!(kind, Kind::InvalidResponse | Kind::Closed),
        "{kind:?}"
    );
}

#[tokio::test]
async fn a_request_that_was_refused_unseen_is_sent_again_whatever_its_method() {
    let refused = Arc::new(AtomicBool::new(false));
    let origin = Http2Origin::start(None, move |exchange| {
        if refused.swap(true, Ordering::SeqCst) {
            exchange.ok("taken");
        } else {
            exchange.reset(h2::Reason::REFUSED_STREAM);
        }
        std::future::ready(())
    })
    .await;
    let stage = Stage::speaking(origin.uri(), Protocol::Http2);
    let upstream = stage.upstream();
    let response = upstream.send(post("/", Body::empty())).await.unwrap();
    assert_eq!(content(response).await.unwrap(), "taken");
    assert_eq!(
        stage.count("origin_retries_total", ",reason=\"refused\""),
        1
    );
    assert_eq!(origin.heads().len(), 2);
}

#[tokio::test]
async fn a_stream_that_was_reset_for_another_reason_is_not_sent_again() {
    let origin = Http2Origin::start(None, |exchange| {
        exchange.reset(h2::Reason::INTERNAL_ERROR);
        std::future::ready(())
    })
    .await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let kind = failure(&upstream, post("/", Body::empty())).await.kind;
    assert_eq!((kind, origin.heads().len()), (Kind::Closed, 1));
}

#[tokio::test]
async fn a_request_beyond_the_last_one_of_a_goaway_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: http::Uri = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let serving = tokio::spawn(async move {
        let (going, _) = listener.accept().await.unwrap();
        let going = tokio::spawn(go_away(going));
        let (staying, _) = listener.accept().await.unwrap();
        let mut staying = h2::server::handshake(staying).await.unwrap();
        let (_request, mut respond) = staying.accept().await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        drop(going);
        while staying.accept().await.is_some() {}
    });
    let upstream = Stage::speaking(server, Protocol::Http2).upstream();
    let sent = upstream.send(post("/", Body::empty()));
    let response = timeout(PATIENCE, sent).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    serving.abort();
}

#[tokio::test]
async fn trailers_arrive() {
    let origin = Http2Origin::start(None, |exchange| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "abc".parse().unwrap());
        exchange.answer("content", Some(trailers));
        std::future::ready(())
    })
    .await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let response = upstream.send(request("/")).await.unwrap();
    let (content, trailers) = content_and_trailers(response).await.unwrap();
    assert_eq!(content, "content");
    assert_eq!(trailers.unwrap()["x-checksum"], "abc");
}

#[tokio::test]
async fn long_contents_pass_both_ways() {
    let origin = Http2Origin::start(None, |mut exchange| async move {
        let content = exchange.content().await.unwrap();
        exchange.ok(content);
    })
    .await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let long = vec![7; 3 * 1024 * 1024];
    let response = upstream.send(post("/", Body::full(long.clone()))).await;
    assert_eq!(content(response.unwrap()).await.unwrap(), long);
}

#[tokio::test]
async fn content_of_a_request_that_breaks_off_is_the_clients_fault() {
    let origin = Http2Origin::start(None, |mut exchange| async move {
        let _broken = exchange.content().await;
        std::future::pending::<()>().await;
    })
    .await;
    let upstream = Stage::speaking(origin.uri(), Protocol::Http2).upstream();
    let (writer, reader) = cms_edge::body::tee::tee(None);
    writer.write(Bytes::from_static(b"con")).unwrap();
    writer.fail("the client went away".into());
    let error = failure(&upstream, post("/", Body::stream(reader))).await;
    assert_eq!(error.kind, Kind::RequestBody);
    assert_eq!(error.source.unwrap().to_string(), "the client went away");
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_its_stream_alone() {
    let origin = Http2Origin::start(None, |exchange| async move {
        if exchange.request.uri().path() == "/" {
            exchange.ok("answered");
        } else {
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut stage = Stage::speaking(origin.uri(), Protocol::Http2);
    stage.settings.first_byte_timeout = SHORT;
    let upstream = stage.upstream();
    let kind = failure(&upstream, request("/never")).await.kind;
    assert_eq!(kind, Kind::FirstByteTimeout);
    assert_eq!(get(&upstream, "/").await.unwrap(), "answered");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_has_become_too_old_ends_with_its_last_stream() {
    let origin = saying("content").await;
    let mut stage = Stage::speaking(origin.uri(), Protocol::Http2);
    stage.settings.connecting.age_max = SHORT;
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    let aged = ",reason=\"age\"";
    stage
        .reaches("origin_connections_retired_total", aged, 1)
        .await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    assert_eq!(origin.connections(), 2);
    stage
        .reaches("origin_connections_retired_total", aged, 2)
        .await;
    let closed = async {
        while stage.count("origin_connections", "") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
}
