//! Who is believed, and when.

use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::BodyError;
use cms_edge::purge::secret::Secret;
use cms_edge::purge::webhook::hmac::{HmacRule, Signed, TimestampRule, TimestampUnit};
use cms_edge::purge::webhook::settings::{Dialect, Settings};
use cms_edge::purge::webhook::signature::{Algorithm, Encoding};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;

use crate::senders::{DETAIL, demo, strapi};
use crate::support::{
    NEW_KEY, NOW, OLD_KEY, TOKEN, deliver, fields, peer, rule, settings, signed, stage,
};

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

#[tokio::test]
async fn a_body_without_signature_is_not_waited_for() {
    let stage = stage();
    let webhook = stage.webhook(demo());
    let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, BodyError>>());
    let request = Request::post("/").body(never).unwrap();
    assert_eq!(webhook.handle(request, peer()).await.status(), 401);
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
