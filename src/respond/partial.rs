//! A range from a stored part (RFC 9111 §3.3).

use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, DATE, HeaderValue, IF_RANGE};
use http::{HeaderMap, Response, StatusCode};

use super::stored;
use crate::body::Body;
use crate::clock::Timestamp;
use crate::entry::partial::LivePart;
use crate::fields::conditional::{self, CONDITIONAL};
use crate::fields::date;
use crate::fields::range::{self, Ranges};
use crate::policy::reuse;

/// The response to a GET for one range that lies wholly within the part; nothing for any other
/// request, of which the origin is asked.
pub fn response(live: &LivePart, request: &HeaderMap, now: Timestamp) -> Option<Response<Body>> {
    if has_precondition(request) {
        return None;
    }
    let incomplete = live.incomplete();
    let part = incomplete.part();
    let Ranges::One { first, last } = range::resolve(request, part.complete()) else {
        return None;
    };
    let within = part.within(first, last)?;
    let content = incomplete.content();
    if *within.end() >= content.len() {
        return None;
    }
    let mut fields = incomplete.head().client();
    let (etag, modified) = stored::validators(&fields);
    let date = date::of(&fields, &DATE);
    if conditional::if_range_matches(request, etag.as_ref(), modified, date) == Some(false) {
        return None;
    }
    let content = content.slice(within);
    if content.len() as u64 != part.length() {
        // Of all of the part, not of this range.
        for name in ["content-md5", "content-digest"] {
            fields.remove(name);
        }
    }
    let range = range::content_range(first, last, part.complete());
    fields.insert(CONTENT_RANGE, range);
    fields.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
    let age = reuse::current_age(live, now).as_secs();
    fields.insert(AGE, HeaderValue::from(age));
    let mut response = Response::new(Body::full(content));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    *response.headers_mut() = fields;
    Some(response)
}

/// Whether the request has a precondition, `If-Range` aside.
pub fn has_precondition(request: &HeaderMap) -> bool {
    let mut names = CONDITIONAL.iter().filter(|name| **name != IF_RANGE);
    names.any(|name| request.contains_key(name))
}
