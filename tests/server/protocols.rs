//! TLS and HTTP versions, certificates by server name, redirects, binding.

use cms_edge::server::tls::{self, Certificate, MinVersion, Pem, TlsError};
use cms_edge::server::{BindError, HttpMode, Settings, bind};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::anything::Anything;
use crate::support::*;

#[tokio::test]
async fn both_http_versions_are_served_over_both_tls_versions() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls12)).await;
    for version in [&TLS12, &TLS13] {
        let config = |alpn: &[&[u8]]| client_config(std::slice::from_ref(&root), &[version], alpn);
        let connect = |alpn| connect_tls(server.https[0], "a.example", alpn);
        let stream = connect(config(&[b"h2", b"http/1.1"])).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut client, _connection) = http2(stream).await;
        let response = client.send_request(get("https://a.example/connection"));
        let local = server.https[0];
        assert_eq!(
            text(response.await.unwrap()).await,
            format!("https a.example {local}")
        );
        for alpn in [&[&b"http/1.1"[..]][..], &[]] {
            let (mut client, _connection) = http1(connect(config(alpn)).await.unwrap()).await;
            for _ in 0..2 {
                client.ready().await.unwrap();
                let response = client.send_request(get("/hello")).await.unwrap();
                assert_eq!(text(response).await, "GET /hello");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_is_too_old_is_refused() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls13)).await;
    let roots = [root];
    let old = connect_tls(
        server.https[0],
        "a.example",
        client_config(&roots, &[&TLS12], &[]),
    );
    assert!(old.await.is_err());
    let new = connect_tls(
        server.https[0],
        "a.example",
        client_config(&roots, &[&TLS13], &[]),
    );
    assert!(new.await.is_ok());
}

