//! Who the client is when proxies say it in header fields.

use cms_edge::server::clients::{Clients, TrustedHeader};
use cms_edge::server::hsts::Hsts;
use cms_edge::server::tls::MinVersion;
use cms_edge::server::{HttpMode, Settings};
use rustls::version::TLS13;

use crate::support::*;

fn trusting(networks: &[&str], trusted_header: TrustedHeader) -> Settings {
    let networks = networks.iter().map(|network| network.parse().unwrap());
    Settings {
        clients: Clients {
            trusted_proxies: networks.collect(),
            trusted_header,
            ..Clients::default()
        },
        ..settings(short_limits())
    }
}

fn request(fields: &[&str]) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("GET /client HTTP/1.1\r\nHost: a.example\r\n{fields}Connection: close\r\n\r\n").into()
}

const BOTH: &[&str] = &[
    "X-Forwarded-For: 198.51.100.9, 192.0.2.1",
    "X-Forwarded-Proto: https",
    "Forwarded: for=203.0.113.5;proto=http",
];

#[tokio::test]
async fn a_trusted_proxy_is_believed_in_the_fields_that_are_set() {
    for (header, client) in [
        (TrustedHeader::XForwarded, "https 192.0.2.1"),
        (TrustedHeader::Forwarded, "http 203.0.113.5"),
    ] {
        let server = start(trusting(&["127.0.0.1/32"], header)).await;
        let answer = exchange(server.http[0], &request(BOTH)).await;
        let expected = format!("{client} via 127.0.0.1");
        assert!(answer.ends_with(&expected), "{answer}");
        let own = exchange(server.http[0], &request(&[])).await;
        assert!(own.ends_with("http 127.0.0.1 via 127.0.0.1"), "{own}");
    }
}

#[tokio::test]
async fn strangers_are_not_believed() {
    for networks in [&[][..], &["10.0.0.0/8"]] {
        let server = start(trusting(networks, TrustedHeader::XForwarded)).await;
        let answer = exchange(server.http[0], &request(BOTH)).await;
        assert!(answer.ends_with("http 127.0.0.1 via 127.0.0.1"), "{answer}");
    }
}

#[tokio::test]
async fn each_request_on_a_connection_has_its_client() {
    let server = start(trusting(&["127.0.0.1/32"], TrustedHeader::XForwarded)).await;
    let (mut sender, _connection) = http2(server.raw().await).await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut request = get("http://a.example/client");
        let fields = request.headers_mut();
        fields.insert("x-forwarded-for", client.parse().unwrap());
        let response = sender.send_request(request).await.unwrap();
        let expected = format!("http {client} via 127.0.0.1");
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test]
async fn the_redirect_goes_by_the_scheme_of_the_client() {
    let server = start(Settings {
        http_mode: HttpMode::Redirect { port: 443 },
        hsts: Some(Hsts {
            max_age: std::time::Duration::from_secs(60),
            include_subdomains: false,
            preload: false,
        }),
        ..trusting(&["127.0.0.1/32"], TrustedHeader::XForwarded)
    })
    .await;
    const HSTS: &str = "\r\nstrict-transport-security: max-age=60\r\n";
    let https = request(&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"]);
    let answer = exchange(server.http[0], &https).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(HSTS), "{answer}");
    let http = request(&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http"]);
    let answer = exchange(server.http[0], &http).await;
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    assert!(!answer.contains(HSTS), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_may_use_one_connection_for_all_hosts() {
    let (first, first_root) = certificate(&["first.example"], &[]);
    let (second, _) = certificate(&["second.example"], &[]);
    let mut settings = https_settings(vec![first, second], MinVersion::Tls12);
    settings.clients = trusting(&["127.0.0.1/32"], TrustedHeader::XForwarded).clients;
    let server = start(settings).await;
    let config = client_config(&[first_root], &[&TLS13], &[b"h2"]);
    let stream = connect_tls(server.https[0], "first.example", config).await;
    let (mut sender, _connection) = http2(stream.unwrap()).await;
    let response = sender.send_request(get("https://second.example/x")).await;
    assert_eq!(response.unwrap().status(), 200);
}
