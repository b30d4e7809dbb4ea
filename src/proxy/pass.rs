//! Requests whose answers are for their client alone: passed on, never stored.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, response};
use http_body::Body as _;
use http_body_util::{LengthLimitError, Limited};

use super::ask::{self, Client};
use super::context::Context;
use super::fill::NO_MEMORY;
use super::outcome::Outcome;
use super::passing::Passing;
use super::{Proxy, Shared, post, refuse};
use crate::body::Body;
use crate::budget::{Charge, EXCHANGE_BYTES, Pressure, Shed, Use};
use crate::entry::scope::Scope;
use crate::exchange::Position;
use crate::fetch::{self, OriginBody};
use crate::fields::accept_encoding::{AcceptEncoding, Coding};
use crate::fields::cache_control::ResponseControl;
use crate::fields::cache_status::Fwd;
use crate::fields::content_encoding::ContentEncoding;
use crate::fields::{connection, content_length};
use crate::key::{Negotiated, TargetUri};
use crate::policy::invalidation::{self, Named};
use crate::proxy::context::Refusal;
use crate::respond::head::{self, Presented};
use crate::respond::synthetic;
use crate::route::Route;
use crate::route::bypass::Bypass;
use crate::store::Store;
use crate::telemetry::cache::Answer;
use crate::telemetry::trace::Trace;
use crate::transform::stream;

const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    detail: "request-body-too-large",
    text: "The request's content is larger than is allowed here.",
};

impl<S: Store> Proxy<S> {
    /// Forwards the request as it is and passes the answer on.
    pub(super) async fn pass(
        self: &Arc<Self>,
        context: &Context<'_>,
        route: &Route,
        parts: Parts,
        body: Body,
        why: Fwd,
        bypass: Option<Bypass>,
    ) -> (Response<Body>, Outcome) {
        let shared = &self.shared;
        let Some(target) = &context.target else {
            return refuse(super::BAD_TARGET);
        };
        let most = route
            .request_body_max
            .unwrap_or(shared.limits.request_body_max);
        if content_length::of(&parts.headers).is_some_and(|length| length > most) {
            shared.metrics.limit("request-body");
            return refuse(TOO_LARGE);
        }
        let client = Client::of(context, &parts.headers);
        let language = negotiated(route, target, &parts);
        let (method, headers) = (parts.method.clone(), &parts.headers);
        let body = limited(body, most);
        let mut request = ask::for_client(method, route, target, language, headers, client, body);
        request.extensions_mut().insert(context.relay(route));
        let mut outcome = Outcome::forwarded(Answer::Bypass, why);
        outcome.detail = bypass.map(Bypass::as_str);
        context.speak(language);
        let presented = Presented {
            route,
            target,
            language,
        };
        let is_personal = bypass.is_some_and(Bypass::is_personal);
        let sending = (request, client.trace);
        if bypass.is_none() && post::may_be_stored(route, &parts) {
            let posted = self.post(context, presented, sending, &parts, outcome);
            return Box::pin(posted).await;
        }
        self.exchange(presented, sending, &parts, is_personal, outcome)
            .await
    }

    /// Forwards a GET or HEAD on a cached route whose answer is for this client alone.
    pub(super) async fn pass_keyed(
        &self,
        context: &Context<'_>,
        presented: Presented<'_>,
        parts: &Parts,
        why: Fwd,
    ) -> (Response<Body>, Outcome) {
        let Presented {
            route,
            target,
            language,
        } = presented;
        let client = Client::of(context, &parts.headers);
        let (method, headers) = (parts.method.clone(), &parts.headers);
        let mut request = ask::beside_store(method, route, target, language, headers, client);
        request.extensions_mut().insert(context.relay(route));
        let outcome = Outcome::forwarded(Answer::Bypass, why);
        let trace = client.trace;
        self.exchange(presented, (request, trace), parts, false, outcome)
            .await
    }

