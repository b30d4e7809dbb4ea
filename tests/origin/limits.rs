//! How many exchanges run at a time, and who waits for a place.

use std::sync::Arc;

use bytes::Bytes;
use cms_edge::body::BodyError;
use cms_edge::fetch::{Kind, Upstream};
use http::StatusCode;
use tokio::sync::{Barrier, Semaphore};
use tokio::time::timeout;

use crate::stage::{SHORT, Stage, failure, get, request};
use crate::support::origin::{Origin, PATIENCE, Reply};

#[tokio::test]
async fn no_more_exchanges_run_at_a_time_than_allowed() {
    let full_house = Arc::new(Barrier::new(3));
    let origin = Origin::start({
        let full_house = Arc::clone(&full_house);
        move |_| {
            let full_house = Arc::clone(&full_house);
            async move {
                // Passes only in groups of three: three do run at a time, and not one more.
                full_house.wait().await;
                Reply::ok("content")
            }
        }
    })
    .await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.concurrency = 3;
    stage.settings.queue = 100;
    let upstream = stage.upstream();
    let requests: Vec<_> = (0..30)
        .map(|_| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(async move { get(&upstream, "/").await.unwrap() })
        })
        .collect();
    for request in requests {
        let content = timeout(PATIENCE, request).await.unwrap().unwrap();
        assert_eq!(content, "content");
    }
    assert_eq!((origin.hits(), origin.in_flight_max()), (30, 3));
    assert!(
        stage
            .text()
            .contains("origin_in_flight{upstream=\"cms\"} 0")
    );
    assert!(stage.text().contains("origin_queued{upstream=\"cms\"} 0"));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_long_one_after_its_time() {
    let (origin, door) = behind_a_door().await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.concurrency = 1;
    stage.settings.queue = 1;
    stage.settings.queue_timeout = SHORT;
    let upstream = stage.upstream();
    let inside = spawn_get(&upstream);
    origin.saw(1).await;
    let (first, second) = tokio::join!(failure(&upstream, "/"), failure(&upstream, "/"));
    assert_eq!(first.kind, Kind::QueueTimeout);
    assert_eq!(second.kind, Kind::QueueFull);
    for kind in [first.kind, second.kind] {
        assert_eq!(kind.status(), StatusCode::SERVICE_UNAVAILABLE);
        let reason = format!(
            "origin_limit_hits_total{{upstream=\"cms\",reason=\"{}\"}} 1",
            kind.label()
        );
        assert!(stage.text().contains(&reason), "{}", stage.text());
    }
    door.add_permits(1);
    assert_eq!(inside.await.unwrap().unwrap(), "content");
    door.add_permits(1);
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_response_holds_its_place_until_it_is_dropped() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/long" => Reply::ok("content").stall_after(3),
            _ => Reply::ok("content"),
        }
    })
    .await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.concurrency = 1;
    stage.settings.queue = 0;
    let upstream = stage.upstream();
    let long = upstream.send(request("/long")).await.unwrap();
    assert_eq!(failure(&upstream, "/").await.kind, Kind::QueueFull);
    drop(long);
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_no_trace() {
    let (origin, door) = behind_a_door().await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.concurrency = 1;
    stage.settings.queue = 1;
    let upstream = stage.upstream();
    let inside = spawn_get(&upstream);
    origin.saw(1).await;
    // One gives up while it waits in the queue, the other while it waits for an answer.
    assert!(timeout(SHORT, get(&upstream, "/")).await.is_err());
    assert!(stage.text().contains("origin_queued{upstream=\"cms\"} 0"));
    inside.abort();
    assert!(inside.await.unwrap_err().is_cancelled());
    origin.lost(1).await;
    door.add_permits(1);
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
}

/// An origin that lets one request through per permit.
async fn behind_a_door() -> (Origin, Arc<Semaphore>) {
    let door = Arc::new(Semaphore::new(0));
    let handler = {
        let door = Arc::clone(&door);
        move |_| {
            let door = Arc::clone(&door);
            async move {
                door.acquire().await.unwrap().forget();
                Reply::ok("content")
            }
        }
    };
    (Origin::start(handler).await, door)
}

fn spawn_get(upstream: &Arc<Upstream>) -> tokio::task::JoinHandle<Result<Bytes, BodyError>> {
    let upstream = Arc::clone(upstream);
    tokio::spawn(async move { get(&upstream, "/").await })
}
