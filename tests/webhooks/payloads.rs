//! Bad input from who is believed.

use bytes::Bytes;
use cms_edge::body::{Body, BodyError};
use cms_edge::purge::webhook::rule::{Action, Rule};
use cms_edge::purge::webhook::settings::Settings;
use futures_util::stream;
use http::header::ALLOW;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;

use crate::senders::{DETAIL, believed, demo};
use crate::support::{
    NOW, OLD_KEY, answer, deliver, peer, rule, settings, signed, stage, standard_dialect,
};

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
