//! Tunnels of other protocols: asked for, refused, bounded, and over.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::support::origin::{Origin, Reply};
use crate::support::raw::{RawOrigin, RawStream};
use crate::support::script::until;
use crate::support::stage::Stage;

const ASK: &str = "GET /socket?a=1 HTTP/1.1\r\nHost: www.example.test\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: xyz\r\n\r\n";

async fn stage(raw: &RawOrigin, settings: &str) -> Stage {
    raw.stage(settings, "upgrades = [\"websocket\"]").await
}

/// A client and an origin with a tunnel between them.
async fn tunnel(stage: &Stage, raw: &RawOrigin) -> (RawStream, RawStream) {
    let mut client = RawStream::connect(stage.http).await;
    client.send(ASK).await;
    let (mut origin, _) = raw.asked().await;
    origin.send(SWITCH).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (client, origin)
}

async fn exchange(from: &mut RawStream, to: &mut RawStream, text: &str) {
    from.send(text).await;
    assert_eq!(to.until(text).await, text);
}

async fn becomes(stage: &Stage, series: &str, value: u64) {
    until(series, async || stage.metric(series).await == value).await;
}

#[tokio::test]
async fn what_is_sent_through_a_tunnel_arrives_on_both_sides() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    let mut client = RawStream::connect(stage.http).await;
    client.send(ASK).await;
    let (mut origin, request) = raw.asked().await;
    let request = request.to_ascii_lowercase();
    for line in [
        "get /socket?a=1 http/1.1",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: abc",
        "sec-websocket-version: 13",
        "host: www.example.test",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(
            request.contains(&format!("{line}\r\n")),
            "{line}: {request}"
        );
    }
    origin.send(&format!("{SWITCH}first")).await;
    let head = client.until("\r\n\r\n").await.to_ascii_lowercase();
    for line in [
        "http/1.1 101 switching protocols",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: xyz",
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line}: {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    assert_eq!(client.until("first").await, "first");
    // Nothing of it is HTTP any more, not even what looks like it.
    exchange(&mut client, &mut origin, "GET / HTTP/1.1\nHost: a\n\n").await;
    exchange(&mut origin, &mut client, "pong").await;
    assert_eq!(stage.metric("cms_edge_tunnels_open").await, 1);
    client.finish().await;
    assert_eq!(origin.rest().await, "");
    exchange(&mut origin, &mut client, "bye").await;
    drop(origin);
    assert_eq!(client.rest().await, "");
    becomes(&stage, "cms_edge_tunnels_open", 0).await;
    for (series, value) in [
        ("cms_edge_upgrades_total{outcome=\"switched\"}", 1),
        ("cms_edge_tunnels_closed_total{reason=\"client\"}", 1),
        ("cms_edge_tunnel_client_bytes_total", 24),
        ("cms_edge_tunnel_origin_bytes_total", 12),
    ] {
        assert_eq!(stage.metric(series).await, value, "{series}");
    }
}

#[tokio::test]
async fn bytes_behind_the_request_wait_for_the_101() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    let mut client = RawStream::connect(stage.http).await;
    client
        .send(&format!("{ASK}early GET /x HTTP/1.1\r\n\r\n"))
        .await;
    let (mut origin, _) = raw.asked().await;
    assert!(origin.is_quiet().await);
    origin.send(SWITCH).await;
    client.until("\r\n\r\n").await;
    client.send(" late").await;
    assert_eq!(
        origin.until("late").await,
        "early GET /x HTTP/1.1\r\n\r\n late"
    );
}

#[tokio::test]
async fn bytes_behind_a_request_that_was_declined_are_nobodys_request() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    let mut client = RawStream::connect(stage.http).await;
    let behind = "GET /smuggled HTTP/1.1\r\nHost: www.example.test\r\n\r\n";
    client.send(&format!("{ASK}{behind}")).await;
    let (mut origin, _) = raw.asked().await;
    origin
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: no\r\n\r\nno")
        .await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("x-why: no\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno"), "{answer}");
    assert_eq!(
        origin.rest().await,
        "",
        "the connection was of that request alone"
    );
    assert!(raw.is_quiet().await);
    let series = "cms_edge_upgrades_total{outcome=\"declined\"}";
    assert_eq!(stage.metric(series).await, 1);
    assert_eq!(stage.metric("cms_edge_tunnels_open").await, 0);
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    let plain = "GET /plain HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n";
    let chat = SWITCH.replace("websocket", "chat");
    let none = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    for (request, response) in [(plain, SWITCH), (ASK, &*chat), (ASK, none)] {
        let mut client = RawStream::connect(stage.http).await;
        client.send(request).await;
        let (mut origin, _) = raw.asked().await;
        origin.send(response).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{response}: {answer}");
        assert_eq!(origin.rest().await, "");
    }
    let series = "cms_edge_upgrades_total{outcome=\"failed\"}";
    assert_eq!(stage.metric(series).await, 2);
    assert_eq!(stage.metric("cms_edge_tunnels_open").await, 0);
}

