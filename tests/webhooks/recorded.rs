//! Requests as CMSs send them purge what they are about.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cms_edge::purge::protocol::{self, Protocol};
use http::Request;
use serde_json::json;

use crate::senders::{directus, strapi};
use crate::support::{answer, deliver, peer, recorded, stage, targets};

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
