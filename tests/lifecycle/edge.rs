//! The binary with its log, its signals and its successors.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::origin::Origin;
use crate::support::script::until;
use crate::support::stage::{Answer, exchange, whole};

pub(crate) const TOKEN: &str = "admin-token-of-the-test";

/// A running `cms-edge serve` and whatever took over from it; all are killed when it is dropped.
pub(crate) struct Edge {
    pub(crate) folder: TempDir,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// One route for everything. `server` follows `[server]`, `route` the route.
pub(crate) fn config(origin: &Origin, server: &str, route: &str) -> String {
    format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\n{server}\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n[log]\naccess = \"off\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n{route}\n",
        origin.uri().to_string().trim_end_matches('/')
    )
}

/// `serve` with the file in `folder`, in an environment without settings.
pub(crate) fn command(folder: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cms-edge"));
    command
        .args(["serve", "--config"])
        .arg(folder.join("proxy.toml"))
        .env_remove("RUST_LOG")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Edge {
    pub(crate) async fn start(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let command = command(folder.path());
        Self::spawn(folder, text, command).await
    }

    /// Returns when it serves.
    pub(crate) async fn spawn(folder: TempDir, text: &str, command: std::process::Command) -> Self {
        std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
        let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                into.lock().push(line);
            }
        });
        let mut edge = Self {
            folder,
            https: None,
            http: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            child,
            log,
        };
        edge.logged("a line that it serves", 1, &["serving https="])
            .await;
        let serving = edge.lines(&["serving https="]).remove(0);
        let address = |name: &str| {
            let (_, rest) = serving.split_once(&format!("{name}=[")).expect(&serving);
            let first = rest.split([',', ']']).next().unwrap();
            first.parse().ok()
        };
        edge.https = address("https");
        edge.http = address("http").expect(&serving);
        edge.admin = address("admin").expect(&serving);
        edge
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("proxy.toml")
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    /// Of whoever serves now.
    pub(crate) fn pid(&self) -> u32 {
        *self.pids().last().unwrap()
    }

    fn pids(&self) -> Vec<u32> {
        let serving = self.lines(&["serving https="]);
        let pid = |line: &String| {
            let (_, pid) = line.split_once(" pid=")?;
            pid.trim().parse().ok()
        };
        serving.iter().filter_map(pid).collect()
    }

    pub(crate) async fn signal(&self, name: &str) {
        kill(name, self.pid()).await;
    }

    /// The lines of all processes that contain all of `words`.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let log = self.log.lock();
        let found = log
            .iter()
            .filter(|line| words.iter().all(|word| line.contains(word)));
        found.cloned().collect()
    }

    pub(crate) async fn logged(&self, what: &str, count: usize, words: &[&str]) {
        let reached = tokio::time::timeout(
            crate::support::origin::PATIENCE * 2,
            until(what, async || self.lines(words).len() >= count),
        );
        assert!(reached.await.is_ok(), "{:#?}", self.log.lock());
    }

    /// Starts another process in place of this one, and waits until it alone is there.
    pub(crate) async fn upgrade(&self) {
        let before = self.pids();
        self.signal("USR2").await;
        self.logged("a successor", before.len() + 1, &["serving https="])
            .await;
        let old = before.last().copied().unwrap();
        until("the end of the old process", async || has_ended(old)).await;
    }

    /// Waits for the end of the process that was started first.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let ended = tokio::time::timeout(crate::support::origin::PATIENCE, self.child.wait());
        ended.await.expect("an end").unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    pub(crate) async fn admin(&self, method: Method, path: &str) -> Answer {
        ask(self.admin, method, path, Some(TOKEN)).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str) -> Answer {
        ask(self.http, method, path, None).await
    }

    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let metrics = self.admin(Method::GET, "/metrics").await.text();
        let value = |line: &str| line.strip_prefix(series)?.trim().parse().ok();
        metrics.lines().find_map(value).unwrap_or(0)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for pid in self.pids().into_iter().filter(|pid| !has_ended(*pid)) {
            let _gone = std::process::Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
    }
}

pub(crate) async fn ask(to: SocketAddr, method: Method, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, "www.example.test");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    whole(exchange(to, request).await).await
}

pub(crate) async fn kill(signal: &str, pid: u32) {
    let signal = format!("-{signal}");
    let mut kill = Command::new("kill");
    let sent = kill.args([&signal, &pid.to_string()]).status().await;
    assert!(sent.unwrap().success());
}

/// Gone, or waiting for its parent to look.
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}
