//! The admin listener: purge endpoints, metrics, health.
//!
//! | | |
//! |---|---|
//! | `POST /purge` | appends a purge, with a bearer token; `?wait=all&timeout=2s` answers when it is complete |
//! | `GET /purge/{id}` | the receipt as it stands now, with a bearer token |
//! | `POST /reload` | takes over the configuration as it is written now, with a bearer token |
//! | `GET /status` | how it stands: Redis, the purge log, the other instances, problems; with a bearer token |
//! | `GET /switches` | what is turned on and off, with a bearer token |
//! | `PUT /switches/caching`, `…/compression`, `…/routes/NAME` | turns it, with a bearer token |
//! | `GET /drill` | what a drill would take away, with a bearer token |
//! | `PUT /drill/redis-down?for=30s`, `DELETE …` | treats Redis as unreachable for so long, with a bearer token |
//! | `GET /metrics` | all metrics, as OpenMetrics text |
//! | `GET /healthz` | 200 while the process answers at all |
//! | `GET /readyz` | 200 while it should be sent requests, else 503 with the reason |

mod command;
pub mod drill;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod readiness;
pub mod reload;
pub mod status;
mod switches;
mod wait;

use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use thiserror::Error;

use self::drill::Drill;
use self::readiness::Readiness;
use self::reload::Reload;
use crate::body::{Body, BodyError};
use crate::purge::answer::{self, Problem};
use crate::purge::log::Log;
use crate::purge::read::{Budget, read};
use crate::purge::receipt::ReceiptId;
use crate::purge::secret::{Token, bearer};
use crate::purge::target::Targets;
use crate::switches::Switches;
use crate::telemetry::purge::PurgeMetrics;

/// What the operator says.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `None`: the endpoints that change something are off.
    pub token: Option<Token>,
}

/// See the module.
pub struct Admin<L> {
    settings: Settings,
    log: Arc<L>,
    targets: Targets,
    registry: Arc<Registry>,
    readiness: Arc<Readiness>,
    switches: Arc<Switches>,
    metrics: PurgeMetrics,
    budget: Budget,
    reload: Option<Reload>,
    drill: Option<Drill>,
    status: Option<status::Look>,
}

/// Why the purge endpoints are closed to a request.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
enum Unauthorized {
    #[error("this endpoint is off, because no admin token is set")]
    Off,
    #[error("this endpoint needs `Authorization: Bearer` and the admin token")]
    MissingToken,
    #[error("this is not the admin token")]
    WrongToken,
}

impl Unauthorized {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::MissingToken => "missing-token",
            Self::WrongToken => "wrong-token",
        }
    }
}

/// Bytes of a purge command.
const BODY_MAX: usize = 1024 * 1024;
/// Below it stand the switches.
const SWITCHES: &str = "/switches/";
const SOURCE: &str = "admin";
const GET: &str = "GET, HEAD";
const POST: &str = "POST";
const PUT: &str = "PUT";

impl<L: Log> Admin<L> {
    pub fn new(
        settings: Settings,
        log: Arc<L>,
        targets: Targets,
        registry: Arc<Registry>,
        readiness: Arc<Readiness>,
        metrics: PurgeMetrics,
    ) -> Self {
        Self {
            settings,
            log,
            targets,
            registry,
            readiness,
            switches: Arc::default(),
            metrics,
            budget: Budget::default(),
            reload: None,
            drill: None,
            status: None,
        }
    }

    /// The switches that this listener turns; without them it turns some that nobody asks.
    #[must_use]
    pub fn with_switches(self, switches: Arc<Switches>) -> Self {
        Self { switches, ..self }
    }

    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody + Send,
        B::Data: Send,
        B::Error: Into<BodyError>,
    {
        let (head, body) = request.into_parts();
        let get = matches!(head.method, Method::GET | Method::HEAD);
        match head.uri.path() {
            "/purge" if head.method == Method::POST => {
                self.purge(&head.headers, head.uri.query(), body).await
            }
            "/reload" if head.method == Method::POST => self.reload(&head.headers).await,
            "/purge" | "/reload" => not_allowed(POST),
            "/healthz" if get => text(StatusCode::OK, "ok\n"),
            "/readyz" if get => self.ready(),
            "/metrics" if get => self.metrics(),
            "/status" if get => self.status(&head.headers),
            "/switches" if get => self.standing(&head.headers),
            "/switches" => not_allowed(GET),
            drill::DRILL if get => self.told_of_drill(&head.headers),
            drill::DRILL => not_allowed(GET),
            drill::REDIS_DOWN => self.drill(&head.method, &head.headers, head.uri.query()),
            path if path.starts_with(SWITCHES) && head.method == Method::PUT => {
                self.switch(&head.headers, path, body).await
            }
            path if path.starts_with(SWITCHES) => not_allowed(PUT),
            "/healthz" | "/readyz" | "/metrics" | "/status" => not_allowed(GET),
            path => match path.strip_prefix("/purge/") {
                Some(id) if get => self.receipt(&head.headers, id).await,
                Some(_) => not_allowed(GET),
                None => not_found("there is nothing at this path"),
            },
        }
    }