    async fn exchange(
        &self,
        presented: Presented<'_>,
        sending: (Request<Body>, Trace),
        parts: &Parts,
        is_personal: bool,
        outcome: Outcome,
    ) -> (Response<Body>, Outcome) {
        let (response, memory) = match self.answered(presented, sending, outcome).await {
            Ok(answered) => answered,
            Err(failed) => return *failed,
        };
        let (response, outcome) = self
            .passed_on(presented, response, parts, is_personal, outcome)
            .await;
        (response.map(|body| body.charged(memory)), outcome)
    }

    /// The origin's answer, and the memory that the exchange takes; or the client's answer where
    /// there is none.
    pub(super) async fn answered(
        &self,
        presented: Presented<'_>,
        (request, trace): (Request<Body>, Trace),
        outcome: Outcome,
    ) -> Result<(Response<OriginBody>, Charge), Box<(Response<Body>, Outcome)>> {
        let shared = &self.shared;
        if shared.budget.pressure() == Pressure::Hard {
            return Err(Box::new(no_room(shared, outcome)));
        }
        let memory = shared.budget.take(Use::Exchanges, EXCHANGE_BYTES);
        let Some(upstream) = shared.upstream(presented.route) else {
            let (status, error) = (StatusCode::BAD_GATEWAY, "destination_not_found");
            return Err(Box::new(failed(outcome, status, error)));
        };
        match shared.send(upstream, request, presented, trace).await {
            Ok(response) => Ok((response, memory)),
            Err(error) if is_limit(&error) => {
                shared.metrics.limit("request-body");
                Err(Box::new(refuse(TOO_LARGE)))
            }
            Err(error) => {
                let (status, error) = (error.kind.status(), error.kind.proxy_status());
                Err(Box::new(failed(outcome, status, error)))
            }
        }
    }

    /// What the client gets of the origin's answer.
    pub(super) async fn passed_on(
        &self,
        presented: Presented<'_>,
        response: Response<OriginBody>,
        parts: &Parts,
        is_personal: bool,
        outcome: Outcome,
    ) -> (Response<Body>, Outcome) {
        let (head, content) = cleaned(response);
        let (target, method) = (presented.target, &parts.method);
        self.shared
            .invalidate(presented.route, target, method, head.status, &head.headers)
            .await;
        let response = self.finished(presented, head, content, parts, is_personal);
        (response, outcome)
    }

    /// The response that the client gets, once what has changed is invalidated.
    pub(super) fn finished(
        &self,
        presented: Presented<'_>,
        head: response::Parts,
        content: OriginBody,
        parts: &Parts,
        is_personal: bool,
    ) -> Response<Body> {
        let shared = &self.shared;
        let fields = head::of_passed(&head.headers, head.version, presented, is_personal);
        let head = Head {
            status: head.status,
            fields,
            origin: &head.headers,
        };
        let content = shared.passing(content, head.origin);
        let (method, request) = (&parts.method, &parts.headers);
        passed(shared, head, content, method, request, presented.route)
    }
}

/// The answer without the fields of its connection, and without those that say nothing.
pub(super) fn cleaned(response: Response<OriginBody>) -> (response::Parts, OriginBody) {
    let (mut head, content) = response.into_parts();
    connection::strip_hop_by_hop(&mut head.headers);
    if ContentEncoding::is_junk(&head.headers) {
        head.headers.remove(CONTENT_ENCODING);
    }
    (head, content)
}

/// Whether the exchange failed because the request's content outgrew its limit.
fn is_limit(error: &fetch::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<LengthLimitError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// The head of a response that is passed on: what the client is sent, and what the origin sent.
pub(super) struct Head<'h> {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub origin: &'h HeaderMap,
}

