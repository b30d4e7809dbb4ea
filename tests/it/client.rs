//! Who the client is, as the origin, the access rules and the operator see it.

use std::sync::Arc;

use cms_edge::app::{App, Surroundings};
use cms_edge::config;
use http::{Method, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::authority::Authority;
use crate::support::origin::{Origin, PATIENCE, Reply};
use crate::support::program::Program;
use crate::support::stage::Stage;

const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";

/// Says in its content what it was told of the client.
async fn telling() -> Origin {
    Origin::start(|request| async move {
        let field = |name: &str| {
            let lines = request.headers.get_all(name).iter();
            let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap()).collect();
            lines.join(" + ")
        };
        let told = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ];
        let told: Vec<String> = told.iter().map(|name| field(name)).collect();
        Reply::ok(told.join("|")).header("cache-control", "no-store")
    })
    .await
}

const CLAIMS: &[(&str, &str)] = &[
    ("x-forwarded-for", "198.51.100.9, 192.0.2.1, 10.0.0.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.example"),
    ("forwarded", "for=203.0.113.5;host=evil.example"),
];

#[tokio::test]
async fn the_origin_is_told_of_the_client_anew() {
    let origin = telling().await;
    for (server, expected) in [
        (
            TRUSTING,
            "for=192.0.2.1;host=www.example.test;proto=https|192.0.2.1|https|www.example.test",
        ),
        (
            "trusted_proxies = [\"127.0.0.1\"]\ntrusted_header = \"forwarded\"",
            "for=203.0.113.5;host=www.example.test;proto=http|203.0.113.5|http|www.example.test",
        ),
        (
            "",
            "for=127.0.0.1;host=www.example.test;proto=http|127.0.0.1|http|www.example.test",
        ),
        (
            "trusted_proxies = [\"192.0.2.0/24\"]",
            "for=127.0.0.1;host=www.example.test;proto=http|127.0.0.1|http|www.example.test",
        ),
    ] {
        let stage = Stage::start_with(&origin, server, "").await;
        assert_eq!(stage.get("/", CLAIMS).await.text(), expected, "{server}");
    }
    let stage = Stage::start_with(&origin, TRUSTING, "").await;
    let unnamed = stage.get("/", &[("x-forwarded-for", "unknown")]).await;
    let expected = "for=unknown;host=www.example.test;proto=http|unknown|http|www.example.test";
    assert_eq!(unnamed.text(), expected);
}

#[tokio::test]
async fn both_schemes_of_a_page_are_two_entries() {
    let origin = Origin::start(|request| async move {
        let proto = request.headers["x-forwarded-proto"].to_str().unwrap();
        Reply::ok(proto.to_owned()).header("cache-control", "max-age=60")
    })
    .await;
    let stage = Stage::start_with(&origin, TRUSTING, "").await;
    for round in 0..2 {
        for scheme in ["http", "https"] {
            let fields = [
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-proto", scheme),
            ];
            let answer = stage.get("/a", &fields).await;
            assert_eq!(answer.text(), scheme);
            assert_eq!(answer.is_hit(), round > 0, "{scheme}");
        }
    }
}

