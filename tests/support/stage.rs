//! A whole cms-edge on real sockets in front of a scripted [`Origin`], with a clock that tests move.
//!
//! ```ignore
//! let origin = Origin::start(|_| async { Reply::ok("hello").header("cache-control", "max-age=60") }).await;
//! let stage = Stage::start(&origin, "").await;                    // one route for everything
//! assert_eq!(stage.get("/a", &[]).await.cache_status(), "cms-edge; fwd=uri-miss; stored; ttl=60");
//! stage.clock.advance(Duration::from_secs(61));
//! let receipt = stage.purge(r#"{"tags":["article:1"]}"#).await;
//! ```

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cms_edge::app::{App, Surroundings};
use cms_edge::budget::Budget;
use cms_edge::clock::{Clock, ManualClock, Timestamp};
use cms_edge::config;
use cms_edge::exchange::Generation;
use http::header::{HOST, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::origin::{Origin, PATIENCE};

/// The authority that requests of [`Stage::get`] name.
pub(crate) const HOST_NAME: &str = "www.example.test";
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-the-stage";

/// Where the clock stands when a stage begins: Sat, 21 Nov 2026 12:00:00 GMT.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_262_400);

/// One running instance.
pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) budget: Arc<Budget>,
    stop: Option<oneshot::Sender<()>>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

const ROUTE: &str = r#"
[[route]]
name = "all"
path = "/*"
upstream = "origin"
"#;

impl Stage {
    /// Starts with `settings`, TOML that follows `[upstream.origin]`: routes, webhooks, sections.
    /// Without a route there is one for everything, with all defaults. Lines that begin with
    /// `server.` are settings of `[server]`.
    pub(crate) async fn start(origin: &Origin, settings: &str) -> Self {
        Self::start_with(origin, "", settings).await
    }

    /// As [`Stage::start`], with the token that instances share whose purge log is one.
    pub(crate) async fn start_sharing(origin: &Origin, settings: &str, generation: u64) -> Self {
        Self::start_as(origin, "", settings, Some(Generation::new(generation))).await
    }

    /// As [`Stage::start`], with more keys of `[server]`.
    pub(crate) async fn start_with(origin: &Origin, server: &str, settings: &str) -> Self {
        Self::start_as(origin, server, settings, None).await
    }

    async fn start_as(
        origin: &Origin,
        server: &str,
        settings: &str,
        generation: Option<Generation>,
    ) -> Self {
        let routes = if settings.contains("[[route]]") {
            ""
        } else {
            ROUTE
        };
        let (dotted, settings): (Vec<&str>, Vec<&str>) = settings
            .lines()
            .partition(|line| line.starts_with("server."));
        let server = format!("{server}\n{}", dotted.join("\n").replace("server.", ""));
        let settings = settings.join("\n");
        let text = format!(
            "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\n{server}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{ADMIN_TOKEN}\"\n\
             [upstream.origin]\nservers = [\"{}\"]\n{settings}\n{routes}",
            origin.uri().to_string().trim_end_matches('/')
        );
        let config = config::parse(&text, "stage.toml", Path::new(""), [])
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        let clock = Arc::new(ManualClock::starting_at(START));
        let surroundings = Surroundings {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            instance: "stage".to_owned(),
            generation,
            ..Surroundings::default()
        };
        let app = App::bind(&config, surroundings).await.unwrap();
        let (http, admin) = (app.http()[0], app.admin()[0]);
        let budget = Arc::clone(app.budget());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(app.serve(async {
            let _told = stopped.await;
        }));
        Self {
            clock,
            http,
            admin,
            budget,
            stop: Some(stop),
        }
    }

    pub(crate) async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, fields, "").await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        whole(self.begin(method, path, fields, body).await).await
    }

    /// Returns when the head of the response is there; its body can be read piece by piece.
    pub(crate) async fn begin(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
            .headers_mut()
            .entry(HOST)
            .or_insert_with(|| HOST_NAME.parse().unwrap());
        exchange(self.http, request).await
    }

    /// `POST /purge` on the admin listener; the receipt.
    pub(crate) async fn purge(&self, command: &str) -> Value {
        let request = Request::post("/purge")
            .header(HOST, "admin")
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(command.as_bytes())))
            .unwrap();
        let answer = whole(exchange(self.admin, request).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let receipt: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(receipt["complete"], true, "{receipt}");
        receipt
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(HOST, "admin")
            .body(Full::default())
            .unwrap();
        whole(exchange(self.admin, request).await).await
    }

    /// The value of a series as `/metrics` writes it, such as
    /// `cms_edge_requests_total{route="all",outcome="hit"}`; 0 if it is not there.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let metrics = self.admin("/metrics").await;
        metrics
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Stops the instance; returns when it has begun to.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _gone = stop.send(());
        }
    }
}

impl Answer {
    /// A field's lines, joined; empty without it.
    pub(crate) fn field(&self, name: &str) -> String {
        let lines = self.headers.get_all(name).iter();
        let lines: Vec<&str> = lines.map(|value| value.to_str().unwrap()).collect();
        lines.join(", ")
    }

    pub(crate) fn cache_status(&self) -> String {
        self.field("cache-status")
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("cms-edge; hit")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a response to its end; panics if it breaks off.
pub(crate) async fn whole(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.expect("an end");
    Answer {
        status: head.status,
        headers: head.headers,
        body: body.expect("a whole body").to_bytes(),
    }
}

pub(crate) async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let exchange = async {
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    timeout(PATIENCE, exchange).await.expect("an answer")
}
