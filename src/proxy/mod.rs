//! The life of a request: [`Proxy::handle`] is the page to read first.

mod across;
pub mod ask;
pub mod cached;
pub mod context;
pub mod fill;
mod following;
pub mod gather;
pub mod head;
mod instead;
pub mod kept;
mod look;
pub mod marks;
pub mod outcome;
pub mod partial;
pub mod pass;
pub mod passing;
pub mod patience;
pub mod post;
pub mod ranges;
pub mod seal;
pub mod sending;
pub mod sent;
pub mod upgrade;
mod variations;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as HttpBody;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::context::{Context, Refusal};
use self::marks::Marks;
use self::outcome::Outcome;
use self::variations::Variations;
use crate::body::{Body, BodyError};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::entry::purges::Purges;
use crate::entry::scope::Scope;
use crate::exchange::Position;
use crate::fetch::Upstream;
use crate::fetch::flight::Flights;
use crate::fields::cache_status::Fwd;
use crate::respond::synthetic;
use crate::route::bypass::Bypass;
use crate::route::{Route, RouteTable};
use crate::store::Store;
use crate::store::parts::Parts as StoredParts;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::cache::{Answer, CacheMetrics};
use crate::telemetry::request_id::RequestIds;
use crate::telemetry::trace::Tracing;
use crate::telemetry::transform::TransformMetrics;
use crate::transform::Deriver;

/// Called with what an unsafe request invalidates (RFC 9111 §4.4); done when it is in the log. Gives
/// the place of its record there, if this instance has applied all records up to it.
pub type Invalidate =
    Arc<dyn Fn(Vec<Scope>) -> Pin<Box<dyn Future<Output = Option<Position>> + Send>> + Send + Sync>;

/// What the proxy needs of the other rooms.
pub struct Parts<S> {
    pub clock: Arc<dyn Clock>,
    pub routes: RouteTable,
    /// By the index that routes have.
    pub upstreams: Vec<Arc<Upstream>>,
    pub store: S,
    pub purges: Arc<Purges>,
    pub invalidate: Invalidate,
    pub metrics: Arc<CacheMetrics>,
    pub transform_metrics: TransformMetrics,
    pub access_log: AccessLog,
    pub tracing: Tracing,
    pub limits: Limits,
    /// What work in progress may take.
    pub budget: Arc<Budget>,
}

/// Bounds of the whole proxy.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's content.
    pub request_body_max: u64,
    /// Fills at a time; further misses are passed on without being stored.
    pub fills_max: usize,
    /// Coders at a time.
    pub coders_max: usize,
    /// Tunnels at a time, those that are being asked for included.
    pub upgrades_max: usize,
    /// How long nothing may move in a tunnel.
    pub upgrade_idle_timeout: Duration,
}

/// The proxy. One for each site; requests share it. Flights and marks are the site's: how answers
/// are keyed and shared is known by its rules alone.
pub struct Proxy<S> {
    shared: Shared,
    store: S,
}

/// All of the proxy but the store, whose type not everybody needs to know.
pub struct Shared {
    clock: Arc<dyn Clock>,
    routes: RouteTable,
    upstreams: Vec<Arc<Upstream>>,
    purges: Arc<Purges>,
    flights: Arc<Flights>,
    marks: Marks,
    /// Keys whose validation has just failed.
    failed: Marks,
    /// What responses said of the queries of their paths.
    variations: Variations,
    /// Incomplete responses.
    parts: StoredParts,
    fills: Arc<Semaphore>,
    upgrades: Arc<Semaphore>,
    deriver: Deriver,
    invalidate: Invalidate,
    metrics: Arc<CacheMetrics>,
    transform_metrics: TransformMetrics,
    access_log: AccessLog,
    tracing: Tracing,
    ids: RequestIds,
    limits: Limits,
    budget: Arc<Budget>,
}

