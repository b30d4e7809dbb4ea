//! Webhooks and purge protocols with the requests that real CMSs send, and with those that nobody
//! should be believed for.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[path = "webhooks/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::{Body, BodyError};
use cms_edge::entry::purges::Mode;
use cms_edge::entry::scope::Scope;
use cms_edge::key::{KeyRule, QueryRule, TargetUri};
use cms_edge::purge::log::{Log, LogError, Wait};
use cms_edge::purge::protocol::{self, Protocol};
use cms_edge::purge::receipt::{Receipt, ReceiptId};
use cms_edge::purge::secret::Secret;
use cms_edge::purge::target::{self, SortedQuery, Targets};
use cms_edge::purge::webhook::hmac::{HmacRule, Signed, TimestampRule, TimestampUnit};
use cms_edge::purge::webhook::rule::{Action, Rule, UrlTemplate};
use cms_edge::purge::webhook::settings::{Dialect, Settings, SettingsError};
use cms_edge::purge::webhook::signature::{Algorithm, Encoding};
use cms_edge::purge::webhook::{Webhook, Webhooks};
use cms_edge::purge::{Cause, Purge};
use futures_util::stream;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use tokio::sync::Barrier;

use self::support::*;

const DETAIL: &str = r#"{"type":"article.published","data":{"id":1,"language":"de"}}"#;

fn demo() -> Settings {
    let rule = rule(
        "article.*",
        &[
            "article:{data.id}:{data.language}",
            "articles:{data.language}",
        ],
        &[],
    );
    settings("demo", standard_dialect(), vec![rule])
}

fn strapi() -> Settings {
    let rule = token_rule("x-purge-token");
    settings("strapi", Dialect::Strapi(rule), Vec::new())
}

/// What an operator writes for a Directus with a collection `articles` and its translations.
fn directus() -> Settings {
    let files = Rule {
        prefixes: vec![UrlTemplate::prefix("/assets/{key}/*").unwrap()],
        ..rule("files.*", &["directus_files:{key}"], &[])
    };
    let translations = rule(
        "articles_translations.items.*",
        &["articles:{payload.articles_id}"],
        &["articles"],
    );
    let articles = rule("articles.items.*", &["articles:{keys[*]}", "articles"], &[]);
    let rules = vec![articles, translations, files];
    settings(
        "directus",
        Dialect::Token(token_rule("x-purge-token")),
        rules,
    )
}

// Recorded requests

#[tokio::test]
async fn strapi_publishes_purge_document_and_model() {
    let stage = stage();
    let webhook = stage.webhook(strapi());
    let document = "tag:article:jec32554p1ut7u87v40jbj1d";
    for file in [
        "publish-de.2",
        "publish-all-locales",
        "publish-all-locales.2",
        "publish-all-locales.3",
        "unpublish-de",
        "delete-locale-pt-BR",
    ] {
        let request = recorded(&format!("strapi/{file}.http"));
        let answer = deliver(&webhook, request.headers(), request.body().clone()).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.json);
        assert_eq!(answer.scopes(), [document, "tag:article"], "{file}");
        assert_eq!(answer.json["complete"], true, "{file}");
    }
    assert_eq!(stage.position(), 6);
    assert_eq!(stage.metrics.webhook_count("strapi", "purged"), 6);
}

#[tokio::test]
async fn strapi_drafts_and_its_test_button_purge_nothing() {
    let stage = stage();
    let webhook = stage.webhook(strapi());
    for file in [
        "create-draft-en",
        "update-draft-en",
        "publish-de",
        "webhook-test-button",
    ] {
        let request = recorded(&format!("strapi/{file}.http"));
        let answer = deliver(&webhook, request.headers(), request.body().clone()).await;
        assert_eq!(
            (answer.status, &answer.json["state"]),
            (200, &json!("ignored")),
            "{file}"
        );
    }
    assert_eq!(stage.position(), 0);
    assert_eq!(stage.metrics.webhook_count("strapi", "unmatched"), 4);
}

