//! 421: requests on a connection whose certificate is not for their host (RFC 9110 §15.5.20).

use std::sync::Arc;

use cms_edge::server::tls::MinVersion;
use cms_edge::telemetry::server::Limit;
use rustls::version::TLS13;
use rustls_pki_types::CertificateDer;

use crate::anything::Anything;
use crate::support::*;

/// Certificates: the default `www.example`, `de.site.example` with `shop.example`, and
/// `*.site.example`.
async fn three_certificates() -> (Running, [CertificateDer<'static>; 3]) {
    let (default, default_root) = certificate(&["www.example", "192.0.2.1"], &[]);
    let (exact, exact_root) = certificate(&["de.site.example", "shop.example"], &[]);
    let (wild, wild_root) = certificate(&["*.site.example"], &[]);
    let settings = https_settings(vec![default, exact, wild], MinVersion::Tls12);
    (start(settings).await, [default_root, exact_root, wild_root])
}

/// The status of a request for `host` on an HTTP/2 connection for `name`.
async fn status(server: &Running, name: &str, host: &str) -> u16 {
    let mut config = client_config(&[], &[&TLS13], &[b"h2"]);
    let verifier = Arc::new(Anything);
    config.dangerous().set_certificate_verifier(verifier);
    let stream = connect_tls(server.https[0], name, config).await.unwrap();
    let (mut sender, _connection) = http2(stream).await;
    let request = get(&format!("https://{host}/"));
    soon(sender.send_request(request))
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_host_is_served_where_its_certificate_is() {
    let (server, _) = three_certificates().await;
    for (name, host, expected) in [
        ("de.site.example", "de.site.example", 200),
        ("de.site.example", "DE.site.example:443", 200),
        ("de.site.example", "de.site.example.", 200),
        // One certificate for both: browsers reuse the connection (RFC 9113 §9.1.1).
        ("de.site.example", "shop.example", 200),
        ("fr.site.example", "it.site.example", 200),
        // The wildcard is good for a host that has a certificate of its own, too.
        ("fr.site.example", "de.site.example", 200),
        ("de.site.example", "fr.site.example", 421),
        ("de.site.example", "www.example", 421),
        ("www.example", "shop.example", 421),
        ("fr.site.example", "a.b.site.example", 421),
        ("fr.site.example", "site.example", 421),
        // What no certificate is for belongs to the default one, as an address does.
        ("de.site.example", "unknown.example", 421),
        ("de.site.example", "192.0.2.9", 421),
        ("www.example", "unknown.example", 200),
        ("unknown.example", "other.example", 200),
        ("unknown.example", "www.example", 200),
        ("unknown.example", "shop.example", 421),
        // No server name: an address is none.
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "[::1]:8443", 200),
        ("127.0.0.1", "www.example", 200),
        ("127.0.0.1", "unknown.example", 200),
        ("127.0.0.1", "shop.example", 421),
    ] {
        assert_eq!(
            status(&server, name, host).await,
            expected,
            "{host} on {name}"
        );
    }
    assert_eq!(server.metrics.limit_count(Limit::Misdirected), 9);
}

#[tokio::test]
async fn http_1_is_told_the_same_and_may_go_on_elsewhere() {
    let (server, [_, exact_root, _]) = three_certificates().await;
    let config = client_config(&[exact_root], &[&TLS13], &[b"http/1.1"]);
    let stream = connect_tls(server.https[0], "shop.example", config.clone()).await;
    let (mut sender, _connection) = http1(stream.unwrap()).await;
    let mut request = get("/");
    let host = "fr.site.example".parse().unwrap();
    request.headers_mut().insert("host", host);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 421);
    let told = text(response).await;
    assert!(told.contains("open another"), "{told}");
    let stream = connect_tls(server.https[0], "shop.example", config).await;
    let (mut sender, _connection) = http1(stream.unwrap()).await;
    let mut request = get("/ok");
    let host = "shop.example".parse().unwrap();
    request.headers_mut().insert("host", host);
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn one_certificate_is_for_every_host() {
    let (only, _) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![only], MinVersion::Tls12)).await;
    for (name, host) in [
        ("a.example", "b.example"),
        ("b.example", "c.example"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        assert_eq!(status(&server, name, host).await, 200, "{host} on {name}");
    }
}

#[tokio::test]
async fn plaintext_has_no_certificate_to_be_held_to() {
    let server = start(settings(short_limits())).await;
    for host in ["a.example", "127.0.0.1"] {
        let (mut sender, _connection) = http2(server.raw().await).await;
        let response = sender.send_request(get(&format!("http://{host}/"))).await;
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_connection_is_held_to_the_certificate_it_was_given() {
    let (server, [_, exact_root, _]) = three_certificates().await;
    let config = client_config(&[exact_root], &[&TLS13], &[b"h2"]);
    let stream = connect_tls(server.https[0], "shop.example", config).await;
    let (mut sender, _connection) = http2(stream.unwrap()).await;
    let response = sender.send_request(get("https://shop.example/")).await;
    assert_eq!(response.unwrap().status(), 200);
    let (new, _) = certificate(&["www.example"], &[]);
    let (shop, _) = certificate(&["shop.example"], &[]);
    let certificates = server.certificates.clone().unwrap();
    certificates.replace(&[new, shop]).await.unwrap();
    let response = sender.send_request(get("https://de.site.example/")).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(
        status(&server, "shop.example", "de.site.example").await,
        421
    );
}