#[tokio::test]
async fn the_certificate_is_chosen_by_server_name() {
    let (first, first_root) = certificate(&["first.example"], &[]);
    let (exact, exact_root) = certificate(&["de.site.example", "www.site.example"], &[]);
    let (wild, wild_root) = certificate(&["*.site.example", "other.example"], &[]);
    let (given, given_root) = certificate(&["cert.example"], &["*.given.example"]);
    let server = start(https_settings(
        vec![first, exact, wild, given],
        MinVersion::Tls12,
    ))
    .await;
    let shown = async |name: &str| {
        let mut config = client_config(&[], &[&TLS13], &[]);
        config
            .dangerous()
            .set_certificate_verifier(std::sync::Arc::new(Anything));
        let stream = connect_tls(server.https[0], name, config).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    for (name, root) in [
        ("first.example", &first_root),
        ("de.site.example", &exact_root),
        ("DE.SITE.example", &exact_root),
        ("fr.site.example", &wild_root),
        ("other.example", &wild_root),
        ("a.fr.site.example", &first_root),
        ("site.example", &first_root),
        ("x.given.example", &given_root),
        ("cert.example", &first_root),
        ("127.0.0.1", &first_root),
    ] {
        assert_eq!(&shown(name).await, root, "{name}");
    }
}

#[tokio::test]
async fn certificates_are_replaced_without_a_restart() {
    let (old, old_root) = certificate(&["a.example"], &[]);
    let (new, new_root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![old], MinVersion::Tls12)).await;
    let connect = |root| {
        let config = client_config(&[root], &[&TLS13], &[b"http/1.1"]);
        connect_tls(server.https[0], "a.example", config)
    };
    let (mut before, _connection) = http1(connect(old_root.clone()).await.unwrap()).await;
    let certificates = server.certificates.clone().unwrap();
    certificates.replace(&[new]).await.unwrap();
    assert!(connect(new_root.clone()).await.is_ok());
    assert!(connect(old_root).await.is_err());
    let response = before.send_request(get("/still")).await.unwrap();
    assert_eq!(text(response).await, "GET /still");

    assert!(certificates.replace(&[]).await.is_err());
    assert!(connect(new_root).await.is_ok());
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_its_session() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls12)).await;
    for version in [&TLS12, &TLS13] {
        let roots = std::slice::from_ref(&root);
        let config = client_config(roots, &[version], &[b"http/1.1"]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let stream = connect_tls(server.https[0], "a.example", config.clone());
            let stream = stream.await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
            // The tickets come with the first answer.
            let (mut client, _connection) = http1(stream).await;
            text(client.send_request(get("/")).await.unwrap()).await;
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let (good, _) = certificate(&["a.example"], &[]);
    let (other, _) = certificate(&["a.example"], &[]);
    let (nameless, _) = certificate(&[], &[]);
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.pem");
    let garbage = dir.path().join("garbage.pem");
    std::fs::write(&garbage, "no PEM at all").unwrap();
    let load = async |certificates: &[Certificate]| {
        let error = tls::Certificates::load(certificates).await.unwrap_err();
        (error.to_string(), error)
    };
    let with = |cert_pem: &Pem, key_pem: &Pem, hosts: &[&str]| Certificate {
        cert_pem: cert_pem.clone(),
        key_pem: key_pem.clone(),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
    };

    let (text, error) = load(&[with(&Pem::File(missing.clone()), &good.key_pem, &[])]).await;
    assert!(matches!(error, TlsError::Read { .. }));
    assert!(text.contains(missing.to_str().unwrap()), "{text}");
    let (text, error) = load(&[with(&Pem::File(garbage.clone()), &good.key_pem, &[])]).await;
    assert!(matches!(error, TlsError::NoCertificate(_)));
    assert!(text.contains(garbage.to_str().unwrap()), "{text}");
    let (_, error) = load(&[with(&good.cert_pem, &Pem::File(garbage), &[])]).await;
    assert!(matches!(error, TlsError::NoKey(_)));
    let (_, error) = load(&[with(&good.cert_pem, &good.cert_pem, &[])]).await;
    assert!(matches!(error, TlsError::NoKey(_)));
    let (_, error) = load(&[with(&good.cert_pem, &other.key_pem, &[])]).await;
    assert!(matches!(error, TlsError::Mismatch { .. }));
    let (_, error) = load(&[good.clone(), nameless.clone()]).await;
    assert!(matches!(error, TlsError::NoNames(_)));
    let (_, error) = load(&[with(&good.cert_pem, &good.key_pem, &["a b"])]).await;
    assert!(matches!(error, TlsError::Host { .. }));
    let (_, error) = load(&[]).await;
    assert!(matches!(error, TlsError::NoCertificates));
    assert!(tls::Certificates::load(&[nameless]).await.is_ok());
}

#[tokio::test]
async fn plaintext_speaks_http_1_and_with_prior_knowledge_http_2() {
    let server = start(settings(short_limits())).await;
    let (mut client, _connection) = http2(server.raw().await).await;
    let response = client.send_request(get("http://a.example/two")).await;
    assert_eq!(text(response.unwrap()).await, "GET /two");
    let (mut client, _connection) = http1(server.raw().await).await;
    let response = client.send_request(get("/one")).await.unwrap();
    assert_eq!(text(response).await, "GET /one");
}

#[tokio::test]
async fn plaintext_is_redirected_when_told_so() {
    let server = start(Settings {
        http_mode: HttpMode::Redirect { port: 8443 },
        ..settings(short_limits())
    })
    .await;
    let get = b"GET /a?b=c HTTP/1.1\r\nHost: x.example:80\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.http[0], get).await;
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    assert!(answer.contains("\r\nlocation: https://x.example:8443/a?b=c\r\n"));
    let post =
        b"POST / HTTP/1.1\r\nHost: x.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let answer = exchange(server.http[0], post).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    let answer = exchange(server.http[0], b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = start(settings(short_limits())).await;
    let mut settings = settings(short_limits());
    settings.http.push(server.http[0]);
    let metrics = std::sync::Arc::clone(&server.metrics);
    let error = bind(settings, metrics).await.err().unwrap();
    let BindError::Listen { address, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*address, server.http[0]);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn https_without_a_certificate_is_refused() {
    let mut settings = settings(short_limits());
    settings.https = vec![loopback()];
    let metrics = std::sync::Arc::new(cms_edge::telemetry::server::ServerMetrics::unregistered());
    let error = bind(settings, metrics).await.err().unwrap();
    assert!(matches!(error, BindError::NoTls(_)), "{error}");
}
