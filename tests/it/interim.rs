//! Interim responses: early hints on their way to the client, and the 100 that asks for content.

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::origin::PATIENCE;
use crate::support::raw::{RawOrigin, RawStream};
use crate::support::script::until;
use crate::support::stage::{Stage, whole};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: www.example.test\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\
                     Connection: x-hop\r\nX-Hop: 1\r\nSurrogate-Key: a\r\nSet-Cookie: a=1\r\n\r\n";
const SENT: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
const STORED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\na";

fn series(outcome: &str) -> String {
    format!("cms_edge_origin_interim_responses_total{{upstream=\"raw\",reason=\"{outcome}\"}}")
}

async fn counted(stage: &Stage, outcome: &str, times: u64) {
    let series = series(outcome);
    until(&series, async || stage.metric(&series).await == times).await;
}

#[tokio::test]
async fn early_hints_reach_the_client_before_the_answer_is_there() {
    for route in ["", "cache = false"] {
        let raw = RawOrigin::start().await;
        let stage = raw.stage("", route).await;
        let mut client = RawStream::connect(stage.http).await;
        client.send(ASK).await;
        let (mut origin, _) = raw.asked().await;
        origin.send(HINTS).await;
        // The origin answers only when the client has them.
        assert_eq!(client.until("\r\n\r\n").await, SENT);
        origin.send(PROCESSING).await;
        assert_eq!(
            client.until("\r\n\r\n").await,
            "HTTP/1.1 102 Processing\r\n\r\n"
        );
        origin.send(STORED).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(client.until("a").await, "a");
        counted(&stage, "sent", 2).await;
    }
}

#[tokio::test]
async fn a_hit_has_no_early_hints_and_the_connection_serves_on() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "").await;
    let mut client = RawStream::connect(stage.http).await;
    client.send(ASK).await;
    let (mut origin, _) = raw.asked().await;
    origin.send(&format!("{HINTS}{STORED}")).await;
    // Both at once: the hints still come first.
    assert_eq!(client.until("\r\n\r\n").await, SENT);
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    client.until("a").await;
    client.send(ASK).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("cache-status: cms-edge; hit"), "{head}");
}

#[tokio::test]
async fn the_second_of_two_pipelined_requests_gets_its_hints_after_the_first_answer() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "cache = false").await;
    let mut client = RawStream::connect(stage.http).await;
    client.send(&format!("{ASK}{ASK}")).await;
    let (mut origin, _) = raw.asked().await;
    origin.send(HINTS).await;
    assert_eq!(client.until("\r\n\r\n").await, SENT);
    origin.send(OK).await;
    client.until("\r\n\r\na").await;
    origin.until("\r\n\r\n").await;
    origin.send(HINTS).await;
    assert_eq!(client.until("\r\n\r\n").await, SENT);
    origin.send(OK).await;
    client.until("\r\n\r\na").await;
}

#[tokio::test]
async fn their_number_and_size_are_bounded() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "cache = false").await;
    let mut client = RawStream::connect(stage.http).await;
    client.send(ASK).await;
    let (mut origin, _) = raw.asked().await;
    let large = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n",
        "a".repeat(9000)
    );
    origin.send(&large).await;
    for _ in 0..10 {
        origin.send(HINTS).await;
    }
    counted(&stage, "limit", 3).await;
    origin.send(OK).await;
    let all = client.until("\r\n\r\na").await;
    assert_eq!(all.matches(SENT).count(), 8, "{all}");
    assert_eq!(all.matches("HTTP/1.1 ").count(), 9, "{all}");
}

#[tokio::test]
async fn http_1_0_and_http_2_clients_get_the_answer_alone() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "cache = false").await;
    let mut client = RawStream::connect(stage.http).await;
    client
        .send("GET /a HTTP/1.0\r\nHost: www.example.test\r\n\r\n")
        .await;
    let (mut origin, _) = raw.asked().await;
    origin.send(HINTS).await;
    counted(&stage, "version", 1).await;
    origin.send(OK).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");

    let stream = TokioIo::new(TcpStream::connect(stage.http).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://www.example.test/a").body(Empty::<Bytes>::new());
    let get = sender.send_request(request.unwrap());
    let answered = async {
        origin.until("\r\n\r\n").await;
        origin.send(HINTS).await;
        counted(&stage, "version", 2).await;
        origin.send(OK).await;
    };
    let (response, ()) = tokio::join!(get, answered);
    assert_eq!(whole(response.unwrap()).await.text(), "a");
}

#[tokio::test]
async fn hints_that_come_with_many_others_on_other_connections_are_not_mixed_up() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "cache = false").await;
    let mut pairs = Vec::new();
    for number in 0..20 {
        let mut client = RawStream::connect(stage.http).await;
        client.send(&ASK.replace("/a", &format!("/{number}"))).await;
        let (origin, request) = raw.asked().await;
        assert!(request.starts_with(&format!("GET /{number} ")), "{request}");
        pairs.push((client, origin));
    }
    for (number, (_, origin)) in pairs.iter_mut().enumerate() {
        origin
            .send(&format!(
                "HTTP/1.1 103 Early Hints\r\nLink: </{number}>\r\n\r\n"
            ))
            .await;
    }
    for (number, (client, _)) in pairs.iter_mut().enumerate() {
        let hints = client.until("\r\n\r\n").await;
        assert!(hints.contains(&format!("link: </{number}>\r\n")), "{hints}");
    }
}

#[tokio::test]
async fn content_is_asked_for_once_and_only_where_it_is_wanted() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("server.request_body_max = \"1KiB\"", "").await;
    let post = |length: usize| {
        format!(
            "POST /a HTTP/1.1\r\nHost: www.example.test\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut client = RawStream::connect(stage.http).await;
    client.send(&post(5)).await;
    assert_eq!(
        client.until("\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hello").await;
    let (mut origin, _) = raw.asked().await;
    assert_eq!(origin.until("hello").await, "hello");
    // The origin's own is not for this client, who has had one.
    origin
        .send(&format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"))
        .await;
    let answer = client.until("\r\n\r\na").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");

    // What is refused by its length is not sent at all.
    let mut client = RawStream::connect(stage.http).await;
    client.send(&post(4096)).await;
    let answer = timeout(PATIENCE, client.until("\r\n\r\n")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(raw.is_quiet().await);
}

#[tokio::test]
async fn an_expectation_of_http_1_0_is_ignored() {
    let raw = RawOrigin::start().await;
    let stage = raw.stage("", "").await;
    let mut client = RawStream::connect(stage.http).await;
    let head = "POST /a HTTP/1.0\r\nHost: www.example.test\r\nExpect: 100-continue\r\n\
                Content-Length: 5\r\n\r\n";
    client.send(&format!("{head}hello")).await;
    let (mut origin, _) = raw.asked().await;
    origin.until("hello").await;
    origin.send(OK).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}
