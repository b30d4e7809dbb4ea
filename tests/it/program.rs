//! The program as it is started in production: TLS by its configuration, signals, exit codes, logs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::client::Client;
use crate::support::origin::{Origin, PATIENCE, Reply};
use crate::support::program::{Program, command};
use crate::support::script::{script, until};
use crate::support::stage::{Answer, exchange, whole};

/// `server` follows `[server]`; `rest` comes last.
fn config(origin: &Origin, server: &str, rest: &str) -> String {
    format!(
        "[server]\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n{rest}",
        origin.uri().to_string().trim_end_matches('/')
    )
}

const PLAIN: &str = "http = [\"127.0.0.1:0\"]";

/// Writes a certificate for `name` and its key, and returns it with the table that names both.
fn certificate(folder: &Path, name: &str) -> (CertificateDer<'static>, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    std::fs::write(folder.join(format!("{name}.key")), key).unwrap();
    let table = format!("[[certificate]]\ncert = \"{name}.pem\"\nkey = \"{name}.key\"\n");
    (made.cert.der().clone(), table)
}

async fn plain(to: SocketAddr, method: Method, path: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "www.example.test")
        .body(Full::<Bytes>::default())
        .unwrap();
    whole(exchange(to, request).await).await
}

#[tokio::test]
async fn all_of_tls_and_http_share_one_cache_with_a_certificate_for_each_host() {
    let origin = Origin::start(|request| async move {
        let proto = request.header("x-forwarded-proto").unwrap_or_default();
        Reply::ok(format!("{proto} {}", request.header("host").unwrap()))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let (a, a_table) = certificate(folder.path(), "a.example.test");
    let (b, b_table) = certificate(folder.path(), "b.example.test");
    let listeners = "http = []\nhttps = [\"127.0.0.1:0\"]";
    let text = config(&origin, listeners, &format!("{a_table}{b_table}"));
    let program = Program::serve(folder.path(), &text).await;
    for (host, root, other) in [("a.example.test", &a, &b), ("b.example.test", &b, &a)] {
        let mut asked = 0;
        for version in [&TLS12, &TLS13] {
            for protocol in ["http/1.1", "h2"] {
                let client = |root: &CertificateDer<'static>| Client {
                    version,
                    protocol,
                    roots: vec![root.clone()],
                };
                let answer = client(root).get(program.https[0], host, "/x").await;
                assert_eq!(answer.text(), format!("https {host}"));
                assert_eq!(answer.is_hit(), asked > 0, "{host} {protocol}");
                asked += 1;
                // Only its own certificate is shown for a host.
                let wrong = client(other).connect(program.https[0], host).await;
                assert!(wrong.is_err(), "{host}");
            }
        }
    }
    assert_eq!(origin.hits(), 2, "one for each host");
}

#[tokio::test]
async fn pages_are_redirected_to_https_and_purges_are_not() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    let folder = TempDir::new().unwrap();
    let (root, table) = certificate(folder.path(), "www.example.test");
    let listeners = "http = [\"127.0.0.1:0\"]\nhttps = [\"127.0.0.1:0\"]\n\
                     http_mode = \"redirect\"\nredirect_port = 8443";
    let rest = format!(
        "{table}[purge]\nprotocols = true\n\
         [[webhook]]\nname = \"cms\"\npath = \"/_hook\"\ndialect = \"strapi\"\n\
         secrets = [\"a-token-of-the-webhook\"]\n\
         [[webhook.rule]]\nevents = [\"entry.*\"]\neverything = true\n"
    );
    let program = Program::serve(folder.path(), &config(&origin, listeners, &rest)).await;
    let client = Client {
        version: &TLS13,
        protocol: "h2",
        roots: vec![root],
    };
    let secure = async || client.get(program.https[0], "www.example.test", "/a").await;
    secure().await;
    assert!(secure().await.is_hit());
    for (method, status) in [(Method::GET, 301), (Method::HEAD, 301), (Method::POST, 308)] {
        let answer = plain(program.http[0], method, "/a?b=c").await;
        assert_eq!(answer.status.as_u16(), status);
        let location = "https://www.example.test:8443/a?b=c";
        assert_eq!(answer.field("location"), location);
    }
    assert_eq!(origin.hits(), 1);
    // Wagtail sends its PURGE of an https page over http, and follows nothing.
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let answer = plain(program.http[0], purge, "/a").await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert!(!secure().await.is_hit());
    let unsigned = plain(program.http[0], Method::POST, "/_hook").await;
    assert_eq!(unsigned.status.as_u16(), 401, "answered, not redirected");
}