impl<S: Store> Proxy<S> {
    pub fn new(parts: Parts<S>) -> Arc<Self> {
        Arc::new(Self {
            shared: Shared {
                clock: parts.clock,
                routes: parts.routes,
                upstreams: parts.upstreams,
                flights: Flights::new(Arc::clone(&parts.purges)),
                purges: parts.purges,
                marks: Marks::default(),
                failed: Marks::default(),
                variations: Variations::default(),
                parts: StoredParts::default(),
                fills: Arc::new(Semaphore::new(parts.limits.fills_max)),
                upgrades: Arc::new(Semaphore::new(parts.limits.upgrades_max)),
                deriver: Deriver::new(parts.limits.coders_max, parts.transform_metrics.clone()),
                invalidate: parts.invalidate,
                metrics: parts.metrics,
                transform_metrics: parts.transform_metrics,
                access_log: parts.access_log,
                tracing: parts.tracing,
                ids: RequestIds::default(),
                limits: parts.limits,
                budget: parts.budget,
            },
            store: parts.store,
        })
    }

    pub const fn store(&self) -> &S {
        &self.store
    }

    pub const fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }

    /// Answers a request. There is always an answer, so there is no `Result`.
    pub async fn handle<B>(
        self: &Arc<Self>,
        request: Request<B>,
        connection: &Connection,
    ) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let mut context = Context::new(&self.shared, &parts, connection);
        let (mut response, outcome) = match context.resolve(&parts) {
            Err(refusal) => refuse(refusal),
            Ok((_, route)) => {
                self.answer(&context, route, parts, Body::stream(body))
                    .await
            }
        };
        outcome.write(&mut response, context.key.get());
        if context.route.is_some()
            && let Ok(id) = HeaderValue::from_bytes(&context.id.digits())
        {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        outcome::report(&context, &outcome, &response, started.elapsed());
        sent::counted(response, &self.shared.metrics, &context)
    }

    async fn answer(
        self: &Arc<Self>,
        context: &Context<'_>,
        route: &Route,
        parts: http::request::Parts,
        body: Body,
    ) -> (Response<Body>, Outcome) {
        let Some(target) = &context.target else {
            return refuse(BAD_TARGET);
        };
        if let Some(protocol) = upgrade::wanted(route, &parts) {
            return Box::pin(self.upgrade(context, route, &parts, protocol)).await;
        }
        let is_get_or_head = matches!(parts.method, Method::GET | Method::HEAD);
        let bypass = match &route.cache {
            None => Some(Bypass::Route),
            Some(_) if !target.is_cacheable() => Some(Bypass::Target),
            Some(_) if is_get_or_head && context::has_content(&parts.headers) => {
                Some(Bypass::Route)
            }
            Some(_) => route.bypass.marks(target, &parts.headers).or_else(|| {
                let cookie = route.key.cookies.bypassing(&parts.headers);
                cookie.map(|_| Bypass::Cookie)
            }),
        };
        // After the marks: what is one person's is told to be so all the same.
        let is_off = is_get_or_head && route.cache.is_some() && !route.switch.caching();
        let bypass = bypass.or_else(|| is_off.then_some(Bypass::SwitchedOff));
        match (bypass, &route.cache) {
            (None, Some(rule)) if is_get_or_head => self.cached(context, route, rule, parts).await,
            (bypass, _) => {
                let why = if is_get_or_head {
                    Fwd::Bypass
                } else {
                    Fwd::Method
                };
                // In a box, like all that is not a hit: the future of a hit stays small, and is
                // moved for every request.
                Box::pin(self.pass(context, route, parts, body, why, bypass)).await
            }
        }
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const BAD_TARGET: Refusal = Refusal {
    status: http::StatusCode::BAD_REQUEST,
    detail: "bad-path",
    text: "The request's target is malformed or ambiguous.",
};

fn refuse(refusal: Refusal) -> (Response<Body>, Outcome) {
    let response = synthetic::response(refusal.status, refusal.text);
    (
        response,
        Outcome::of(Answer::Refused).because(refusal.detail),
    )
}

impl Shared {
    fn upstream(&self, route: &Route) -> Option<&Upstream> {
        self.upstreams.get(route.upstream).map(AsRef::as_ref)
    }
}
