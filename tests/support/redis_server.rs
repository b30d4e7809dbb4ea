//! Real Redis servers, each of its own, on free ports or a socket.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::fs;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisResult, Value};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// How long servers may take to do what they were told.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One `redis-server` process; killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    arguments: Vec<String>,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Server {
    /// With no persistence and these settings besides, such as `--maxmemory 2mb`.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let server = Self::spawn(free_port(), settings);
        server.is_there().await;
        server
    }

    /// As [`Server::start`], without waiting for it.
    pub(crate) fn spawn(port: u16, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "--port {port} --bind 127.0.0.1 --unixsocket {} --dir {} --save  --appendonly no \
             --daemonize no --logfile {}",
            folder.path().join("redis.sock").display(),
            folder.path().display(),
            folder.path().join("log").display(),
        );
        let mut arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        arguments.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let mut server = Self {
            child: None,
            arguments,
            port,
            folder,
        };
        server.run();
        server
    }

    /// A Sentinel that watches the master at this port under the name `mymaster`.
    pub(crate) fn sentinel(master: u16) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {dir}\nlogfile {dir}/log\n\
             sentinel monitor mymaster 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 3000\n",
            dir = folder.path().display()
        );
        fs::write(&file, text).unwrap();
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        let mut server = Self {
            child: None,
            arguments,
            port,
            folder,
        };
        server.run();
        server
    }

    fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server: apt-get install redis-server"));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Waits until it answers.
    pub(crate) async fn is_there(&self) {
        eventually("redis-server answers", || async {
            self.try_ask::<Value>(&["PING"]).await.is_ok()
        })
        .await;
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let answer = self.try_ask(words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// By its socket, where there is one: that is open whatever TLS and users there are.
    pub(crate) async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let info = match self.socket().exists() {
            true => ConnectionAddr::Unix(self.socket()).into_connection_info()?,
            false => self.url().into_connection_info()?,
        };
        let mut connection = Client::open(info)?
            .get_multiplexed_async_connection()
            .await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let _none = fs::remove_file(self.socket());
    }

    /// Kills it, and starts it empty at the same port.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.run();
        self.is_there().await;
    }

    /// The same with these settings besides.
    pub(crate) async fn restart_with(&mut self, settings: &[&str]) {
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        self.arguments.extend(settings);
        self.restart().await;
    }

    /// Stops it in its tracks (SIGSTOP).
    pub(crate) fn suspend(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Certificate, key and authority as PEM files, for `--tls-…`.
pub(crate) fn tls_files(folder: &Path) -> [PathBuf; 3] {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let files = ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.join(name));
    let texts = [certificate.pem(), key.serialize_pem(), authority.pem()];
    for (file, text) in files.iter().zip(texts) {
        fs::write(file, text).unwrap();
    }
    files
}

/// One that nobody has now. Those that were given out here are not given out again.
pub(crate) fn free_port() -> u16 {
    static GIVEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut given = GIVEN.lock().unwrap();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

/// Waits until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let end = Instant::now() + PATIENCE;
    while !timeout(PATIENCE, is_so()).await.unwrap_or(false) {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
