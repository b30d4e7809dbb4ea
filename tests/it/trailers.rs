//! Trailers both ways, and other corners of HTTP/1.1 that a gateway has to get right: HEAD, the
//! absolute form, CONNECT.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::origin::{Origin, Reply};
use crate::support::raw::{RawOrigin, RawStream};
use crate::support::stage::Stage;

const UNCACHED: &str =
    "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\ncache = false\n";

/// Content with trailers, of which the last three are none of the client's business.
async fn with_trailers() -> Origin {
    Origin::start(|_| async {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: private\r\n\
             trailer: x-checksum, set-cookie, host, transfer-encoding\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\n\
             set-cookie: a=1\r\nhost: other\r\ntransfer-encoding: chunked\r\n\r\n",
        )
    })
    .await
}

async fn http2(stage: &Stage) -> SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(stage.http).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn names(trailers: &HeaderMap) -> Vec<&str> {
    trailers.keys().map(http::HeaderName::as_str).collect()
}

#[tokio::test]
async fn trailers_of_a_response_reach_clients_of_http_2() {
    for settings in ["", UNCACHED] {
        let origin = with_trailers().await;
        let stage = Stage::start(&origin, settings).await;
        let request = Request::get("http://www.example.test/a").body(Empty::new());
        let response = http2(&stage).await.send_request(request.unwrap()).await;
        let content = response.unwrap().into_body().collect().await.unwrap();
        let trailers = content.trailers().cloned().unwrap();
        assert_eq!(names(&trailers), ["x-checksum"], "{settings}");
        assert_eq!(content.to_bytes(), "hello");
    }
}

#[tokio::test]
async fn only_clients_of_http_1_1_that_want_trailers_get_them() {
    let origin = with_trailers().await;
    let stage = Stage::start(&origin, UNCACHED).await;
    for (fields, expected) in [
        (
            "TE: trailers\r\nConnection: close, TE\r\n",
            "0\r\nx-checksum: abc\r\n\r\n",
        ),
        ("Connection: close\r\n", "0\r\n\r\n"),
    ] {
        let mut client = RawStream::connect(stage.http).await;
        client
            .send(&format!(
                "GET /a HTTP/1.1\r\nHost: www.example.test\r\n{fields}\r\n"
            ))
            .await;
        let answer = client.rest().await;
        assert!(
            answer.ends_with(&format!("5\r\nhello\r\n{expected}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_origin_with_its_content() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "").await;
    let mut client = RawStream::connect(stage.http).await;
    client
        .send(
            "POST /a HTTP/1.1\r\nHost: www.example.test\r\nTransfer-Encoding: chunked\r\n\
             Trailer: x-checksum, host, content-length\r\n\r\n5\r\nhello\r\n0\r\n\
             X-Checksum: abc\r\nHost: other\r\nContent-Length: 9\r\n\r\n",
        )
        .await;
    let (mut origin, head) = raw.asked().await;
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    let content = origin.until("\r\n\r\n").await;
    assert_eq!(content, "5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn the_answer_to_head_has_the_fields_of_get_and_no_content() {
    let origin =
        Origin::start(|_| async { Reply::ok("hello").header("cache-control", "max-age=60") }).await;
    for settings in ["", UNCACHED] {
        let stage = Stage::start(&origin, settings).await;
        let mut client = RawStream::connect(stage.http).await;
        // A second request on the same connection would stumble over content.
        for _ in 0..2 {
            client
                .send("HEAD /a HTTP/1.1\r\nHost: www.example.test\r\n\r\n")
                .await;
            let head = client.until("\r\n\r\n").await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.contains("content-length: 5\r\n"), "{head}");
            let get = stage.get("/a", &[]).await;
            assert_eq!((get.status, get.text()), (StatusCode::OK, "hello".into()));
        }
        assert!(client.is_quiet().await);
    }
}

#[tokio::test]
async fn the_absolute_form_names_the_host_and_the_origin_form_goes_on() {
    // RFC 9112 §3.2.2: the server "MUST ignore the received Host header field (if any) and instead
    // use the host information of the request-target".
    let origin = Origin::start(|_| async { Reply::ok("hello") }).await;
    let stage = Stage::start(&origin, "").await;
    let mut client = RawStream::connect(stage.http).await;
    client
        .send(
            "GET http://www.example.test/a?b=1 HTTP/1.1\r\nHost: other.test\r\n\
             Connection: close\r\n\r\n",
        )
        .await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let seen = origin.requests().pop().unwrap();
    assert_eq!(seen.target, "/a?b=1");
    assert_eq!(seen.header("host"), Some("www.example.test"));
}

#[tokio::test]
async fn connect_is_refused_whatever_the_version() {
    let origin = Origin::start(|_| async { Reply::ok("hello") }).await;
    let stage = Stage::start(&origin, "").await;
    let mut client = RawStream::connect(stage.http).await;
    client
        .send("CONNECT www.example.test:80 HTTP/1.1\r\nHost: www.example.test:80\r\n\r\nearly")
        .await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET, HEAD, "), "{answer}");
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "www.example.test:80".parse().unwrap();
    let response = http2(&stage).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(origin.hits(), 0);
}
