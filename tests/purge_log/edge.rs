//! One instance that shares its purge log, in a runtime of its own, so that it can be killed; and
//! an origin whose pages have versions.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cms_edge::app::{App, Surroundings};
use cms_edge::clock::{Boottime, Clock, SkippingBoottime, SystemClock};
use cms_edge::config;
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::support::origin::{Origin, Reply};
use crate::support::redis_server::{Server, eventually};
use crate::support::signing;
use crate::support::stage::{ADMIN_TOKEN, Answer, HOST_NAME, exchange, whole};

/// Short times, so that what takes a lease takes no time.
pub(crate) const TIMES: &str =
    "lease = \"600ms\"\nrenew = \"100ms\"\ngone = \"700ms\"\ntimeout = \"200ms\"\n";

/// The secret of the webhook that [`Edge::deliver`] delivers to.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What ends everything.
pub(crate) const EVERYTHING: &str = r#"{"everything": true}"#;

pub(crate) struct Edge {
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) boottime: Arc<SkippingBoottime>,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    done: Option<oneshot::Receiver<()>>,
}

/// An origin that says which version of everything it has.
pub(crate) struct Versions {
    pub(crate) origin: Origin,
    version: Arc<AtomicU64>,
}

impl Versions {
    pub(crate) async fn start() -> Self {
        Self::slow(Duration::ZERO).await
    }

    /// Takes so long to answer, with what was there when it was asked.
    pub(crate) async fn slow(pause: Duration) -> Self {
        let version = Arc::new(AtomicU64::new(1));
        let current = Arc::clone(&version);
        let origin = Origin::start(move |_| {
            let found = current.load(Ordering::SeqCst);
            async move {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Reply::ok(found.to_string())
                    .header("cache-control", "max-age=3600")
                    .header("etag", "\"always-the-same\"")
            }
        })
        .await;
        Self { origin, version }
    }

    /// Answers with what is stale at once and may be served while it is validated; nothing any more
    /// when there is another version than the first.
    pub(crate) async fn stale() -> Self {
        let version = Arc::new(AtomicU64::new(1));
        let current = Arc::clone(&version);
        let origin = Origin::start(move |_| {
            let found = current.load(Ordering::SeqCst);
            async move {
                if found > 1 {
                    std::future::pending::<()>().await;
                }
                Reply::ok(found.to_string())
                    .header("cache-control", "max-age=0, stale-while-revalidate=3600")
                    .header("etag", "\"a\"")
            }
        })
        .await;
        Self { origin, version }
    }

    pub(crate) fn publish(&self) -> String {
        (self.version.fetch_add(1, Ordering::SeqCst) + 1).to_string()
    }
}

impl Edge {
    /// Serves hits when this returns.
    pub(crate) async fn start(name: &str, redis: &Server, versions: &Versions) -> Self {
        let edge = Self::start_with(name, redis, versions, "").await;
        edge.serves().await;
        edge
    }

