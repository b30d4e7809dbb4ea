//! Instances that share a Redis for responses and for their purge log, and their crowd of clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::support::origin::{Origin, Received, Reply};
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};
use crate::support::stage::{ADMIN_TOKEN, Answer, HOST_NAME, exchange, whole};

/// Programs, each a process of its own.
pub(crate) struct Fleet {
    pub(crate) programs: Vec<Program>,
    _folders: Vec<TempDir>,
}

/// An origin that answers when it is told to, with what was so when it was asked.
pub(crate) struct Held {
    pub(crate) origin: Origin,
    gate: Arc<Semaphore>,
}

impl Held {
    pub(crate) async fn start(reply: impl Fn(Received) -> Reply + Send + Sync + 'static) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let keeper = Arc::clone(&gate);
        let origin = Origin::start(move |request| {
            let gate = Arc::clone(&keeper);
            let is_probe = request.target == "/probe";
            let reply = reply(request);
            async move {
                if !is_probe {
                    gate.acquire().await.unwrap().forget();
                }
                reply
            }
        })
        .await;
        Self { origin, gate }
    }

    /// Lets so many answers go.
    pub(crate) fn answer(&self, count: usize) {
        self.gate.add_permits(count);
    }

    pub(crate) fn answer_all(&self) {
        self.gate.add_permits(100_000);
    }

    /// Requests for this path so far.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let requests = self.origin.requests();
        requests.iter().filter(|got| got.target == path).count()
    }

    pub(crate) async fn was_asked(&self, path: &str, times: usize) {
        eventually("the origin is asked", || async {
            self.asked(path) >= times
        })
        .await;
    }
}

/// With a deadline for lookups that a busy machine keeps.
pub(crate) const REDIS: &str = "timeout = \"2s\"\ncollapse_wait = \"30s\"\n";

pub(crate) fn settings(redis: &Server, origin: &Origin, more_of_redis: &str) -> String {
    let url = redis.url();
    let uri = origin.uri().to_string();
    format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\ndrain = \"1s\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{ADMIN_TOKEN}\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
         [redis]\nurl = \"{url}\"\n{more_of_redis}\n\
         [purge_log]\nurl = \"{url}\"\nlease = \"5s\"\nrenew = \"300ms\"\ngone = \"6s\"\n",
        uri.trim_end_matches('/'),
    )
}

impl Fleet {
    /// Returns when all of them serve hits and ask Redis.
    pub(crate) async fn start(count: usize, redis: &Server, origin: &Origin) -> Self {
        Self::start_with(count, &settings(redis, origin, REDIS)).await
    }

    pub(crate) async fn start_with(count: usize, settings: &str) -> Self {
        let folders: Vec<TempDir> = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
        let starting = folders
            .iter()
            .map(|folder| Program::serve(folder.path(), settings));
        let programs = join_all(starting).await;
        let fleet = Self {
            programs,
            _folders: folders,
        };
        for at in 0..count {
            eventually("it serves hits", || async {
                fleet.get(at, "/probe", &[]).await;
                fleet.get(at, "/probe", &[]).await.is_hit()
                    && fleet.metric(at, "cms_edge_redis_breaker_open").await == 0
            })
            .await;
        }
        fleet
    }

    pub(crate) async fn get(&self, at: usize, path: &str, fields: &[(&str, &str)]) -> Answer {
        get(self.programs[at].http[0], path, fields).await
    }

    /// So many clients at each of `at`, all at once.
    pub(crate) fn crowd(
        &self,
        at: impl IntoIterator<Item = usize>,
        clients: usize,
        path: &str,
    ) -> tokio::task::JoinHandle<Vec<Answer>> {
        let addresses: Vec<SocketAddr> =
            at.into_iter().map(|at| self.programs[at].http[0]).collect();
        let path = path.to_owned();
        tokio::spawn(async move {
            let asking = addresses.iter().flat_map(|address| {
                let ask = || get(*address, &path, &[]);
                std::iter::repeat_with(ask)
                    .take(clients)
                    .collect::<Vec<_>>()
            });
            join_all(asking).await
        })
    }

    pub(crate) async fn metric(&self, at: usize, series: &str) -> u64 {
        let metrics = get(self.programs[at].admin, "/metrics", &[]).await;
        let text = metrics.text();
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or(0)
    }

    /// Waits until each of `at` has so many requests under way.
    pub(crate) async fn waits(&self, at: impl IntoIterator<Item = usize>) {
        for at in at {
            eventually("it waits for another instance", || async {
                self.metric(at, "cms_edge_redis_claims_waiting").await > 0
            })
            .await;
        }
    }

    /// Who of them fetches.
    pub(crate) async fn leader(&self) -> usize {
        for at in 0..self.programs.len() {
            if self.metric(at, "cms_edge_redis_claims_held").await > 0 {
                return at;
            }
        }
        panic!("nobody fetches");
    }

    pub(crate) async fn signal(&self, at: usize, signal: &str) {
        let id = self.programs[at].id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    pub(crate) async fn purge(&self, at: usize, command: &'static str) {
        let request = Request::post("/purge?wait=all&timeout=10s")
            .header(HOST, "admin")
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .body(Full::from(command))
            .unwrap();
        let answer = whole(exchange(self.programs[at].admin, request).await).await;
        assert!(
            answer.text().contains("\"complete\":true"),
            "{}",
            answer.text()
        );
    }
}

/// A client that is patient: a crowd on a busy machine takes its time.
pub(crate) async fn get(to: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path).header(HOST, HOST_NAME);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let asking = async {
        let stream = tokio::net::TcpStream::connect(to).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        whole(sender.send_request(request).await.unwrap()).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(40), asking).await;
    answer.expect("an answer")
}