#[tokio::test]
async fn sigterm_drains_what_was_accepted_and_readiness_says_so() {
    let (origin, mut script) = script().await;
    let folder = TempDir::new().unwrap();
    let (root, table) = certificate(folder.path(), "www.example.test");
    let listeners = "http = [\"127.0.0.1:0\"]\nhttps = [\"127.0.0.1:0\"]";
    let text = config(&origin, listeners, &table);
    let mut program = Program::serve(folder.path(), &text).await;
    let ready = async || plain(program.admin, Method::GET, "/readyz").await;
    until("readiness", async || ready().await.status == 200).await;
    assert_eq!(
        ready().await.text(),
        "ready
"
    );

    let mut clients = Vec::new();
    for number in 0..24 {
        let path = format!("/{number}");
        let (http, https) = (program.http[0], program.https[0]);
        let root = root.clone();
        clients.push(tokio::spawn(async move {
            let protocol = ["", "http/1.1", "h2"][number % 3];
            if protocol.is_empty() {
                return plain(http, Method::GET, &path).await.text();
            }
            let version = &TLS13;
            let roots = vec![root];
            let client = Client {
                version,
                protocol,
                roots,
            };
            client.get(https, "www.example.test", &path).await.text()
        }));
    }
    // All of them wait for the origin.
    let mut asked = Vec::new();
    for _ in 0..clients.len() {
        asked.push(script.asked().await);
    }
    program.terminate().await;
    let refuses = async |address| TcpStream::connect(address).await.is_err();
    let (http, https) = (program.http[0], program.https[0]);
    until("closed listeners", async || {
        refuses(http).await && refuses(https).await
    })
    .await;
    let draining = plain(program.admin, Method::GET, "/readyz").await;
    assert_eq!(
        (draining.status.as_u16(), &*draining.text()),
        (503, "draining\n")
    );
    let alive = plain(program.admin, Method::GET, "/healthz").await;
    assert_eq!(alive.status.as_u16(), 200);

    for asked in asked {
        let target = asked.request.target.clone();
        asked.answer(Reply::ok(target));
    }
    for (number, client) in clients.into_iter().enumerate() {
        assert_eq!(client.await.unwrap(), format!("/{number}"));
    }
    let status = program.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_request_that_reached_the_origin_was_answered() {
    let reached = Arc::new(Mutex::new(BTreeSet::new()));
    let origin = {
        let reached = Arc::clone(&reached);
        Origin::start(move |request| {
            reached.lock().insert(request.target.clone());
            async move { Reply::ok(request.target) }
        })
        .await
    };
    let folder = TempDir::new().unwrap();
    let mut program = Program::serve(folder.path(), &config(&origin, PLAIN, "")).await;
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let (number, ended) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut clients = Vec::new();
    for _ in 0..16 {
        let (answered, number, ended) = (
            Arc::clone(&answered),
            Arc::clone(&number),
            Arc::clone(&ended),
        );
        let to = program.http[0];
        clients.push(tokio::spawn(async move {
            // Until nothing is accepted any more.
            while let Ok(stream) = TcpStream::connect(to).await {
                let shook = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await;
                let Ok((mut sender, connection)) = shook else {
                    break;
                };
                tokio::spawn(connection);
                // Several requests a connection, until the edge closes it.
                while sender.ready().await.is_ok() {
                    let path = format!("/{}", number.fetch_add(1, SeqCst));
                    let request = Request::get(&path).header(HOST, "a").body(Full::default());
                    let Ok(response) = sender.send_request(request.unwrap()).await else {
                        break;
                    };
                    let answer = whole(response).await;
                    assert_eq!((answer.status.as_u16(), &*answer.text()), (200, &*path));
                    answered.lock().insert(path);
                }
                if ended.load(SeqCst) {
                    break;
                }
            }
        }));
    }
    until("load", async || answered.lock().len() > 500).await;
    program.terminate().await;
    let status = program.ended().await;
    ended.store(true, SeqCst);
    assert!(status.success(), "{status}");
    for client in clients {
        timeout(PATIENCE, client).await.unwrap().unwrap();
    }
    let (reached, answered) = (reached.lock(), answered.lock());
    let lost: Vec<_> = reached.difference(&answered).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", reached.len());
}

#[tokio::test]
async fn check_tells_every_mistake_and_exits_with_64() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    let mistaken = "[server]\nhttp = [\"nowhere\"]\nworkerz = 3\n\
                    [upstream.origin]\nservers = []\n\
                    [[route]]\nname = \"a\"\npath = \"relative\"\nupstream = \"other\"\nttl = \"soon\"\n";
    std::fs::write(&path, mistaken).unwrap();
    for verb in ["check", "serve"] {
        let arguments = [verb, "--config", path.to_str().unwrap()];
        let output = command(&arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(64), "{verb}");
        let told = String::from_utf8(output.stderr).unwrap();
        for (line, key) in [
            (2, "server.http"),
            (3, "server.workerz"),
            (5, "upstream.origin.servers"),
            (8, "route[0].path"),
            (9, "route[0].upstream"),
            (10, "route[0].ttl"),
        ] {
            let place = format!("proxy.toml:{line}: {key}");
            assert!(told.contains(&place), "{verb}: {place} in\n{told}");
        }
    }
    let defaults = command(&["defaults"]).output().await.unwrap();
    std::fs::write(&path, defaults.stdout).unwrap();
    let arguments = ["check", "--config", path.to_str().unwrap()];
    let output = command(&arguments).output().await.unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "the reference has no mistakes"
    );
    let missing = command(&["check", "--config", "/nowhere/proxy.toml"]);
    let output = { missing }.output().await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/nowhere/proxy.toml")
    );
}

