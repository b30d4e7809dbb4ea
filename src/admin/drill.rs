//! `GET /drill`, `PUT /drill/redis-down?for=30s` and `DELETE /drill/redis-down`: an operator sees
//! what it is like without Redis.

use std::time::Duration;

use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{Admin, not_allowed, unauthorized};
use crate::body::Body;
use crate::outage::{OUTAGE_MAX, Outage};
use crate::purge::answer::{self, Problem};
use crate::purge::log::Log;

/// What a drill takes away.
#[derive(Clone, Debug)]
pub struct Drill {
    pub outage: Outage,
    /// Responses are shared in a Redis.
    pub store: bool,
    /// Purges are: without it nothing that is stored is served, unless `serve_when_lost`.
    pub purge_log: bool,
    pub serve_when_lost: bool,
    /// How long hits go on without the purge log.
    pub lease: Duration,
}

/// Where a drill is told of.
pub(super) const DRILL: &str = "/drill";
/// Where it is begun and ended.
pub(super) const REDIS_DOWN: &str = "/drill/redis-down";
const METHODS: &str = "PUT, DELETE";
/// The shortest one: less shows nothing.
const SPAN_MIN: Duration = Duration::from_secs(1);

impl<L: Log> Admin<L> {
    /// What drills take away; without it there is nothing to drill.
    #[must_use]
    pub fn with_drill(self, drill: Drill) -> Self {
        Self {
            drill: Some(drill),
            ..self
        }
    }

    pub(super) fn told_of_drill(&self, headers: &HeaderMap) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return unauthorized(why);
        }
        answer::json(StatusCode::OK, &self.drill.as_ref().map_or_else(none, told))
    }

    pub(super) fn drill(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return unauthorized(why);
        }
        let Some(drill) = self.drill.as_ref().filter(|drill| drill.has_redis()) else {
            let detail = "this instance uses no Redis: there is nothing to drill";
            return Problem::new(StatusCode::CONFLICT, "no-redis", detail).response();
        };
        let span = match *method {
            Method::DELETE => Duration::ZERO,
            Method::PUT => match span(query) {
                Ok(span) => span,
                Err(problem) => return problem.response(),
            },
            _ => return not_allowed(METHODS),
        };
        if span.is_zero() {
            tracing::warn!("the drill is ended by admin");
        } else {
            tracing::warn!(?span, "a drill by admin: Redis counts as unreachable");
        }
        drill.outage.begin(span);
        answer::json(StatusCode::OK, &told(drill))
    }
}

impl Drill {
    const fn has_redis(&self) -> bool {
        self.store || self.purge_log
    }
}

/// # Errors
/// The answer to anything else than `for=` and a duration within bounds.
fn span(query: Option<&str>) -> Result<Duration, Problem> {
    let text = query.and_then(|query| query.strip_prefix("for="));
    let span = text.and_then(|text| humantime::parse_duration(text).ok());
    let fits = |span: &Duration| (SPAN_MIN..=OUTAGE_MAX).contains(span);
    span.filter(fits).ok_or_else(|| {
        let found = query.unwrap_or_default();
        let detail =
            format!("nothing was begun: `{found}` is the query; allowed is for=1s to for=10m");
        Problem::new(StatusCode::BAD_REQUEST, "query", detail)
    })
}

fn told(drill: &Drill) -> Value {
    json!({
        "redis_down": {
            "on": drill.outage.left().is_some(),
            "left_seconds": drill.outage.left().unwrap_or_default().as_secs_f64(),
        },
        "store": drill.store,
        "purge_log": drill.purge_log,
        "serve_when_lost": drill.serve_when_lost,
        "lease_seconds": drill.lease.as_secs_f64(),
    })
}

fn none() -> Value {
    json!({"redis_down": {"on": false, "left_seconds": 0.0}, "store": false, "purge_log": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_has_a_length_within_bounds() {
        assert!(matches!(span(Some("for=30s")), Ok(span) if span.as_secs() == 30));
        for query in [
            "", "for=", "for=0s", "for=10ms", "for=11m", "for=x", "for=1s&a",
        ] {
            assert!(span(Some(query)).is_err(), "{query}");
        }
        assert!(span(None).is_err());
    }
}
