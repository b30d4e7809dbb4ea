//! An upstream that fails again and again is not asked for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::fetch::{Breaker, Kind, Upstream};
use http::{Request, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::stage::{SHORT, Stage, content, failure, get, request};
use crate::support::origin::{Origin, PATIENCE, Reply};

const STATE: &str = "origin_breaker_state{upstream=\"cms\"}";
const OPENED: &str = "origin_breaker_opened_total{upstream=\"cms\"}";

/// Hangs up while the other end is true.
async fn switched() -> (Origin, Arc<Mutex<bool>>) {
    let fails = Arc::new(Mutex::new(true));
    let still = Arc::clone(&fails);
    let origin = Origin::start(move |_| {
        let fails = *still.lock();
        std::future::ready(if fails {
            Reply::hang_up()
        } else {
            Reply::ok("content")
        })
    })
    .await;
    (origin, fails)
}

fn stage(origin: &Origin, open_for: Duration) -> Stage {
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.care.breaker = Breaker {
        failures: 3,
        open_for,
    };
    stage
}

/// Asks until the breaker lets one through.
async fn probe(upstream: &Upstream) -> Result<Bytes, Kind> {
    timeout(PATIENCE, async {
        loop {
            match upstream.send(request("/")).await {
                Ok(response) => return Ok(content(response).await.unwrap()),
                Err(error) if error.kind != Kind::BreakerOpen => return Err(error.kind),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn failures_in_a_row_open_it_and_nothing_is_asked() {
    let (origin, _) = switched().await;
    let stage = stage(&origin, PATIENCE * 10);
    let upstream = stage.upstream();
    for _ in 0..3 {
        assert_eq!(failure(&upstream, "/").await.kind, Kind::Closed);
    }
    assert_eq!((stage.metric(STATE), stage.metric(OPENED)), (2, 1));
    for _ in 0..10 {
        let error = failure(&upstream, "/").await;
        assert_eq!(error.kind, Kind::BreakerOpen);
        assert_eq!(error.kind.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(error.kind.proxy_status(), "destination_unavailable");
    }
    assert_eq!(origin.hits(), 3);
    let refused = "origin_requests_total{upstream=\"cms\",result=\"breaker_open\"}";
    assert_eq!(stage.metric(refused), 10);
}

#[tokio::test]
async fn after_its_time_one_request_finds_out() {
    let (origin, fails) = switched().await;
    let stage = stage(&origin, SHORT);
    let upstream = stage.upstream();
    for _ in 0..3 {
        failure(&upstream, "/").await;
    }
    assert_eq!(probe(&upstream).await, Err(Kind::Closed));
    assert_eq!((origin.hits(), stage.metric(OPENED)), (4, 2));
    *fails.lock() = false;
    assert_eq!(probe(&upstream).await.unwrap(), "content");
    assert_eq!(stage.metric(STATE), 0);
    for _ in 0..5 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    }
}

#[tokio::test]
async fn while_one_finds_out_the_others_are_refused() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let origin = Origin::start(move |request| {
        let held = Arc::clone(&held);
        async move {
            if request.target == "/fails" {
                return Reply::hang_up();
            }
            held.acquire().await.unwrap().forget();
            Reply::ok("content")
        }
    })
    .await;
    let stage = stage(&origin, SHORT);
    let upstream = stage.upstream();
    for _ in 0..3 {
        failure(&upstream, "/fails").await;
    }
    let probing = Arc::clone(&upstream);
    let probing = tokio::spawn(async move { probe(&probing).await });
    origin.saw(4).await;
    assert_eq!(stage.metric(STATE), 1);
    for _ in 0..10 {
        assert_eq!(failure(&upstream, "/").await.kind, Kind::BreakerOpen);
    }
    assert_eq!(origin.hits(), 4);
    gate.add_permits(1);
    assert_eq!(probing.await.unwrap().unwrap(), "content");
    assert_eq!(stage.metric(STATE), 0);
}

#[tokio::test]
async fn a_probe_that_its_client_gives_up_is_followed_by_another() {
    let silent = Origin::start(|request| async move {
        match request.target.as_str() {
            "/silent" => Reply::silent(),
            "/fails" => Reply::hang_up(),
            _ => Reply::ok("content"),
        }
    })
    .await;
    let stage = stage(&silent, SHORT);
    let upstream = stage.upstream();
    for _ in 0..3 {
        failure(&upstream, "/fails").await;
    }
    let given_up = async {
        while silent.hits() == 3 {
            let impatient = timeout(SHORT * 3, upstream.send(request("/silent")));
            drop(impatient.await);
        }
    };
    timeout(PATIENCE, given_up).await.unwrap();
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
}

#[tokio::test]
async fn whoever_waits_for_a_place_is_refused_when_it_opens() {
    let origin = Origin::start(|_| async { Reply::silent() }).await;
    let mut stage = stage(&origin, PATIENCE * 10);
    stage.settings.concurrency = 3;
    stage.settings.queue = 100;
    stage.settings.first_byte_timeout = SHORT;
    let upstream = stage.upstream();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let upstream = Arc::clone(&upstream);
        all.spawn(async move { failure(&upstream, "/").await.kind });
    }
    let kinds = all.join_all().await;
    let count = |kind| kinds.iter().filter(|one| **one == kind).count();
    assert!(count(Kind::FirstByteTimeout) < 10, "{kinds:?}");
    assert!(count(Kind::BreakerOpen) > 20, "{kinds:?}");
    assert_eq!(origin.hits(), count(Kind::FirstByteTimeout));
}

#[tokio::test]
async fn what_a_client_did_wrong_does_not_open_it() {
    let origin = Origin::start(|_| async { Reply::ok("content") }).await;
    let stage = stage(&origin, PATIENCE * 10);
    let upstream = stage.upstream();
    for _ in 0..10 {
        let request = Request::connect("cms:443").body(Body::empty()).unwrap();
        let error = upstream.send(request).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidRequest);
    }
    assert_eq!(get(&upstream, "/").await.unwrap(), "content");
}
