//! Publish webhooks: a CMS says what has changed, and rules say what that purges.
//!
//! A delivery is verified over its raw bytes before any of it is read. Whoever is not believed
//! gets 401 and has purged nothing. What is believed is appended to the log before the answer.

mod answers;
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

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as HttpBody;
use serde_json::Value;

use self::answers::clipped;
use self::event::EventSource;
use self::plan::{Plan, Planned, plan};
use self::settings::{Dialect, Settings, SettingsError};
use self::signature::Rejected;
use super::log::Log;
use super::read::{Budget, ReadError, Received, read};
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
    budget: Budget,
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

impl<L: Log> Webhooks<L> {
    /// # Errors
    /// A webhook that cannot work, and two that cannot be told apart.
    pub fn new(all: Vec<Settings>, shared: &Shared<L>) -> Result<Self, SettingsError> {
        settings::unique(all.iter())?;
        let budget = Budget::default();
        all.into_iter()
            .map(|settings| {
                let webhook = Webhook::new(settings, shared.clone())?;
                let budget = budget.clone();
                Ok(Webhook { budget, ..webhook })
            })
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
            budget: Budget::default(),
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
        let limit = self.settings.body_max;
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return self.not_received(ReadError::TooLong { limit }, peer);
        }
        if let Err(rejected) = self.may_be_verified(&head.headers) {
            return self.unauthorized(rejected, peer);
        }
        match read(body, limit, &self.budget).await {
            Ok(body) => {
                let Received { bytes, .. } = &body;
                self.receive(&head.method, &head.headers, bytes.clone(), peer)
                    .await
            }
            Err(error) => self.not_received(error, peer),
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
            return self.not_received(ReadError::TooLong { limit }, peer);
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

    /// Spares the reading of a body that will not be believed whatever it is.
    fn may_be_verified(&self, headers: &HeaderMap) -> Result<(), Rejected> {
        let is_there = |name: &HeaderName| headers.contains_key(name);
        let there = match &self.settings.dialect {
            Dialect::Strapi(rule) | Dialect::Token(rule) => return token::verify(rule, headers),
            Dialect::Standard { .. } => standard::HEADERS.iter().all(is_there),
            Dialect::Hmac { rule, .. } => is_there(&rule.header),
        };
        there.then_some(()).ok_or(Rejected::Missing)
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
            let id = headers.get(self.settings.delivery_header.as_ref()?)?;
            let digest = digest::digest(&digest::SHA256, body);
            // The field is not signed: whoever replays an old body must not use up the name of a
            // delivery that is yet to come.
            Some(format!("{}/{}", id.to_str().ok()?, hex::encode(digest)))
        };
        let delivery = signed_id.map(str::to_owned).or_else(in_header);
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
            Err(error) => return self.not_logged(error),
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
