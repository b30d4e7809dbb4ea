//! Certificates of both sides, and session resumption.

use cms_edge::fetch::{Identity, Kind, SetupError};
use http::Uri;
use rustls::HandshakeKind;
use support::authority::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn identity(authority: &Authority) -> Identity {
    let (certificate, key) = authority.issue("edge.example.org");
    Identity {
        chain: vec![certificate],
        key: Arc::new(key.into()),
        key_path: "key.pem".into(),
    }
}

#[tokio::test]
async fn a_server_that_asks_who_connects_is_shown_the_client_certificate() {
    let authority = Authority::new();
    let config = authority.server_for_known_clients("localhost");
    let origin = Origin::start_tls(config, |_| async { Reply::ok("for friends") }).await;
    let mut stage = Stage::at(origin.uri());
    stage.settings.ca = Some(vec![authority.certificate()]);
    assert_eq!(
        failure(&stage.upstream(), request("/")).await.kind,
        Kind::Tls
    );
    stage.settings.connecting.identity = Some(identity(&Authority::new()));
    assert_eq!(
        failure(&stage.upstream(), request("/")).await.kind,
        Kind::Tls
    );
    stage.settings.connecting.identity = Some(identity(&authority));
    assert_eq!(get(&stage.upstream(), "/").await.unwrap(), "for friends");
}

#[test]
fn a_client_certificate_with_another_ones_key_is_refused_in_a_sentence() {
    let authority = Authority::new();
    let server: Uri = "https://cms".parse().unwrap();
    let mut stage = Stage::at(server);
    stage.settings.ca = Some(vec![authority.certificate()]);
    let mut mixed = identity(&authority);
    mixed.key = identity(&authority).key;
    stage.settings.connecting.identity = Some(mixed);
    let made = Upstream::new("cms", stage.settings, stage.metrics);
    let error: SetupError = made.err().unwrap();
    let expected = "the client certificate cannot be used with the key in key.pem";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_given_name_is_asked_for_and_checked_instead_of_the_host() {
    let authority = Authority::new();
    for (given, expected) in [
        (Some("cms.internal"), None),
        (Some("other.internal"), Some(Kind::Tls)),
        (None, Some(Kind::Tls)),
    ] {
        let config = authority.server("cms.internal");
        let origin = Origin::start_tls(config, |_| async { Reply::ok("named") }).await;
        let mut stage = Stage::at(origin.uri());
        stage.settings.ca = Some(vec![authority.certificate()]);
        stage.settings.connecting.server_name = given.map(|name| name.try_into().unwrap());
        let outcome = stage.upstream().send(request("/")).await;
        assert_eq!(outcome.err().map(|error| error.kind), expected, "{given:?}");
    }
}

#[tokio::test]
async fn tls_sessions_are_resumed() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server("localhost"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kinds = tokio::spawn(async move {
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut tls = acceptor.accept(tcp).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tls.read_u8().await.unwrap());
            }
            kinds.push(tls.get_ref().1.handshake_kind());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            tls.write_all(answer).await.unwrap();
            tls.shutdown().await.unwrap();
        }
        kinds
    });
    let server: Uri = format!("https://localhost:{port}").parse().unwrap();
    let mut stage = Stage::at(server);
    stage.settings.ca = Some(vec![authority.certificate()]);
    let upstream = stage.upstream();
    for _ in 0..2 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "ok");
    }
    let kinds = timeout(PATIENCE, kinds).await.unwrap().unwrap();
    assert_eq!(
        kinds.last(),
        Some(&Some(HandshakeKind::Resumed)),
        "{kinds:?}"
    );
}
