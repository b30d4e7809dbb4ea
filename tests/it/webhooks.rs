//! Publish webhooks end to end: a signed delivery over HTTP, and what readers get afterwards.

use http::Method;
use serde_json::{Value, json};

use crate::support::origin::{Origin, Reply};
use crate::support::signing;
use crate::support::stage::{Answer, START, Stage};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const HUB_SECRET: &str = "a-shared-secret-of-the-hub";
const HOOK: &str = "/_cms-edge/webhook/demo";
const HUB: &str = "/_cms-edge/webhook/hub";
const STRAPI: &str = "/_cms-edge/webhook/strapi";
const LANGUAGES: [&str; 3] = ["en", "de", "fr"];

/// Details and lists in three languages. Details are tagged by template, lists by their collection
/// and by the entries that their body shows.
const SETTINGS: &str = r#"
[[route]]
name = "detail"
path = "/api/articles/{id}"
upstream = "origin"
tags = ["article:{id}:{language}", "article:{id}"]
[route.language]
supported = ["en", "de", "fr"]
default = "en"
sources = ["header"]

[[route]]
name = "list"
path = "/api/articles"
upstream = "origin"
collections = ["articles:{language}", "article"]
tags_from_body = ["$.data[*].documentId", "$.data[*].id"]
tags_from_body_prefix = "article:"
[route.language]
supported = ["en", "de", "fr"]
default = "en"
sources = ["header"]

[[route]]
name = "rest"
path = "/*"
upstream = "origin"

[[webhook]]
name = "demo"
path = "/_cms-edge/webhook/demo"
dialect = "standard"
secrets = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
body_max = "64KiB"
[[webhook.rule]]
events = ["article.*"]
tags = ["article:{data.id}:{data.language}", "articles:{data.language}"]
[[webhook.rule]]
events = ["menu.changed"]
prefixes = ["https://www.example.test/menus/{data.name}"]
mode = "soft"

[[webhook]]
name = "hub"
path = "/_cms-edge/webhook/hub"
dialect = "hmac"
secrets = ["a-shared-secret-of-the-hub"]
[webhook.hmac]
header = "X-Hub-Signature-256"
prefix = "sha256="
[[webhook.rule]]
events = ["entry"]
tags = ["article:{id}"]

[[webhook]]
name = "strapi"
path = "/_cms-edge/webhook/strapi"
dialect = "strapi"
secrets = ["test-purge-token"]
token_header = "X-Purge-Token"
[[webhook.rule]]
events = ["entry.publish", "entry.unpublish", "entry.delete"]
tags = ["{model}:{entry.documentId}", "{model}"]
"#;

/// The entries that lists show: one by number, one by the document of the recorded deliveries.
const LIST: &str = r#"{"data":[{"id":1},{"id":2,"documentId":"jec32554p1ut7u87v40jbj1d"}]}"#;

async fn stage() -> (Stage, Origin) {
    let origin = Origin::start(|request| async move {
        match &*request.target {
            "/api/articles" => Reply::ok(LIST),
            "/api/articles?broken" => Reply::ok(r#"{"data":[{"id":1}"#),
            target => Reply::ok(format!("{target} of the CMS")),
        }
    })
    .await;
    (Stage::start(&origin, SETTINGS).await, origin)
}

async fn deliver(stage: &Stage, path: &str, fields: &[(&str, String)], body: &str) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
    stage
        .send(Method::POST, path, &fields, body.to_owned())
        .await
}

/// A standard delivery, signed now.
async fn publish(stage: &Stage, id: &str, body: &str) -> Answer {
    let fields = signing::standard(SECRET, id, START.as_secs(), body);
    deliver(stage, HOOK, &fields, body).await
}

