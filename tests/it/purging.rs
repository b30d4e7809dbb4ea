//! Purges by the admin API and by the PURGE method: who may, what it covers, and what it refuses.

use std::path::Path;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::origin::{Origin, Reply};
use crate::support::stage::{ADMIN_TOKEN, Answer, HOST_NAME, Stage, exchange, whole};

/// An origin that answers everything with something that may be kept for an hour.
async fn origin() -> Origin {
    Origin::start(|request| async move {
        Reply::ok(request.target)
            .header("cache-control", "max-age=3600")
            .header("surrogate-key", "page")
    })
    .await
}

const PURGES: &str = "[purge]\nprotocols = true\nallow_from = [\"127.0.0.1/32\"]\n";
const TOKEN_ONLY: &str = "[purge]\nprotocols = true\nallow_from = [\"192.0.2.0/24\"]\ntoken = \"purge-token-of-the-stage\"\n";

async fn command(stage: &Stage, token: &str, command: &str) -> Answer {
    let request = Request::post("/purge")
        .header(HOST, "admin")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::copy_from_slice(command.as_bytes())))
        .unwrap();
    whole(exchange(stage.admin, request).await).await
}

async fn purge(stage: &Stage, target: &str, fields: &[(&str, &str)]) -> Answer {
    let method = Method::from_bytes(b"PURGE").unwrap();
    stage.send(method, target, fields, "").await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asks for each, so that all are stored.
async fn store(stage: &Stage, targets: &[&str]) {
    for target in targets {
        stage.get(target, &[]).await;
        assert!(stage.get(target, &[]).await.is_hit(), "{target}");
    }
}

/// Which of these are answered from the store. Those that were not are stored again.
async fn hits<'t>(stage: &Stage, targets: &[&'t str]) -> Vec<&'t str> {
    let mut found = Vec::new();
    for target in targets {
        if stage.get(target, &[]).await.is_hit() {
            found.push(*target);
        }
    }
    found
}

