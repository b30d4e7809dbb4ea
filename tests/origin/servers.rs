//! Which server is asked, and which is left out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cms_edge::fetch::{Choice, Kind, Share, Statuses, Upstream};
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::stage::{SHORT, Stage, failure, get, pool_settles, request, until};
use crate::support::origin::{Origin, PATIENCE, Reply, refusing};

const CHOICES: [Choice; 3] = [
    Choice::PowerOfTwo,
    Choice::LeastConnections,
    Choice::RoundRobin,
];

fn weight(weight: u32) -> Share {
    Share {
        weight,
        ..Share::default()
    }
}

/// Two servers, of which the first fails as `flaky` says; in turn, so that what is asked is known.
async fn pair(flaky: fn() -> Reply) -> (Origin, Origin, Stage) {
    let first = Origin::start(move |_| std::future::ready(flaky())).await;
    let second = Origin::start(|_| async { Reply::ok("second") }).await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    (first, second, stage)
}

#[tokio::test]
async fn over_a_thousand_requests_each_server_gets_its_weight() {
    for choice in CHOICES {
        let origins = [
            Origin::start(|_| async { Reply::new(204) }).await,
            Origin::start(|_| async { Reply::new(204) }).await,
            Origin::start(|_| async { Reply::new(204) }).await,
        ];
        let mut stage = Stage::new(&origins.each_ref().map(Origin::uri));
        stage.settings.care.choice = choice;
        stage.settings.care.shares = vec![weight(1), weight(3), weight(6)];
        let upstream = stage.upstream();
        for _ in 0..1000 {
            drop(upstream.send(request("/")).await.unwrap());
        }
        let hits = origins.each_ref().map(Origin::hits);
        for (hits_of_one, expected) in hits.iter().zip([100_usize, 300, 600]) {
            assert!(
                hits_of_one.abs_diff(expected) < 60,
                "{choice:?}: {hits:?} of 1000"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_less() {
    for choice in [Choice::PowerOfTwo, Choice::LeastConnections] {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let busy = Origin::start(move |_| {
            let held = Arc::clone(&held);
            async move {
                held.acquire().await.unwrap().forget();
                Reply::ok("busy")
            }
        })
        .await;
        let idle = Origin::start(|_| async { Reply::ok("idle") }).await;
        let mut stage = Stage::new(&[busy.uri(), idle.uri()]);
        stage.settings.care.choice = choice;
        stage.settings.concurrency = 64;
        let upstream = stage.upstream();
        let mut waiting = tokio::task::JoinSet::new();
        while busy.hits() == 0 {
            let upstream = Arc::clone(&upstream);
            let before = idle.hits();
            waiting.spawn(async move { get(&upstream, "/").await.is_ok() });
            until("a request", || busy.hits() > 0 || idle.hits() > before).await;
            pool_settles().await;
        }
        assert_eq!(
            stage.metric_of("origin_server_in_flight", &busy.uri()),
            1,
            "{choice:?}"
        );
        for _ in 0..20 {
            assert_eq!(get(&upstream, "/").await.unwrap(), "idle", "{choice:?}");
        }
        gate.add_permits(1);
        assert!(waiting.join_all().await.into_iter().all(|ended| ended));
        until("the end of it", || {
            stage.metric_of("origin_server_in_flight", &busy.uri()) == 0
        })
        .await;
    }
}

#[tokio::test]
async fn after_its_failures_a_server_is_left_out_and_after_its_time_tried_by_one() {
    let hangs_up = Arc::new(Mutex::new(true));
    let still = Arc::clone(&hangs_up);
    let first = Origin::start(move |_| {
        let fails = *still.lock();
        std::future::ready(if fails {
            Reply::hang_up()
        } else {
            Reply::ok("first")
        })
    })
    .await;
    let second = Origin::start(|_| async { Reply::ok("second") }).await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    stage.settings.care.share = Share {
        max_fails: 2,
        fail_timeout: Duration::from_secs(1),
        ..Share::default()
    };
    let upstream = stage.upstream();
    for _ in 0..2 {
        assert_eq!(failure(&upstream, "/").await.kind, Kind::Closed);
        assert_eq!(get(&upstream, "/").await.unwrap(), "second");
    }
    assert_eq!(stage.metric_of("origin_server_up", &first.uri()), 0);
    assert_eq!(
        stage.metric_of("origin_ejections_total", &first.uri()),
        1,
        "{}",
        stage.text()
    );
    for _ in 0..10 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "second");
    }
    assert_eq!(first.hits(), 2);

    *hangs_up.lock() = false;
    let back = async {
        while first.hits() == 2 {
            get(&upstream, "/").await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, back).await.unwrap();
    assert_eq!(stage.metric_of("origin_server_up", &first.uri()), 1);
    let mut answers = HashSet::new();
    for _ in 0..2 {
        answers.insert(get(&upstream, "/").await.unwrap());
    }
    assert_eq!(answers.len(), 2, "both take their turns");
}

#[tokio::test]
async fn one_failure_is_enough_where_the_settings_say_so() {
    let (first, second, mut stage) = pair(Reply::silent).await;
    stage.settings.first_byte_timeout = SHORT;
    stage.settings.care.share.max_fails = 1;
    let upstream = stage.upstream();
    assert_eq!(failure(&upstream, "/").await.kind, Kind::FirstByteTimeout);
    for _ in 0..5 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "second");
    }
    assert_eq!((first.hits(), second.hits()), (1, 5));
}

#[tokio::test]
async fn statuses_count_as_failures_only_where_the_settings_say_so_and_are_passed_on() {
    for (fail_statuses, left_out) in [(vec![], 0), (vec![502..=504], 1)] {
        let (first, _second, mut stage) = pair(|| Reply::new(503)).await;
        stage.settings.care.fail_statuses = Statuses(fail_statuses);
        stage.settings.care.share.max_fails = 1;
        let upstream = stage.upstream();
        let response = upstream.send(request("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let ejections = stage.metric_of("origin_ejections_total", &first.uri());
        assert_eq!(ejections, left_out);
        for _ in 0..4 {
            drop(upstream.send(request("/")).await.unwrap());
        }
        assert_eq!(first.hits(), if left_out == 1 { 1 } else { 3 });
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_idled_is_no_failure_of_its_server() {
    let used = Mutex::new(HashSet::new());
    let first = Origin::start(move |request| {
        let is_new = used.lock().insert(request.connection);
        std::future::ready(if is_new {
            Reply::ok("alive")
        } else {
            Reply::hang_up()
        })
    })
    .await;
    let second = Origin::start(|_| async { Reply::ok("second") }).await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    stage.settings.care.share.max_fails = 1;
    let upstream = stage.upstream();
    for _ in 0..10 {
        get(&upstream, "/").await.unwrap();
        pool_settles().await;
    }
    assert_eq!(stage.metric_of("origin_ejections_total", &first.uri()), 0);
    assert!(first.hits() > first.connections());
}

#[tokio::test]
async fn with_every_server_dead_all_are_still_tried() {
    let stage = Stage::new(&[refusing().await, refusing().await]);
    let upstream = stage.upstream();
    let mut tried = HashSet::new();
    for _ in 0..15 {
        tried.insert(failure(&upstream, "/").await.server.unwrap());
    }
    assert_eq!(tried.len(), 2);
}

#[tokio::test]
async fn a_backup_answers_while_the_others_are_gone() {
    let backup = Origin::start(|_| async { Reply::ok("backup") }).await;
    let first = Origin::start(|_| async { Reply::ok("first") }).await;
    let mut stage = Stage::new(&[backup.uri(), first.uri()]);
    stage.settings.care.shares = vec![
        Share {
            backup: true,
            ..Share::default()
        },
        Share {
            max_fails: 1,
            ..Share::default()
        },
    ];
    let upstream = stage.upstream();
    for _ in 0..5 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "first");
        pool_settles().await;
    }
    let closed = first.connections();
    drop(first);
    pool_settles().await;
    assert!(closed > 0);
    for _ in 0..5 {
        // The pool may still have a connection that is closed by now.
        assert_eq!(get(&upstream, "/").await.unwrap(), "backup");
    }
    assert_eq!(backup.hits(), 5);
}

#[tokio::test]
async fn repetitions_are_bounded_by_the_requests() {
    const REQUESTS: u64 = 600;
    let dead = refusing().await;
    let alive = Origin::start(|_| async { Reply::new(204) }).await;
    let mut stage = Stage::new(&[dead, alive.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    stage.settings.care.share.max_fails = 0;
    let upstream = stage.upstream();
    let began = tokio::time::Instant::now();
    let mut failed = 0;
    for _ in 0..REQUESTS {
        failed += u64::from(upstream.send(request("/")).await.is_err());
    }
    let retries = stage.metric("origin_retries_total{upstream=\"cms\",reason=\"connect\"}");
    let exhausted = stage.metric("origin_retry_budget_exhausted_total{upstream=\"cms\"}");
    let windows = 1 + began.elapsed().as_secs() / 10;
    assert!(
        retries <= 100 * windows + REQUESTS / 5,
        "{retries} retries in {windows} windows"
    );
    assert_eq!(exhausted, failed, "{retries}");
    assert!(failed > 0 || windows > 1);
}

#[tokio::test]
async fn weights_that_are_none_are_refused() {
    for none in [0, 101] {
        let mut stage = Stage::new(&["http://cms:80".parse().unwrap()]);
        stage.settings.care.shares = vec![weight(none)];
        let made = Upstream::new("cms", stage.settings, stage.metrics);
        let sentence = "the weight of a server is a number from 1 to 100";
        assert_eq!(made.err().unwrap().to_string(), sentence);
    }
}

#[tokio::test]
async fn slow_exchanges_are_counted_where_a_threshold_is_set() {
    for (threshold, expected) in [(Duration::ZERO, 0), (SHORT / 2, 2), (PATIENCE, 0)] {
        let origin = Origin::start(|request| async move {
            if request.target == "/slow?a=b" {
                tokio::time::sleep(SHORT).await;
            }
            match request.target.as_str() {
                "/never" => Reply::silent(),
                _ => Reply::ok("slow"),
            }
        })
        .await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.care.slow_threshold = threshold;
        stage.settings.first_byte_timeout = 5 * SHORT;
        let upstream = stage.upstream();
        get(&upstream, "/slow?a=b").await.unwrap();
        failure(&upstream, "/never").await;
        let slow = stage.metric("origin_slow_total{upstream=\"cms\"}");
        assert_eq!(slow, expected, "{threshold:?}");
    }
}