    /// `more` are keys of `[purge_log]`, and what follows it.
    pub(crate) async fn start_with(
        name: &str,
        redis: &Server,
        versions: &Versions,
        more: &str,
    ) -> Self {
        let text = settings(redis, versions, more);
        let config = config::parse(&text, "edge.toml", Path::new(""), [])
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        let boottime = Arc::new(SkippingBoottime::default());
        let surroundings = Surroundings {
            boottime: Arc::clone(&boottime) as Arc<dyn Boottime>,
            instance: name.to_owned(),
            ..Surroundings::default()
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ended, done) = oneshot::channel();
        let (bound, addresses) = oneshot::channel();
        runtime.spawn(async move {
            let app = App::bind(&config, surroundings).await.unwrap();
            bound.send((app.http()[0], app.admin()[0])).unwrap();
            app.serve(async {
                let _told = stopped.await;
            })
            .await;
            let _nobody = ended.send(());
        });
        let (http, admin) = addresses.await.unwrap();
        Self {
            http,
            admin,
            boottime,
            runtime: Some(runtime),
            stop: Some(stop),
            done: Some(done),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header(HOST, HOST_NAME);
        whole(exchange(self.http, request.body(Full::default()).unwrap()).await).await
    }

    /// Until hits are served.
    pub(crate) async fn serves(&self) {
        eventually("it serves hits", || async {
            self.get("/probe").await;
            self.get("/probe").await.is_hit()
        })
        .await;
    }

    /// Until it has read the log.
    pub(crate) async fn has_joined(&self) {
        eventually("it has read the log", || async {
            self.metric("cms_edge_purge_log_generations_total").await > 0
        })
        .await;
    }

    /// Until no hits are served.
    pub(crate) async fn is_fenced(&self) {
        eventually("it serves no hits", || async {
            let answer = self.get("/probe").await;
            assert_eq!(answer.status, StatusCode::OK);
            !answer.is_hit()
        })
        .await;
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        ask(self.admin, method, path, body).await
    }

    /// A purge that waits for all, for up to 10 s.
    pub(crate) async fn purge(&self, command: &str) -> Value {
        let path = "/purge?wait=all&timeout=10s";
        let (status, receipt) = self.ask(Method::POST, path, command).await;
        assert_eq!(status, StatusCode::OK, "{receipt}");
        receipt
    }

    pub(crate) async fn purge_locally(&self, command: &str) -> (StatusCode, Value) {
        self.ask(Method::POST, "/purge", command).await
    }

    pub(crate) async fn receipt(&self, id: &Value) -> (StatusCode, Value) {
        let path = format!("/purge/{}", id.as_str().unwrap());
        self.ask(Method::GET, &path, "").await
    }

    /// Until the receipt is complete; the receipt.
    pub(crate) async fn completed(&self, id: &Value) -> Value {
        eventually("the receipt is complete", || async {
            self.receipt(id).await.1["complete"] == true
        })
        .await;
        self.receipt(id).await.1
    }

    /// A delivery to the webhook at `/_cms-edge/webhook/hub`, as senders sign it; its answer.
    pub(crate) async fn deliver(&self, id: &str) -> Value {
        let body = r#"{"type": "page.changed"}"#;
        let now = SystemClock.now().as_secs();
        let mut request = Request::post("/_cms-edge/webhook/hub").header(HOST, HOST_NAME);
        for (name, value) in signing::standard(SECRET, id, now, body) {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes())));
        let answer = whole(exchange(self.http, request.unwrap()).await).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let request = Request::get("/metrics").header(HOST, "admin");
        let request = request.body(Full::default()).unwrap();
        let metrics = whole(exchange(self.admin, request).await).await;
        let text = metrics.text();
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or(0)
    }

    /// No byte more from it (kill -9).
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Until it has drained and left.
    pub(crate) async fn stop(&mut self) {
        let _gone = self.stop.take().unwrap().send(());
        let _ended = self.done.take().unwrap().await;
    }
}

/// What an admin listener answers.
pub(crate) async fn ask(
    admin: SocketAddr,
    method: Method,
    path: &str,
    body: &str,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "admin")
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    let answer = whole(exchange(admin, request).await).await;
    let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, value)
}

/// The configuration of an instance; `more` are keys of `[purge_log]`, and what follows it.
pub(crate) fn settings(redis: &Server, versions: &Versions, more: &str) -> String {
    let origin = versions.origin.uri().to_string();
    format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\ndrain = \"1s\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{ADMIN_TOKEN}\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
         [purge_log]\n{}{more}",
        origin.trim_end_matches('/'),
        unless_said(&format!("url = \"{}\"\n{TIMES}", redis.url()), more),
    )
}

/// Those settings that `more` does not have.
fn unless_said(settings: &str, more: &str) -> String {
    let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let said: Vec<String> = more.lines().map(key).collect();
    let mut text = String::new();
    for line in settings.lines().filter(|line| !said.contains(&key(line))) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.kill();
    }
}