fn published(id: u64, language: &str) -> String {
    json!({"type": "article.published", "data": {"id": id, "language": language}}).to_string()
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Everything that may be stored: `path language`.
fn pages() -> Vec<(&'static str, &'static str)> {
    let paths = [
        "/api/articles/1",
        "/api/articles/2",
        "/api/articles/jec32554p1ut7u87v40jbj1d",
        "/api/articles",
        "/menus/main/de",
    ];
    let mut pages = Vec::new();
    for path in paths {
        for language in LANGUAGES {
            pages.push((path, language));
        }
    }
    pages
}

async fn ask(stage: &Stage, (path, language): (&str, &str)) -> Answer {
    stage.get(path, &[("accept-language", language)]).await
}

async fn store_all(stage: &Stage) {
    for page in pages() {
        ask(stage, page).await;
        assert!(ask(stage, page).await.is_hit(), "{page:?} is stored");
    }
}

/// What is no longer answered from the store.
async fn gone(stage: &Stage) -> Vec<String> {
    let mut gone = Vec::new();
    for (path, language) in pages() {
        if !ask(stage, (path, language)).await.is_hit() {
            gone.push(format!("{path} {language}"));
        }
    }
    gone
}

#[tokio::test]
async fn a_signed_publish_purges_its_entry_and_the_lists_of_its_language_only() {
    let (stage, _origin) = stage().await;
    store_all(&stage).await;
    let answer = publish(&stage, "msg_1", &published(1, "de")).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let receipt = json_of(&answer);
    assert_eq!(receipt["complete"], true);
    assert_eq!(
        receipt["scopes"],
        json!(["tag:article:1:de", "tag:articles:de"])
    );
    assert_eq!(
        gone(&stage).await,
        ["/api/articles/1 de", "/api/articles de"]
    );
    let counted = r#"cms_edge_webhook_requests_total{webhook="demo",outcome="purged"}"#;
    assert_eq!(stage.metric(counted).await, 1);
}

#[tokio::test]
async fn a_code_over_the_body_in_a_field_of_its_own_purges_the_entry_in_all_languages() {
    let (stage, _origin) = stage().await;
    store_all(&stage).await;
    let body = r#"{"event":"entry","id":2}"#;
    let fields = [
        ("x-hub-signature-256", signing::hub(HUB_SECRET, body)),
        ("content-type", "application/json".to_owned()),
    ];
    let answer = deliver(&stage, HUB, &fields, body).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let mut expected = Vec::new();
    for path in ["/api/articles/2", "/api/articles"] {
        // The lists show the entry in their body; nobody named them.
        expected.extend(LANGUAGES.map(|language| format!("{path} {language}")));
    }
    assert_eq!(gone(&stage).await, expected);
}

#[tokio::test]
async fn what_strapi_sends_purges_the_document_and_every_list_and_leaves_the_rest() {
    let (stage, _origin) = stage().await;
    for (file, purges) in [
        ("publish-de.2", true),
        ("unpublish-de", true),
        ("delete-locale-pt-BR", true),
        ("publish-all-locales", true),
        ("publish-de", false),
        ("update-draft-en", false),
        ("create-draft-en", false),
        ("webhook-test-button", false),
    ] {
        store_all(&stage).await;
        let (fields, body) = recorded(file);
        let answer = deliver(&stage, STRAPI, &fields, &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{file}: {}", answer.text());
        let mut expected = Vec::new();
        for path in ["/api/articles/jec32554p1ut7u87v40jbj1d", "/api/articles"] {
            expected.extend(LANGUAGES.map(|language| format!("{path} {language}")));
        }
        let expected = if purges { expected } else { Vec::new() };
        assert_eq!(gone(&stage).await, expected, "{file}");
    }
}

/// Fields and body of a recorded delivery, framing aside.
fn recorded(file: &str) -> (Vec<(&'static str, String)>, String) {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/webhooks/strapi"
    );
    let text = std::fs::read_to_string(format!("{folder}/{file}.http")).unwrap();
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut fields = Vec::new();
    for (name, known) in [
        ("X-Purge-Token", "x-purge-token"),
        ("X-Strapi-Event", "x-strapi-event"),
        ("Content-Type", "content-type"),
    ] {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        if let Some(value) = line {
            fields.push((known, value.trim_start_matches(": ").to_owned()));
        }
    }
    (fields, body.to_owned())
}

#[tokio::test]
async fn who_is_not_believed_gets_401_and_has_purged_nothing() {
    let (stage, origin) = stage().await;
    store_all(&stage).await;
    let body = published(1, "de");
    let signed = |id, at, body: &str| signing::standard(SECRET, id, at, body);
    let now = START.as_secs();
    let other = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    let old_name: Vec<_> = [(
        "x-hub-signature-256",
        signing::hub("another-secret-entirely", &body),
    )]
    .into();
    let cases = [
        (HOOK, Vec::new(), "missing-signature"),
        (
            HOOK,
            signing::standard(other, "msg_1", now, &body),
            "wrong-signature",
        ),
        (
            HOOK,
            signed("msg_1", now, &published(2, "de")),
            "wrong-signature",
        ),
        (HOOK, signed("msg_1", now - 301, &body), "expired"),
        (HOOK, signed("msg_1", now + 301, &body), "future"),
        (HUB, old_name, "wrong-signature"),
        (
            STRAPI,
            vec![("x-purge-token", "test-purge-tokem".to_owned())],
            "wrong-token",
        ),
        (STRAPI, Vec::new(), "missing-signature"),
    ];
    let before = origin.hits();
    for (path, fields, reason) in cases {
        let answer = deliver(&stage, path, &fields, &body).await;
        assert_eq!(answer.status.as_u16(), 401, "{path} {reason}");
        assert_eq!(json_of(&answer)["reason"], reason, "{path}");
    }
    assert_eq!(origin.hits(), before, "no delivery reached the CMS");
    assert_eq!(gone(&stage).await, Vec::<String>::new());
    let counted = r#"cms_edge_webhook_requests_total{webhook="demo",outcome="wrong-signature"}"#;
    assert_eq!(stage.metric(counted).await, 2);
}

#[tokio::test]
async fn a_delivery_that_is_too_long_or_makes_no_sense_says_why_and_purges_nothing() {
    let (stage, _origin) = stage().await;
    store_all(&stage).await;
    let long = json!({"type": "article.published", "data": {"x": "y".repeat(70_000)}}).to_string();
    assert_eq!(publish(&stage, "m1", &long).await.status.as_u16(), 413);
    let no_json = publish(&stage, "m2", "article 1 was published").await;
    assert_eq!(no_json.status.as_u16(), 422);
    assert_eq!(json_of(&no_json)["reason"], "malformed");
    // The rule needs data.language: neither nothing nor everything is purged without it.
    let lacking = json!({"type": "article.published", "data": {"id": 1}}).to_string();
    let lacking = publish(&stage, "m3", &lacking).await;
    assert_eq!(lacking.status.as_u16(), 422);
    let problem = json_of(&lacking);
    assert_eq!(
        (&problem["rule"], &problem["field"]),
        (&json!(1), &json!("data.language"))
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("rule 1"),
        "{problem}"
    );
    let unknown = publish(&stage, "m4", r#"{"type":"author.published"}"#).await;
    assert_eq!(unknown.status.as_u16(), 200);
    assert_eq!(json_of(&unknown)["reason"], "unmatched");
    let nameless = publish(&stage, "m5", "{}").await;
    assert_eq!(json_of(&nameless)["reason"], "no-event");
    assert_eq!(gone(&stage).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_repeated_delivery_purges_once_and_another_one_again() {
    let (stage, _origin) = stage().await;
    store_all(&stage).await;
    let first = json_of(&publish(&stage, "msg_1", &published(1, "de")).await);
    assert_eq!(gone(&stage).await.len(), 2);
    let again = json_of(&publish(&stage, "msg_1", &published(1, "de")).await);
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&json!(true), &first["id"])
    );
    assert_eq!(gone(&stage).await, Vec::<String>::new());
    // The same content under another id is another publish, whatever it looks like.
    let other = json_of(&publish(&stage, "msg_2", &published(1, "de")).await);
    assert_eq!(other["duplicate"], false);
    assert_eq!(gone(&stage).await.len(), 2);
}

#[tokio::test]
async fn the_path_of_a_webhook_is_no_page() {
    let (stage, origin) = stage().await;
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let answer = stage.send(method.clone(), HOOK, &[], "").await;
        assert_eq!(answer.status.as_u16(), 405, "{method}");
        assert_eq!(answer.field("allow"), "POST, PUT");
    }
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn an_event_for_a_path_purges_all_below_it_and_soft_if_the_rule_says_so() {
    let (stage, origin) = stage().await;
    store_all(&stage).await;
    let before = origin.hits();
    let body = r#"{"type":"menu.changed","data":{"name":"main"}}"#;
    let receipt = json_of(&publish(&stage, "m1", body).await);
    assert_eq!(receipt["mode"], "soft");
    assert_eq!(
        receipt["scopes"],
        json!(["prefix:www.example.test/menus/main"])
    );
    assert_eq!(gone(&stage).await, Vec::<String>::new(), "stale meanwhile");
    // One copy of the menu: its route has no languages.
    origin.saw(before + 1).await;
}

#[tokio::test]
async fn a_list_whose_entries_cannot_be_read_is_passed_on_and_not_stored() {
    let (stage, origin) = stage().await;
    for _ in 0..2 {
        let answer = stage.get("/api/articles?broken", &[]).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert!(
            answer.cache_status().contains("detail=untagged"),
            "{}",
            answer.cache_status()
        );
    }
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn tags_in_fields_of_any_dialect_purge_and_never_reach_the_client() {
    for (name, value) in [
        ("surrogate-key", "a article-7 b"),
        ("cache-tag", "a,article-7,b"),
        ("cache-tags", "a, article-7"),
        ("x-cache-tags", "article-7"),
        ("xkey", "a article-7"),
        ("purge-cache-tags", "a,article-7"),
        ("x-magento-tags", "a,article-7"),
    ] {
        let origin = Origin::start(move |_| async move {
            Reply::ok("page")
                .header(name, value)
                .header("cache-groups", "\"g\"")
        })
        .await;
        let stage = Stage::start(&origin, "").await;
        let first = stage.get("/a", &[]).await;
        let hit = stage.get("/a", &[]).await;
        assert!(hit.is_hit());
        for answer in [first, hit] {
            assert_eq!(answer.field(name), "", "operators' tags are the operator's");
            assert_eq!(
                answer.field("cache-groups"),
                "\"g\"",
                "RFC 9875: end to end"
            );
        }
        stage.purge(r#"{"tags":["article-7"]}"#).await;
        assert!(!stage.get("/a", &[]).await.is_hit(), "{name}");
    }
}
