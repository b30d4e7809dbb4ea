//! What a reload changes, and what it leaves.

use std::path::Path;

use http::Method;
use rustls::version::TLS13;
use rustls_pki_types::CertificateDer;
use serde_json::Value;

use crate::edge::{Edge, config};
use crate::support::client::Client;
use crate::support::origin::{Origin, Reply};
use crate::support::stage::Answer;

async fn origin() -> Origin {
    Origin::start(|request| async move {
        let reply = Reply::ok(request.target).header("cache-control", "max-age=600");
        reply.header("etag", "\"1\"")
    })
    .await
}

async fn reload(edge: &Edge) -> Answer {
    edge.admin(Method::POST, "/reload").await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn what_is_stored_stays_stored() {
    let origin = origin().await;
    let edge = Edge::start(&config(&origin, "", "")).await;
    edge.get("/a").await;
    edge.write(&config(
        &origin,
        "request_body_max = \"1KiB\"",
        "ttl = \"1m\"",
    ));
    assert_eq!(json(&reload(&edge).await)["outcome"], "ok");
    assert!(edge.get("/a").await.is_hit());
    assert_eq!(origin.hits(), 1);
    edge.get("/b").await;
    assert_eq!(origin.connections(), 1, "the upstream kept its connection");
}

#[tokio::test]
async fn what_was_stored_by_other_rules_is_a_miss() {
    let origin = origin().await;
    let rules = [
        "",
        "[route.query]\nkeep = [\"page\"]",
        "[route.language]\nsupported = [\"en\", \"de\"]\ndefault = \"en\"",
        "tags = [\"all\"]",
        "vary_ignore = [\"X-A\"]",
        "key_headers = [\"X-A\"]",
    ];
    let edge = Edge::start(&config(&origin, "", rules[0])).await;
    for (round, rule) in rules.iter().enumerate() {
        edge.write(&config(&origin, "", rule));
        let answer = reload(&edge).await;
        assert_eq!(answer.status, 200, "{rule}: {}", answer.text());
        assert!(!edge.get("/a").await.is_hit(), "{rule}");
        assert!(edge.get("/a").await.is_hit(), "{rule}");
        assert_eq!(origin.hits(), round + 1, "{rule}");
    }
    // Back to the first: what was stored by it is still there.
    edge.write(&config(&origin, "", rules[0]));
    reload(&edge).await;
    assert!(edge.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_purge_covers_what_was_stored_before_a_reload() {
    let origin = origin().await;
    let rules = ["", "tags = [\"all\"]"];
    let text = |rule| config(&origin, "[purge]\nprotocols = true", rule);
    let edge = Edge::start(&text(rules[0])).await;
    edge.get("/a").await;
    edge.write(&text(rules[1]));
    reload(&edge).await;
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let answer = edge.ask(purge, "/a").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    edge.write(&text(rules[0]));
    reload(&edge).await;
    assert!(!edge.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_reload_with_mistakes_changes_nothing_and_tells_each() {
    let origin = origin().await;
    let edge = Edge::start(&config(&origin, "", "")).await;
    edge.get("/a").await;
    edge.write(&config(
        &origin,
        "workerz = 3",
        "ttl = \"soon\"\n[route.query]\nkeep = [\"x\"]",
    ));
    let answer = reload(&edge).await;
    assert_eq!(answer.status, 422);
    let mistakes = json(&answer)["mistakes"].as_array().unwrap().len();
    assert_eq!(mistakes, 2, "{}", answer.text());
    edge.signal("HUP").await;
    edge.logged("the refusals", 2, &["reload refused"]).await;
    for key in ["server.workerz", "route[0].ttl"] {
        assert_eq!(edge.lines(&["ERROR", "proxy.toml:", key]).len(), 2, "{key}");
    }
    assert_eq!(
        edge.metric("cms_edge_config_reloads_total{outcome=\"mistakes\"}")
            .await,
        2
    );
    assert_eq!(
        edge.metric("cms_edge_config_last_reload_successful").await,
        0
    );
    assert!(edge.get("/a").await.is_hit());
    edge.write(&config(&origin, "", ""));
    assert_eq!(reload(&edge).await.status, 200);
    assert_eq!(
        edge.metric("cms_edge_config_last_reload_successful").await,
        1
    );
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_takes_effect() {
    let origin = origin().await;
    let edge = Edge::start(&config(&origin, "", "")).await;
    let text = config(
        &origin,
        "workers = 3\ndrain = \"1s\"",
        "ttl_mode = \"override\"\nttl = \"7s\"",
    );
    edge.write(&text);
    let answer = json(&reload(&edge).await);
    let keys = serde_json::json!(["server.drain", "server.workers"]);
    assert_eq!(answer["needs_restart"], keys);
    let told = edge.lines(&["WARN", "needs a restart: server.drain, server.workers"]);
    assert_eq!(told.len(), 1);
    assert!(edge.get("/a").await.cache_status().ends_with("ttl=7"));
}

#[tokio::test]
async fn reload_needs_the_token_and_the_method() {
    let origin = origin().await;
    let edge = Edge::start(&config(&origin, "", "")).await;
    assert_eq!(edge.admin(Method::GET, "/reload").await.status, 405);
    let stranger = crate::edge::ask(edge.admin, Method::POST, "/reload", None).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(
        edge.metric("cms_edge_config_reloads_total{outcome=\"ok\"}")
            .await,
        0
    );
}

#[tokio::test]
async fn a_file_that_is_watched_is_taken_over_when_it_has_changed() {
    let origin = origin().await;
    let text = |ttl| {
        let route = format!("ttl_mode = \"override\"\nttl = \"{ttl}s\"");
        config(&origin, "watch = true", &route)
    };
    let edge = Edge::start(&text(5)).await;
    assert!(edge.get("/a").await.cache_status().ends_with("ttl=5"));
    // As editors and configuration managers write: another file in its place.
    let new = edge.folder.path().join("new.toml");
    std::fs::write(&new, text(6)).unwrap();
    std::fs::rename(&new, edge.file()).unwrap();
    edge.logged("the reload", 1, &["the configuration was reloaded", "file"])
        .await;
    assert!(edge.get("/b").await.cache_status().ends_with("ttl=6"));
}

/// Writes a new certificate and its key to `folder`.
fn renew(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["www.example.test".to_owned()]).unwrap();
    std::fs::write(folder.join("a.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("a.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

#[tokio::test]
async fn certificates_are_replaced_with_the_rest_or_nothing_is() {
    let origin = origin().await;
    let folder = tempfile::TempDir::new().unwrap();
    let certificate = "[[certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n";
    let text = |ttl| {
        let route = format!("ttl_mode = \"override\"\nttl = \"{ttl}s\"\n{certificate}");
        config(&origin, "https = [\"127.0.0.1:0\"]", &route)
    };
    let old = renew(folder.path());
    let command = crate::edge::command(folder.path());
    let edge = Edge::spawn(folder, &text(5), command).await;
    let to = edge.https.unwrap();
    let client = |root: &CertificateDer<'static>| Client {
        version: &TLS13,
        protocol: "h2",
        roots: vec![root.clone()],
    };
    let shows = async |root| client(root).connect(to, "www.example.test").await.is_ok();
    assert!(shows(&old).await);
    // A key of another certificate: that is found when both are used.
    let key = std::fs::read(edge.folder.path().join("a.key")).unwrap();
    let new = renew(edge.folder.path());
    let new_key = std::fs::read(edge.folder.path().join("a.key")).unwrap();
    std::fs::write(edge.folder.path().join("a.key"), key).unwrap();
    edge.write(&text(6));
    let answer = reload(&edge).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(shows(&old).await);
    assert!(edge.get("/a").await.cache_status().ends_with("ttl=5"));
    std::fs::write(edge.folder.path().join("a.key"), new_key).unwrap();
    assert_eq!(reload(&edge).await.status, 200);
    assert!(shows(&new).await && !shows(&old).await);
    let answer = client(&new).get(to, "www.example.test", "/b").await;
    assert!(answer.cache_status().ends_with("ttl=6"));
}
