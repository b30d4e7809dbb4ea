//! Responses for several URLs, which other instances have stored.

use crate::support::origin::{Origin, Reply};
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::Stage;

const GENERATION: u64 = 42;

async fn start(origin: &Origin, server: &Server, memory: &str) -> Stage {
    let settings = format!(
        "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\nprofile = \"rfc\"\n\
         [purge]\nany_query = false\n\
         [redis]\nurl = \"redis://127.0.0.1:{}\"\ntimeout = \"5s\"\n\
         [purge_log]\nenabled = false\n{memory}\n",
        server.port
    );
    let stage = Stage::start_sharing(origin, &settings, GENERATION).await;
    eventually("Redis is asked", || async {
        let metrics = stage.admin("/metrics").await;
        metrics.text().contains("cms_edge_redis_breaker_open 0")
    })
    .await;
    stage
}

#[tokio::test]
async fn an_instance_that_has_learned_what_counts_finds_what_others_stored_for_equivalent_urls() {
    for memory in ["", "[cache]\nmemory = \"0B\""] {
        let (server, origin) = (Server::start(&[]).await, origin().await);
        let one = start(&origin, &server, memory).await;
        let other = start(&origin, &server, memory).await;
        for path in ["/a?x=1&y=1", "/a?x=1&y=2"] {
            assert!(!one.get(path, &[]).await.is_hit());
        }
        eventually("both are written", || async {
            one.metric("cms_edge_redis_writes_total{outcome=\"stored\"}")
                .await
                >= 2
        })
        .await;
        assert!(one.get("/a?x=2&y=1", &[]).await.is_hit(), "{memory}");
        // What the origin says of the path the other one learns from its first response.
        assert!(!other.get("/a?x=3&y=3", &[]).await.is_hit());
        for path in ["/a?x=3&y=1", "/a?y=2", "/a?y=3&x"] {
            assert!(other.get(path, &[]).await.is_hit(), "{memory} {path}");
        }
        assert_eq!(origin.hits(), 3);
        other.purge("{\"urls\":[\"/a?x=9&y=1\"]}").await;
        assert!(!other.get("/a?x=3&y=1", &[]).await.is_hit());
    }
}

async fn origin() -> Origin {
    Origin::start(|_| async {
        Reply::ok("hello")
            .header("cache-control", "max-age=60")
            .header("no-vary-search", "params=(\"x\")")
    })
    .await
}