#[tokio::test]
async fn strapi_media_are_purged_by_url() {
    let stage = stage();
    let webhook = stage.webhook(strapi());
    let request = recorded("strapi/media-update-info.http");
    let answer = deliver(&webhook, request.headers(), request.body().clone()).await;
    assert!(
        answer
            .scopes()
            .contains(&"path:*/uploads/capture_c040dc8939.png")
    );
    assert!(
        answer
            .scopes()
            .contains(&"tag:media:uo4jwhy6xetfyijeegwgkwvk")
    );
}

#[tokio::test]
async fn directus_events_purge_their_items_and_widen_where_they_do_not_name_them() {
    let stage = stage();
    let webhook = stage.webhook(directus());
    let cases: [(&str, &[&str], bool); 7] = [
        (
            "publish-status-draft-to-published",
            &["tag:articles:211", "tag:articles"],
            false,
        ),
        (
            "update-bulk-two-keys",
            &["tag:articles:1", "tag:articles:211", "tag:articles"],
            false,
        ),
        (
            "update-locale-de-nested-admin-app",
            &["tag:articles:211"],
            false,
        ),
        (
            "update-locale-de-nested-admin-app.2",
            &["tag:articles:211", "tag:articles"],
            false,
        ),
        ("update-locale-de-direct", &["tag:articles"], true),
        ("delete-item", &["tag:articles:211", "tag:articles"], false),
        (
            "media-upload",
            &[
                "tag:directus_files:69ef9559-aa65-45af-a051-6b46cd14d18a",
                "prefix:*/assets/69ef9559-aa65-45af-a051-6b46cd14d18a",
            ],
            false,
        ),
    ];
    for (file, scopes, widened) in cases {
        let request = recorded(&format!("directus/{file}.http"));
        let answer = deliver(&webhook, request.headers(), request.body().clone()).await;
        assert_eq!(answer.scopes(), scopes, "{file}");
        assert_eq!(answer.json["widened"] == true, widened, "{file}");
    }
    assert_eq!(stage.metrics.webhook_count("directus", "widened"), 1);
}

#[tokio::test]
async fn recorded_requests_without_their_token_purge_nothing() {
    let stage = stage();
    for (settings, file) in [
        (strapi(), "strapi/publish-de.2.http"),
        (directus(), "directus/delete-item.http"),
    ] {
        let webhook = stage.webhook(settings);
        let mut request = recorded(file);
        request
            .headers_mut()
            .insert("x-purge-token", "test-purge-tokem".parse().unwrap());
        let wrong = deliver(&webhook, request.headers(), request.body().clone()).await;
        assert_eq!(
            (wrong.status, &wrong.json["reason"]),
            (401, &json!("wrong-token"))
        );
        request.headers_mut().remove("x-purge-token");
        let missing = deliver(&webhook, request.headers(), request.body().clone()).await;
        assert_eq!(
            (missing.status, &missing.json["reason"]),
            (401, &json!("missing-signature"))
        );
    }
    assert_eq!(stage.position(), 0);
}

#[tokio::test]
async fn wagtail_purges_urls_with_and_without_slash() {
    let stage = stage();
    let settings = protocol::Settings {
        allow_from: vec!["192.0.2.0/24".parse().unwrap()],
        token: None,
    };
    let log = Arc::clone(&stage.log);
    let protocol = Protocol::new(settings, log, targets(), stage.metrics.clone());
    let mut purged = BTreeSet::new();
    let mut files = vec!["publish-en-slug-change.http".to_owned()];
    files.extend((2..=8).map(|n| format!("publish-en-slug-change.{n}.http")));
    files.extend(["", ".2", ".3", ".4"].map(|n| format!("delete-live-page{n}.http")));
    for file in &files {
        let (head, _) = recorded(&format!("wagtail/{file}")).into_parts();
        assert!(protocol::is_purge(&head.method));
        let answer = answer(protocol.purge(&head, peer()).await).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.json);
        purged.extend(answer.scopes().into_iter().map(str::to_owned));
    }
    assert_eq!(stage.position(), files.len() as u64);
    // The old address comes without slash, and is served with one.
    assert!(purged.contains("path:127.0.0.1/de/capture-1795207713/"));
    assert!(purged.contains("path:127.0.0.1/de/capture-moved-1795207713/"));
    assert_eq!(purged.len(), 2 * files.len());
}