#[tokio::test]
async fn a_route_that_allows_no_upgrade_takes_the_request_for_a_plain_one() {
    let origin = Origin::start(|_| async { Reply::ok("plain") }).await;
    let stage = Stage::start(&origin, "").await;
    let mut client = RawStream::connect(stage.http).await;
    for _ in 0..2 {
        client.send(ASK).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(client.until("plain").await, "plain");
    }
    for request in origin.requests() {
        assert_eq!(request.header("upgrade"), None);
        assert_eq!(request.header("connection"), None);
    }
}

#[tokio::test]
async fn other_protocols_and_other_requests_are_plain_where_one_is_allowed() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    for request in [
        ASK.replace("WebSocket", "h2c"),
        ASK.replace("keep-alive, Upgrade", "keep-alive"),
        ASK.replace("HTTP/1.1", "HTTP/1.0"),
        ASK.replace("GET ", "POST ")
            .replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
        ASK.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nab"),
    ] {
        let mut client = RawStream::connect(stage.http).await;
        client.send(&request).await;
        let (mut origin, seen) = raw.asked().await;
        assert!(
            !seen.to_ascii_lowercase().contains("upgrade:"),
            "{request}: {seen}"
        );
        origin
            .send("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n")
            .await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.contains(" 200 "), "{request}: {head}");
    }
}

#[tokio::test]
async fn what_is_stored_answers_no_upgrade() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "").await;
    let stored = async {
        let (mut origin, _) = raw.asked().await;
        origin
            .send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\na")
            .await;
        origin
    };
    let (_first, _origin) = tokio::join!(stage.get("/socket?a=1", &[]), stored);
    assert!(stage.get("/socket?a=1", &[]).await.is_hit());
    let (mut client, mut origin) = tunnel(&stage, &raw).await;
    exchange(&mut client, &mut origin, "ping").await;
    assert!(stage.get("/socket?a=1", &[]).await.is_hit());
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "server.upgrade_idle_timeout = \"300ms\"").await;
    let (mut client, mut origin) = tunnel(&stage, &raw).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(700) {
        exchange(&mut client, &mut origin, "still here").await;
    }
    assert_eq!(client.rest().await, "");
    assert_eq!(origin.rest().await, "");
    let series = "cms_edge_tunnels_closed_total{reason=\"idle\"}";
    becomes(&stage, series, 1).await;
}

#[tokio::test]
async fn the_deadlines_of_http_do_not_hold_in_a_tunnel() {
    let raw = RawOrigin::start().await;
    let settings = "server.idle_timeout = \"1s\"\nserver.header_timeout = \"100ms\"\n\
                    idle_timeout = \"100ms\"\nfirst_byte_timeout = \"200ms\"";
    let stage = stage(&raw, settings).await;
    let (mut client, mut origin) = tunnel(&stage, &raw).await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    exchange(&mut client, &mut origin, "ping").await;
    exchange(&mut origin, &mut client, "pong").await;
}

#[tokio::test]
async fn the_number_of_tunnels_is_bounded() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "server.upgrades_max = 1").await;
    let (client, mut origin) = tunnel(&stage, &raw).await;
    let mut second = RawStream::connect(stage.http).await;
    second.send(ASK).await;
    let answer = second.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let limit = "cms_edge_cache_limits_total{reason=\"upgrades\"}";
    assert_eq!(stage.metric(limit).await, 1);
    drop(client);
    origin.rest().await;
    drop(origin);
    becomes(&stage, "cms_edge_tunnels_open", 0).await;
    tunnel(&stage, &raw).await;
}

#[tokio::test]
async fn a_tunnel_holds_no_place_at_the_upstream() {
    let raw = RawOrigin::start().await;
    let stage = stage(&raw, "concurrency = 1\nqueue = 0").await;
    let (mut client, mut origin) = tunnel(&stage, &raw).await;
    let answered = async {
        let (mut origin, _) = raw.asked().await;
        origin
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na")
            .await;
        origin
    };
    let (plain, _origin) = tokio::join!(stage.get("/plain", &[]), answered);
    assert_eq!(plain.status, StatusCode::OK);
    exchange(&mut client, &mut origin, "ping").await;
}

#[tokio::test]
async fn tunnels_end_when_the_drain_does() {
    let raw = RawOrigin::start().await;
    let mut stage = stage(&raw, "server.drain = \"1s\"").await;
    let (mut client, mut origin) = tunnel(&stage, &raw).await;
    let began = Instant::now();
    stage.stop();
    until("the listener to close", async || {
        tokio::net::TcpStream::connect(stage.http).await.is_err()
    })
    .await;
    exchange(&mut client, &mut origin, "ping").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(origin.rest().await, "");
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "cut before its time"
    );
}
