//! The least that must work.

use std::time::Duration;

use crate::support::origin::{Origin, Reply};
use crate::support::stage::Stage;

#[tokio::test]
async fn a_miss_a_hit_and_a_purge() {
    let origin = Origin::start(|_| async {
        Reply::ok("hello")
            .header("cache-control", "max-age=60")
            .header("surrogate-key", "greeting")
    })
    .await;
    let stage = Stage::start(&origin, "").await;

    let miss = stage.get("/a", &[]).await;
    assert_eq!(
        miss.cache_status(),
        "cms-edge; fwd=uri-miss; stored; ttl=60"
    );
    assert_eq!(miss.text(), "hello");
    stage.clock.advance(Duration::from_secs(20));
    let hit = stage.get("/a", &[]).await;
    assert_eq!(hit.cache_status(), "cms-edge; hit; ttl=40");
    assert_eq!(hit.field("age"), "20");
    assert_eq!(hit.field("surrogate-key"), "");
    assert_eq!(origin.hits(), 1);

    stage.purge(r#"{"tags":["greeting"]}"#).await;
    assert!(!stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
    let hits = r#"cms_edge_requests_total{route="all",outcome="hit"}"#;
    assert_eq!(stage.metric(hits).await, 1);
}
