//! The stage: a log on a clock that stands still, webhooks on it, and recorded requests.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::clock::{Clock, ManualClock, Timestamp};
use cms_edge::entry::purges::Purges;
use cms_edge::exchange::Generation;
use cms_edge::purge::local::LocalLog;
use cms_edge::purge::log::Log;
use cms_edge::purge::secret::Token;
use cms_edge::purge::target::{self, SortedQuery, Targets};
use cms_edge::purge::template::Template;
use cms_edge::purge::webhook::event::EventPattern;
use cms_edge::purge::webhook::rule::Rule;
use cms_edge::purge::webhook::settings::{Dialect, Settings};
use cms_edge::purge::webhook::token::TokenRule;
use cms_edge::purge::webhook::{Shared, Webhook, standard};
use cms_edge::telemetry::purge::PurgeMetrics;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;

pub(crate) const NOW: u64 = 1_700_000_000;
/// The token in the recorded requests.
pub(crate) const TOKEN: &str = "test-purge-token";
/// Two secrets of Standard Webhooks, in the midst of a rotation.
pub(crate) const OLD_KEY: &[u8] = b"the-old-key-of-24-bytes!";
pub(crate) const NEW_KEY: &[u8] = b"the-new-key-of-24-bytes!";

pub(crate) struct Stage {
    pub(crate) purges: Arc<Purges>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: PurgeMetrics,
    pub(crate) log: Arc<LocalLog>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

pub(crate) fn stage() -> Stage {
    let purges = Arc::new(Purges::new(Generation::new(0x4f)));
    let clock = Arc::new(ManualClock::starting_at(Timestamp::from_secs(NOW)));
    let metrics = PurgeMetrics::unregistered();
    let log = LocalLog::new(
        Arc::clone(&purges),
        Arc::clone(&clock) as Arc<dyn Clock>,
        "edge-1",
        metrics.clone(),
    );
    Stage {
        purges,
        clock,
        metrics,
        log: Arc::new(log),
    }
}

impl Stage {
    pub(crate) fn position(&self) -> u64 {
        self.purges.fence().position.ordinal()
    }

    pub(crate) fn webhook(&self, settings: Settings) -> Webhook<LocalLog> {
        self.webhook_on(Arc::clone(&self.log), settings)
    }

    pub(crate) fn webhook_on<L: Log>(&self, log: Arc<L>, settings: Settings) -> Webhook<L> {
        Webhook::new(settings, self.shared(log)).unwrap()
    }

    pub(crate) fn shared<L>(&self, log: Arc<L>) -> Shared<L> {
        Shared {
            log,
            targets: targets(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            metrics: self.metrics.clone(),
        }
    }
}

pub(crate) fn targets() -> Targets {
    Targets::new(target::Settings::default(), Arc::new(SortedQuery))
}

pub(crate) fn settings(name: &str, dialect: Dialect, rules: Vec<Rule>) -> Settings {
    Settings {
        name: name.into(),
        path: format!("/_cms-edge/webhook/{name}").into(),
        dialect,
        tolerance: Duration::from_secs(300),
        body_max: 64 * 1024,
        events: None,
        delivery_header: None,
        rules,
    }
}

pub(crate) fn token_rule(header: &'static str) -> TokenRule {
    TokenRule {
        header: HeaderName::from_static(header),
        tokens: vec![Token::new(TOKEN).unwrap()],
    }
}

pub(crate) fn standard_dialect() -> Dialect {
    let secret = |key| standard::secret(&format!("whsec_{}", BASE64_STANDARD.encode(key)));
    Dialect::Standard {
        secrets: vec![secret(OLD_KEY).unwrap(), secret(NEW_KEY).unwrap()],
    }
}

/// A rule for `events` with these tags and collections.
pub(crate) fn rule(events: &str, tags: &[&str], collections: &[&str]) -> Rule {
    let templates = |texts: &[&str]| -> Vec<Template> {
        let parsed = texts.iter().map(|text| Template::parse(text).unwrap());
        parsed.collect()
    };
    Rule {
        events: vec![EventPattern::new(events).unwrap()],
        tags: templates(tags),
        collections: templates(collections),
        ..Rule::default()
    }
}

/// The fields that a sender of Standard Webhooks adds to `body`, signed with `key`.
pub(crate) fn signed(key: &[u8], id: &str, at: u64, body: &str) -> HeaderMap {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let text = format!("{id}.{at}.{body}");
    let code = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(code));
    fields(&[
        ("webhook-id", id),
        ("webhook-timestamp", &at.to_string()),
        ("webhook-signature", &signature),
    ])
}

pub(crate) fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

pub(crate) async fn deliver<L: Log>(
    webhook: &Webhook<L>,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
) -> Answer {
    let response = webhook
        .receive(&Method::POST, headers, body.into(), peer())
        .await;
    answer(response).await
}

pub(crate) fn peer() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

pub(crate) async fn answer(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap(),
    }
}

impl Answer {
    pub(crate) fn scopes(&self) -> Vec<&str> {
        let scopes = self.json["scopes"].as_array();
        let scopes = scopes.unwrap_or_else(|| panic!("{}", self.json));
        scopes.iter().map(|scope| scope.as_str().unwrap()).collect()
    }
}

/// A request as it was recorded on the wire.
pub(crate) fn recorded(file: &str) -> Request<Bytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/webhooks")
        .join(file);
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let mut request = Request::builder()
        .method(first.next().unwrap())
        .uri(first.next().unwrap());
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(bytes.slice(end + 4..)).unwrap()
}