// Who is believed

#[tokio::test]
async fn a_signed_delivery_is_in_the_log_when_it_is_answered() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let answer = deliver(&webhook, &signed(OLD_KEY, "msg_1", NOW, DETAIL), DETAIL).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(
        answer.json,
        json!({
            "id": "000000000000004f-1", "state": "complete", "mode": "hard",
            "scopes": ["tag:article:1:de", "tag:articles:de"],
            "instances": [{"name": "edge-1", "applied_ms": 0, "state": "applied"}],
            "complete": true, "duplicate": false,
        })
    );
    assert_eq!(stage.position(), 1);
}

#[tokio::test]
async fn both_secrets_are_good_while_they_rotate_and_no_other_is() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    for (key, id, status) in [
        (OLD_KEY, "msg_1", 200),
        (NEW_KEY, "msg_2", 200),
        (b"a-key-that-was-never-set", "msg_3", 401),
    ] {
        let answer = deliver(&webhook, &signed(key, id, NOW, DETAIL), DETAIL).await;
        assert_eq!(answer.status, status, "{}", answer.json);
    }
    assert_eq!(stage.position(), 2);
    assert_eq!(stage.metrics.webhook_count("demo", "wrong-signature"), 1);
}

#[tokio::test]
async fn every_refusal_has_a_name_and_purges_nothing() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let good = signed(OLD_KEY, "msg_1", NOW, DETAIL);
    let without = |name: &str| {
        let mut headers = good.clone();
        headers.remove(name);
        headers
    };
    let with = |name: &'static str, value: &str| {
        let mut headers = good.clone();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    for (headers, reason) in [
        (HeaderMap::new(), "missing-signature"),
        (without("webhook-signature"), "missing-signature"),
        (with("webhook-signature", "v1,AAAA"), "wrong-signature"),
        (with("webhook-signature", "nonsense"), "malformed-signature"),
        (
            with("webhook-timestamp", "yesterday"),
            "malformed-signature",
        ),
        (with("webhook-id", "msg_2"), "wrong-signature"),
        (signed(OLD_KEY, "msg_1", NOW - 301, DETAIL), "expired"),
        (signed(OLD_KEY, "msg_1", NOW + 301, DETAIL), "future"),
    ] {
        let before = stage.metrics.webhook_count("demo", reason);
        let answer = deliver(&webhook, &headers, DETAIL).await;
        assert_eq!(
            (answer.status, &answer.json["reason"]),
            (401, &json!(reason))
        );
        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(stage.metrics.webhook_count("demo", reason), before + 1);
    }
    assert_eq!(stage.position(), 0);
}

#[tokio::test]
async fn a_body_is_verified_before_it_is_read_and_byte_by_byte() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let headers = signed(OLD_KEY, "msg_1", NOW, DETAIL);
    let respelled = DETAIL.replace(':', ": ");
    assert_eq!(deliver(&webhook, &headers, respelled).await.status, 401);
    assert_eq!(
        deliver(&webhook, &headers, "{").await.status,
        401,
        "not 422"
    );
    assert_eq!(deliver(&webhook, &headers, DETAIL).await.status, 200);
}

#[tokio::test]
async fn a_replay_is_a_duplicate_within_the_tolerance_and_expired_after_it() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let headers = signed(OLD_KEY, "msg_1", NOW, DETAIL);
    let first = deliver(&webhook, &headers, DETAIL).await;
    stage.clock.advance(Duration::from_secs(300));
    let again = deliver(&webhook, &headers, DETAIL).await;
    assert_eq!(
        (again.status, &again.json["duplicate"]),
        (200, &json!(true))
    );
    assert_eq!(again.json["id"], first.json["id"]);
    stage.clock.advance(Duration::from_secs(1));
    let late = deliver(&webhook, &headers, DETAIL).await;
    assert_eq!(
        (late.status, &late.json["reason"]),
        (401, &json!("expired"))
    );
    assert_eq!(stage.position(), 1);
    assert_eq!(stage.metrics.webhook_count("demo", "duplicate"), 1);
}

