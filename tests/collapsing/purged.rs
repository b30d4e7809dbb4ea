//! A purge comes while one instance fetches and others wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fleet::{Fleet, Held};
use crate::support::origin::Reply;
use crate::support::redis_server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_what_was_fetched_after_the_purge() {
    let redis = Server::start(&[]).await;
    let version = Arc::new(AtomicU64::new(1));
    let current = Arc::clone(&version);
    let held = Held::start(move |_| {
        let found = current.load(Ordering::SeqCst).to_string();
        Reply::ok(found).header("cache-control", "max-age=60")
    });
    let held = held.await;
    let fleet = Fleet::start(3, &redis, &held.origin).await;
    let _leading = fleet.crowd([0], 1, "/page");
    held.was_asked("/page", 1).await;
    assert_eq!(fleet.leader().await, 0);
    let waiting = fleet.crowd([1, 2], 10, "/page");
    fleet.waits([1, 2]).await;
    version.store(2, Ordering::SeqCst);
    fleet.purge(1, r#"{"everything": true}"#).await;
    // One of the two takes the place of the first, which still fetches.
    held.was_asked("/page", 2).await;
    assert_eq!(held.asked("/page"), 2);
    held.answer_all();
    for answer in waiting.await.unwrap() {
        assert_eq!(answer.text(), "2");
    }
    for at in 0..3 {
        assert_eq!(fleet.get(at, "/page", &[]).await.text(), "2");
    }
    assert_eq!(held.asked("/page"), 2);
}
