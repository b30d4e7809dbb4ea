//! Whether the checker notices: three schedules of faults, each made for one rule of
//! docs/purge-log.md, before a program that breaks that rule, and before one that breaks none.
//!
//! `cargo test --features sabotage --test chaos sabotage::`

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::kit::fleet::instances;
use crate::kit::play::{serve_hits, until};
use crate::kit::publisher;
use crate::kit::readers::Client;
use crate::kit::scene::Scene;
use crate::kit::servers::{RedisFault, Topology};
use crate::kit::site::{LANGUAGES, Scope};

/// What a schedule does until something shows, at most so often; and how often where nothing may.
const ROUNDS_MAX: usize = 12;
const ROUNDS: usize = 3;
/// How long a receipt may take that has to be complete.
const COMPLETE_MAX: Duration = Duration::from_secs(30);

/// Where readers ask, and where editors purge.
const HERE: usize = 0;
const THERE: usize = 1;
const PAGE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_that_is_read_too_late_is_found() {
    let scene = Scene::start(1, Topology::Standalone, Some("fence")).await;
    assert!(is_found(&scene, ROUNDS_MAX, purge_in_mid_fetch).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_does_not_run_out_is_found() {
    let scene = Scene::start(2, Topology::Standalone, Some("lease")).await;
    assert!(is_found(&scene, ROUNDS_MAX, purge_past_a_cut).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_sleeps_with_its_process_is_found() {
    let scene = Scene::start(5, Topology::Standalone, Some("lease")).await;
    assert!(is_found(&scene, ROUNDS_MAX, purge_in_sleep).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_another_generation_are_found() {
    let scene = Scene::start(3, Topology::Standalone, Some("generation")).await;
    assert!(is_found(&scene, ROUNDS_MAX, purge_after_a_loss).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_where_no_rule_is_broken() {
    let scene = Scene::start(4, Topology::Standalone, None).await;
    assert!(!is_found(&scene, ROUNDS, purge_in_mid_fetch).await);
    assert!(!is_found(&scene, ROUNDS, purge_past_a_cut).await);
    assert!(!is_found(&scene, ROUNDS, purge_in_sleep).await);
    assert!(!is_found(&scene, ROUNDS, purge_after_a_loss).await);
}

/// Whether a violation shows within some rounds.
async fn is_found(scene: &Scene, rounds: usize, round: impl AsyncFn(&Scene)) -> bool {
    until(scene, "all instances serve hits", serve_hits).await;
    for number in 0..rounds {
        round(scene).await;
        let kept = scene.note(|figures| figures.kept.clone());
        if let Some(first) = kept.first() {
            println!("in round {number}: {first}");
            return true;
        }
    }
    false
}

/// Somebody purges while the answer is under way that was decided before.
async fn purge_in_mid_fetch(scene: &Scene) {
    publish(scene, PAGE).await;
    scene.site.pause(Duration::from_millis(500));
    let (asked, _) = scene.site.asked();
    let reading = async {
        read(scene, 1).await;
        scene.site.pause(Duration::ZERO);
    };
    let purging = async {
        until(scene, "the origin was asked", async |scene| {
            scene.site.asked().0 > asked
        })
        .await;
        publish(scene, PAGE).await;
    };
    tokio::join!(reading, purging);
    read(scene, 2).await;
}

/// An instance hears nothing of Redis, and everybody purges without it.
async fn purge_past_a_cut(scene: &Scene) {
    until(scene, "it serves hits", serve_hits).await;
    read(scene, 2).await;
    let relay = scene.servers.relay(HERE).unwrap();
    relay.cut();
    publish(scene, PAGE).await;
    read(scene, 2).await;
    relay.mend();
}

/// An instance is stopped, everybody purges without it, and requests wait for it when it goes on.
async fn purge_in_sleep(scene: &Scene) {
    until(scene, "it serves hits", serve_hits).await;
    read(scene, 2).await;
    scene.fleet.stop(HERE).await;
    publish(scene, PAGE).await;
    // They know of the receipt, and stand in line before anything else that it will hear.
    let waking = async {
        sleep(Duration::from_millis(300)).await;
        scene.fleet.resume(HERE).await;
    };
    let clients = (0..20).map(|_| async {
        Client::new(HERE, LANGUAGES[0])
            .ask(scene, PAGE, false)
            .await
    });
    tokio::join!(waking, join_all(clients));
}

/// The log is lost, and the next one begins at 0.
async fn purge_after_a_loss(scene: &Scene) {
    // So that what is stored now has a higher position than what is purged then.
    for _ in 0..10 {
        publish(scene, PAGE + 1).await;
    }
    until(scene, "it serves hits", serve_hits).await;
    read(scene, 2).await;
    scene
        .servers
        .suffer(RedisFault::Flush, Duration::ZERO)
        .await;
    publish(scene, PAGE).await;
    until(scene, "it serves hits", serve_hits).await;
    read(scene, 2).await;
}

/// Changes the page and has it purged; returns when the receipt is complete.
async fn publish(scene: &Scene, page: usize) {
    let published = scene.site.publish(Scope::Tag(page));
    let begun = Instant::now();
    loop {
        let (_, address) = scene.fleet.live(THERE).unwrap();
        let purged = publisher::purge(scene, THERE, address, &published).await;
        if matches!(purged, Ok(None)) {
            return;
        }
        assert!(
            begun.elapsed() < COMPLETE_MAX,
            "the receipt is never complete"
        );
    }
}

/// Everybody asks for the page, one request after the other.
async fn read(scene: &Scene, times: usize) {
    let clients = (0..instances()).map(|instance| async move {
        let mut client = Client::new(instance, LANGUAGES[0]);
        for _ in 0..times {
            client.ask(scene, PAGE, false).await;
        }
    });
    join_all(clients).await;
}
