//! What TLS connections agree on, who is let in, and what browsers are told to remember.

use std::sync::Arc;
use std::time::Duration;

use cms_edge::server::Settings;
use cms_edge::server::hsts::Hsts;
use cms_edge::server::tls::{Certificate, MinVersion, Pem, TlsError};
use cms_edge::server::{BindError, bind};
use cms_edge::telemetry::server::ServerMetrics;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::authority::Authority;
use crate::support::*;

#[tokio::test]
async fn the_key_exchange_withstands_quantum_computers_where_the_client_can() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls12)).await;
    let group = async |version, groups: &[NamedGroup]| {
        let mut provider = default_provider();
        provider
            .kx_groups
            .retain(|group| groups.contains(&group.name()));
        provider
            .kx_groups
            .sort_by_key(|group| group.name() != groups[0]);
        let config = client_of(provider, version, &root);
        let stream = connect_tls(server.https[0], "a.example", config).await;
        let stream = stream.unwrap();
        let group = stream.get_ref().1.negotiated_key_exchange_group();
        group.unwrap().name()
    };
    let hybrid = [NamedGroup::X25519MLKEM768];
    assert_eq!(group(&TLS13, &hybrid).await, NamedGroup::X25519MLKEM768);
    // As browsers offer it.
    let both = [NamedGroup::X25519MLKEM768, NamedGroup::X25519];
    assert_eq!(group(&TLS13, &both).await, NamedGroup::X25519MLKEM768);
    let classic = [NamedGroup::X25519, NamedGroup::secp256r1];
    assert_eq!(group(&TLS13, &classic).await, NamedGroup::X25519);
    assert_eq!(group(&TLS12, &classic).await, NamedGroup::X25519);
}

/// A client with what `provider` has, and nothing else.
fn client_of(
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
    root: &CertificateDer<'static>,
) -> ClientConfig {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth()
}

#[tokio::test]
async fn every_cipher_suite_authenticates_and_forgets() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls12)).await;
    for suite in default_provider().cipher_suites {
        let provider = CryptoProvider {
            cipher_suites: vec![suite],
            ..default_provider()
        };
        let version = match suite.version().version {
            ProtocolVersion::TLSv1_3 => &TLS13,
            _ => &TLS12,
        };
        let config = client_of(provider, version, &root);
        let name = format!("{:?}", suite.suite());
        // The test certificate has an ECDSA key.
        let is_usable = !name.contains("_RSA_");
        let outcome = connect_tls(server.https[0], "a.example", config).await;
        assert_eq!(outcome.is_ok(), is_usable, "{name}");
        let is_sound = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
        assert!(is_sound && !name.contains("CBC"), "{name}");
    }
}

#[tokio::test]
async fn the_server_chooses_the_suite() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(https_settings(vec![cert], MinVersion::Tls12)).await;
    for (version, expected) in [
        (&TLS13, "TLS13_AES_128_GCM_SHA256"),
        (&TLS12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ] {
        let mut provider = default_provider();
        for _ in 0..2 {
            provider.cipher_suites.reverse();
            let config = client_of(provider.clone(), version, &root);
            let stream = connect_tls(server.https[0], "a.example", config).await;
            let stream = stream.unwrap();
            let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap();
            assert_eq!(format!("{:?}", suite.suite()), expected);
        }
    }
}

async fn asks(
    server: &Running,
    root: &CertificateDer<'static>,
    client: Option<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>)>,
    version: &'static SupportedProtocolVersion,
) -> Option<String> {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(store);
    let config = match client {
        Some((cert, key)) => builder
            .with_client_auth_cert(vec![cert], key.into())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    let stream = connect_tls(server.https[0], "a.example", config)
        .await
        .ok()?;
    let (mut sender, _connection) = http1(stream).await;
    // With TLS 1.3 the client learns only now that it was refused.
    let response = soon(sender.send_request(get("/x"))).await.ok()?;
    Some(text(response).await)
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_are_let_in() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let (authority, other) = (Authority::new(), Authority::new());
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    let ca = Pem::Bytes(authority.pem().into_bytes());
    settings.tls.as_mut().unwrap().client_ca = Some(ca);
    let server = start(settings).await;
    for version in [&TLS12, &TLS13] {
        let member = asks(&server, &root, Some(authority.issue("operator")), version).await;
        assert_eq!(member.as_deref(), Some("GET /x"));
        let stranger = asks(&server, &root, Some(other.issue("operator")), version).await;
        assert_eq!(stranger, None);
        assert_eq!(asks(&server, &root, None, version).await, None);
    }
}

#[tokio::test]
async fn a_client_authority_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "nothing").unwrap();
    let (cert, _): (Certificate, _) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.tls.as_mut().unwrap().client_ca = Some(Pem::File(path.clone()));
    let metrics = Arc::new(ServerMetrics::unregistered());
    let error = bind(settings, metrics).await.err().unwrap();
    assert!(matches!(error, BindError::Tls(TlsError::NoCertificate(_))));
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn browsers_are_told_to_come_back_by_https_on_https_only() {
    let (cert, root) = certificate(&["a.example"], &[]);
    let server = start(Settings {
        http: vec![loopback()],
        hsts: Some(Hsts {
            max_age: Duration::from_secs(63_072_000),
            include_subdomains: true,
            preload: true,
        }),
        ..https_settings(vec![cert], MinVersion::Tls12)
    })
    .await;
    let config = client_config(&[root], &[&TLS13], &[b"h2"]);
    let stream = connect_tls(server.https[0], "a.example", config).await;
    let (mut sender, _connection) = http2(stream.unwrap()).await;
    let response = sender
        .send_request(get("https://a.example/"))
        .await
        .unwrap();
    let expected = "max-age=63072000; includeSubDomains; preload";
    assert_eq!(response.headers()["strict-transport-security"], expected);
    let (mut sender, _connection) = http1(server.raw().await).await;
    let response = sender.send_request(get("/")).await.unwrap();
    assert!(!response.headers().contains_key("strict-transport-security"));
}
