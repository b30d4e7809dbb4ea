//! Reloads and upgrades under load: nothing is lost.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use http::Method;
use tempfile::TempDir;

use crate::edge::{Edge, command, config};
use crate::load::Load;
use crate::support::origin::{Origin, Reply};
use crate::support::script::until;

async fn origin() -> Origin {
    Origin::start(|request| async move { Reply::ok(request.target) }).await
}

async fn goes_on(load: &Load) {
    let before = load.answered();
    until("more answers", async || load.answered() > before + 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_reloads_under_load_lose_nothing_and_each_takes_effect() {
    let origin = origin().await;
    let with_ttl = |seconds| config(&origin, "", &format!("ttl = \"{seconds}s\""));
    let edge = Edge::start(&with_ttl(1000)).await;
    let load = Load::start(edge.http, 8, 4);
    goes_on(&load).await;
    for round in 1..=20 {
        edge.write(&with_ttl(1000 + round));
        if round % 2 == 0 {
            let answer = edge.admin(Method::POST, "/reload").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            edge.signal("HUP").await;
        }
        let reloads = "cms_edge_config_reloads_total{outcome=\"ok\"}";
        until("the reload", async || edge.metric(reloads).await == round).await;
        let answer = edge.get(&format!("/round/{round}")).await;
        let lifetime = format!("ttl={}", 1000 + round);
        let status = answer.cache_status();
        assert!(status.ends_with(&lifetime), "{status}");
        goes_on(&load).await;
    }
    assert!(load.finish().await > 4000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_upgrades_under_load_lose_nothing() {
    let origin = origin().await;
    let mut edge = Edge::start(&config(&origin, "", "")).await;
    let load = Load::start(edge.http, 8, 4);
    let first = edge.pid();
    for _ in 0..3 {
        goes_on(&load).await;
        edge.upgrade().await;
    }
    goes_on(&load).await;
    assert_ne!(edge.pid(), first);
    assert!(edge.ended().await.success());
    let stopped = edge.lines(&["stopped finished=", "cut=0"]);
    assert_eq!(stopped.len(), 3, "each drained to its end: {stopped:?}");
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_cannot_serve_leaves_everything_as_it_is() {
    let origin = origin().await;
    let text = config(&origin, "", "");
    let edge = Edge::start(&text).await;
    let load = Load::start(edge.http, 4, 2);
    goes_on(&load).await;
    let before = edge.pid();
    edge.write(&format!("{text}\nttl = \"soon\"\n"));
    edge.signal("USR2").await;
    edge.logged("the refusal", 1, &["no upgrade", "exit status: 64"])
        .await;
    let ended = "cms_edge_program_upgrades_total{outcome=\"ended\"}";
    assert_eq!(edge.metric(ended).await, 1);
    assert_eq!(edge.pid(), before);
    goes_on(&load).await;
    edge.write(&text);
    edge.upgrade().await;
    goes_on(&load).await;
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_is_at_the_path_now_takes_over_unless_it_is_late() {
    let origin = origin().await;
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("cms-edge");
    let turn_to = |target: &std::path::Path| {
        let new = folder.path().join("new");
        symlink(target, &new).unwrap();
        std::fs::rename(&new, folder.path().join("cms-edge")).unwrap();
    };
    let real = command(folder.path()).get_program().to_owned();
    turn_to(real.as_ref());
    let idle = folder.path().join("idle");
    std::fs::write(&idle, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(&idle, PermissionsExt::from_mode(0o755)).unwrap();

    let of_edge = TempDir::new().unwrap();
    let mut by_link = Command::new(&link);
    let plain = command(of_edge.path());
    by_link
        .args(plain.get_args())
        .stderr(std::process::Stdio::piped());
    let text = config(&origin, "upgrade_timeout = \"1s\"", "");
    let edge = Edge::spawn(of_edge, &text, by_link).await;
    let load = Load::start(edge.http, 4, 2);
    goes_on(&load).await;
    turn_to(&idle);
    edge.signal("USR2").await;
    edge.logged(
        "that it is late",
        1,
        &["no upgrade", "did not serve within 1s"],
    )
    .await;
    assert_eq!(
        edge.metric("cms_edge_program_upgrades_total{outcome=\"late\"}")
            .await,
        1
    );
    goes_on(&load).await;
    turn_to(real.as_ref());
    edge.upgrade().await;
    goes_on(&load).await;
    load.finish().await;
}
