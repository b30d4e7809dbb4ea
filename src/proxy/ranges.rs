//! A range of a response that is still on its way (RFC 9110 §14.2).

use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::pass::Head;
use crate::body::Body;
use crate::body::slice;
use crate::fields::range::{self, Ranges};
use crate::fields::{conditional, content_length, date};
use crate::respond::stored;

/// The part that was asked for, or that there is none; nothing if the whole is to be sent. `body`
/// is the whole, and is taken where a part of it is the answer.
pub(super) fn of_whole(
    head: &mut Head<'_>,
    body: &mut Body,
    method: &Method,
    request: &HeaderMap,
) -> Option<Response<Body>> {
    if *method != Method::GET || head.fields.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let length = content_length::of(head.origin)?;
    let (etag, modified) = stored::validators(&head.fields);
    let date = date::of(&head.fields, &DATE);
    if conditional::if_range_matches(request, etag.as_ref(), modified, date) == Some(false) {
        return None;
    }
    match range::resolve(request, length) {
        Ranges::None | Ranges::Many => None,
        Ranges::Unsatisfiable => Some(stored::unsatisfiable(length)),
        Ranges::One { first, last } => {
            let part = last - first + 1;
            let whole = std::mem::take(body);
            let mut response = Response::new(Body::stream(slice::slice(whole, first, part)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let fields = response.headers_mut();
            *fields = std::mem::take(&mut head.fields);
            fields.insert(CONTENT_RANGE, range::content_range(first, last, length));
            fields.insert(CONTENT_LENGTH, HeaderValue::from(part));
            fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            for name in ["content-md5", "content-digest"] {
                fields.remove(name);
            }
            Some(response)
        }
    }
}
