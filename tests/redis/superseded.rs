//! What was superseded under another Vary, and what supersedes it is purged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::support::origin::{Origin, Reply};
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::Stage;

const ACCEPT: [(&str, &str); 1] = [("accept", "text/x")];

fn redis(server: &Server, more: &str) -> String {
    format!(
        "[redis]\nurl = \"{}\"\ntimeout = \"5s\"\n{more}\n[purge_log]\nenabled = false\n",
        server.url()
    )
}

async fn start(origin: &Origin, settings: &str) -> Stage {
    let stage = Stage::start_sharing(origin, settings, 42).await;
    eventually("Redis is asked", || async {
        stage.metric("cms_edge_redis_breaker_open").await == 0
    })
    .await;
    stage
}

async fn has_written(stage: &Stage) {
    eventually("it is written", || async {
        let series = "cms_edge_redis_writes_total{outcome=\"stored\"}";
        stage.metric(series).await == 1
    })
    .await;
}

/// The first request is answered last, and with what is newer.
async fn origin(gate: &Arc<Semaphore>) -> Origin {
    let (gate, count) = (Arc::clone(gate), AtomicUsize::new(0));
    Origin::start(move |_| {
        let (gate, asked) = (Arc::clone(&gate), count.fetch_add(1, Ordering::Relaxed));
        async move {
            let reply = match asked {
                0 => {
                    gate.acquire().await.unwrap().forget();
                    Reply::ok("newer")
                        .header("vary", "accept")
                        .header("surrogate-key", "newer")
                        .header("date", "Sat, 21 Nov 2026 12:00:00 GMT")
                }
                1 => Reply::ok("older")
                    .header("surrogate-key", "older")
                    .header("date", "Sat, 21 Nov 2026 11:59:50 GMT"),
                _ => Reply::ok("newest"),
            };
            reply.header("cache-control", "max-age=60")
        }
    })
    .await
}

#[tokio::test]
async fn who_has_seen_what_is_newer_never_sees_what_is_older_again() {
    for memory in ["", "[cache]\nmemory = \"0B\""] {
        let (server, gate) = (Server::start(&[]).await, Arc::new(Semaphore::new(0)));
        let origin = origin(&gate).await;
        let apart = redis(&server, "collapse_wait = \"0s\"");
        let (one, other) = (start(&origin, &apart).await, start(&origin, &apart).await);
        let first = one.get("/a", &ACCEPT);
        let second = async {
            eventually("the first one is under way", || async {
                origin.hits() == 1
            })
            .await;
            assert_eq!(other.get("/a", &ACCEPT).await.text(), "older");
            has_written(&other).await;
            gate.add_permits(1);
        };
        let (first, ()) = tokio::join!(first, second);
        assert_eq!(first.text(), "newer");
        has_written(&one).await;
        let reader = start(&origin, &(redis(&server, "") + memory)).await;
        assert_eq!(reader.get("/a", &ACCEPT).await.text(), "newer");
        reader.purge(r#"{"tags":["newer"]}"#).await;
        assert_eq!(reader.get("/a", &ACCEPT).await.text(), "newest", "{memory}");
    }
}
