//! Connections to origin servers, over real sockets: names, ages, HTTP/2, TLS, sockets in the file
//! system.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::{Body, BodyError};
use cms_edge::fetch::{
    Address, Care, Connecting, Error, HostRule, OriginBody, Protocol, Settings, Upstream,
};
use cms_edge::telemetry::origin::OriginMetrics;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use tokio::time::timeout;

#[path = "support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod origin;
    pub(crate) mod origin_http2;
}

use support::origin::{Origin, PATIENCE, Reply};

/// HTTP/2.
#[path = "origin_connect/http2.rs"]
mod http2;
/// How long connections live, and who is told what about trailers.
#[path = "origin_connect/keeping.rs"]
mod keeping;
/// Names and their addresses.
#[path = "origin_connect/names.rs"]
mod names;
/// Certificates of both sides, and session resumption.
#[path = "origin_connect/tls.rs"]
mod tls;
/// Sockets in the file system.
#[path = "origin_connect/unix.rs"]
mod unix;

/// A span that a test waits out on purpose.
const SHORT: Duration = Duration::from_millis(100);

/// Settings to change and a registry to look into.
struct Stage {
    settings: Settings,
    registry: Registry,
    metrics: Arc<OriginMetrics>,
}

impl Stage {
    fn new(server: impl Into<Address>) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(OriginMetrics::register(&mut registry));
        let settings = Settings {
            servers: vec![server.into()],
            host: HostRule::Preserve,
            connect_timeout: PATIENCE,
            first_byte_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            keepalive: PATIENCE,
            pool_idle_max: 8,
            concurrency: 64,
            queue: 64,
            queue_timeout: PATIENCE,
            retries: 1,
            ca: None,
            connecting: Connecting::default(),
            stale_wait: Duration::ZERO,
            care: Care::default(),
        };
        Self {
            settings,
            registry,
            metrics,
        }
    }

    fn speaking(server: impl Into<Address>, protocol: Protocol) -> Self {
        let mut stage = Self::new(server);
        stage.settings.connecting.protocol = protocol;
        stage
    }

    fn upstream(&self) -> Arc<Upstream> {
        let metrics = Arc::clone(&self.metrics);
        Arc::new(Upstream::new("cms", self.settings.clone(), metrics).unwrap())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of a series of the upstream, by its name and last label.
    fn count(&self, series: &str, label: &str) -> u64 {
        let text = self.text();
        let start = format!("{series}{{upstream=\"cms\"{label}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a series has reached a value.
    async fn reaches(&self, series: &str, label: &str, value: u64) {
        let reached = async {
            while self.count(series, label) < value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let outcome = timeout(PATIENCE, reached).await;
        assert!(outcome.is_ok(), "{series} {label}\n{}", self.text());
    }
}

fn request(target: &str) -> Request<Body> {
    let request = Request::get(target).header("host", "www.example.org");
    request.body(Body::empty()).unwrap()
}

fn post(target: &str, content: Body) -> Request<Body> {
    let request = Request::post(target).header("host", "www.example.org");
    request.body(content).unwrap()
}

async fn get(upstream: &Upstream, target: &str) -> Result<Bytes, BodyError> {
    content(upstream.send(request(target)).await?).await
}

async fn content(response: Response<OriginBody>) -> Result<Bytes, BodyError> {
    Ok(content_and_trailers(response).await?.0)
}

async fn content_and_trailers(
    response: Response<OriginBody>,
) -> Result<(Bytes, Option<HeaderMap>), BodyError> {
    let collected = timeout(PATIENCE, response.into_body().collect()).await??;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

async fn failure(upstream: &Upstream, request: Request<Body>) -> Error {
    let outcome = timeout(PATIENCE, upstream.send(request)).await;
    outcome.unwrap().err().unwrap()
}

/// Many at once; how many were answered with this.
async fn get_together(upstream: &Arc<Upstream>, count: usize, expected: &str) -> usize {
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let upstream = Arc::clone(upstream);
            tokio::spawn(async move { get(&upstream, "/").await.unwrap() })
        })
        .collect();
    let mut right = 0;
    for request in requests {
        let content = timeout(PATIENCE, request).await.unwrap().unwrap();
        right += usize::from(content == expected);
    }
    right
}
