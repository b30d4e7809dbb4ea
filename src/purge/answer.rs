//! Answers to whoever asked for a purge: a receipt, or a problem (RFC 9457).

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::log::LogError;
use super::read::ReadError;
use super::receipt::{Receipt, State};
use crate::body::Body;

/// A problem in the making: `reason` is its name in metrics and for programs, `detail` one
/// sentence for people. Further members can be added.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        let mut members = Map::new();
        // RFC 9457 §4.2.1: with `about:blank` the title is the status's own phrase.
        members.insert("type".to_owned(), json!("about:blank"));
        let title = status.canonical_reason().unwrap_or_default();
        members.insert("title".to_owned(), json!(title));
        members.insert("status".to_owned(), json!(status.as_u16()));
        members.insert("detail".to_owned(), json!(detail.into()));
        members.insert("reason".to_owned(), json!(reason));
        Self { status, members }
    }

    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    pub fn response(self) -> Response<Body> {
        respond(
            self.status,
            "application/problem+json",
            &Value::Object(self.members),
        )
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::new(error.status(), error.as_str(), error.to_string())
    }
}

pub fn json(status: StatusCode, value: &Value) -> Response<Body> {
    respond(status, "application/json", value)
}

/// 200 when the purge is in the log, 202 when it is kept for later. `more` are further members.
pub fn receipt(receipt: &Receipt, more: &[(&str, Value)]) -> Response<Body> {
    let status = match receipt.state {
        State::Complete | State::Settling => StatusCode::OK,
        State::Spooled { .. } => StatusCode::ACCEPTED,
    };
    let mut value = receipt.to_json();
    if let Value::Object(members) = &mut value {
        for (name, value) in more {
            members.insert((*name).to_owned(), value.clone());
        }
    }
    json(status, &value)
}

/// The purge may be lost: 503, so that a sender that repeats does.
pub fn log_failed(error: LogError) -> Response<Body> {
    let mut response = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "purge-log",
        error.to_string(),
    )
    .response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn respond(status: StatusCode, media_type: &'static str, value: &Value) -> Response<Body> {
    let mut text = value.to_string();
    text.push('\n');
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_says_what_it_is() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-key", "no `tag`")
            .with("allowed", vec!["tags", "urls"]);
        let response = problem.response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
                "detail": "no `tag`", "reason": "unknown-key", "allowed": ["tags", "urls"],
            })
        );
    }

    #[test]
    fn a_log_that_is_out_of_reach_asks_to_try_again() {
        let response = log_failed(LogError::Unavailable);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
}
