//! Health checks take servers out and bring them back, whether or not anybody asks for anything.

use std::sync::Arc;
use std::time::Duration;

use cms_edge::fetch::{Check, Choice, Statuses, Upstream};
use http::HeaderValue;
use parking_lot::Mutex;

use crate::stage::{Stage, get, pool_settles, until};
use crate::support::origin::{Origin, PATIENCE, Reply};

const OFTEN: Duration = Duration::from_millis(10);

fn check() -> Check {
    Check {
        path: http::uri::PathAndQuery::from_static("/healthz?deep"),
        host: None,
        interval: OFTEN,
        timeout: PATIENCE,
        healthy: 2,
        unhealthy: 2,
        statuses: Statuses(vec![200..=299]),
    }
}

/// A server whose checks are answered with the status that the other end is set to.
async fn checked() -> (Origin, Arc<Mutex<u16>>) {
    let status = Arc::new(Mutex::new(204));
    let answered = Arc::clone(&status);
    let origin = Origin::start(move |request| {
        let reply = if request.target == "/healthz?deep" {
            Reply::new(*answered.lock())
        } else {
            Reply::ok("content")
        };
        std::future::ready(reply)
    })
    .await;
    (origin, status)
}

fn pages(origin: &Origin) -> usize {
    let requests = origin.requests();
    requests
        .iter()
        .filter(|request| request.target == "/")
        .count()
}

#[tokio::test]
async fn a_server_whose_checks_fail_is_out_until_they_are_good_again() {
    let (first, status) = checked().await;
    let (second, _) = checked().await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    stage.settings.care.check = Some(check());
    let upstream = stage.upstream();
    let up = || stage.metric_of("origin_server_up", &first.uri());
    assert_eq!(up(), 1);

    *status.lock() = 500;
    until("the server to be out", || up() == 0).await;
    for _ in 0..10 {
        get(&upstream, "/").await.unwrap();
    }
    assert_eq!((pages(&first), pages(&second)), (0, 10));

    *status.lock() = 200;
    until("the server to be back", || up() == 1).await;
    for _ in 0..10 {
        get(&upstream, "/").await.unwrap();
    }
    assert_eq!((pages(&first), pages(&second)), (5, 15));
    let checks = |result| {
        let server = first.uri().authority().unwrap().clone();
        stage.metric(&format!(
            "origin_health_checks_total{{upstream=\"cms\",server=\"{server}\",result=\"{result}\"}}"
        ))
    };
    assert!(checks("good") >= 2 && checks("bad") >= 2);
}

#[tokio::test]
async fn a_check_asks_for_its_path_on_a_connection_of_its_own_and_belongs_to_no_request_series() {
    let (origin, _) = checked().await;
    let mut stage = Stage::new(&[origin.uri()]);
    let host = HeaderValue::from_static("cms.example.org");
    stage.settings.care.check = Some(Check {
        host: Some(host),
        ..check()
    });
    let _upstream = stage.upstream();
    origin.saw(3).await;
    let request = origin.requests().pop().unwrap();
    assert_eq!(request.target, "/healthz?deep");
    assert_eq!(request.header("host"), Some("cms.example.org"));
    assert!(request.header("user-agent").unwrap().contains("cms-edge"));
    assert!(origin.connections() >= 3);
    let opened = stage.metric("origin_connections_opened_total{upstream=\"cms\"}");
    let timed = stage.metric("origin_first_byte_seconds_count{upstream=\"cms\"}");
    assert_eq!((opened, timed), (0, 0));
}

#[tokio::test]
async fn without_a_host_of_its_own_a_check_names_the_server() {
    let (origin, _) = checked().await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.care.check = Some(check());
    let _upstream = stage.upstream();
    origin.saw(1).await;
    let own = origin.address().to_string();
    assert_eq!(origin.requests()[0].header("host"), Some(own.as_str()));
}

#[tokio::test]
async fn a_check_that_hangs_is_a_bad_one() {
    let silent = Origin::start(|_| async { Reply::silent() }).await;
    let (alive, _) = checked().await;
    let mut stage = Stage::new(&[silent.uri(), alive.uri()]);
    stage.settings.care.check = Some(Check {
        timeout: OFTEN,
        ..check()
    });
    let _upstream = stage.upstream();
    until("the server to be out", || {
        stage.metric_of("origin_server_up", &silent.uri()) == 0
    })
    .await;
}

#[tokio::test]
async fn with_every_server_out_all_are_asked() {
    let (first, status_of_first) = checked().await;
    let (second, status_of_second) = checked().await;
    let mut stage = Stage::new(&[first.uri(), second.uri()]);
    stage.settings.care.choice = Choice::RoundRobin;
    stage.settings.care.check = Some(check());
    let upstream = stage.upstream();
    (*status_of_first.lock(), *status_of_second.lock()) = (503, 503);
    for origin in [&first, &second] {
        until("every server to be out", || {
            stage.metric_of("origin_server_up", &origin.uri()) == 0
        })
        .await;
    }
    for _ in 0..4 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "content");
    }
    assert_eq!((pages(&first), pages(&second)), (2, 2));
}

#[tokio::test]
async fn checks_end_with_their_upstream() {
    let (origin, _) = checked().await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.care.check = Some(check());
    let upstream = stage.upstream();
    origin.saw(2).await;
    drop(upstream);
    pool_settles().await;
    // One may be on its way.
    let seen = origin.connections() + 1;
    tokio::time::sleep(20 * OFTEN).await;
    assert!(origin.connections() <= seen, "{}", origin.connections());
}

#[test]
fn checks_need_a_runtime() {
    let mut stage = Stage::new(&["http://cms:80".parse().unwrap()]);
    stage.settings.care.check = Some(check());
    let made = Upstream::new("cms", stage.settings, stage.metrics);
    let sentence = "health checks need a runtime to run on";
    assert_eq!(made.err().unwrap().to_string(), sentence);
}