#[tokio::test]
async fn two_webhooks_may_number_their_deliveries_alike() {
    let stage = stage();
    let other = Settings {
        name: "other".into(),
        ..demo()
    };
    for settings in [demo(), other] {
        let webhook = stage.webhook(settings);
        let answer = deliver(&webhook, &signed(OLD_KEY, "msg_1", NOW, DETAIL), DETAIL).await;
        assert_eq!(answer.json["duplicate"], false);
    }
    assert_eq!(stage.position(), 2);
}

#[tokio::test]
async fn the_hmac_dialect_is_as_its_sender_signs() {
    let stage = stage();
    let body = r#"{"event":"entry.publish","id":7}"#;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a secret");
    let sign = |text: String| hex::encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
    let hmac = |timestamp| {
        let dialect = Dialect::Hmac {
            rule: HmacRule {
                header: HeaderName::from_static("x-hub-signature-256"),
                prefix: "sha256=".into(),
                encoding: Encoding::Hex,
                algorithm: Algorithm::Sha256,
                timestamp,
            },
            secrets: vec![Secret::new(*b"a secret").unwrap()],
        };
        Settings {
            delivery_header: Some(HeaderName::from_static("x-github-delivery")),
            ..settings("hub", dialect, vec![rule("entry.*", &["entry:{id}"], &[])])
        }
    };
    let plain = stage.webhook(hmac(None));
    let signature = format!("sha256={}", sign(body.to_owned()));
    let headers = fields(&[
        ("x-hub-signature-256", &signature),
        ("x-github-delivery", "d-1"),
    ]);
    assert_eq!(
        deliver(&plain, &headers, body).await.scopes(),
        ["tag:entry:7"]
    );
    assert_eq!(
        deliver(&plain, &headers, body).await.json["duplicate"],
        true
    );
    assert_eq!(deliver(&plain, &headers, "{}").await.status, 401);
    let other = r#"{"event":"entry.publish","id":8}"#;
    let signature = format!("sha256={}", sign(other.to_owned()));
    let headers = fields(&[
        ("x-hub-signature-256", &signature),
        ("x-github-delivery", "d-1"),
    ]);
    let used_up = deliver(&plain, &headers, other).await;
    assert_eq!(used_up.json["duplicate"], false, "the name is not signed");

    let timed = stage.webhook(hmac(Some(TimestampRule {
        header: HeaderName::from_static("x-timestamp"),
        unit: TimestampUnit::Milliseconds,
        signed: Signed::TimestampDotBody,
    })));
    for (sent, status) in [(NOW * 1000, 200), (NOW * 1000 - 300_001, 401)] {
        let signature = format!("sha256={}", sign(format!("{sent}.{body}")));
        let sent = sent.to_string();
        let headers = fields(&[("x-hub-signature-256", &signature), ("x-timestamp", &sent)]);
        assert_eq!(
            deliver(&timed, &headers, body).await.status,
            status,
            "{sent}"
        );
    }
}

// Bad input from who is believed

async fn believed(stage: &Stage, settings: Settings, body: &str) -> Answer {
    let webhook = stage.webhook(settings);
    let id = format!("msg_{}", body.len());
    deliver(&webhook, &signed(NEW_KEY, &id, NOW, body), body.to_owned()).await
}

#[tokio::test]
async fn a_payload_that_fills_no_template_is_422_and_names_rule_and_field() {
    let stage = stage();
    for (body, field, detail) in [
        (
            r#"{"type":"article.published","data":{"id":1}}"#,
            "data.language",
            "the payload has no `data.language`",
        ),
        (
            r#"{"type":"article.published","data":{"id":"","language":"de"}}"#,
            "data.id",
            "`data.id` is empty",
        ),
        (
            r#"{"type":"article.published","data":{"id":[1],"language":"de"}}"#,
            "data.id",
            "`data.id` is neither a text nor an exact number",
        ),
        (
            r#"{"type":"article.published"}"#,
            "data.id",
            "the payload has no `data.id`",
        ),
    ] {
        let answer = believed(&stage, demo(), body).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json["rule"], 1, "{body}");
        assert_eq!(answer.json["field"], field, "{body}");
        let found = answer.json["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{found}");
    }
    assert_eq!(stage.metrics.webhook_count("demo", "unresolved"), 4);
}

