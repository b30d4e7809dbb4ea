//! Publish webhooks: a CMS says what has changed, and rules say what that purges.
//!
//! A delivery is verified over its raw bytes before any of it is read. Whoever is not believed
//! gets 401 and has purged nothing. What is believed is appended to the log before the answer.

pub mod condition;
pub mod event;
pub mod hmac;
mod plan;
pub mod rule;
pub mod settings;
pub mod signature;
pub mod standard;
pub mod strapi;
pub mod token;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use serde_json::{Value, json};

use self::event::EventSource;
use self::plan::{Failure, Plan, Planned, plan};
use self::settings::{Dialect, Settings, SettingsError};
use self::signature::Rejected;
use super::answer::{self, Problem};
use super::log::Log;
use super::read::read;
use super::receipt::Receipt;
use super::target::Targets;
use super::{Cause, Purge};
use crate::body::{Body, BodyError};
use crate::clock::Clock;
use crate::telemetry::purge::PurgeMetrics;

/// One webhook.
pub struct Webhook<L> {
    settings: Settings,
    events: EventSource,
    shared: Shared<L>,
}

/// What all webhooks use.
pub struct Shared<L> {
    pub log: Arc<L>,
    pub targets: Targets,
    pub clock: Arc<dyn Clock>,
    pub metrics: PurgeMetrics,
}

/// All webhooks, by path.
#[derive(Debug)]
pub struct Webhooks<L>(Vec<Webhook<L>>);

/// Bytes of an event's name in answers and logs.
const EVENT_BYTES_MAX: usize = 256;

