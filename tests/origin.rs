//! The way to the origin servers, over real sockets: reuse, balance, retries, deadlines, limits.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::{Body, BodyError};
use cms_edge::fetch::{
    Care, Choice, Connecting, Error, HostRule, Kind, OriginBody, Settings, Upstream,
};
use cms_edge::telemetry::origin::OriginMetrics;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Barrier, Semaphore};
use tokio::time::timeout;

#[path = "support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod origin;
}

/// The circuit breaker.
#[path = "origin/breaker.rs"]
mod breaker;
/// Health checks.
#[path = "origin/checks.rs"]
mod checks;
/// Weights, ejection, the retry budget.
#[path = "origin/servers.rs"]
mod servers;

use support::authority::Authority;
use support::origin::{Origin, PATIENCE, Reply, refusing};

/// A deadline that a test waits out on purpose.
const SHORT: Duration = Duration::from_millis(100);

mod reuse {
    use super::*;

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
}

mod balance {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_is_a_bad_gateway() {
        let upstream = Stage::new(&[refusing().await]).upstream();
        let error = failure(&upstream, "/").await;
        assert_eq!(error.kind, Kind::Connect);
        assert_eq!(error.kind.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(error.kind.proxy_status(), "connection_refused");
        assert!(
            error
                .server
                .is_some_and(|name| name.starts_with("127.0.0.1:"))
        );
    }

    #[tokio::test]
    async fn two_servers_take_turns() {
        let first = Origin::start(|_| async { Reply::ok("first") }).await;
        let second = Origin::start(|_| async { Reply::ok("second") }).await;
        let mut stage = Stage::new(&[first.uri(), second.uri()]);
        stage.settings.care.choice = Choice::RoundRobin;
        let upstream = stage.upstream();
        for expected in ["first", "second", "first", "second"] {
            assert_eq!(get(&upstream, "/").await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn with_one_server_dead_every_request_succeeds_and_the_dead_one_is_left_out() {
        let alive = Origin::start(|request| async move { Reply::ok(request.content) }).await;
        let mut stage = Stage::new(&[refusing().await, alive.uri()]);
        stage.settings.care.choice = Choice::RoundRobin;
        let upstream = stage.upstream();
        for _ in 0..10 {
            let response = upstream.send(post("/", Body::full("form"))).await.unwrap();
            assert_eq!(content(response).await.unwrap(), "form");
        }
        assert_eq!(alive.hits(), 10);
        let text = stage.text();
        let retries = "origin_retries_total{upstream=\"cms\",reason=\"connect\"} 3";
        assert!(text.contains(retries), "{text}");
        assert!(
            text.contains("origin_ejections_total{upstream=\"cms\""),
            "{text}"
        );
    }

    #[tokio::test]
    async fn without_retries_a_dead_server_is_an_error() {
        let alive = Origin::start(|_| async { Reply::ok("alive") }).await;
        let mut stage = Stage::new(&[refusing().await, alive.uri()]);
        stage.settings.retries = 0;
        stage.settings.care.choice = Choice::RoundRobin;
        let upstream = stage.upstream();
        assert_eq!(failure(&upstream, "/").await.kind, Kind::Connect);
        assert_eq!(get(&upstream, "/").await.unwrap(), "alive");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_a_bad_gateway() {
        let server: Uri = "http://origin.invalid:80".parse().unwrap();
        let mut stage = Stage::new(&[server]);
        stage.settings.connect_timeout = PATIENCE;
        let error = failure(&stage.upstream(), "/").await;
        assert_eq!(
            (error.kind, error.kind.proxy_status()),
            (Kind::Resolve, "dns_error")
        );
    }
}

mod deadlines {
    use super::*;

    #[tokio::test]
    async fn an_origin_that_never_answers_is_a_gateway_timeout() {
        let origin = Origin::start(|_| async { Reply::silent() }).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.first_byte_timeout = SHORT;
        let error = failure(&stage.upstream(), "/").await;
        assert_eq!(error.kind, Kind::FirstByteTimeout);
        assert_eq!(error.kind.status(), StatusCode::GATEWAY_TIMEOUT);
        origin.lost(1).await;
        assert_eq!(origin.hits(), 1);
    }

    #[tokio::test]
    async fn sending_the_content_counts_towards_the_first_byte() {
        let origin = Origin::start(|_| async { Reply::ok("unreachable") }).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.first_byte_timeout = SHORT;
        let (_writer, reader) = cms_edge::body::tee::tee(Some(4));
        let outcome = stage.upstream().send(post("/", Body::stream(reader))).await;
        // It is the client that was slow, not the origin.
        assert_eq!(outcome.unwrap_err().kind, Kind::RequestTimeout);
        origin.lost(1).await;
    }

    #[tokio::test]
    async fn an_upload_ends_with_the_response_even_when_the_client_has_more() {
        let (server, rest) = early_answer().await;
        let upstream = Stage::new(&[server]).upstream();
        let (writer, reader) = cms_edge::body::tee::tee(None);
        writer.write(Bytes::from_static(b"some")).unwrap();
        let response = upstream
            .send(post("/", Body::stream(reader)))
            .await
            .unwrap();
        assert_eq!(content(response).await.unwrap(), "ok");
        let rest = timeout(PATIENCE, rest).await.unwrap().unwrap();
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "a fragment must not look whole"
        );
    }

    #[tokio::test]
    async fn an_upload_that_nobody_takes_is_given_up() {
        let (server, rest) = early_answer().await;
        let mut stage = Stage::new(&[server]);
        stage.settings.idle_timeout = SHORT;
        let upload = vec![0; 64 * 1024 * 1024];
        let request = post("/", Body::full(upload.clone()));
        let response = stage.upstream().send(request).await.unwrap();
        assert_eq!(content(response).await.unwrap(), "ok");
        tokio::time::sleep(SHORT * 3).await;
        let rest = timeout(PATIENCE, rest).await.unwrap().unwrap();
        assert!(rest.len() < upload.len(), "{} bytes", rest.len());
    }

    /// Answers one request after its head. What was sent besides is read only when the returned
    /// future is polled, until the other side has closed.
    async fn early_answer() -> (Uri, impl Future<Output = std::io::Result<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let answered = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await?);
            }
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await?;
            Ok::<_, std::io::Error>(tcp)
        });
        let rest = async move {
            let (mut tcp, mut rest) = (answered.await??, Vec::new());
            tcp.read_to_end(&mut rest).await?;
            Ok(rest)
        };
        (server.parse().unwrap(), rest)
    }

