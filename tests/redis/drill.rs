//! `cms-edge drill redis-down`, on a program that serves readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tempfile::TempDir;

use crate::readers::Readers;
use crate::support::origin::{Origin, Reply};
use crate::support::program::{Program, command};
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::{ADMIN_TOKEN, exchange, whole};

struct Scene {
    edge: Program,
    /// Whether the origin fails.
    fails: Arc<AtomicBool>,
    origin: Origin,
    _folder: TempDir,
}

impl Scene {
    /// `more` has what follows the routes.
    async fn start(more: &str) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fails);
        let origin = Origin::start(move |request| {
            let fails = failing.load(Ordering::SeqCst);
            async move {
                match fails {
                    true => Reply::new(503),
                    false => Reply::ok(request.target).header("cache-control", "max-age=600"),
                }
            }
        })
        .await;
        let text = format!(
            "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{ADMIN_TOKEN}\"\n\
             [upstream.origin]\nservers = [\"{}\"]\n\
             [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n{more}",
            origin.uri().to_string().trim_end_matches('/')
        );
        let folder = tempfile::tempdir().unwrap();
        let edge = Program::serve(folder.path(), &text).await;
        Self {
            edge,
            fails,
            origin,
            _folder: folder,
        }
    }

    /// With responses and purges in this Redis; returns when it uses it.
    async fn with(redis: &Server) -> Self {
        let url = redis.url();
        let scene = Self::start(&format!(
            "[redis]\nurl = \"{url}\"\ntimeout = \"1s\"\n\
             [purge_log]\nurl = \"{url}\"\nlease = \"1500ms\"\nrenew = \"100ms\"\ngone = \"1700ms\"\n"
        ))
        .await;
        scene.uses_redis().await;
        scene
    }

    async fn uses_redis(&self) {
        eventually("it uses Redis", || async {
            self.metric("cms_edge_redis_breaker_open").await == Some(0)
                && self.metric("cms_edge_purge_log_connected").await == Some(1)
                && self.metric("cms_edge_purge_log_serving").await == Some(1)
        })
        .await;
    }

    async fn metric(&self, series: &str) -> Option<u64> {
        let (_, metrics) = self.ask(Method::GET, "/metrics", ADMIN_TOKEN).await;
        let mut lines = metrics.lines();
        lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    async fn ask(&self, method: Method, path: &str, token: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "admin")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::<Bytes>::default())
            .unwrap();
        let answer = whole(exchange(self.edge.admin, request).await).await;
        (answer.status, answer.text())
    }

    /// `drill redis-down` with these arguments besides; its exit code, and what it says.
    async fn drill(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let admin = format!("http://{}", self.edge.admin);
        let mut all = vec!["drill", "redis-down", "--admin", &admin];
        all.extend(arguments);
        let output = command(&all)
            .env("CMS_EDGE_ADMIN__TOKEN", ADMIN_TOKEN)
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (output.status.code(), text)
    }
}

/// Longer than the lease.
const SHORT: [&str; 5] = ["--for", "4s", "--watch", "1s", "--yes"];

#[tokio::test(flavor = "multi_thread")]
async fn readers_get_no_error_and_all_is_as_before() {
    let redis = Server::start(&[]).await;
    let scene = Scene::with(&redis).await;
    let readers = Readers::start(scene.edge.http[0]);
    readers.read_on(200).await;
    let before = scene.origin.hits();
    let (code, text) = scene.drill(&SHORT).await;
    assert_eq!(code, Some(0), "{text}");
    for said in [
        "asks the CMS FOR EVERYTHING",
        "Its lease ran out",
        "Rose: requests to the CMS",
        "As before",
        "Passed: no reader got an error.",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(scene.origin.hits() > before);
    assert_eq!(readers.stop().await, 0);
    assert!(scene.metric("cms_edge_redis_trips_total").await >= Some(1));
    scene.uses_redis().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cms_that_fails_meanwhile_fails_the_drill() {
    let redis = Server::start(&[]).await;
    let scene = Scene::with(&redis).await;
    let readers = Readers::start(scene.edge.http[0]);
    readers.read_on(200).await;
    let drilling = scene.drill(&SHORT);
    let failing = async {
        eventually("Redis is gone", || async {
            scene.metric("cms_edge_purge_log_connected").await == Some(0)
        })
        .await;
        scene.fails.store(true, Ordering::SeqCst);
        scene.uses_redis().await;
        scene.fails.store(false, Ordering::SeqCst);
    };
    let ((code, text), ()) = tokio::join!(drilling, failing);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILED: "), "{text}");
    assert!(readers.stop().await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_would_do_and_does_it_only_when_told_to() {
    let redis = Server::start(&[]).await;
    let scene = Scene::with(&redis).await;
    let (code, text) = scene.drill(&["--for", "2s"]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("Nothing was done. Add --yes"), "{text}");
    let (status, told) = scene.ask(Method::GET, "/drill", ADMIN_TOKEN).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (status, &told["redis_down"]["on"]),
        (StatusCode::OK, &Value::Bool(false))
    );
    let (code, text) = scene.drill(&["--token", "secret"]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("env:NAME or file:/path"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_itself_or_when_told_to() {
    let redis = Server::start(&[]).await;
    let scene = Scene::with(&redis).await;
    let begin = |span: &'static str| {
        let path = format!("/drill/redis-down?for={span}");
        let scene = &scene;
        async move {
            let (status, text) = scene.ask(Method::PUT, &path, ADMIN_TOKEN).await;
            assert_eq!(status, StatusCode::OK, "{text}");
            eventually("Redis is gone", || async {
                scene.metric("cms_edge_redis_breaker_open").await == Some(1)
                    && scene.metric("cms_edge_purge_log_connected").await == Some(0)
            })
            .await;
        }
    };
    // Whoever began it is gone.
    begin("2s").await;
    assert_eq!(scene.metric("cms_edge_drill_redis_down").await, Some(1));
    scene.uses_redis().await;
    begin("10m").await;
    let (status, _) = scene
        .ask(Method::DELETE, "/drill/redis-down", ADMIN_TOKEN)
        .await;
    assert_eq!(status, StatusCode::OK);
    scene.uses_redis().await;
    eventually("the gauge says so", || async {
        scene.metric("cms_edge_drill_redis_down").await == Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_guarded_bounded_and_of_use_only_with_a_redis() {
    let scene = Scene::start("").await;
    let path = "/drill/redis-down?for=1s";
    let (status, _) = scene.ask(Method::PUT, path, "wrong").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = scene.ask(Method::PUT, path, ADMIN_TOKEN).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (code, text) = scene.drill(&SHORT).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("uses no Redis"), "{text}");
    let redis = Server::start(&[]).await;
    let scene = Scene::with(&redis).await;
    for (method, path, expected) in [
        (
            Method::PUT,
            "/drill/redis-down?for=1h",
            StatusCode::BAD_REQUEST,
        ),
        (Method::PUT, "/drill/redis-down", StatusCode::BAD_REQUEST),
        (Method::POST, path, StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/drill", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (status, text) = scene.ask(method, path, ADMIN_TOKEN).await;
        assert_eq!(status, expected, "{path}: {text}");
    }
    let (status, _) = scene.ask(Method::GET, "/drill", "wrong").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
