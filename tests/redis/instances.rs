//! Whole instances that share a Redis.

use std::time::Duration;

use crate::support::origin::{Origin, Reply};
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::Stage;

/// The token that instances with one purge log would have.
const GENERATION: u64 = 42;

fn redis(server: &Server, more: &str) -> String {
    format!(
        "[redis]\nurl = \"redis://127.0.0.1:{}\"\ntimeout = \"5s\"\n\
         [purge_log]\nenabled = false\n{more}\n",
        server.port
    )
}

async fn origin() -> Origin {
    Origin::start(|_| async {
        Reply::ok("hello")
            .header("cache-control", "max-age=60")
            .header("vary", "accept-language")
            .header("surrogate-key", "greeting")
    })
    .await
}

async fn start(origin: &Origin, settings: &str) -> Stage {
    let stage = Stage::start_sharing(origin, settings, GENERATION).await;
    eventually("Redis is asked", || async {
        let metrics = stage.admin("/metrics").await;
        metrics.text().contains("cms_edge_redis_breaker_open 0")
    })
    .await;
    stage
}

async fn written(stage: &Stage, responses: u64) {
    eventually("it is written", || async {
        let series = "cms_edge_redis_writes_total{outcome=\"stored\"}";
        stage.metric(series).await >= responses
    })
    .await;
}

const HITS: &str = "cms_edge_redis_lookups_total{outcome=\"hit\"}";