    async fn purge<B>(&self, headers: &HeaderMap, query: Option<&str>, body: B) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BodyError>,
    {
        if let Err(why) = self.authorize(headers) {
            return self.unauthorized(why);
        }
        let wait = match wait::parse(query) {
            Ok(wait) => wait,
            Err(problem) => return self.refused("malformed", problem),
        };
        let body = match read(body, BODY_MAX, &self.budget).await {
            Ok(body) => body,
            Err(error) => return self.refused(error.as_str(), error.into()),
        };
        let purge = match command::parse(&body.bytes, &self.targets) {
            Ok(purge) => purge,
            Err(refusal) => return self.refused(refusal.as_str(), refusal.problem()),
        };
        match self.log.append_and_wait(purge, wait).await {
            Ok(receipt) => {
                self.metrics.request(SOURCE, "purged");
                tracing::info!(id = %receipt.id, scopes = receipt.scopes.len(), "purged by admin");
                answer::receipt(&receipt, &[])
            }
            Err(error) => {
                self.metrics.request(SOURCE, "log-failed");
                tracing::error!(%error, "a purge may be lost");
                answer::log_failed(error)
            }
        }
    }

    async fn receipt(&self, headers: &HeaderMap, id: &str) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return self.unauthorized(why);
        }
        let Some(id) = ReceiptId::parse(id) else {
            return not_found("this is not the id of a purge");
        };
        match self.log.receipt(id).await {
            Ok(Some(receipt)) => answer::receipt(&receipt, &[]),
            Ok(None) => not_found("the log does not remember this purge"),
            Err(error) => answer::log_failed(error),
        }
    }

    fn standing(&self, headers: &HeaderMap) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return unauthorized(why);
        }
        let standing = switches::to_json(&self.switches.standing());
        answer::json(StatusCode::OK, &standing)
    }

    async fn switch<B>(&self, headers: &HeaderMap, path: &str, body: B) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BodyError>,
    {
        if let Err(why) = self.authorize(headers) {
            return unauthorized(why);
        }
        let name = path.strip_prefix(SWITCHES).unwrap_or_default();
        let Some(which) = switches::which(name) else {
            return not_found("there is no switch at this path");
        };
        let body = match read(body, switches::BODY_MAX, &self.budget).await {
            Ok(body) => body,
            Err(error) => return Problem::from(error).response(),
        };
        let on = match switches::parse(&body.bytes) {
            Ok(on) => on,
            Err(problem) => return problem.response(),
        };
        match self.switches.set(which, on) {
            Err(error) => return not_found(&error.to_string()),
            Ok(true) => tracing::warn!(switch = name, on, "switched by admin"),
            Ok(false) => {}
        }
        self.standing(headers)
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Unauthorized> {
        let token = self.settings.token.as_ref().ok_or(Unauthorized::Off)?;
        match bearer(headers) {
            Some(presented) if token.is(presented) => Ok(()),
            Some(_) => Err(Unauthorized::WrongToken),
            None => Err(Unauthorized::MissingToken),
        }
    }

    fn unauthorized(&self, why: Unauthorized) -> Response<Body> {
        self.metrics.request(SOURCE, why.as_str());
        unauthorized(why)
    }

    fn refused(&self, outcome: &'static str, problem: Problem) -> Response<Body> {
        self.metrics.request(SOURCE, outcome);
        problem.response()
    }

    fn ready(&self) -> Response<Body> {
        let state = self.readiness.state();
        let status = if state.is_ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        text(status, &format!("{}\n", state.as_str()))
    }

    fn metrics(&self) -> Response<Body> {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let mut metrics = String::new();
        if encode(&mut metrics, &self.registry).is_err() {
            let detail = "the metrics could not be written";
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", detail).response();
        }
        let mut response = text(StatusCode::OK, "");
        *response.body_mut() = Body::full(metrics);
        set(&mut response, CONTENT_TYPE, OPEN_METRICS);
        response
    }
}

impl<L> std::fmt::Debug for Admin<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Admin").field(&self.settings).finish()
    }
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(text.to_owned()));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn unauthorized(why: Unauthorized) -> Response<Body> {
    let status = match why {
        Unauthorized::Off => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    };
    let mut response = Problem::new(status, why.as_str(), why.to_string()).response();
    if status == StatusCode::UNAUTHORIZED {
        const CHALLENGE: &str = "Bearer realm=\"cms-edge admin\"";
        set(&mut response, WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

fn not_found(detail: &str) -> Response<Body> {
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail).response()
}

fn not_allowed(methods: &'static str) -> Response<Body> {
    let detail = format!("this path takes {methods}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail);
    let mut response = problem.response();
    set(&mut response, ALLOW, methods);
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
}

#[cfg(test)]
mod tests;