    #[tokio::test]
    async fn an_origin_that_accepts_nothing_is_a_gateway_timeout() {
        let (backlog, server) = full_backlog().await;
        let mut stage = Stage::new(&[server]);
        stage.settings.connect_timeout = SHORT;
        let error = failure(&stage.upstream(), "/").await;
        assert_eq!(error.kind, Kind::ConnectTimeout);
        assert_eq!(error.kind.status(), StatusCode::GATEWAY_TIMEOUT);
        drop(backlog);
    }

    #[tokio::test]
    async fn a_tls_handshake_that_hangs_is_a_connect_timeout() {
        let origin = Origin::start(|_| async { Reply::silent() }).await;
        let server = format!("https://localhost:{}", origin.address().port());
        let mut stage = Stage::new(&[server.parse().unwrap()]);
        stage.settings.ca = Some(vec![Authority::new().certificate()]);
        stage.settings.connect_timeout = SHORT;
        assert_eq!(
            failure(&stage.upstream(), "/").await.kind,
            Kind::ConnectTimeout
        );
    }

    #[tokio::test]
    async fn content_that_stalls_is_an_error_and_gives_its_place_back() {
        for stalling in [
            Reply::ok("content").stall_after(3),
            Reply::chunked(&["con", "tent"]).stall_after(3),
        ] {
            let origin = once(stalling).await;
            let mut stage = Stage::new(&[origin.uri()]);
            stage.settings.idle_timeout = SHORT;
            let response = stage.upstream().send(request("/")).await.unwrap();
            let error = broken(response).await;
            assert_eq!(error.kind, Kind::ResponseStalled);
            assert_eq!(
                error.server.as_deref(),
                Some(&*origin.address().to_string())
            );
            assert!(
                stage
                    .text()
                    .contains("origin_in_flight{upstream=\"cms\"} 0")
            );
        }
    }

