//! `cms-edge demo --redis URL`, by the program itself.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::support::redis_server::Server;

/// It starts, goes through its story, and ends.
const PATIENCE: Duration = Duration::from_secs(60);

async fn check(url: &str) -> Output {
    let ports = ["--https-port", "--http-port", "--admin-port", "--cms-port"];
    let demo = Command::new(env!("CARGO_BIN_EXE_cms-edge"))
        .args(["demo", "--check", "--redis", url])
        .args(ports.iter().flat_map(|port| [port, "0"]))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(PATIENCE, demo).await.expect("it ends").unwrap()
}

#[tokio::test]
async fn the_demo_runs_with_responses_and_purges_in_redis_and_again_beside_what_it_left() {
    let server = Server::start(&[]).await;
    for run in 1..=2 {
        let output = check(&server.url()).await;
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let responses: Vec<String> = server.ask(&["KEYS", "{demo-*}:*"]).await;
        assert!(!responses.is_empty());
        let states: Vec<String> = server.ask(&["KEYS", "cms-edge:{demo-*}:state"]).await;
        assert_eq!(states.len(), run, "{states:?}");
        for state in states {
            let head: String = server.ask(&["HGET", &state, "head"]).await;
            assert_ne!(head, "0", "the publish is in the log");
        }
    }
}