impl<L: Log> Webhooks<L> {
    /// # Errors
    /// A webhook that cannot work, and two that cannot be told apart.
    pub fn new(all: Vec<Settings>, shared: &Shared<L>) -> Result<Self, SettingsError> {
        settings::unique(all.iter())?;
        all.into_iter()
            .map(|settings| Webhook::new(settings, shared.clone()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The webhook at `path`. There are few: they are looked through.
    pub fn at(&self, path: &str) -> Option<&Webhook<L>> {
        self.0
            .iter()
            .find(|webhook| &*webhook.settings.path == path)
    }
}

impl<L: Log> Webhook<L> {
    /// # Errors
    /// A webhook that believes nobody or purges nothing.
    pub fn new(settings: Settings, shared: Shared<L>) -> Result<Self, SettingsError> {
        let settings = settings.checked()?;
        let events = match &settings.events {
            Some(events) => events.clone(),
            None => settings.dialect.events()?,
        };
        Ok(Self {
            settings,
            events,
            shared,
        })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    pub fn path(&self) -> &str {
        &self.settings.path
    }

    /// Reads the body within its bounds, then [`Webhook::receive`]s it.
    pub async fn handle<B>(&self, request: Request<B>, peer: IpAddr) -> Response<Body>
    where
        B: HttpBody + Send,
        B::Data: Send,
        B::Error: Into<BodyError>,
    {
        let (head, body) = request.into_parts();
        if !is_allowed(&head.method) {
            return self.method_not_allowed();
        }
        match read(body, self.settings.body_max).await {
            Ok(body) => self.receive(&head.method, &head.headers, body, peer).await,
            Err(error) => {
                self.refused(error.as_str(), peer);
                Problem::from(error).response()
            }
        }
    }

    /// Answers a delivery. `body` is as it was received: it is what was signed.
    pub async fn receive(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Bytes,
        peer: IpAddr,
    ) -> Response<Body> {
        if !is_allowed(method) {
            return self.method_not_allowed();
        }
        if body.len() > self.settings.body_max {
            let limit = self.settings.body_max;
            let error = super::read::ReadError::TooLong { limit };
            self.refused(error.as_str(), peer);
            return Problem::from(error).response();
        }
        let delivery = match self.verify(headers, &body) {
            Ok(delivery) => delivery,
            Err(rejected) => return self.unauthorized(rejected, peer),
        };
        let payload: Value = match serde_json::from_slice(&body) {
            Ok(payload) => payload,
            Err(error) => return self.malformed(&error, peer),
        };
        drop(body);
        let event = self.events.event(headers, &payload);
        self.act(event, &payload, delivery).await
    }

    /// The delivery's name, if it has one, when the sender is who it should be.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<Box<str>>, Rejected> {
        let (tolerance, now) = (self.settings.tolerance, self.shared.clock.now());
        let signed_id = match &self.settings.dialect {
            Dialect::Standard { secrets } => {
                Some(standard::verify(headers, body, secrets, tolerance, now)?)
            }
            Dialect::Hmac { rule, secrets } => {
                hmac::verify(rule, headers, body, secrets, tolerance, now)?;
                None
            }
            Dialect::Strapi(rule) | Dialect::Token(rule) => {
                token::verify(rule, headers)?;
                None
            }
        };
        let in_header = || {
            let name = self.settings.delivery_header.as_ref()?;
            headers.get(name)?.to_str().ok().filter(|id| !id.is_empty())
        };
        let delivery = signed_id.or_else(in_header);
        // Two senders may number their deliveries alike.
        Ok(delivery.map(|id| format!("{}/{id}", self.settings.name).into()))
    }

    async fn act(
        &self,
        event: Option<String>,
        payload: &Value,
        delivery: Option<Box<str>>,
    ) -> Response<Body> {
        // Without a name only rules for any event hold.
        let name = event.as_deref().unwrap_or_default();
        let rules = &self.settings.rules;
        match plan(rules, name, payload, &self.shared.targets) {
            Plan::Unmatched if event.is_none() => self.nameless(),
            Plan::Unmatched => self.ignored(name, "unmatched"),
            Plan::Ignored => self.ignored(name, "ignored"),
            Plan::Purge(planned) => self.purge(name, planned, delivery).await,
        }
    }

    async fn purge(
        &self,
        event: &str,
        planned: Planned,
        delivery: Option<Box<str>>,
    ) -> Response<Body> {
        let Planned {
            scopes,
            mode,
            widened,
            failed,
        } = planned;
        let cause = Cause::Webhook {
            name: self.settings.name.clone(),
            event: clipped(event).into(),
        };
        let Ok(purge) = Purge::new(scopes, mode, cause) else {
            return self.unresolved(event, &failed, None);
        };
        // A delivery that was served in part is not done with: its repetition counts.
        let purge = match delivery {
            Some(delivery) if failed.is_empty() => purge.delivered_as(delivery),
            _ => purge,
        };
        let receipt = match self.shared.log.append(purge).await {
            Ok(receipt) => receipt,
            Err(error) => {
                tracing::error!(webhook = self.name(), %error, "a purge may be lost");
                self.count("log-failed");
                return answer::log_failed(error);
            }
        };
        tracing::info!(
            webhook = self.name(), event = clipped(event), id = %receipt.id,
            scopes = receipt.scopes.len(), duplicate = receipt.duplicate, "purged"
        );
        if !failed.is_empty() {
            return self.unresolved(event, &failed, Some(&receipt));
        }
        self.purged(&receipt, &widened)
    }

    fn purged(&self, receipt: &Receipt, widened: &[Failure]) -> Response<Body> {
        if widened.is_empty() {
            self.count(if receipt.duplicate {
                "duplicate"
            } else {
                "purged"
            });
            return answer::receipt(receipt, &[]);
        }
        for failure in widened {
            tracing::warn!(
                webhook = self.name(),
                why = failure.detail(),
                "purge widened"
            );
        }
        self.count("widened");
        let reasons: Vec<String> = widened.iter().map(Failure::detail).collect();
        let more = [
            ("widened", json!(true)),
            ("widened_because", json!(reasons)),
        ];
        answer::receipt(receipt, &more)
    }

    fn ignored(&self, event: &str, outcome: &'static str) -> Response<Body> {
        self.count(outcome);
        let value = json!({"state": "ignored", "event": clipped(event), "reason": outcome});
        answer::json(StatusCode::OK, &value)
    }

    /// 422 with the first rule that failed, and what was purged all the same.
    fn unresolved(
        &self,
        event: &str,
        failed: &[Failure],
        receipt: Option<&Receipt>,
    ) -> Response<Body> {
        self.count("unresolved");
        let details: Vec<String> = failed.iter().map(Failure::detail).collect();
        let detail = details.join("; ");
        tracing::warn!(webhook = self.name(), why = detail, "event not resolved");
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unresolved", detail)
            .with("webhook", self.name())
            .with("event", clipped(event));
        if let Some(first) = failed.first() {
            problem = problem
                .with("rule", first.rule)
                .with("field", first.field());
        }
        if let Some(receipt) = receipt {
            problem = problem.with("purged", receipt.to_json());
        }
        problem.response()
    }

    fn nameless(&self) -> Response<Body> {
        self.count("no-event");
        let paths = self.events.paths.iter().map(|path| path.as_str());
        let header = self.events.header.as_ref().map(HeaderName::as_str);
        let places: Vec<&str> = paths.chain(header).collect();
        let detail = format!("the delivery names no event in `{}`", places.join("` or `"));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-event", detail)
            .with("webhook", self.name())
            .response()
    }

    fn malformed(&self, error: &serde_json::Error, peer: IpAddr) -> Response<Body> {
        self.refused("malformed", peer);
        let detail = format!("the payload is not JSON: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail)
            .with("webhook", self.name())
            .response()
    }

    fn unauthorized(&self, rejected: Rejected, peer: IpAddr) -> Response<Body> {
        self.refused(rejected.as_str(), peer);
        Problem::new(
            StatusCode::UNAUTHORIZED,
            rejected.as_str(),
            rejected.to_string(),
        )
        .response()
    }

    fn method_not_allowed(&self) -> Response<Body> {
        self.count("method");
        let detail = "a webhook takes POST and PUT";
        let mut response =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail).response();
        let allow = HeaderValue::from_static("POST, PUT");
        response.headers_mut().insert(ALLOW, allow);
        response
    }

    fn refused(&self, outcome: &'static str, peer: IpAddr) {
        self.count(outcome);
        tracing::warn!(webhook = self.name(), %peer, outcome, "delivery refused");
    }

    fn count(&self, outcome: &'static str) {
        self.shared.metrics.webhook(&self.settings.name, outcome);
    }
}

impl<L> Clone for Shared<L> {
    fn clone(&self) -> Self {
        Self {
            log: Arc::clone(&self.log),
            targets: self.targets.clone(),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
        }
    }
}

impl<L> std::fmt::Debug for Webhook<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Webhook").field(&self.settings).finish()
    }
}

fn is_allowed(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT)
}

/// As much of an event's name as is shown.
fn clipped(event: &str) -> &str {
    event
        .get(..event.floor_char_boundary(EVENT_BYTES_MAX))
        .unwrap_or_default()
}
