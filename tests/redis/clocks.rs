//! Instances whose clocks differ.

use std::time::Duration;

use crate::support::origin::{Origin, Reply};
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::Stage;

async fn start(origin: &Origin, server: &Server) -> Stage {
    let settings = format!(
        "[redis]\nurl = \"{}\"\ntimeout = \"5s\"\n[purge_log]\nenabled = false\n",
        server.url()
    );
    let stage = Stage::start_sharing(origin, &settings, 42).await;
    eventually("Redis is asked", || async {
        stage.metric("cms_edge_redis_breaker_open").await == 0
    })
    .await;
    stage
}

#[tokio::test]
async fn what_comes_from_a_clock_that_is_ahead_lives_no_longer_than_it_may() {
    let server = Server::start(&[]).await;
    let origin =
        Origin::start(|_| async { Reply::ok("hello").header("cache-control", "max-age=60") }).await;
    let (ahead, right) = (start(&origin, &server).await, start(&origin, &server).await);
    ahead.clock.advance(Duration::from_secs(3600));
    ahead.get("/a", &[]).await;
    eventually("it is written", || async {
        let series = "cms_edge_redis_writes_total{outcome=\"stored\"}";
        ahead.metric(series).await == 1
    })
    .await;
    // A little is nothing.
    let near = start(&origin, &server).await;
    near.clock.advance(Duration::from_secs(3598));
    assert!(near.get("/a", &[]).await.is_hit());
    right.get("/a", &[]).await;
    assert_eq!(origin.hits(), 2);
    assert!(right.get("/a", &[]).await.is_hit());
    right.clock.advance(Duration::from_secs(61));
    assert!(!right.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 3);
}
