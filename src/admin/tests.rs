//! The admin API, request by request.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;
use crate::entry::purges::Purges;
use crate::exchange::{Generation, Position};
use crate::purge::local::LocalLog;
use crate::purge::target::{self, SortedQuery};

const TOKEN: &str = "an-admin-token";

struct Stage {
    purges: Arc<Purges>,
    readiness: Arc<Readiness>,
    metrics: PurgeMetrics,
    admin: Admin<LocalLog>,
}

fn stage(token: &str) -> Stage {
    let purges = Arc::new(Purges::new(Generation::new(0x4f)));
    let readiness = Arc::new(Readiness::starting());
    let mut registry = Registry::default();
    let metrics = PurgeMetrics::register(&mut registry);
    let clock = Arc::new(SystemClock);
    let log = LocalLog::new(Arc::clone(&purges), clock, "edge-1", metrics.clone());
    let admin = Admin::new(
        Settings {
            token: Token::new(token),
        },
        Arc::new(log),
        Targets::new(target::Settings::default(), Arc::new(SortedQuery)),
        Arc::new(registry),
        Arc::clone(&readiness),
        metrics.clone(),
    );
    Stage {
        purges,
        readiness,
        metrics,
        admin,
    }
}

impl Stage {
    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::full(body.to_owned())).unwrap();
        let (head, body) = self.admin.handle(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn position(&self) -> Position {
        self.purges.fence().position
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

#[tokio::test]
async fn a_purge_is_applied_when_its_receipt_is_given_and_can_be_asked_for() {
    let stage = stage(TOKEN);
    let command = r#"{"tags": ["article:1"], "mode": "soft"}"#;
    let answer = stage.ask("POST", "/purge", TOKEN, command).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(stage.position(), Position::new(1));
    let receipt = answer.json();
    let id = "000000000000004f-1";
    assert_eq!(
        receipt,
        json!({
            "id": id, "state": "complete", "mode": "soft", "scopes": ["tag:article:1"],
            "instances": [{
                "name": "edge-1", "state": "applied",
                "applied_ms": receipt["instances"][0]["applied_ms"],
            }],
            "complete": true, "duplicate": false,
        })
    );
    let path = format!("/purge/{id}");
    assert_eq!(stage.ask("GET", &path, TOKEN, "").await.json(), receipt);
    assert_eq!(stage.ask("GET", &path, "", "").await.status, 401);
    for unknown in ["/purge/000000000000004f-2", "/purge/x", "/purge/"] {
        assert_eq!(stage.ask("GET", unknown, TOKEN, "").await.status, 404);
    }
}

#[tokio::test]
async fn without_the_token_nothing_is_purged() {
    let stage = stage(TOKEN);
    for (token, reason) in [("", "missing-token"), ("another", "wrong-token")] {
        let answer = stage
            .ask("POST", "/purge", token, r#"{"everything":true}"#)
            .await;
        assert_eq!(answer.status, 401);
        assert!(answer.headers.contains_key(WWW_AUTHENTICATE));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(answer.json()["reason"], reason);
        assert_eq!(stage.metrics.request_count("admin", reason), 1);
    }
    assert_eq!(stage.position(), Position::new(0));
}

#[tokio::test]
async fn without_a_token_in_the_settings_the_purge_endpoints_are_off() {
    let stage = stage("");
    let answer = stage
        .ask("POST", "/purge", "", r#"{"everything":true}"#)
        .await;
    assert_eq!((answer.status, stage.position()), (403, Position::new(0)));
    assert_eq!(stage.ask("GET", "/healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn a_command_with_mistakes_purges_nothing_and_tells_them_all() {
    let stage = stage(TOKEN);
    let command = r#"{"tags": ["good", ""], "url": ["/a"], "mode": "gentle"}"#;
    let answer = stage.ask("POST", "/purge", TOKEN, command).await;
    assert_eq!(answer.status, 422);
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 3, "{errors}");
    let not_json = stage.ask("POST", "/purge", TOKEN, "{").await;
    assert_eq!(not_json.status, 400);
    assert_eq!(stage.position(), Position::new(0));
}

#[tokio::test]
async fn a_command_over_the_limit_is_refused() {
    let stage = stage(TOKEN);
    let long = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(BODY_MAX));
    assert_eq!(stage.ask("POST", "/purge", TOKEN, &long).await.status, 413);
}

#[tokio::test]
async fn readiness_says_why_not() {
    let stage = stage(TOKEN);
    let starting = stage.ask("GET", "/readyz", "", "").await;
    assert_eq!((starting.status, &*starting.text), (503, "starting\n"));
    stage.readiness.started();
    let ready = stage.ask("GET", "/readyz", "", "").await;
    assert_eq!((ready.status, &*ready.text), (200, "ready\n"));
    stage.readiness.drain();
    let draining = stage.ask("HEAD", "/readyz", "", "").await;
    assert_eq!(draining.status, 503);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let stage = stage(TOKEN);
    stage
        .ask("POST", "/purge", TOKEN, r#"{"tags":["a"]}"#)
        .await;
    let answer = stage.ask("GET", "/metrics", "", "").await;
    let content_type = answer.headers[CONTENT_TYPE].to_str().unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"));
    for line in [
        "purges_total{source=\"admin\",mode=\"hard\"} 1",
        "purge_log_position 1",
        "# EOF",
    ] {
        assert!(answer.text.contains(line), "{line} in {}", answer.text);
    }
}

#[tokio::test]
async fn other_paths_and_methods_have_their_status() {
    let stage = stage(TOKEN);
    for (method, path, status, allow) in [
        ("GET", "/", 404, ""),
        ("GET", "/purges", 404, ""),
        ("GET", "/purge", 405, "POST"),
        ("POST", "/metrics", 405, "GET, HEAD"),
        ("DELETE", "/purge/000000000000004f-1", 405, "GET, HEAD"),
    ] {
        let answer = stage.ask(method, path, TOKEN, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        let found = answer
            .headers
            .get(ALLOW)
            .map_or("", |v| v.to_str().unwrap());
        assert_eq!(found, allow, "{method} {path}");
    }
}