/// Makes the response, compressed on its way where the client accepts it and the route says so.
pub(super) fn passed(
    shared: &Shared,
    head: Head<'_>,
    body: Body,
    method: &Method,
    request: &HeaderMap,
    route: &Route,
) -> Response<Body> {
    let Head {
        status,
        mut fields,
        origin,
    } = head;
    let has_content =
        *method != Method::HEAD && !matches!(status.as_u16(), 204 | 304) && !body.is_end_stream();
    let length = content_length::of(origin).and_then(|length| usize::try_from(length).ok());
    let rule = route.compression();
    let suits = has_content
        && status != StatusCode::PARTIAL_CONTENT
        // Their content is short or empty, which a chunked one does not tell beforehand.
        && !status.is_redirection()
        && !fields.contains_key(CONTENT_RANGE)
        && !fields.contains_key(CONTENT_ENCODING)
        && rule.suits(origin, length)
        && !ResponseControl::parse(origin).no_transform;
    let coding = if suits {
        let all = [Coding::Brotli, Coding::Gzip, Coding::Identity];
        AcceptEncoding::parse(request).prefers(&all)
    } else {
        None
    };
    let body = match coding {
        Some(coding) if coding != Coding::Identity => {
            let level = rule.level(coding);
            head::set_coding(&mut fields, coding, Coding::Identity);
            fields.remove(CONTENT_LENGTH);
            let metrics = shared.transform_metrics.clone();
            stream::encoded(body, coding, level, metrics).unwrap_or_default()
        }
        _ => body,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    *response.version_mut() = Version::HTTP_11;
    response
}

/// The answer where the origin could not be asked.
pub(super) fn failed(
    outcome: Outcome,
    status: StatusCode,
    error: &'static str,
) -> (Response<Body>, Outcome) {
    let outcome = Outcome {
        answer: Answer::Failed,
        ..outcome
    };
    (
        synthetic::gateway_error(status, error),
        outcome.because(error),
    )
}

/// The answer where there is no memory to ask the origin.
pub(super) fn no_room(shared: &Shared, outcome: Outcome) -> (Response<Body>, Outcome) {
    shared.budget.shed(Shed::Request);
    shared.metrics.limit(NO_MEMORY);
    let outcome = Outcome {
        answer: Answer::Failed,
        ..outcome
    };
    (synthetic::no_room(), outcome.because(NO_MEMORY))
}

/// The language of what is asked for on a cached route; what changes something has none.
fn negotiated(route: &Route, target: &TargetUri, parts: &Parts) -> Option<Negotiated> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD) && route.cache.is_some();
    let rule = route.key.language.as_ref().filter(|_| is_read)?;
    Some(rule.negotiate(target, &parts.headers))
}

fn limited(body: Body, most: u64) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::stream(Limited::new(
        Passing::new(body),
        usize::try_from(most).unwrap_or(usize::MAX),
    ))
}

impl Shared {
    /// RFC 9111 §4.4, RFC 9875 §3. Done before the client has its answer, so that its next request cannot see
    /// what it has just changed. Returns the place in the log of what was invalidated.
    pub(super) async fn invalidate(
        &self,
        route: &Route,
        target: &TargetUri,
        method: &Method,
        status: StatusCode,
        response: &HeaderMap,
    ) -> Option<Position> {
        if route.cache.is_none() && method.is_safe() {
            return None;
        }
        let mut scopes = Vec::new();
        match invalidation::groups(method, response) {
            Named::Groups(groups) => {
                scopes.extend(groups.iter().map(|group| Scope::group(target, group)));
            }
            Named::TooMany => scopes.push(Scope::Host(target.host().into())),
        }
        let here = |reference: &str| target.named_here(reference);
        let named = invalidation::invalidated(method, status, response, here);
        let own = named.as_ref().map(|_| target);
        for uri in own.into_iter().chain(named.iter().flatten()) {
            let (path, query) = (uri.path(), uri.query().unwrap_or_default());
            let queries = self.routes.normal_queries(target.host(), path, query);
            scopes.extend(queries.into_iter().map(|query| Scope::Url {
                host: target.host().into(),
                path: path.into(),
                query: query.into(),
            }));
        }
        if scopes.is_empty() {
            return None;
        }
        (self.invalidate)(scopes).await
    }
}
