//! The program itself: the real binary with a configuration of its own, its ports, its output.
//!
//! Port 0 takes a free port; which one it was stands in the log.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::origin::PATIENCE;

/// A running `cms-edge serve`; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) http: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    output: Vec<JoinHandle<()>>,
    lines: Arc<Mutex<Vec<String>>>,
}

/// The binary, in an environment without settings.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cms-edge"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Program {
    /// `serve --config` with `text` as `proxy.toml` in `folder`; returns when it serves.
    pub(crate) async fn serve(folder: &Path, text: &str) -> Self {
        let path = folder.join("proxy.toml");
        std::fs::write(&path, text).unwrap();
        Self::serving(command(&["serve", "--config", path.to_str().unwrap()])).await
    }

    /// As [`Program::serve`], where no file may be longer than so many KiB: setrlimit(2),
    /// `RLIMIT_FSIZE`, with `SIGXFSZ` ignored, so that a write behind that fails as on a full disk.
    pub(crate) async fn serve_limited(folder: &Path, text: &str, kib: u64) -> Self {
        let path = folder.join("proxy.toml");
        std::fs::write(&path, text).unwrap();
        let mut shell = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
        shell
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_cms-edge")])
            .args(["serve", "--config", path.to_str().unwrap()])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self::serving(shell).await
    }

    async fn serving(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = collect(child.stdout.take().unwrap(), Arc::clone(&lines));
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut serving = String::new();
        let starting = async {
            while let Some(line) = log.next_line().await.unwrap() {
                let is_last = line.contains("serving");
                serving.push_str(&line);
                if is_last {
                    break;
                }
            }
        };
        timeout(PATIENCE, starting).await.expect("it serves");
        let addresses = |name: &str| {
            let (_, rest) = serving.split_once(&format!("{name}=[")).expect(&serving);
            let (list, _) = rest.split_once(']').unwrap();
            list.split(", ").filter_map(|a| a.parse().ok()).collect()
        };
        let admin: Vec<SocketAddr> = addresses("admin");
        let stderr = tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self {
            https: addresses("https"),
            http: addresses("http"),
            admin: admin[0],
            child,
            output: vec![stdout, stderr],
            lines,
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        for output in self.output.drain(..) {
            output.await.unwrap();
        }
        ended.expect("an end").unwrap()
    }

    /// What it has written to its standard output: the access log.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }
}

fn collect(
    from: impl AsyncRead + Send + Unpin + 'static,
    into: Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().push(line);
        }
    })
}