#[tokio::test]
async fn without_the_token_nothing_is_purged() {
    let origin = origin().await;
    let stage = Stage::start(&origin, "").await;
    store(&stage, &["/a"]).await;
    for token in ["", "wrong", "admin-token-of-the-stagf"] {
        let answer = command(&stage, token, r#"{"everything":true}"#).await;
        assert_eq!(answer.status.as_u16(), 401, "{token}");
        assert_eq!(answer.field("content-type"), "application/problem+json");
        assert!(answer.field("www-authenticate").starts_with("Bearer"));
    }
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
    // The public port knows no such path: it is a page like any other.
    let public = stage
        .send(
            Method::POST,
            "/purge",
            &[("authorization", "Bearer admin-token-of-the-stage")],
            r#"{"everything":true}"#,
        )
        .await;
    assert_eq!(public.text(), "/purge", "the origin's own");
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
}

#[tokio::test]
async fn a_command_with_a_mistake_purges_nothing_and_says_what_is_allowed() {
    let origin = origin().await;
    let stage = Stage::start(&origin, "").await;
    store(&stage, &["/a"]).await;
    for (text, status, pointer) in [
        ("", 400, None),
        ("{", 400, None),
        ("[]", 422, Some("")),
        ("{}", 422, Some("")),
        (r#"{"tags":[]}"#, 422, Some("")),
        (r#"{"everything":false}"#, 422, Some("")),
        (r#"{"everything":"yes"}"#, 422, Some("/everything")),
        (r#"{"tag":["page"]}"#, 422, Some("/tag")),
        (r#"{"tags":"page"}"#, 422, Some("/tags")),
        (r#"{"tags":["page",""]}"#, 422, Some("/tags/1")),
        (r#"{"tags":["page"],"mode":"gentle"}"#, 422, Some("/mode")),
        (r#"{"urls":["/a","a"]}"#, 422, Some("/urls/1")),
        (r#"{"urls":["/a*"]}"#, 422, Some("/urls/0")),
        (r#"{"prefixes":["/a/../b"]}"#, 422, Some("/prefixes/0")),
        (r#"{"hosts":["a b"]}"#, 422, Some("/hosts/0")),
    ] {
        let answer = command(&stage, ADMIN_TOKEN, text).await;
        assert_eq!(answer.status.as_u16(), status, "{text}: {}", answer.text());
        assert_eq!(answer.field("content-type"), "application/problem+json");
        let Some(pointer) = pointer else { continue };
        let first = &json_of(&answer)["errors"][0];
        assert_eq!(first["pointer"], pointer, "{text}: {first}");
        assert_ne!(first["allowed"], "", "{text}");
    }
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
    assert_eq!(stage.metric("cms_edge_purge_log_position").await, 0);
}

#[tokio::test]
async fn a_receipt_can_be_asked_for_again() {
    let origin = origin().await;
    let stage = Stage::start(&origin, "").await;
    let receipt = stage
        .purge(r#"{"tags":["a"],"urls":["/b"],"mode":"soft"}"#)
        .await;
    assert_eq!(receipt["mode"], "soft");
    assert_eq!(receipt["scopes"], json!(["tag:a", "path:*/b", "path:*/b/"]));
    let ask = async |id: &str, token: &str| {
        let request = Request::get(format!("/purge/{id}"))
            .header(HOST, "admin")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default())
            .unwrap();
        whole(exchange(stage.admin, request).await).await
    };
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(json_of(&ask(id, ADMIN_TOKEN).await), receipt);
    assert_eq!(ask(id, "wrong").await.status.as_u16(), 401);
    let (log, _) = id.split_once('-').unwrap();
    assert_eq!(
        ask(&format!("{log}-99"), ADMIN_TOKEN).await.status.as_u16(),
        404
    );
}

#[tokio::test]
async fn a_purge_of_a_url_covers_its_variants_queries_and_slash_and_nothing_else() {
    let origin = Origin::start(|request| async move {
        Reply::ok(request.target)
            .header("cache-control", "max-age=3600")
            .header("vary", "x-device")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let ask = async |target: &str, host: &str, device: &str| {
        let fields = [("host", host), ("x-device", device)];
        stage.get(target, &fields).await.is_hit()
    };
    let covered = [
        ("/news", HOST_NAME, "a"),
        ("/news", HOST_NAME, "b"),
        ("/news/", HOST_NAME, "a"),
        ("/news?page=2", HOST_NAME, "a"),
        ("/news/?page=2&x", HOST_NAME, "a"),
        // Another port, as another scheme, is the same place for those who publish.
        ("/news", "www.example.test:8443", "a"),
        ("/n%65ws", HOST_NAME, "a"),
    ];
    let untouched = [
        ("/news", "de.example.test", "a"),
        ("/news/a", HOST_NAME, "a"),
        ("/newsletter", HOST_NAME, "a"),
        ("/News", HOST_NAME, "a"),
        ("/", HOST_NAME, "a"),
    ];
    for form in [
        "https://www.example.test/news",
        "http://WWW.example.test:80/news/",
        "https://www.example.test:8443/n%65ws?any=query#top",
    ] {
        for (target, host, device) in covered.iter().chain(&untouched) {
            ask(target, host, device).await;
            assert!(ask(target, host, device).await, "{target} is stored");
        }
        stage.purge(&json!({"urls": [form]}).to_string()).await;
        for (target, host, device) in untouched {
            assert!(ask(target, host, device).await, "{form}: {host}{target}");
        }
        // The first and the last are the same page: whichever is asked for first is fetched.
        for (target, host, device) in &covered[..6] {
            assert!(
                !ask(target, host, device).await,
                "{form}: {host}{target} {device}"
            );
        }
    }
}

#[tokio::test]
async fn a_purge_of_a_path_covers_what_should_have_been_escaped_in_it_and_was_not() {
    let origin = origin().await;
    let stage = Stage::start(&origin, "").await;
    for [raw, escaped] in [
        ["/a|b", "/a%7Cb"],
        ["/a[1]", "/a%5b1%5D"],
        ["/a^b", "/a%5Eb"],
        ["/{a}", "/%7Ba%7d"],
    ] {
        for named in [raw, escaped] {
            for asked in [raw, escaped] {
                store(&stage, &[asked]).await;
                stage.purge(&json!({"urls": [named]}).to_string()).await;
                assert!(!stage.get(asked, &[]).await.is_hit(), "{named}: {asked}");
            }
        }
        assert!(stage.get(raw, &[]).await.is_hit(), "they are one: {raw}");
    }
}

#[tokio::test]
async fn prefixes_are_aligned_to_segments_and_hosts_and_tags_are_exact() {
    let origin = origin().await;
    let all = [
        "/news",
        "/news/",
        "/news/a?b=c",
        "/news/a/b",
        "/newsletter",
        "/a/news/",
    ];
    for (purge, left) in [
        (json!({"prefixes": ["/news"]}), &all[4..]),
        (
            json!({"prefixes": ["https://www.example.test/news/"]}),
            &all[4..],
        ),
        (json!({"urls": ["/news/*"]}), &all[4..]),
        (
            json!({"prefixes": ["https://other.example.test/news/"]}),
            &all[..],
        ),
        (json!({"prefixes": ["/new"]}), &all[..]),
        (json!({"prefixes": ["/"]}), &[]),
        (json!({"hosts": ["WWW.example.test:443"]}), &[]),
        (json!({"hosts": ["example.test"]}), &all[..]),
        (json!({"tags": ["page"]}), &[]),
        (json!({"tags": ["PAGE"]}), &[]),
        (json!({"tags": ["pages", "pag", "page "]}), &all[..]),
        (json!({"everything": true}), &[]),
    ] {
        let stage = Stage::start(&origin, "").await;
        store(&stage, &all).await;
        stage.purge(&purge.to_string()).await;
        assert_eq!(hits(&stage, &all).await, left, "{purge}");
    }
}

#[tokio::test]
async fn purge_by_method_is_for_listed_networks_and_those_with_the_token() {
    let origin = origin().await;
    let stage = Stage::start(&origin, PURGES).await;
    store(&stage, &["/a"]).await;
    let answer = purge(&stage, "/a", &[]).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(json_of(&answer)["complete"], true);
    assert!(hits(&stage, &["/a"]).await.is_empty());

    let stage = Stage::start(&origin, TOKEN_ONLY).await;
    store(&stage, &["/a"]).await;
    let before = origin.hits();
    for fields in [
        &[][..],
        &[("x-purge-token", "wrong")],
        &[("authorization", "Bearer wrong")],
        &[("x-forwarded-for", "192.0.2.1"), ("x-real-ip", "192.0.2.1")],
    ] {
        let answer = purge(&stage, "/a", fields).await;
        assert_eq!(answer.status.as_u16(), 403, "{fields:?}");
    }
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
    for fields in [
        ("x-purge-token", "purge-token-of-the-stage"),
        ("authorization", "Bearer purge-token-of-the-stage"),
    ] {
        assert_eq!(purge(&stage, "/a", &[fields]).await.status.as_u16(), 200);
        assert!(hits(&stage, &["/a"]).await.is_empty());
    }
    assert_eq!(origin.hits(), before + 2, "no PURGE reached the origin");
}

#[tokio::test]
async fn purge_by_method_is_refused_and_not_forwarded_where_it_is_off() {
    let origin = origin().await;
    // The networks are listed by default; the switch is off.
    let stage = Stage::start(&origin, "").await;
    store(&stage, &["/a"]).await;
    let before = origin.hits();
    let answer = purge(&stage, "/a", &[]).await;
    assert_eq!(answer.status.as_u16(), 403);
    assert_eq!(json_of(&answer)["reason"], "off");
    assert_eq!(origin.hits(), before, "it did not reach the origin");
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
}

#[tokio::test]
async fn a_purge_in_words_of_another_dialect_purges_nothing_rather_than_too_little() {
    let origin = origin().await;
    let stage = Stage::start(&origin, PURGES).await;
    store(&stage, &["/a"]).await;
    for (name, value, status) in [
        ("x-purge-method", "regex", 501),
        ("x-cache-tags", "page", 501),
        ("cms-edge-purge-mode", "gentle", 400),
    ] {
        let answer = purge(&stage, "/a", &[(name, value)]).await;
        assert_eq!(answer.status.as_u16(), status, "{name}");
    }
    let before = origin.hits();
    for method in ["BAN", "PURGEKEYS", "PURGETAGS", "REFRESH"] {
        let answer = stage.send(method.parse().unwrap(), "/a", &[], "").await;
        assert_eq!(answer.status.as_u16(), 501, "{method}");
    }
    assert_eq!(origin.hits(), before, "none reached the origin");
    assert_eq!(hits(&stage, &["/a"]).await, ["/a"]);
}

#[tokio::test]
async fn a_soft_purge_by_method_leaves_something_to_serve() {
    let origin = origin().await;
    let stage = Stage::start(&origin, PURGES).await;
    store(&stage, &["/a"]).await;
    let answer = purge(&stage, "/a", &[("fastly-soft-purge", "1")]).await;
    assert_eq!(json_of(&answer)["mode"], "soft");
    assert!(
        stage.get("/a", &[]).await.is_hit(),
        "stale, while it is fetched"
    );
    origin.saw(2).await;
}

/// The requests that a Wagtail sent, in the order it sent them.
fn wagtail(event: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webhooks/wagtail");
    let name = |at| match at {
        1 => format!("{event}.http"),
        at => format!("{event}.{at}.http"),
    };
    (1..)
        .map_while(|at| std::fs::read_to_string(folder.join(name(at))).ok())
        .map(|text| {
            let target = text.split(' ').nth(1).unwrap().to_owned();
            let host = text.lines().find_map(|line| line.strip_prefix("Host: "));
            (target, host.unwrap().trim().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn what_wagtail_sends_purges_the_pages_in_all_languages_with_and_without_slash() {
    let origin = origin().await;
    for (event, count, page) in [
        ("publish-en-slug-change", 8, "capture-1795207713"),
        (
            "delete-live-page",
            4,
            "section-1795207713/capture-moved-1795207713",
        ),
    ] {
        let stage = Stage::start(&origin, PURGES).await;
        let requests = wagtail(event);
        assert_eq!(requests.len(), count, "{event}");
        // The recorded ones name the site by its address; browsers use another port.
        let host = requests[0].1.split(':').next().unwrap();
        let pages: Vec<String> = ["en", "de", "fr", "pt-br"]
            .iter()
            .flat_map(|language| {
                [
                    format!("/{language}/{page}/"),
                    format!("/{language}/{page}/?page=2"),
                    format!("/{language}/other/"),
                ]
            })
            .collect();
        let ask = async |page: &str| stage.get(page, &[("host", host)]).await.is_hit();
        for page in &pages {
            ask(page).await;
        }
        for (target, host) in &requests {
            let fields = [
                ("host", &**host),
                ("accept-encoding", "identity"),
                ("user-agent", "Wagtail-frontendcache/7.4.4"),
                ("connection", "close"),
            ];
            let answer = purge(&stage, target, &fields).await;
            assert_eq!(answer.status.as_u16(), 200, "{target}");
        }
        for page in &pages {
            assert_eq!(
                ask(page).await,
                page.ends_with("/other/"),
                "{event}: {page}"
            );
        }
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.method == Method::GET),
        "no PURGE reached the origin"
    );
}

#[tokio::test]
async fn an_unsafe_request_invalidates_what_it_changed_for_the_next_reader() {
    let origin = origin().await;
    let stage = Stage::start(&origin, "").await;
    store(&stage, &["/a", "/a?page=2", "/b"]).await;
    let posted = stage.send(Method::POST, "/a", &[], "x=1").await;
    assert_eq!(posted.status.as_u16(), 200);
    assert_eq!(hits(&stage, &["/a", "/b"]).await, ["/b"]);
}

#[tokio::test]
async fn tags_are_read_from_a_large_body_as_from_a_small_one() {
    let origin = Origin::start(|_| async {
        let padding = "x".repeat(100_000);
        let body = format!(r#"{{"padding":"{padding}","data":[{{"id":7}},{{"id":"b"}}]}}"#);
        Reply::ok(body).header("content-type", "application/json")
    })
    .await;
    let route = r#"
[[route]]
name = "lists"
path = "/*"
upstream = "origin"
tags_from_body = ["$.data[*].id"]
tags_from_body_prefix = "entry:"
"#;
    for (tag, left) in [
        ("entry:7", vec![]),
        ("entry:b", vec![]),
        ("entry:9", vec!["/a"]),
    ] {
        let stage = Stage::start(&origin, route).await;
        store(&stage, &["/a"]).await;
        stage.purge(&json!({ "tags": [tag] }).to_string()).await;
        assert_eq!(hits(&stage, &["/a"]).await, left, "{tag}");
    }
}