    #[tokio::test]
    async fn a_reader_that_takes_its_time_is_not_the_origins_fault() {
        let (pieces, reply) = Reply::pieces();
        let origin = once(reply).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.idle_timeout = SHORT;
        let upstream = stage.upstream();
        let mut response = upstream.send(request("/")).await.unwrap();
        for piece in ["one", "two", "three"] {
            // Nobody waits for the content meanwhile: this is no stall.
            tokio::time::sleep(SHORT * 2).await;
            pieces
                .send(Bytes::from_static(piece.as_bytes()))
                .await
                .unwrap();
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), piece);
        }
        drop(pieces);
        assert!(response.body_mut().frame().await.is_none());
    }

    /// A listener whose queue of connections is full: the kernel drops what comes.
    async fn full_backlog() -> ((TcpListener, Vec<TcpStream>), Uri) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        (
            (listener, queued),
            format!("http://{address}").parse().unwrap(),
        )
    }
}

mod content {
    use super::*;

    #[tokio::test]
    async fn content_that_breaks_off_is_never_taken_for_the_whole() {
        for broken_off in [
            Reply::ok("content").cut_after(3),
            Reply::ok("content").cut_after(0),
            Reply::chunked(&["con", "tent"]).cut_after(3),
            Reply::chunked(&["con", "tent"]).cut_after(7),
            Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ncon"),
        ] {
            let origin = once(broken_off).await;
            let stage = Stage::new(&[origin.uri()]);
            let response = stage.upstream().send(request("/")).await.unwrap();
            let error = broken(response).await;
            assert_eq!(error.kind, Kind::ResponseIncomplete);
            assert_eq!(error.kind.proxy_status(), "http_response_incomplete");
            let counted = "origin_broken_bodies_total{upstream=\"cms\",\
                           reason=\"response_incomplete\"} 1";
            assert!(stage.text().contains(counted), "{}", stage.text());
        }
    }

    #[tokio::test]
    async fn content_is_passed_on_piece_by_piece_and_knows_its_length() {
        let origin = Origin::start(|request| async move {
            match request.target.as_str() {
                "/whole" => Reply::ok("content"),
                _ => Reply::chunked(&["con", "tent"]),
            }
        })
        .await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        let whole = upstream.send(request("/whole")).await.unwrap();
        assert_eq!(whole.body().size_hint().exact(), Some(7));
        assert_eq!(content(whole).await.unwrap(), "content");
        let chunked = upstream.send(request("/chunked")).await.unwrap();
        assert_eq!(chunked.body().size_hint().exact(), None);
        assert_eq!(content(chunked).await.unwrap(), "content");
    }

    #[tokio::test]
    async fn a_response_without_content_ends_at_once() {
        let origin = Origin::start(|request| async move {
            match request.target.as_str() {
                "/304" => Reply::new(304).header("etag", "\"a\""),
                _ => Reply::ok("content"),
            }
        })
        .await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        let not_modified = upstream.send(request("/304")).await.unwrap();
        assert_eq!(not_modified.status(), StatusCode::NOT_MODIFIED);
        assert!(not_modified.body().is_end_stream());
        let head = Request::head("/").body(Body::empty()).unwrap();
        let head = upstream.send(head).await.unwrap();
        assert_eq!(head.headers()["content-length"], "7");
        assert!(head.body().is_end_stream());
    }

    #[tokio::test]
    async fn the_content_of_a_request_arrives_with_or_without_a_known_length() {
        let origin = Origin::start(|request| async move { Reply::ok(request.content) }).await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        for (length, field) in [(Some(7), "content-length"), (None, "transfer-encoding")] {
            let (writer, reader) = cms_edge::body::tee::tee(length);
            writer.write(Bytes::from_static(b"con")).unwrap();
            writer.write(Bytes::from_static(b"tent")).unwrap();
            writer.finish(None);
            let response = upstream
                .send(post("/", Body::stream(reader)))
                .await
                .unwrap();
            assert_eq!(content(response).await.unwrap(), "content");
            let last = origin.requests().pop().unwrap();
            assert!(last.header(field).is_some(), "{last:?}");
        }
    }

