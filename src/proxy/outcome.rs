//! What became of a request, told in one place: `Cache-Status`, the counters, the access log.

use std::time::Duration;

use http::{Response, StatusCode};
use http_body::Body as _;

use super::context::Context;
use crate::body::Body;
use crate::fields::cache_status::{self, CacheStatus, Fwd};
use crate::fields::trace_context;
use crate::key::CacheKey;
use crate::respond::NAME;
use crate::telemetry::access_log::Line;
use crate::telemetry::cache::{Answer, Answered};

/// How a request was answered, and why that way.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub answer: Answer,
    pub fwd: Option<Fwd>,
    /// The status the origin answered with, where it is another one than was sent.
    pub fwd_status: Option<u16>,
    pub stored: bool,
    pub collapsed: bool,
    /// Seconds of freshness left; negative when stale.
    pub ttl: Option<i64>,
    pub detail: Option<&'static str>,
    /// What answered was in no memory of this process.
    pub is_from_shared: bool,
}

impl Outcome {
    pub const fn of(answer: Answer) -> Self {
        Self {
            answer,
            fwd: None,
            fwd_status: None,
            stored: false,
            collapsed: false,
            ttl: None,
            detail: None,
            is_from_shared: false,
        }
    }

    pub const fn hit(answer: Answer, ttl: i64) -> Self {
        let mut outcome = Self::of(answer);
        outcome.ttl = Some(ttl);
        outcome
    }

    pub const fn forwarded(answer: Answer, fwd: Fwd) -> Self {
        let mut outcome = Self::of(answer);
        outcome.fwd = Some(fwd);
        outcome
    }

    pub const fn because(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// RFC 9211 §2.3: what the origin answered, where the client is sent another status.
    #[must_use]
    pub fn having_received(mut self, received: StatusCode, response: &Response<Body>) -> Self {
        let is_other = received != response.status();
        self.fwd_status = is_other.then_some(received.as_u16());
        self
    }

    /// Adds our member of `Cache-Status` (RFC 9211) behind those of caches nearer to the origin.
    pub fn write(&self, response: &mut Response<Body>, key: Option<&CacheKey>) {
        let is_hit = self.fwd.is_none() && self.ttl.is_some();
        let value = match (is_hit, self.detail, self.ttl) {
            (true, None, Some(ttl)) if key.is_none() => cache_status::hit(NAME, ttl),
            _ => CacheStatus {
                hit: is_hit,
                fwd: self.fwd,
                fwd_status: self.fwd_status,
                ttl: self.ttl,
                stored: self.stored,
                collapsed: self.collapsed,
                detail: self.detail,
                // Its parts are set off by zero bytes, which no string has.
                key: key.map(|key| key.as_str().replace('\0', " ")),
            }
            .to_value(NAME),
        };
        cache_status::append(response.headers_mut(), value);
    }
}

/// Counts the answer and, if there is a log, writes the line.
pub fn report(
    context: &Context<'_>,
    outcome: &Outcome,
    response: &Response<Body>,
    elapsed: Duration,
) {
    let proxy = context.shared;
    count(context, outcome, elapsed);
    if !proxy.access_log.is_on() {
        return;
    }
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let target = context.target.as_ref();
    let query = context.shown_query();
    let trace_id = context
        .trace
        .get()
        .map(|trace| trace_context::digits(trace.id));
    proxy.access_log.write(Line {
        time: proxy.clock.now(),
        id: &context.id.to_string(),
        client: context.client,
        method: context.method.as_str(),
        scheme: context.scheme,
        host: target.map_or("", |target| target.authority()),
        path: target.map_or("", |target| target.path()),
        query: query.as_deref(),
        protocol: context.protocol(),
        status: response.status().as_u16(),
        route: context.route.map_or("", |route| &route.name),
        outcome: outcome.answer.as_str(),
        detail: outcome.detail,
        language: header("content-language"),
        coding: header("content-encoding"),
        user_agent: context.user_agent.as_deref(),
        trace_id: trace_id.as_deref(),
        bytes: response.body().size_hint().exact(),
        elapsed,
    });
}

fn count(context: &Context<'_>, outcome: &Outcome, took: Duration) {
    let metrics = &context.shared.metrics;
    metrics.answered(Answered {
        route: context.route.map(|route| route.index),
        language: context.language.get().map(|language| language.index()),
        answer: outcome.answer,
        took,
    });
    match outcome.fwd {
        None if outcome.ttl.is_some() && outcome.is_from_shared => metrics.redis_hit(),
        None if outcome.ttl.is_some() => metrics.memory_hit(),
        None => {}
        Some(fwd) => {
            metrics.missed(fwd.token());
            let is_ruled = matches!(fwd, Fwd::Bypass | Fwd::Method);
            if is_ruled && outcome.answer == Answer::Bypass {
                metrics.bypassed(outcome.detail.unwrap_or_else(|| fwd.token()));
            }
        }
    }
}