#[tokio::test]
async fn purges_go_by_the_client_and_not_by_its_proxy() {
    const PURGE: &str = "[purge]\nprotocols = true\nallow_from = [\"127.0.0.1\", \"192.0.2.0/24\"]";
    let origin = telling().await;
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let status = async |stage: &Stage, fields: &[(&str, &str)]| {
        stage.send(purge.clone(), "/a", fields, "").await.status
    };
    let stage = Stage::start_with(&origin, TRUSTING, PURGE).await;
    for (fields, expected) in [
        (&[][..], StatusCode::OK),
        (&[("x-forwarded-for", "192.0.2.1")], StatusCode::OK),
        (
            &[("x-forwarded-for", "192.0.2.1, 10.0.0.7")],
            StatusCode::OK,
        ),
        (
            &[("x-forwarded-for", "198.51.100.9")],
            StatusCode::FORBIDDEN,
        ),
        // The client's inventions in front of its own address.
        (
            &[("x-forwarded-for", "127.0.0.1, 198.51.100.9")],
            StatusCode::FORBIDDEN,
        ),
        (
            &[("x-forwarded-for", "127.0.0.1, unknown")],
            StatusCode::FORBIDDEN,
        ),
        (&[("x-forwarded-proto", "https")], StatusCode::FORBIDDEN),
    ] {
        assert_eq!(status(&stage, fields).await, expected, "{fields:?}");
    }
    let alone = "[purge]\nprotocols = true\nallow_from = [\"192.0.2.0/24\"]";
    let stage = Stage::start_with(&origin, "", alone).await;
    let claim = [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
    ];
    assert_eq!(status(&stage, &claim).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_page_for_one_address_is_for_nobody_else() {
    let origin = Origin::start(|request| async move {
        let of = request.headers["x-forwarded-for"].to_str().unwrap();
        let varies_by = match request.target.as_str() {
            "/by-address" => "X-Forwarded-For",
            "/by-forwarded" => "Forwarded",
            _ => "X-Forwarded-Proto, X-Forwarded-Host",
        };
        Reply::ok(of.to_owned())
            .header("cache-control", "max-age=60")
            .header("vary", varies_by)
    })
    .await;
    let stage = Stage::start_with(&origin, TRUSTING, "").await;
    for path in ["/by-address", "/by-forwarded"] {
        for client in ["192.0.2.1", "192.0.2.2"] {
            let answer = stage.get(path, &[("x-forwarded-for", client)]).await;
            assert_eq!(answer.text(), client, "{path}");
            let status = answer.cache_status();
            assert!(status.contains("vary-client"), "{status}");
        }
        assert_eq!(stage.get(path, &[]).await.text(), "127.0.0.1", "{path}");
    }
    // Scheme and host are in the key, and nobody makes copies by inventing them.
    let first = stage
        .get("/by-scheme", &[("x-forwarded-for", "192.0.2.1")])
        .await;
    assert_eq!(first.text(), "192.0.2.1");
    for host in ["a", "b"] {
        let fields = [("x-forwarded-for", "192.0.2.2"), ("x-forwarded-host", host)];
        let answer = stage.get("/by-scheme", &fields).await;
        assert!(answer.is_hit(), "{}", answer.cache_status());
    }
}

#[tokio::test]
async fn the_access_log_names_the_client_and_not_its_proxies() {
    let origin = telling().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\n\
         proxy_protocol_from = [\"127.0.0.0/8\"]\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n",
        origin.uri().to_string().trim_end_matches('/')
    );
    let mut program = Program::serve(folder.path(), &text).await;
    for from in ["192.0.2.8", "10.0.0.7", "127.0.0.1"] {
        let mut stream = TcpStream::connect(program.http[0]).await.unwrap();
        let request = format!(
            "PROXY TCP4 {from} 127.0.0.1 4711 80\r\nGET /{from} HTTP/1.1\r\nHost: a.example\r\n\
             X-Forwarded-For: 127.0.0.1, 192.0.2.9\r\nX-Forwarded-Proto: https\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    program.terminate().await;
    assert!(program.ended().await.success());
    let logged: Vec<String> = program.lines().iter().map(|line| logged(line)).collect();
    assert_eq!(
        logged,
        [
            "/192.0.2.8 http 192.0.2.8",
            // A proxy behind the load balancer, which may speak for its own clients.
            "/10.0.0.7 https 192.0.2.9",
            "/127.0.0.1 http 127.0.0.1",
        ]
    );
}

fn logged(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    [text("path"), text("scheme"), text("client")].join(" ")
}

#[tokio::test]
async fn the_admin_listener_may_ask_for_client_certificates() {
    let origin = telling().await;
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (cert, key) = authority.issue_pem("admin.example");
    std::fs::write(folder.path().join("admin.pem"), cert).unwrap();
    std::fs::write(folder.path().join("admin.key"), key).unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let text = format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"admin.pem\"\ntls_key = \"admin.key\"\n\
         client_ca = \"ca.pem\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n",
        origin.uri().to_string().trim_end_matches('/')
    );
    let config = config::parse(&text, "stage.toml", folder.path(), []).unwrap();
    let app = App::bind(&config, Surroundings::default()).await.unwrap();
    let admin = app.admin()[0];
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(app.serve(async {
        let _told = stopped.await;
    }));
    let ask = async |client: Option<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>)>| {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            Some((cert, key)) => builder
                .with_client_auth_cert(vec![cert], key.into())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(admin).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = "admin.example".try_into().unwrap();
        let mut stream = connector.connect(name, stream).await.ok()?;
        let request = b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        timeout(PATIENCE, read).await.unwrap().ok()?;
        Some(String::from_utf8(answer).unwrap())
    };
    // Of 1 January 4096, where no other is asked for.
    let end = "cms_edge_tls_certificate_not_after_seconds{listeners=\"admin\"} 67090118400";
    let shown = async {
        loop {
            let metrics = ask(Some(authority.issue("operator"))).await.unwrap();
            assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
            if metrics.contains(end) {
                break;
            }
        }
    };
    timeout(PATIENCE, shown).await.expect("the end is shown");
    assert_eq!(ask(Some(stranger.issue("operator"))).await, None);
    assert_eq!(ask(None).await, None);
}
