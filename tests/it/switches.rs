//! Turning caching and compression off and on while the program runs.

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::origin::{Origin, Reply};
use crate::support::stage::{ADMIN_TOKEN, Answer, Stage, exchange, whole};

async fn ask(stage: &Stage, method: Method, path: &str, token: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "admin")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    whole(exchange(stage.admin, request).await).await
}

/// Turns a switch; how all stand then.
async fn turn(stage: &Stage, switch: &str, on: bool) -> Value {
    let body = json!({"on": on}).to_string();
    let path = format!("/switches/{switch}");
    let answer = ask(stage, Method::PUT, &path, ADMIN_TOKEN, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

async fn pages() -> Origin {
    Origin::start(|request| async move {
        Reply::ok(format!("{} {}", request.target, "text ".repeat(1000)))
            .header("content-type", "text/plain")
            .header("cache-control", "max-age=600")
    })
    .await
}

const TWO_ROUTES: &str = r#"
[[route]]
name = "a"
path = "/a/*"
upstream = "origin"
[[route]]
name = "rest"
path = "/*"
upstream = "origin"
"#;

const OFF: &str = "cms-edge; fwd=bypass; detail=switched-off";

#[tokio::test]
async fn while_caching_is_off_everything_is_passed_on_and_nothing_is_stored() {
    let origin = pages().await;
    let stage = Stage::start(&origin, TWO_ROUTES).await;
    stage.get("/a/1", &[]).await;
    assert!(stage.get("/a/1", &[]).await.is_hit());

    let standing = turn(&stage, "caching", false).await;
    assert_eq!(standing["caching"]["on"], false);
    for path in ["/a/1", "/2", "/2"] {
        assert_eq!(stage.get(path, &[]).await.cache_status(), OFF, "{path}");
    }
    assert_eq!(origin.hits(), 4);
    let gauge = "cms_edge_switch_on{switch=\"caching\",route=\"\"}";
    assert_eq!(stage.metric(gauge).await, 0);
    let bypasses = "cms_edge_bypasses_total{reason=\"switched-off\"}";
    assert_eq!(stage.metric(bypasses).await, 3);

    turn(&stage, "caching", true).await;
    assert_eq!(stage.metric(gauge).await, 1);
    assert!(stage.get("/a/1", &[]).await.is_hit(), "it was kept");
    let first = stage.get("/2", &[]).await.cache_status();
    assert!(
        first.starts_with("cms-edge; fwd=uri-miss; stored"),
        "{first}"
    );
}

#[tokio::test]
async fn what_is_purged_while_caching_is_off_is_not_served_when_it_is_on_again() {
    let origin = pages().await;
    let stage = Stage::start(&origin, TWO_ROUTES).await;
    for path in ["/a/1", "/a/2"] {
        stage.get(path, &[]).await;
    }
    turn(&stage, "caching", false).await;
    stage.purge(r#"{"urls": ["/a/1"]}"#).await;
    // An unsafe method invalidates, too.
    stage.send(Method::POST, "/a/2", &[], "x").await;
    turn(&stage, "caching", true).await;
    for path in ["/a/1", "/a/2"] {
        assert!(!stage.get(path, &[]).await.is_hit(), "{path}");
        assert!(stage.get(path, &[]).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn what_is_one_persons_is_told_to_be_so_while_caching_is_off() {
    let origin = pages().await;
    let stage = Stage::start(&origin, TWO_ROUTES).await;
    let signed_in = [("cookie", "sessionid=1")];
    let before = stage.get("/a/1", &signed_in).await;
    turn(&stage, "caching", false).await;
    let after = stage.get("/a/1", &signed_in).await;
    assert_eq!(after.cache_status(), before.cache_status());
    assert_eq!(after.field("cache-control"), before.field("cache-control"));
    assert!(after.field("cache-control").contains("private"));
}

#[tokio::test]
async fn one_route_is_turned_off_without_the_others() {
    let origin = pages().await;
    let stage = Stage::start(&origin, TWO_ROUTES).await;
    let standing = turn(&stage, "routes/a", false).await;
    let routes = json!({"a": {"on": false}, "rest": {"on": true}});
    assert_eq!(standing["routes"], routes);
    for _ in 0..2 {
        assert_eq!(stage.get("/a/1", &[]).await.cache_status(), OFF);
        stage.get("/1", &[]).await;
    }
    assert!(stage.get("/1", &[]).await.is_hit());
    let gauge = "cms_edge_switch_on{switch=\"route\",route=\"a\"}";
    assert_eq!(stage.metric(gauge).await, 0);
    turn(&stage, "routes/a", true).await;
    stage.get("/a/1", &[]).await;
    assert!(stage.get("/a/1", &[]).await.is_hit());
}

#[tokio::test]
async fn while_compression_is_off_stored_pages_are_sent_as_they_came() {
    let origin = pages().await;
    let uncached =
        "[[route]]\nname = \"live\"\npath = \"/live\"\nupstream = \"origin\"\ncache = false\n";
    let stage = Stage::start(&origin, &format!("{uncached}{TWO_ROUTES}")).await;
    let coding = async |path: &str| {
        let answer = stage.get(path, &[("accept-encoding", "gzip, br")]).await;
        answer.field("content-encoding")
    };
    for path in ["/1", "/1", "/live"] {
        assert_eq!(coding(path).await, "br", "{path}");
    }
    turn(&stage, "compression", false).await;
    for path in ["/1", "/2", "/live"] {
        assert_eq!(coding(path).await, "", "{path}");
    }
    turn(&stage, "compression", true).await;
    for path in ["/1", "/2", "/live"] {
        assert_eq!(coding(path).await, "br", "{path}");
    }
}

#[tokio::test]
async fn only_who_has_the_token_switches_and_only_what_there_is() {
    let origin = pages().await;
    let stage = Stage::start(&origin, TWO_ROUTES).await;
    let off = r#"{"on": false}"#;
    let caching = "/switches/caching";
    for (method, path, token, body, status) in [
        (Method::GET, "/switches", "another", "", 401),
        (Method::PUT, caching, "another", off, 401),
        (Method::PUT, caching, ADMIN_TOKEN, "off", 400),
        (Method::PUT, caching, ADMIN_TOKEN, "{}", 422),
        (Method::PUT, "/switches/routes/b", ADMIN_TOKEN, off, 404),
        (Method::PUT, "/switches/other", ADMIN_TOKEN, off, 404),
        (Method::POST, caching, ADMIN_TOKEN, off, 405),
        (Method::PUT, "/switches", ADMIN_TOKEN, off, 405),
    ] {
        let answer = ask(&stage, method.clone(), path, token, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    let standing = ask(&stage, Method::GET, "/switches", ADMIN_TOKEN, "").await;
    let standing: Value = serde_json::from_slice(&standing.body).unwrap();
    let on = json!({"on": true});
    assert_eq!(
        standing,
        json!({"caching": on, "compression": on, "routes": {"a": on, "rest": on}})
    );
}
