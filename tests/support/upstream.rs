//! The fetch room's way to the servers of an upstream, and what it is asked.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::body::{Body, BodyError};
use cms_edge::fetch::{
    Address, Care, Connecting, HostRule, OriginBody, Protocol, Settings, Upstream,
};
use cms_edge::telemetry::origin::OriginMetrics;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use tokio::time::timeout;

use super::origin::PATIENCE;

/// Settings to change and a registry to look into.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<OriginMetrics>,
}

impl Stage {
    /// An upstream with these servers.
    pub(crate) fn new(servers: &[Uri]) -> Self {
        Self::of(servers.iter().cloned().map(Into::into).collect())
    }

    /// An upstream with one server, wherever it listens.
    pub(crate) fn at(server: impl Into<Address>) -> Self {
        Self::of(vec![server.into()])
    }

    /// The same, that is spoken to in this protocol.
    pub(crate) fn speaking(server: impl Into<Address>, protocol: Protocol) -> Self {
        let mut stage = Self::at(server);
        stage.settings.connecting.protocol = protocol;
        stage
    }

    fn of(servers: Vec<Address>) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(OriginMetrics::register(&mut registry));
        let settings = Settings {
            servers,
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

    pub(crate) fn upstream(&self) -> Arc<Upstream> {
        let metrics = Arc::clone(&self.metrics);
        Arc::new(Upstream::new("cms", self.settings.clone(), metrics).unwrap())
    }

    /// The value of a series such as `origin_slow_total{upstream="cms"}`; 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = self.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// The value of a series about one server.
    pub(crate) fn metric_of(&self, family: &str, server: &Uri) -> u64 {
        let server = server.authority().unwrap();
        self.metric(&format!("{family}{{upstream=\"cms\",server=\"{server}\"}}"))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of a series of the upstream, by its name and last label.
    pub(crate) fn count(&self, series: &str, label: &str) -> u64 {
        let text = self.text();
        let start = format!("{series}{{upstream=\"cms\"{label}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a series has reached a value.
    pub(crate) async fn reaches(&self, series: &str, label: &str, value: u64) {
        let reached = async {
            while self.count(series, label) < value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let outcome = timeout(PATIENCE, reached).await;
        assert!(outcome.is_ok(), "{series} {label}\n{}", self.text());
    }
}

pub(crate) fn request(target: &str) -> Request<Body> {
    let request = Request::get(target).header("host", "www.example.org");
    request.body(Body::empty()).unwrap()
}

pub(crate) fn post(target: &str, content: Body) -> Request<Body> {
    let request = Request::post(target).header("host", "www.example.org");
    request.body(content).unwrap()
}

pub(crate) async fn get(upstream: &Upstream, target: &str) -> Result<Bytes, BodyError> {
    content(upstream.send(request(target)).await?).await
}

pub(crate) async fn content(response: Response<OriginBody>) -> Result<Bytes, BodyError> {
    Ok(content_and_trailers(response).await?.0)
}

pub(crate) async fn content_and_trailers(
    response: Response<OriginBody>,
) -> Result<(Bytes, Option<HeaderMap>), BodyError> {
    let collected = timeout(PATIENCE, response.into_body().collect()).await??;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}
