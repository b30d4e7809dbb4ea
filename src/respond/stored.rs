//! A response from the store: preconditions, a range, a content coding, `Age`, `Cache-Status`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};

use super::head;
use crate::body::Body;
use crate::clock::Timestamp;
use crate::entry::purges::Live;
use crate::fields::accept_encoding::{AcceptEncoding, Coding};
use crate::fields::conditional::{self, CONDITIONAL, Precondition};
use crate::fields::date;
use crate::fields::entity_tag::EntityTag;
use crate::fields::range::{self, Ranges};
use crate::fields::text;
use crate::policy::reuse::{self, Candidate};
use crate::route::CompressRule;

/// Which coding a client is sent, and what must be derived first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The representation in this coding is there.
    Ready(Coding),
    /// It must be derived from the original; until it is, `meanwhile` is there, if the client
    /// accepts that.
    Derive {
        coding: Coding,
        meanwhile: Option<Coding>,
    },
}

/// Chooses the coding by what the client accepts, what the route compresses and what is there
/// (RFC 9110 §12.5.3). A request for a range gets the original bytes if it accepts them.
pub fn plan(live: &Live, request: &HeaderMap, rule: &CompressRule) -> Plan {
    let content = live.entry().content();
    let original = content.original_coding();
    if !content.is_transformable() || content.original().is_empty() {
        return Plan::Ready(original);
    }
    let accepts = AcceptEncoding::parse(request);
    if request.contains_key(RANGE) && accepts.accepts(original) {
        return Plan::Ready(original);
    }
    let is_large = original != Coding::Identity || content.original().len() >= rule.size_min;
    let may_encode = rule.enabled && is_large;
    let all = [Coding::Brotli, Coding::Gzip, Coding::Identity];
    let available: &[Coding] = if may_encode {
        &all
    } else {
        &[Coding::Identity]
    };
    let Some(coding) = accepts.prefers(available) else {
        // §12.5.3: nothing is acceptable; identity is the answer that most can use.
        return Plan::Ready(original);
    };
    // What came compressed is used as it is by clients that accept it.
    if accepts.accepts(original) && original != Coding::Identity {
        return Plan::Ready(original);
    }
    if content.get(coding).is_some() {
        return Plan::Ready(coding);
    }
    let meanwhile = available
        .iter()
        .copied()
        .find(|other| accepts.accepts(*other) && content.get(*other).is_some());
    Plan::Derive { coding, meanwhile }
}

/// The response to a GET or HEAD. `coding` must be one that is there; another one falls back to
/// the original.
///
/// ```compile_fail,E0308
/// // A response that was not admitted past the purges cannot be served.
/// use cms_edge::{entry::StoredResponse, fields::accept_encoding::Coding, respond::stored};
/// fn serve(entry: &StoredResponse, now: cms_edge::clock::Timestamp) {
///     let (method, fields) = (http::Method::GET, http::HeaderMap::new());
///     let _ = stored::response(entry, &method, &fields, Coding::Identity, now);
/// }
/// ```
pub fn response(
    live: &Live,
    method: &Method,
    request: &HeaderMap,
    coding: Coding,
    now: Timestamp,
) -> Response<Body> {
    let entry = live.entry();
    let content = entry.content();
    let (coding, bytes) = match content.get(coding) {
        Some(bytes) => (coding, bytes.clone()),
        None => (content.original_coding(), content.original().clone()),
    };
    let mut fields = entry.head().client();
    head::set_coding(&mut fields, coding, content.original_coding());
    let age = reuse::current_age(live, now).as_secs();
    fields.insert(AGE, text::number(age));
    if entry.status() == StatusCode::OK
        && let Some(response) = conditional(method, request, &mut fields, &bytes)
    {
        return response;
    }
    whole(entry.status(), method, fields, bytes)
}

/// Seconds until what is stored is stale; negative when it is.
pub fn ttl(stored: &impl Candidate, now: Timestamp) -> i64 {
    let lifetime = stored.terms().lifetime.fresh;
    seconds(lifetime) - seconds(reuse::current_age(stored, now))
}

/// Whole seconds.
pub fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// 304, 412, 206 or 416, if a precondition or a range makes the response one of these.
fn conditional(
    method: &Method,
    request: &HeaderMap,
    fields: &mut HeaderMap,
    bytes: &Bytes,
) -> Option<Response<Body>> {
    let has_range = *method == Method::GET && request.contains_key(RANGE);
    if !has_range && !CONDITIONAL.iter().any(|name| request.contains_key(name)) {
        return None;
    }
    let (etag, modified) = validators(fields);
    let date = date::of(fields, &DATE);
    // RFC 9111 §4.3.2: without Last-Modified, If-Modified-Since is compared with Date.
    match conditional::evaluate(request, true, etag.as_ref(), modified.or(date)) {
        Precondition::None => {}
        Precondition::NotModified => {
            return Some(not_modified(std::mem::take(fields)));
        }
        Precondition::Failed => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Some(response);
        }
    }
    if !has_range {
        return None;
    }
    if conditional::if_range_matches(request, etag.as_ref(), modified, date) == Some(false) {
        return None;
    }
    partial(request, fields, bytes)
}

fn partial(request: &HeaderMap, fields: &mut HeaderMap, bytes: &Bytes) -> Option<Response<Body>> {
    let length = bytes.len() as u64;
    match range::resolve(request, length) {
        // Several ranges: a server may ignore Range (RFC 9110 §14.2), and many small ones are an
        // attack (§17.15).
        Ranges::None | Ranges::Many => None,
        Ranges::One { first, last } => {
            let (from, to) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
            if to >= bytes.len() || from > to {
                return None;
            }
            fields.insert(CONTENT_RANGE, range::content_range(first, last, length));
            let part = bytes.slice(from..=to);
            let mut response = whole(
                StatusCode::PARTIAL_CONTENT,
                &Method::GET,
                std::mem::take(fields),
                part,
            );
            // Of the whole content, not of this part.
            for name in ["content-md5", "content-digest"] {
                response.headers_mut().remove(name);
            }
            Some(response)
        }
        Ranges::Unsatisfiable => Some(unsatisfiable(length)),
    }
}

/// RFC 9110 §15.5.17, for content of this many bytes.
pub fn unsatisfiable(length: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    response
        .headers_mut()
        .insert(CONTENT_RANGE, range::unsatisfied(length));
    response
}

/// RFC 9110 §15.4.5: the fields that a 200 would have had, but for those of the content.
pub fn not_modified(mut fields: HeaderMap) -> Response<Body> {
    for name in [
        CONTENT_LENGTH,
        http::header::CONTENT_ENCODING,
        http::header::CONTENT_TYPE,
        CONTENT_RANGE,
        http::header::ACCEPT_RANGES,
    ] {
        fields.remove(name);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = fields;
    response
}

/// Entity tag and modification date (seconds since the epoch) of a head.
pub fn validators(fields: &HeaderMap) -> (Option<EntityTag>, Option<u64>) {
    let etag = fields
        .contains_key(ETAG)
        .then(|| EntityTag::of(fields))
        .flatten();
    let modified = fields
        .contains_key(LAST_MODIFIED)
        .then(|| date::of(fields, &LAST_MODIFIED))
        .flatten();
    (etag, modified)
}

fn whole(
    status: StatusCode,
    method: &Method,
    mut fields: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    if status != StatusCode::NO_CONTENT {
        fields.insert(CONTENT_LENGTH, text::number(bytes.len() as u64));
    }
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::full(bytes)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}