#[tokio::test]
async fn the_demo_checks_its_own_story() {
    let arguments = [
        "demo",
        "--check",
        "--https-port=0",
        "--http-port=0",
        "--admin-port=0",
        "--cms-port=0",
    ];
    let output = timeout(PATIENCE * 6, command(&arguments).output()).await;
    let output = output.expect("an end").unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}\n{log}");
}

#[tokio::test]
async fn the_access_log_is_json_without_secrets_and_metrics_count_what_it_says() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    let folder = TempDir::new().unwrap();
    let mut program = Program::serve(folder.path(), &config(&origin, PLAIN, "")).await;
    const TIMES: usize = 40;
    let paths = [
        "/a?access_token=SECRET",
        "/a?b=SECRET",
        "/a?b=SECRET",
        "/%22quotes%22?x=SECRET",
        "/%0a?malformed=SECRET",
    ];
    for path in paths.iter().cycle().take(paths.len() * TIMES) {
        let request = Request::get(*path)
            .header(HOST, "www.example.test")
            .header("authorization", "")
            .header("user-agent", "agent \"of\" tests\t1")
            .header("referer", "https://a.example/?SECRET")
            .header("cookie", "sid=SECRET");
        let request = request.body(Full::default()).unwrap();
        whole(exchange(program.http[0], request).await).await;
    }
    let metrics = plain(program.admin, Method::GET, "/metrics").await;
    assert!(
        metrics
            .field("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(metrics.text().ends_with("# EOF\n"));
    program.terminate().await;
    assert!(program.ended().await.success());

    let lines = program.lines();
    assert_eq!(lines.len(), paths.len() * TIMES, "to the last line");
    let mut ids = BTreeSet::new();
    for line in &lines {
        assert!(!line.contains("SECRET"), "{line}");
        let line: Value = serde_json::from_str(line).expect(line);
        let is_routed = line["outcome"] != "refused";
        assert_eq!(is_routed, line["route"] == "all", "{line}");
        for name in [
            "time_ms", "id", "client", "method", "host", "path", "status", "route", "outcome",
        ] {
            assert!(!line[name].is_null(), "{name} in {line}");
        }
        assert_eq!(line["client"], "127.0.0.1");
        assert_eq!(line["user_agent"], "agent \"of\" tests\t1");
        ids.insert(line["id"].to_string());
    }
    assert_eq!(ids.len(), lines.len(), "each has an id of its own");
}
