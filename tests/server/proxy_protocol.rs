//! The PROXY protocol on real sockets: who must speak it, what it changes, what it costs to fail.

use std::time::Duration;

use cms_edge::server::clients::Clients;
use cms_edge::server::tls::MinVersion;
use cms_edge::server::{Limits, Settings};
use cms_edge::telemetry::server::Limit;
use rustls::version::TLS13;
use tokio::io::AsyncWriteExt;

use crate::support::*;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const REQUEST: &[u8] = b"GET /client HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family, 0, u8::try_from(rest.len()).unwrap()]);
    header.extend(rest);
    header
}

/// 192.0.2.8 to 198.51.100.1, and a TLV field.
fn tcp4() -> Vec<u8> {
    let mut rest = vec![192, 0, 2, 8, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
    rest.extend([0x04, 0, 2, 7, 7]);
    v2(0x21, 0x11, &rest)
}

fn expecting(limits: Limits, networks: &[&str]) -> Settings {
    let networks = networks.iter().map(|network| network.parse().unwrap());
    Settings {
        clients: Clients {
            proxy_protocol_from: networks.collect(),
            ..Clients::default()
        },
        ..settings(limits)
    }
}

#[tokio::test]
async fn a_listed_peer_names_its_client() {
    let server = start(expecting(short_limits(), &["127.0.0.0/8"])).await;
    let tcp6 = {
        let mut rest = vec![0; 36];
        rest[..2].copy_from_slice(&[0x20, 0x01]);
        v2(0x21, 0x21, &rest)
    };
    for (header, client) in [
        (V1.to_vec(), "192.0.2.7"),
        (
            b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(),
            "2001:db8::7",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (tcp4(), "192.0.2.8"),
        (tcp6, "2001::"),
        (v2(0x20, 0, &[]), "127.0.0.1"),
        (v2(0x21, 0, &[]), "127.0.0.1"),
    ] {
        let answer = exchange(server.http[0], &[&header, REQUEST].concat()).await;
        let expected = format!("http {client} via 127.0.0.1");
        assert!(answer.ends_with(&expected), "{client}: {answer}");
    }
    assert_eq!(server.metrics.limit_count(Limit::ProxyProtocol), 0);
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.clients = expecting(short_limits(), &["127.0.0.1/32"]).clients;
    let server = start(settings).await;
    for (header, client) in [(V1.to_vec(), "192.0.2.7"), (tcp4(), "192.0.2.8")] {
        let mut stream = tokio::net::TcpStream::connect(server.https[0])
            .await
            .unwrap();
        stream.write_all(&header).await.unwrap();
        let config = client_config(std::slice::from_ref(&root), &[&TLS13], &[b"h2"]);
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = "a.example".try_into().unwrap();
        let stream = soon(connector.connect(name, stream)).await.unwrap();
        let (mut sender, _connection) = http2(stream).await;
        let response = sender.send_request(get("https://a.example/client")).await;
        let expected = format!("https {client} via 127.0.0.1");
        assert_eq!(text(response.unwrap()).await, expected);
    }
}

#[tokio::test]
async fn a_listed_peer_without_a_header_is_closed_and_counted() {
    let server = start(expecting(short_limits(), &["127.0.0.1/32"])).await;
    let too_long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    let cases: [&[u8]; 5] = [
        REQUEST,
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\nGET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.777 198.51.100.1 4711 443\r\n",
        &too_long,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ];
    for (number, bytes) in (1..).zip(cases) {
        let mut stream = server.raw().await;
        // The server may have closed the connection before all is written.
        let _written = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _reset = soon(tokio::io::AsyncReadExt::read_to_end(
            &mut stream,
            &mut answer,
        ))
        .await;
        assert_eq!(answer, b"", "{number}");
        let is_counted = |count| count == number;
        server
            .until(|metrics| is_counted(metrics.limit_count(Limit::ProxyProtocol)))
            .await;
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let limits = Limits {
        header_timeout: Duration::from_millis(100),
        ..short_limits()
    };
    let server = start(expecting(limits, &["127.0.0.1/32"])).await;
    let mut stream = server.raw().await;
    stream.write_all(b"PROXY TCP4 192.0").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(server.metrics.limit_count(Limit::ProxyProtocol), 1);
}

#[tokio::test]
async fn a_check_of_the_port_is_no_failure() {
    let server = start(expecting(short_limits(), &["127.0.0.1/32"])).await;
    let mut check = server.raw().await;
    check.shutdown().await.unwrap();
    assert_eq!(rest(&mut check).await, "");
    assert_eq!(server.metrics.limit_count(Limit::ProxyProtocol), 0);
}

#[tokio::test]
async fn whoever_is_not_listed_cannot_name_a_client() {
    for networks in [&[][..], &["192.0.2.0/24"]] {
        let server = start(expecting(short_limits(), networks)).await;
        for header in [V1.to_vec(), tcp4()] {
            let answer = exchange(server.http[0], &[&header, REQUEST].concat()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(!answer.contains("192.0.2."), "{answer}");
        }
        let answer = exchange(server.http[0], REQUEST).await;
        assert!(answer.ends_with("http 127.0.0.1 via 127.0.0.1"), "{answer}");
    }
}
