//! The request that goes to the origin: made anew from what the client sent.

use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE,
    COOKIE, EXPECT, HOST, HeaderName, HeaderValue, IF_RANGE, PRAGMA, RANGE, TE, UPGRADE,
};
use http::{HeaderMap, Method, Request, Uri, Version};

use super::context::Context;
use crate::body::Body;
use crate::fields::cache_control::surrogate::{self, SURROGATE_CAPABILITY};
use crate::fields::trace_context::{self, TRACEPARENT, TRACESTATE};
use crate::fields::{conditional, connection, forwarded, list, poisoning, via};
use crate::key::{Negotiated, TargetUri};
use crate::respond::NAME;
use crate::route::Route;
use crate::telemetry::trace::Trace;

/// Who asks, for the fields that say so.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub version: Version,
    pub trace: Trace,
}

impl Client {
    pub fn of(context: &Context<'_>, presented: &HeaderMap) -> Self {
        Self {
            trace: context.trace(presented).with_new_span(),
            address: context.client,
            version: context.version,
        }
    }
}

/// Fields that any request may have whatever the route's allow-list says: without them it would
/// not be the same request.
const ALWAYS_FORWARDED: [HeaderName; 7] = [
    HOST,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    RANGE,
];

/// A request whose answer may be stored: the whole representation, for everybody of this language,
/// asked for without the client's own conditions.
pub fn for_store(
    route: &Route,
    target: &TargetUri,
    language: Option<Negotiated>,
    presented: &HeaderMap,
    client: Client,
) -> Request<Body> {
    let mut headers = stripped(route, target, presented, client);
    conditional::strip(&mut headers);
    for name in [RANGE, IF_RANGE, CACHE_CONTROL, PRAGMA] {
        headers.remove(name);
    }
    normalise(&mut headers, route, language);
    request(Method::GET, route, target, headers, Body::empty())
}

/// A GET or HEAD on a cached route whose answer is not for the store: it selects what a request
/// for the store would, and keeps the client's conditions and range.
pub fn beside_store(
    method: Method,
    route: &Route,
    target: &TargetUri,
    language: Option<Negotiated>,
    presented: &HeaderMap,
    client: Client,
) -> Request<Body> {
    let mut headers = stripped(route, target, presented, client);
    normalise(&mut headers, route, language);
    keep_trailers(&mut headers, presented, client);
    request(method, route, target, headers, Body::empty())
}

/// Leaves of the request what the key knows.
fn normalise(headers: &mut HeaderMap, route: &Route, language: Option<Negotiated>) {
    headers.remove(CONTENT_LENGTH);
    // The edge compresses, and reads bodies for their tags: one coding is fetched, the plain one.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    set_language(headers, route, language);
    route.key.cookies.apply(headers);
}

/// A request whose answer is passed on to this client only. Its language is the negotiated one all
/// the same, so that whoever is not answered from the store gets the page that all others get.
pub fn for_client(
    method: Method,
    route: &Route,
    target: &TargetUri,
    language: Option<Negotiated>,
    presented: &HeaderMap,
    client: Client,
    body: Body,
) -> Request<Body> {
    let mut headers = stripped(route, target, presented, client);
    set_language(&mut headers, route, language);
    keep_trailers(&mut headers, presented, client);
    request(method, route, target, headers, body)
}

/// RFC 9110 §10.1.4: what a client says about trailers holds for us too, where the response is passed
/// on to it. In HTTP/1.1 it says it to us alone, and names `TE` in `Connection`.
fn keep_trailers(headers: &mut HeaderMap, presented: &HeaderMap, client: Client) {
    let has = |field, option: &[u8]| {
        let mut options = list::lines(presented, field);
        options.any(|found| found.eq_ignore_ascii_case(option))
    };
    let is_for_us = client.version == Version::HTTP_2 || has(&CONNECTION, b"te");
    if is_for_us && has(&TE, b"trailers") {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// A request to speak `protocol` over a connection of its own.
pub fn for_upgrade(
    route: &Route,
    target: &TargetUri,
    presented: &HeaderMap,
    client: Client,
    protocol: &str,
) -> Request<Body> {
    let mut headers = stripped(route, target, presented, client);
    // RFC 6455 §4.1: what the handshake consists of, whatever else the origin sees.
    for (name, value) in presented {
        if name.as_str().starts_with("sec-websocket-") && !headers.contains_key(name) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(protocol) = HeaderValue::from_str(protocol) {
        headers.insert(UPGRADE, protocol);
    }
    request(Method::GET, route, target, headers, Body::empty())
}

fn set_language(headers: &mut HeaderMap, route: &Route, language: Option<Negotiated>) {
    if let (Some(rule), Some(negotiated)) = (&route.key.language, language)
        && let Ok(tag) = HeaderValue::from_str(rule.tag(negotiated))
    {
        headers.insert(ACCEPT_LANGUAGE, tag);
    }
}

fn stripped(route: &Route, target: &TargetUri, presented: &HeaderMap, client: Client) -> HeaderMap {
    let mut headers = presented.clone();
    connection::strip_hop_by_hop(&mut headers);
    headers.remove(TE);
    // RFC 9110 §10.1.1: the edge asks for the content itself, once it has a connection to send it
    // on; a refusal until then comes without it.
    headers.remove(EXPECT);
    poisoning::strip_request(&mut headers);
    if !route.forward_headers.is_empty() {
        let names: Vec<HeaderName> = headers.keys().cloned().collect();
        for name in names {
            if !route.forward_headers.contains(&name) && !ALWAYS_FORWARDED.contains(&name) {
                headers.remove(&name);
            }
        }
    }
    if route.hears_surrogate_control() {
        headers.insert(SURROGATE_CAPABILITY, surrogate::CAPABILITY);
    }
    forwarded::set(
        &mut headers,
        client.address,
        target.scheme(),
        target.authority(),
    );
    set_trace(&mut headers, presented, client.trace);
    via::append(&mut headers, client.version, NAME);
    if let Ok(host) = HeaderValue::from_str(target.authority()) {
        headers.insert(HOST, host);
    }
    headers
}

/// W3C Trace Context §4.2: our span becomes the parent; the state of a trace that is not continued
/// is not passed on.
fn set_trace(headers: &mut HeaderMap, presented: &HeaderMap, trace: Trace) {
    headers.insert(TRACEPARENT, trace.to_origin().to_value());
    let state = trace_context::state(presented).filter(|_| trace.is_continued());
    match state {
        Some(state) => headers.insert(TRACESTATE, state),
        None => headers.remove(TRACESTATE),
    };
}

fn request(
    method: Method,
    route: &Route,
    target: &TargetUri,
    headers: HeaderMap,
    body: Body,
) -> Request<Body> {
    let mut path_and_query = target.path().to_owned();
    if let Some(query) = target.query() {
        let counting = route.cache.is_some() && !route.forward_dropped;
        let query = if counting {
            route.key.query.forwarded(query)
        } else {
            query.into()
        };
        if !query.is_empty() {
            path_and_query.push('?');
            path_and_query.push_str(&query);
        }
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // The target came from a parsed URI and was only narrowed since.
    *request.uri_mut() = path_and_query
        .parse()
        .unwrap_or_else(|_| Uri::from_static("/"));
    *request.headers_mut() = headers;
    request
}
