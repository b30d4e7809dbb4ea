//! The bounds of connections: how many, how long, and what one may do to the others.

use std::time::Duration;

use cms_edge::server::Limits;
use cms_edge::server::tls::MinVersion;
use cms_edge::telemetry::server::Limit;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn connections_over_the_cap_wait_for_their_turn() {
    let limits = Limits {
        connections_max: 2,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let (mut first, first_connection) = http1(server.raw().await).await;
    let (mut second, _second_connection) = http1(server.raw().await).await;
    for client in [&mut first, &mut second] {
        text(client.send_request(get("/")).await.unwrap()).await;
    }
    let (mut third, _third_connection) = http1(server.raw().await).await;
    let third = tokio::spawn(async move { third.send_request(get("/third")).await });
    server
        .until(|metrics| metrics.limit_count(Limit::Connections) == 1)
        .await;
    assert!(!third.is_finished());
    drop(first);
    soon(first_connection).await.unwrap().unwrap();
    let response = soon(third).await.unwrap().unwrap();
    assert_eq!(text(response).await, "GET /third");
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let limits = Limits {
        header_timeout: SHORT,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    for beginning in ["", "P", "PRI * HTTP", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let before = server.metrics.limit_count(Limit::HeaderTimeout);
        let answer = exchange(server.http[0], beginning.as_bytes()).await;
        assert_eq!(answer, "", "{beginning:?}");
        let after = server.metrics.limit_count(Limit::HeaderTimeout);
        assert_eq!(after, before + 1, "{beginning:?}");
    }
}

#[tokio::test]
async fn a_slow_loris_is_not_kept_alive_by_its_drops() {
    let limits = Limits {
        header_timeout: SHORT,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = server.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    soon(async {
        let mut drip = tokio::time::interval(SHORT / 20);
        while stream.write_all(b"x").await.is_ok() {
            drip.tick().await;
        }
    })
    .await;
    assert_eq!(server.metrics.limit_count(Limit::HeaderTimeout), 1);
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let limits = Limits {
        idle_timeout: SHORT,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let (mut busy, _connection) = http1(server.raw().await).await;
    let busy = tokio::spawn(async move { busy.send_request(get("/gate")).await });
    soon(server.handler.arrived.acquire())
        .await
        .unwrap()
        .forget();

    let (mut idle, idle_1) = http1(server.raw().await).await;
    text(idle.send_request(get("/")).await.unwrap()).await;
    soon(idle_1).await.unwrap().unwrap();
    let (mut idle, idle_2) = http2(server.raw().await).await;
    text(idle.send_request(get("http://a.example/")).await.unwrap()).await;
    soon(idle_2).await.unwrap().unwrap();
    assert_eq!(server.metrics.limit_count(Limit::Idle), 2);

    assert!(!busy.is_finished());
    server.handler.gate.add_permits(1);
    let response = soon(busy).await.unwrap().unwrap();
    assert_eq!(text(response).await, "passed");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let limits = Limits {
        idle_timeout: SHORT,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    for path in ["/large", "/endless"] {
        let before = server.metrics.limit_count(Limit::Stalled);
        let mut stream = server.raw().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        server
            .until(|metrics| metrics.limit_count(Limit::Stalled) == before + 1)
            .await;
    }
    let (mut client, _connection) = http2(server.raw().await).await;
    let endless = client.send_request(get("http://a.example/endless")).await;
    server
        .until(|metrics| metrics.limit_count(Limit::Stalled) == 3)
        .await;
    let (mut client, connection) = http2(server.raw().await).await;
    let large = client.send_request(get("http://a.example/large")).await;
    server
        .until(|metrics| metrics.limit_count(Limit::Stalled) >= 4)
        .await;
    soon(connection).await.unwrap().ok();
    let drained = server.stop().await;
    assert_eq!(drained.cut, 0);
    drop((endless, large));
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_served_to_the_end() {
    let limits = Limits {
        idle_timeout: SHORT,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = server.raw().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut slowly = tokio::time::interval(SHORT / 20);
    let mut piece = vec![0; LARGE_BYTES / 40];
    let mut taken = 0;
    loop {
        slowly.tick().await;
        match soon(stream.read(&mut piece)).await.unwrap() {
            0 => break,
            count => taken += count,
        }
    }
    assert!(taken > LARGE_BYTES, "{taken}");
    assert_eq!(server.metrics.limit_count(Limit::Stalled), 0);
}

#[tokio::test]
async fn a_tls_handshake_has_a_deadline() {
    let (cert, _) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.limits.tls_handshake_timeout = SHORT;
    let server = start(settings).await;
    let mut stream = TcpStream::connect(server.https[0]).await.unwrap();
    stream.write_all(&[22, 3, 1]).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(server.metrics.limit_count(Limit::TlsHandshake), 1);
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_or_stream_and_no_other() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.http = vec![loopback()];
    let server = start(settings).await;
    let (mut other, _connection) = http1(server.raw().await).await;
    text(other.send_request(get("/")).await.unwrap()).await;

    let (mut client, _connection) = http1(server.raw().await).await;
    assert!(soon(client.send_request(get("/panic"))).await.is_err());
    let config = client_config(&[root], &[&TLS13], &[b"h2"]);
    let stream = connect_tls(server.https[0], "a.example", config).await;
    let (mut client, _connection) = http2(stream.unwrap()).await;
    let panics = client.send_request(get("https://a.example/panic"));
    assert!(soon(panics).await.is_err());

    let response = client.send_request(get("https://a.example/on")).await;
    assert_eq!(text(response.unwrap()).await, "GET /on");
    let response = other.send_request(get("/on")).await.unwrap();
    assert_eq!(text(response).await, "GET /on");
    server.until(|metrics| metrics.panic_count() == 2).await;
}

/// CVE-2023-44487.
#[tokio::test]
async fn streams_reset_in_a_hurry_end_the_connection() {
    const ENHANCE_YOUR_CALM: &[u8] = &[0, 0, 0, 0x0b];
    let server = start(settings(short_limits())).await;
    let mut attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..2000_u32).step_by(2) {
        // HEADERS, ending both the head and the stream: GET http://a/; then RST_STREAM (CANCEL).
        attack.extend(b"\0\0\x06\x01\x05");
        attack.extend(stream.to_be_bytes());
        attack.extend(b"\x82\x84\x86\x41\x01a");
        attack.extend(b"\0\0\x04\x03\0");
        attack.extend(stream.to_be_bytes());
        attack.extend(8_u32.to_be_bytes());
    }
    let mut stream = server.raw().await;
    let mut answer = Vec::new();
    // The server may close before it has read everything.
    stream.write_all(&attack).await.ok();
    soon(stream.read_to_end(&mut answer)).await.ok();
    let is_goaway = |frame: &[u8]| frame[0] == 7 && &frame[10..14] == ENHANCE_YOUR_CALM;
    assert!(answer.windows(14).any(is_goaway), "{answer:?}");
}
