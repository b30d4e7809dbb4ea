//! What is known of a request before anything is decided. From here on nothing reads the raw URI.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};

use super::Shared;
use crate::connection::Connection;
use crate::fields::trace_context::TRACEPARENT;
use crate::interim::{Interims, Relay};
use crate::key::{CacheKey, Negotiated, TargetUri};
use crate::route::{NoRoute, Route};
use crate::telemetry::redact;
use crate::telemetry::request_id::RequestId;
use crate::telemetry::trace::Trace;

/// One request on its way through the proxy.
pub struct Context<'p> {
    pub shared: &'p Shared,
    pub id: RequestId,
    pub client: IpAddr,
    pub scheme: &'static str,
    pub method: Method,
    pub version: Version,
    pub target: Option<TargetUri>,
    pub route: Option<&'p Route>,
    /// For the access log, which is written when the fields are gone.
    pub user_agent: Option<Box<str>>,
    /// Looked at when it is needed: a hit takes no part in a trace.
    pub trace: OnceLock<Trace>,
    /// What was negotiated, where the route has languages.
    pub language: OnceLock<Negotiated>,
    /// What the response is stored under, where clients are told.
    pub key: OnceLock<CacheKey>,
    interims: &'p Arc<Interims>,
}

/// Why a request is answered without asking anybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub detail: &'static str,
    pub text: &'static str,
}

const fn refusal(status: StatusCode, detail: &'static str, text: &'static str) -> Refusal {
    Refusal {
        status,
        detail,
        text,
    }
}

impl<'p> Context<'p> {
    pub fn new(shared: &'p Shared, parts: &Parts, connection: &'p Connection) -> Self {
        let user_agent = if shared.access_log.is_on() {
            parts.headers.get(USER_AGENT)
        } else {
            None
        };
        let trace = OnceLock::new();
        if shared.access_log.is_on() && parts.headers.contains_key(TRACEPARENT) {
            trace.get_or_init(|| shared.tracing.trace(&parts.headers));
        }
        Self {
            shared,
            trace,
            language: OnceLock::new(),
            key: OnceLock::new(),
            id: shared.ids.next(),
            client: connection.peer.ip().to_canonical(),
            scheme: connection.scheme,
            method: parts.method.clone(),
            version: parts.version,
            target: None,
            route: None,
            user_agent: user_agent
                .and_then(|value| value.to_str().ok())
                .map(|text| redact::shortened(text).into()),
            interims: &connection.interims,
        }
    }

    /// The trace that the request with these fields belongs to.
    pub fn trace(&self, presented: &HeaderMap) -> Trace {
        *self
            .trace
            .get_or_init(|| self.shared.tracing.trace(presented))
    }

    /// Says which language the answer is in, once.
    pub fn speak(&self, language: Option<Negotiated>) {
        if let Some(language) = language {
            self.language.get_or_init(|| language);
        }
    }

    /// The query as the log may have it.
    pub fn shown_query(&self) -> Option<String> {
        if !self.shared.access_log.shows_queries() {
            return None;
        }
        let query = self.target.as_ref()?.query()?;
        let is_mark = |name: &str| {
            let marks = self.route.into_iter().flat_map(|route| &route.bypass.query);
            marks.into_iter().any(|(mark, _)| **mark == *name)
        };
        Some(redact::query(query, is_mark))
    }

    /// Finds target and route.
    ///
    /// # Errors
    /// The request is malformed, ambiguous, or for nobody here.
    pub fn resolve(&mut self, parts: &Parts) -> Result<(&TargetUri, &'p Route), Refusal> {
        if matches!(self.method, Method::CONNECT | Method::TRACE) {
            return Err(refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "This method is not served here.",
            ));
        }
        let authority = authority(parts)?;
        let target = TargetUri::parse(self.scheme, authority, parts.uri.path(), parts.uri.query())
            .map_err(|refused| {
                refusal(
                    StatusCode::BAD_REQUEST,
                    refused.as_str(),
                    "The request's target is malformed or ambiguous.",
                )
            })?;
        let target = &*self.target.insert(target);
        let route = self.shared.routes.find(target, &self.method);
        let route = route.map_err(|none| match none {
            NoRoute::Host => refusal(
                StatusCode::MISDIRECTED_REQUEST,
                "no-route-host",
                "This host is not served here.",
            ),
            NoRoute::Path => refusal(
                StatusCode::NOT_FOUND,
                "no-route-path",
                "Nothing is served at this path.",
            ),
            NoRoute::Method => refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "no-route-method",
                "This method is not served at this path.",
            ),
        })?;
        self.route = Some(route);
        Ok((target, route))
    }

    /// The way of interim responses to this client.
    pub fn relay(&self, route: &Route) -> Relay {
        Relay::new(self.interims, &route.tags.fields)
    }

    pub const fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            Version::HTTP_3 => "HTTP/3",
            _ => "HTTP/1.1",
        }
    }
}

/// The authority the client addressed: of the target if it has one (HTTP/2's `:authority`, the
/// absolute form of RFC 9112 §3.2.2), else of the one Host field. Both must agree.
fn authority(parts: &Parts) -> Result<&str, Refusal> {
    const BAD: Refusal = refusal(
        StatusCode::BAD_REQUEST,
        "bad-host",
        "The request names no host, or several.",
    );
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::to_str);
    if hosts.next().is_some() {
        return Err(BAD);
    }
    let host = host.transpose().map_err(|_| BAD)?;
    match (parts.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().eq_ignore_ascii_case(host) => Err(BAD),
        (Some(authority), _) => Ok(authority.as_str()),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(BAD),
    }
}

/// Whether a request announces content, which no key has.
pub fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(http::header::TRANSFER_ENCODING)
        || headers
            .get(http::header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}
