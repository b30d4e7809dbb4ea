//! What a delivery is answered, each answer counted by its name.

use std::net::IpAddr;

use http::header::{ALLOW, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::Webhook;
use super::plan::Failure;
use super::signature::Rejected;
use crate::body::Body;
use crate::purge::answer::{self, Problem};
use crate::purge::log::{Log, LogError};
use crate::purge::read::ReadError;
use crate::purge::receipt::Receipt;

/// Bytes of an event's name in answers and logs.
const EVENT_BYTES_MAX: usize = 256;

impl<L: Log> Webhook<L> {
    pub(super) fn purged(&self, receipt: &Receipt, widened: &[Failure]) -> Response<Body> {
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

    pub(super) fn ignored(&self, event: &str, outcome: &'static str) -> Response<Body> {
        self.count(outcome);
        let value = json!({"state": "ignored", "event": clipped(event), "reason": outcome});
        answer::json(StatusCode::OK, &value)
    }

    /// 422 with the first rule that failed, and what was purged all the same.
    pub(super) fn unresolved(
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

    pub(super) fn nameless(&self) -> Response<Body> {
        self.count("no-event");
        let paths = self.events.paths.iter().map(|path| path.as_str());
        let header = self.events.header.as_ref().map(HeaderName::as_str);
        let places: Vec<&str> = paths.chain(header).collect();
        let detail = format!("the delivery names no event in `{}`", places.join("` or `"));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-event", detail)
            .with("webhook", self.name())
            .response()
    }

    pub(super) fn malformed(&self, error: &serde_json::Error, peer: IpAddr) -> Response<Body> {
        self.refused("malformed", peer);
        let detail = format!("the payload is not JSON: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail)
            .with("webhook", self.name())
            .response()
    }

    pub(super) fn unauthorized(&self, rejected: Rejected, peer: IpAddr) -> Response<Body> {
        self.refused(rejected.as_str(), peer);
        Problem::new(
            StatusCode::UNAUTHORIZED,
            rejected.as_str(),
            rejected.to_string(),
        )
        .response()
    }

    pub(super) fn method_not_allowed(&self) -> Response<Body> {
        self.count("method");
        let detail = "a webhook takes POST and PUT";
        let mut response =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail).response();
        let allow = HeaderValue::from_static("POST, PUT");
        response.headers_mut().insert(ALLOW, allow);
        response
    }

    pub(super) fn not_received(&self, error: ReadError, peer: IpAddr) -> Response<Body> {
        self.refused(error.as_str(), peer);
        Problem::from(error).response()
    }

    pub(super) fn not_logged(&self, error: LogError) -> Response<Body> {
        tracing::error!(webhook = self.name(), %error, "a purge may be lost");
        self.count("log-failed");
        answer::log_failed(error)
    }

    fn refused(&self, outcome: &'static str, peer: IpAddr) {
        self.count(outcome);
        tracing::warn!(webhook = self.name(), %peer, outcome, "delivery refused");
    }
}

/// As much of an event's name as is shown.
pub(super) fn clipped(event: &str) -> &str {
    event
        .get(..event.floor_char_boundary(EVENT_BYTES_MAX))
        .unwrap_or_default()
}