    #[tokio::test]
    async fn a_request_whose_content_breaks_off_is_the_clients_fault() {
        let origin = Origin::start(|_| async { Reply::ok("unreachable") }).await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        let (writer, reader) = cms_edge::body::tee::tee(Some(7));
        writer.write(Bytes::from_static(b"con")).unwrap();
        writer.fail("the client went away".into());
        let outcome = upstream.send(post("/", Body::stream(reader))).await;
        assert_eq!(outcome.unwrap_err().kind, Kind::RequestBody);
        assert_eq!(origin.hits(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_refused() {
        let many_fields = "a: b\r\n".repeat(300);
        for junk in [
            "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nbad field: x\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(),
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
                .to_owned(),
            format!("HTTP/1.1 200 OK\r\n{many_fields}\r\n"),
            format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(600 * 1024)),
        ] {
            let origin = once(Reply::raw(junk.clone())).await;
            let outcome = Stage::new(&[origin.uri()])
                .upstream()
                .send(request("/"))
                .await;
            let kind = outcome.err().map(|error| error.kind);
            let shown = &junk[..junk.len().min(60)];
            assert_eq!(kind, Some(Kind::InvalidResponse), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_head_with_many_fields_is_read() {
        let fields = "a: b\r\n".repeat(200);
        let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
        let origin = once(Reply::raw(head)).await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        let response = upstream.send(request("/")).await.unwrap();
        assert_eq!(response.headers().get_all("a").iter().count(), 200);
        assert_eq!(content(response).await.unwrap(), "ok");
    }

    #[tokio::test]
    async fn informational_responses_are_skipped() {
        let origin = once(Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ))
        .await;
        let upstream = Stage::new(&[origin.uri()]).upstream();
        assert_eq!(get(&upstream, "/").await.unwrap(), "ok");
    }
}

mod limits {
    use super::*;

    #[tokio::test]
    async fn no_more_exchanges_run_at_a_time_than_allowed() {
        let full_house = Arc::new(Barrier::new(3));
        let origin = Origin::start({
            let full_house = Arc::clone(&full_house);
            move |_| {
                let full_house = Arc::clone(&full_house);
                async move {
                    // Passes only in groups of three: three do run at a time, and not one more.
                    full_house.wait().await;
                    Reply::ok("content")
                }
            }
        })
        .await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.concurrency = 3;
        stage.settings.queue = 100;
        let upstream = Arc::new(stage.upstream());
        let requests: Vec<_> = (0..30)
            .map(|_| {
                let upstream = Arc::clone(&upstream);
                tokio::spawn(async move { get(&upstream, "/").await.unwrap() })
            })
            .collect();
        for request in requests {
            let content = timeout(PATIENCE, request).await.unwrap().unwrap();
            assert_eq!(content, "content");
        }
        assert_eq!((origin.hits(), origin.in_flight_max()), (30, 3));
        assert!(
            stage
                .text()
                .contains("origin_in_flight{upstream=\"cms\"} 0")
        );
        assert!(stage.text().contains("origin_queued{upstream=\"cms\"} 0"));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_long_one_after_its_time() {
        let (origin, door) = behind_a_door().await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.concurrency = 1;
        stage.settings.queue = 1;
        stage.settings.queue_timeout = SHORT;
        let upstream = Arc::new(stage.upstream());
        let inside = spawn_get(&upstream);
        origin.saw(1).await;
        let (first, second) = tokio::join!(failure(&upstream, "/"), failure(&upstream, "/"));
        assert_eq!(first.kind, Kind::QueueTimeout);
        assert_eq!(second.kind, Kind::QueueFull);
        for kind in [first.kind, second.kind] {
            assert_eq!(kind.status(), StatusCode::SERVICE_UNAVAILABLE);
            let reason = format!(
                "origin_limit_hits_total{{upstream=\"cms\",reason=\"{}\"}} 1",
                kind.label()
            );
            assert!(stage.text().contains(&reason), "{}", stage.text());
        }
        door.add_permits(1);
        assert_eq!(inside.await.unwrap().unwrap(), "content");
        door.add_permits(1);
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
        assert_eq!(origin.hits(), 2);
    }

    #[tokio::test]
    async fn a_response_holds_its_place_until_it_is_dropped() {
        let origin = Origin::start(|request| async move {
            match request.target.as_str() {
                "/long" => Reply::ok("content").stall_after(3),
                _ => Reply::ok("content"),
            }
        })
        .await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.concurrency = 1;
        stage.settings.queue = 0;
        let upstream = stage.upstream();
        let long = upstream.send(request("/long")).await.unwrap();
        assert_eq!(failure(&upstream, "/").await.kind, Kind::QueueFull);
        drop(long);
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_leaves_no_trace() {
        let (origin, door) = behind_a_door().await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.concurrency = 1;
        stage.settings.queue = 1;
        let upstream = Arc::new(stage.upstream());
        let inside = spawn_get(&upstream);
        origin.saw(1).await;
        // One gives up while it waits in the queue, the other while it waits for an answer.
        assert!(timeout(SHORT, get(&upstream, "/")).await.is_err());
        assert!(stage.text().contains("origin_queued{upstream=\"cms\"} 0"));
        inside.abort();
        assert!(inside.await.unwrap_err().is_cancelled());
        origin.lost(1).await;
        door.add_permits(1);
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    }

    /// An origin that lets one request through per permit.
    async fn behind_a_door() -> (Origin, Arc<Semaphore>) {
        let door = Arc::new(Semaphore::new(0));
        let handler = {
            let door = Arc::clone(&door);
            move |_| {
                let door = Arc::clone(&door);
                async move {
                    door.acquire().await.unwrap().forget();
                    Reply::ok("content")
                }
            }
        };
        (Origin::start(handler).await, door)
    }

    fn spawn_get(upstream: &Arc<Upstream>) -> tokio::task::JoinHandle<Result<Bytes, BodyError>> {
        let upstream = Arc::clone(upstream);
        tokio::spawn(async move { get(&upstream, "/").await })
    }
}

mod tls {
    use super::*;

    #[tokio::test]
    async fn a_server_certificate_of_the_given_authority_is_accepted() {
        let authority = Authority::new();
        let handler = |_| async { Reply::ok("secret") };
        let origin = Origin::start_tls(authority.server("localhost"), handler).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.ca = Some(vec![authority.certificate()]);
        let upstream = stage.upstream();
        for _ in 0..2 {
            assert_eq!(get(&upstream, "/").await.unwrap(), "secret");
            pool_settles().await;
        }
        assert_eq!(origin.connections(), 1);
    }

    #[tokio::test]
    async fn another_authority_or_another_name_is_refused() {
        let authority = Authority::new();
        for (trusted, name) in [
            (Authority::new().certificate(), "localhost"),
            (authority.certificate(), "elsewhere.example"),
        ] {
            let handler = |_| async { Reply::ok("secret") };
            let origin = Origin::start_tls(authority.server(name), handler).await;
            let mut stage = Stage::new(&[origin.uri()]);
            stage.settings.ca = Some(vec![trusted]);
            let error = failure(&stage.upstream(), "/").await;
            assert_eq!(error.kind, Kind::Tls);
            assert_eq!(error.kind.status(), StatusCode::BAD_GATEWAY);
            assert_eq!(origin.hits(), 0);
        }
    }
}

mod setup {
    use cms_edge::fetch::SetupError;

    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_in_a_sentence() {
        let server: Uri = "http://cms:8000".parse().unwrap();
        let mut no_place = Stage::new(std::slice::from_ref(&server));
        no_place.settings.concurrency = 0;
        let mut bad_ca = Stage::new(&["https://cms".parse().unwrap()]);
        bad_ca.settings.ca = Some(vec![b"junk".to_vec().into()]);
        let mut no_ca = Stage::new(&["https://cms".parse().unwrap()]);
        no_ca.settings.ca = Some(Vec::new());
        let with_path = Stage::new(&[server, "http://cms:8000/api".parse().unwrap()]);
        for (stage, sentence) in [
            (Stage::new(&[]), "the upstream has no server"),
            (no_place, "the concurrency of an upstream is at least 1"),
            (bad_ca, "a certificate given as a root cannot be used"),
            (
                no_ca,
                "there are no root certificates to check the server's certificate with",
            ),
            (
                with_path,
                "`http://cms:8000/api` is not a server: write http://host:port, https://host:port or \
                 unix:/absolute/path",
            ),
        ] {
            let made = Upstream::new("cms", stage.settings, stage.metrics);
            let error: SetupError = made.err().unwrap();
            assert_eq!(error.to_string(), sentence);
        }
    }
}

mod host {
    use super::*;

    #[tokio::test]
    async fn the_origin_is_told_the_name_that_the_rule_says() {
        let origin = Origin::start(|_| async { Reply::new(204) }).await;
        let own = origin.address().to_string();
        for (rule, expected) in [
            (HostRule::Preserve, "www.example.org"),
            (HostRule::Upstream, own.as_str()),
            (
                HostRule::Literal(HeaderValue::from_static("cms.example.org")),
                "cms.example.org",
            ),
        ] {
            let mut stage = Stage::new(&[origin.uri()]);
            stage.settings.host = rule;
            stage.upstream().send(request("/")).await.unwrap();
            let last = origin.requests().pop().unwrap();
            assert_eq!(last.header("host"), Some(expected));
            assert_eq!(last.headers.get_all("host").iter().count(), 1);
        }
    }
}

/// Settings to change and a registry to look into.
struct Stage {
    settings: Settings,
    registry: Registry,
    metrics: Arc<OriginMetrics>,
}

impl Stage {
    fn new(servers: &[Uri]) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(OriginMetrics::register(&mut registry));
        let settings = Settings {
            servers: servers.iter().cloned().map(Into::into).collect(),
            host: HostRule::Preserve,
            connect_timeout: PATIENCE,
            first_byte_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            keepalive: PATIENCE,
            pool_idle_max: 8,
            concurrency: 8,
            queue: 8,
            queue_timeout: PATIENCE,
            retries: 1,
            ca: None,
            connecting: Connecting::default(),
            stale_wait: Duration::ZERO,
            care: Care::default(),
        };
        Self {
            settings,
            registry,
            metrics,
        }
    }

    fn upstream(&self) -> Upstream {
        Upstream::new("cms", self.settings.clone(), Arc::clone(&self.metrics)).unwrap()
    }

    /// The value of a series such as `origin_slow_total{upstream="cms"}`; 0 if it is not there.
    fn metric(&self, series: &str) -> u64 {
        let text = self.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// The value of a series about one server.
    fn metric_of(&self, family: &str, server: &Uri) -> u64 {
        let server = server.authority().unwrap();
        self.metric(&format!("{family}{{upstream=\"cms\",server=\"{server}\"}}"))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// An origin that gives this reply to its first request and hangs up on any other.
async fn once(reply: Reply) -> Origin {
    let reply = Mutex::new(Some(reply));
    Origin::start(move |_| std::future::ready(reply.lock().take().unwrap_or_else(Reply::hang_up)))
        .await
}

fn request(target: &str) -> Request<Body> {
    let request = Request::get(target).header("host", "www.example.org");
    request.body(Body::empty()).unwrap()
}

fn post(target: &str, content: Body) -> Request<Body> {
    let request = Request::post(target).header("host", "www.example.org");
    request.body(content).unwrap()
}

fn put(target: &str, content: Body, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::put(target).header("host", "www.example.org");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(content).unwrap()
}

async fn get(upstream: &Upstream, target: &str) -> Result<Bytes, BodyError> {
    content(upstream.send(request(target)).await?).await
}

async fn content(response: Response<OriginBody>) -> Result<Bytes, BodyError> {
    let collected = timeout(PATIENCE, response.into_body().collect()).await?;
    Ok(collected?.to_bytes())
}

async fn failure(upstream: &Upstream, target: &str) -> Error {
    let outcome = timeout(PATIENCE, upstream.send(request(target))).await;
    outcome.unwrap().err().unwrap()
}

/// Reads a body that breaks off.
async fn broken(response: Response<OriginBody>) -> Error {
    *content(response).await.unwrap_err().downcast().unwrap()
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let outcome = timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(outcome.await.is_ok(), "waited in vain for {what}");
}

/// On a runtime of one thread, lets the connection task hand its connection back to the pool.
async fn pool_settles() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