#[tokio::test]
async fn what_one_instance_stored_the_other_serves() {
    let (server, origin) = (Server::start(&[]).await, origin().await);
    let one = start(&origin, &redis(&server, "")).await;
    let other = start(&origin, &redis(&server, "")).await;
    let german = [("accept-language", "de")];
    assert!(!one.get("/a", &german).await.is_hit());
    written(&one, 1).await;
    other.clock.advance(Duration::from_secs(20));
    let hit = other.get("/a", &german).await;
    assert_eq!(hit.cache_status(), "cms-edge; hit; ttl=40");
    assert_eq!(
        (hit.text().as_str(), hit.field("age").as_str()),
        ("hello", "20")
    );
    // Then from its own memory.
    assert!(other.get("/a", &german).await.is_hit());
    assert_eq!(other.metric(HITS).await, 1);
    for tier in ["redis", "memory"] {
        let hits = format!("cms_edge_hits_total{{tier=\"{tier}\"}}");
        assert_eq!(other.metric(&hits).await, 1, "{tier}");
    }
    assert!(!other.get("/a", &[("accept-language", "fr")]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_purge_covers_what_redis_has() {
    let (server, origin) = (Server::start(&[]).await, origin().await);
    let stage = start(&origin, &redis(&server, "")).await;
    stage.get("/a", &[]).await;
    written(&stage, 1).await;
    stage.purge(r#"{"tags":["greeting"]}"#).await;
    assert!(!stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
    written(&stage, 2).await;
    // Another one that knows of no purge gets the new one: a fence may be ahead of a reader.
    let other = start(&origin, &redis(&server, "")).await;
    assert!(other.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn redis_alone_serves_hits() {
    let (server, origin) = (Server::start(&[]).await, origin().await);
    let settings = redis(&server, "[cache]\nmemory = \"0B\"");
    let (one, other) = (
        start(&origin, &settings).await,
        start(&origin, &settings).await,
    );
    assert!(!one.get("/a", &[]).await.is_hit());
    assert!(one.get("/a", &[]).await.is_hit(), "at once");
    written(&one, 1).await;
    eventually("it has left this process", || async {
        one.get("/a", &[]).await.is_hit() && one.metric(HITS).await > 0
    })
    .await;
    for stage in [&one, &other] {
        let before = stage.metric(HITS).await;
        for at in 1..=3 {
            assert!(stage.get("/a", &[]).await.is_hit());
            assert_eq!(stage.metric(HITS).await, before + at);
        }
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn what_one_instance_compressed_the_other_need_not() {
    let server = Server::start(&[]).await;
    let origin = Origin::start(|_| async {
        Reply::ok("hello ".repeat(1000))
            .header("cache-control", "max-age=60")
            .header("content-type", "text/plain")
    })
    .await;
    let settings = redis(&server, "[cache]\nmemory = \"0B\"");
    let (one, other) = (
        start(&origin, &settings).await,
        start(&origin, &settings).await,
    );
    let brotli = [("accept-encoding", "br")];
    one.get("/a", &brotli).await;
    written(&one, 1).await;
    eventually("it is compressed for all", || async {
        let answer = other.get("/a", &brotli).await;
        answer.is_hit() && answer.field("content-encoding") == "br"
    })
    .await;
    let before = other.metric("cms_edge_derived_total").await;
    for _ in 0..5 {
        let answer = other.get("/a", &brotli).await;
        assert_eq!(answer.field("content-encoding"), "br");
    }
    assert_eq!(other.metric("cms_edge_derived_total").await, before);
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn nobody_notices_that_redis_is_gone() {
    let (mut server, origin) = (Server::start(&[]).await, origin().await);
    for memory in ["", "[cache]\nmemory = \"0B\""] {
        let stage = start(&origin, &redis(&server, memory)).await;
        stage.get("/kept", &[]).await;
        written(&stage, 1).await;
        server.kill();
        for at in 0..20 {
            let answer = stage.get(&format!("/{at}"), &[]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text().as_str()),
                (200, "hello")
            );
        }
        assert_eq!(stage.get("/kept", &[]).await.status.as_u16(), 200);
        server.restart().await;
        eventually("Redis is asked again", || async {
            let metrics = stage.admin("/metrics").await;
            metrics.text().contains("cms_edge_redis_breaker_open 0")
        })
        .await;
        stage.get("/new", &[]).await;
        written(&stage, 2).await;
    }
}

#[tokio::test]
async fn many_that_wait_for_one_answer_get_it_without_redis_and_without_memory() {
    let (mut server, origin) = (Server::start(&[]).await, origin().await);
    let stage = start(&origin, &redis(&server, "[cache]\nmemory = \"0B\"")).await;
    server.kill();
    stage.get("/before", &[]).await;
    let asking = (0..50).map(|_| stage.get("/a", &[]));
    for answer in futures_util::future::join_all(asking).await {
        assert_eq!(answer.text(), "hello");
    }
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn what_is_answered_without_being_stored_leaves_redis_too() {
    let server = Server::start(&[]).await;
    let origin = Origin::start(|request| async move {
        let reply = Reply::ok("page").header("etag", "\"1\"");
        match request.headers.contains_key("x-private") {
            true => reply.header("cache-control", "private"),
            false => reply.header("cache-control", "max-age=60"),
        }
    })
    .await;
    let stage = start(&origin, &redis(&server, "")).await;
    stage.get("/a", &[]).await;
    written(&stage, 1).await;
    // It asks for another one, and gets what is not for the store.
    let again = [("cache-control", "no-cache"), ("x-private", "1")];
    stage.get("/a", &again).await;
    let mut left: Vec<String> = server.ask(&["KEYS", "*"]).await;
    // That the answer cannot be shared is told to other instances.
    left.retain(|name| !name.contains(":claim:"));
    assert!(left.is_empty(), "{left:?}");
    assert!(!stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn what_is_too_large_for_redis_is_waited_for_by_nobody_elsewhere() {
    let server = Server::start(&[]).await;
    let origin = Origin::start(|_| async {
        Reply::ok("text ".repeat(1000)).header("cache-control", "max-age=60")
    })
    .await;
    let keys = "max_object_size = \"1KiB\"\n[purge_log]\nenabled = false";
    let settings = format!(
        "[redis]\nurl = \"{}\"\ntimeout = \"5s\"\n{keys}\n",
        server.url()
    );
    let (one, other) = (
        start(&origin, &settings).await,
        start(&origin, &settings).await,
    );
    one.get("/a", &[]).await;
    eventually("the others are told, for a while", || async {
        let names: Vec<String> = server.ask(&["KEYS", "*:claim:*"]).await;
        let Some(name) = names.first() else {
            return false;
        };
        server.ask::<u64>(&["PTTL", name]).await > 10_000
    })
    .await;
    other.get("/a", &[]).await;
    let everybody = "cms_edge_redis_claims_total{outcome=\"everybody\"}";
    assert_eq!(other.metric(everybody).await, 1);
    assert_eq!(origin.hits(), 2);
}