#[tokio::test]
async fn what_can_be_named_is_purged_all_the_same_and_a_repetition_counts() {
    let stage = stage();
    let body = r#"{"type":"article.published","data":{"language":"de"}}"#;
    for position in 1..=2 {
        let answer = believed(&stage, demo(), body).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json["purged"]["scopes"], json!(["tag:articles:de"]));
        assert_eq!(answer.json["purged"]["duplicate"], false);
        assert_eq!(stage.position(), position);
    }
}

#[tokio::test]
async fn a_payload_that_fills_no_template_widens_where_the_rule_has_a_collection() {
    let stage = stage();
    let rules = vec![rule("article.*", &["article:{data.id}"], &["articles"])];
    let settings = settings("demo", standard_dialect(), rules);
    let answer = believed(&stage, settings, r#"{"type":"article.deleted"}"#).await;
    assert_eq!(
        (answer.status, answer.scopes()),
        (200, vec!["tag:articles"])
    );
    assert_eq!(answer.json["widened"], true);
    let why = answer.json["widened_because"][0].as_str().unwrap();
    assert!(
        why.starts_with("rule 1: template `article:{data.id}`"),
        "{why}"
    );
    assert_eq!(stage.metrics.webhook_count("demo", "widened"), 1);
}

#[tokio::test]
async fn a_payload_that_is_not_json_is_422() {
    let stage = stage();
    for body in ["", "{", "{\"type\":\"article.x\"}}", "\u{feff}{}", "a=b"] {
        let answer = believed(&stage, demo(), body).await;
        assert_eq!(
            (answer.status, &answer.json["reason"]),
            (422, &json!("malformed")),
            "{body}"
        );
    }
    let deep = "[".repeat(100_000);
    let small = Settings {
        body_max: 1 << 20,
        ..demo()
    };
    assert_eq!(believed(&stage, small, &deep).await.status, 422, "too deep");
    assert_eq!(stage.position(), 0);
}

#[tokio::test]
async fn an_event_without_rule_is_ignored_and_one_without_name_is_422() {
    let stage = stage();
    let unmatched = believed(&stage, demo(), r#"{"type":"user.created"}"#).await;
    assert_eq!(unmatched.status, 200);
    assert_eq!(
        unmatched.json,
        json!({"state": "ignored", "event": "user.created", "reason": "unmatched"})
    );
    for body in ["{}", "[]", r#"{"type":null}"#, r#"{"type":""}"#] {
        let nameless = believed(&stage, demo(), body).await;
        assert_eq!(
            (nameless.status, &nameless.json["reason"]),
            (422, &json!("no-event"))
        );
    }
    let mut settings = demo();
    settings.rules.insert(
        0,
        Rule {
            action: Action::Ignore,
            ..rule("article.draft", &[], &[])
        },
    );
    let ignored = believed(&stage, settings, r#"{"type":"article.draft"}"#).await;
    assert_eq!(ignored.json["reason"], "ignored");
    assert_eq!(stage.position(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_announced_or_not() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let long = "x".repeat(64 * 1024 + 1);
    let headers = signed(OLD_KEY, "msg_1", NOW, &long);
    assert_eq!(deliver(&webhook, &headers, long.clone()).await.status, 413);
    let announced = Request::post("/").body(Body::full(long.clone())).unwrap();
    let announced = answer(webhook.handle(announced, peer()).await).await;
    assert_eq!(announced.status, 413);
    let pieces: Vec<_> = long
        .as_bytes()
        .chunks(1000)
        .map(|piece| Ok::<_, BodyError>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let body = StreamBody::new(stream::iter(pieces));
    let mut request = Request::post("/").body(body).unwrap();
    *request.headers_mut() = headers;
    let answer = answer(webhook.handle(request, peer()).await).await;
    assert_eq!(
        (answer.status, &answer.json["reason"]),
        (413, &json!("body-too-long"))
    );
    assert_eq!(stage.metrics.webhook_count("demo", "body-too-long"), 3);
}

#[tokio::test]
async fn a_body_without_signature_is_not_waited_for() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, BodyError>>());
    let request = Request::post("/").body(never).unwrap();
    assert_eq!(webhook.handle(request, peer()).await.status(), 401);
}

#[tokio::test]
async fn other_methods_are_405_and_put_is_as_good_as_post() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let headers = signed(OLD_KEY, "msg_1", NOW, DETAIL);
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
        let mut request = Request::new(Body::full(DETAIL));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let answer = answer(webhook.handle(request, peer()).await).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers[ALLOW], "POST, PUT");
    }
    let mut request = Request::put("/").body(Body::full(DETAIL)).unwrap();
    *request.headers_mut() = headers;
    assert_eq!(webhook.handle(request, peer()).await.status(), 200);
    assert_eq!(stage.position(), 1);
}

// The log

struct Unreachable;

impl Log for Unreachable {
    async fn append_and_wait(&self, _: Purge, _: Wait) -> Result<Receipt, LogError> {
        Err(LogError::Unavailable)
    }

    async fn receipt(&self, _: ReceiptId) -> Result<Option<Receipt>, LogError> {
        Err(LogError::Unavailable)
    }
}

#[tokio::test]
async fn a_purge_that_is_not_in_the_log_is_not_answered_as_if_it_were() {
    let stage = stage();
    let webhook = stage.webhook_on(Arc::new(Unreachable), demo());
    let answer = deliver(&webhook, &signed(OLD_KEY, "msg_1", NOW, DETAIL), DETAIL).await;
    assert_eq!(answer.status, 503);
    assert_eq!(stage.metrics.webhook_count("demo", "log-failed"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_purges_have_dense_positions_and_are_applied_when_they_return() {
    const PURGES: usize = 100;
    let stage = Arc::new(stage());
    let barrier = Arc::new(Barrier::new(PURGES));
    let tasks: Vec<_> = (0..PURGES)
        .map(|at| {
            let (stage, barrier) = (Arc::clone(&stage), Arc::clone(&barrier));
            tokio::spawn(async move {
                let scopes = vec![Scope::tag(format!("t{at}"))];
                let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
                barrier.wait().await;
                let receipt = stage.log.append(purge).await.unwrap();
                let position = receipt.id.position.ordinal();
                assert!(stage.position() >= position, "applied before the receipt");
                position
            })
        })
        .collect();
    let mut positions = BTreeSet::new();
    for task in tasks {
        positions.insert(task.await.unwrap());
    }
    let dense: BTreeSet<u64> = (1..=PURGES as u64).collect();
    assert_eq!(positions, dense);
    assert_eq!(stage.position(), PURGES as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_delivery_that_arrives_many_times_at_once_is_appended_once() {
    const TIMES: usize = 32;
    let stage = stage();
    let webhook = Arc::new(stage.webhook(demo()));
    let barrier = Arc::new(Barrier::new(TIMES));
    let tasks: Vec<_> = (0..TIMES)
        .map(|_| {
            let (webhook, barrier) = (Arc::clone(&webhook), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let headers = signed(OLD_KEY, "msg_1", NOW, DETAIL);
                let answer = deliver(&webhook, &headers, DETAIL).await;
                answer.json["duplicate"] == json!(false)
            })
        })
        .collect();
    let mut firsts = 0;
    for task in tasks {
        firsts += usize::from(task.await.unwrap());
    }
    assert_eq!((firsts, stage.position()), (1, 1));
}

/// Whether a purge of `url` ends what is stored under `target`.
fn meets(targets: &Targets, url: &str, target: &str) -> bool {
    let stage = stage();
    let uri: http::Uri = target.parse().unwrap();
    let authority = uri.authority().unwrap().as_str();
    let target = TargetUri::parse("https", authority, uri.path(), uri.query()).unwrap();
    let key = KeyRule {
        query: QueryRule {
            sort: true,
            ..QueryRule::default()
        },
        ..KeyRule::default()
    }
    .key(&target, &HeaderMap::new())
    .key;
    let fence = stage.purges.fence();
    let scopes = targets.url_or_prefix(url).unwrap();
    let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
    stage.log.record(&purge);
    !stage.purges.still_open(fence, &key)
}

#[test]
fn a_url_meets_what_is_stored_whichever_way_it_is_written() {
    let wide = targets();
    let stored = "https://example.org:8443/de/%C3%BCber-uns?b=2&a=1";
    for url in [
        "https://example.org/de/über-uns",
        "http://EXAMPLE.org:80/de/%c3%bcber-uns/",
        "https://example.org./de/%C3%BCber%2Duns?other",
        "/de/über-uns#top",
        "/de/*",
        "https://example.org/*",
    ] {
        assert!(meets(&wide, url, stored), "{url}");
    }
    for url in [
        "https://www.example.org/de/über-uns",
        "/de/über",
        "/de",
        "/de/über-uns/a",
        "/d/*",
    ] {
        assert!(!meets(&wide, url, stored), "{url}");
    }
    let narrow = target::Settings {
        any_query: false,
        slash_variants: false,
    };
    let narrow = Targets::new(narrow, Arc::new(SortedQuery));
    assert!(meets(&narrow, "/de/über-uns?a=1&b=2", stored));
    for url in ["/de/über-uns", "/de/über-uns?a=1", "/de/über-uns/?a=1&b=2"] {
        assert!(!meets(&narrow, url, stored), "{url}");
    }
}

// Settings

#[test]
fn a_webhook_that_cannot_work_is_refused() {
    let stage = stage();
    let refused = |settings| Webhook::new(settings, stage.shared(Arc::clone(&stage.log))).err();
    let nobody = Dialect::Standard {
        secrets: Vec::new(),
    };
    assert_eq!(
        refused(settings("a", nobody, demo().rules)),
        Some(SettingsError::NoSecret("a".into()))
    );
    assert_eq!(
        refused(settings("a", standard_dialect(), Vec::new())),
        Some(SettingsError::NoRule("a".into()))
    );
    let empty = vec![rule("a", &["t"], &[]), rule("b", &[], &["only-a-fallback"])];
    assert_eq!(
        refused(settings("a", standard_dialect(), empty)),
        Some(SettingsError::NothingToPurge {
            name: "a".into(),
            rule: 2
        })
    );
}

#[test]
fn webhooks_are_found_by_their_paths_which_differ() {
    let stage = stage();
    let shared = stage.shared(Arc::clone(&stage.log));
    let webhooks = Webhooks::new(vec![demo(), strapi()], &shared).unwrap();
    assert_eq!(
        webhooks.at("/_cms-edge/webhook/strapi").unwrap().name(),
        "strapi"
    );
    assert!(webhooks.at("/_cms-edge/webhook/other").is_none());
    let other = Settings {
        name: "other".into(),
        ..demo()
    };
    assert_eq!(
        Webhooks::new(vec![demo(), other], &shared).err(),
        Some(SettingsError::SamePath {
            first: "demo".into(),
            second: "other".into()
        })
    );
}

#[test]
fn secrets_are_not_shown() {
    let stage = stage();
    let token = format!("{:?}", stage.webhook(strapi()));
    let secret = format!("{:?}", stage.webhook(demo()));
    assert!(token.contains('…') && !token.contains(TOKEN), "{token}");
    // A key shown as a list of numbers would have this beginning.
    assert!(
        secret.contains('…') && !secret.contains("116, 104"),
        "{secret}"
    );
}

#[test]
fn recorded_bodies_are_whole() {
    let request: Request<Bytes> = recorded("strapi/unpublish-de.http");
    let length: usize = request.headers()["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(request.body().len(), length);
}
