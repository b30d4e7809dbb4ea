//! What a client is sent of the origin's fields: made once, when a response arrives.

use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, COOKIE,
    ETAG, EXPIRES, HeaderName, HeaderValue, PRAGMA, TRANSFER_ENCODING, VARY, WARNING,
};
use http::{HeaderMap, Version};

use super::NAME;
use crate::fields::accept_encoding::Coding;
use crate::fields::cache_control::surrogate::SURROGATE_CONTROL;
use crate::fields::vary::Vary;
use crate::fields::{content_language, content_length, entity_tag::EntityTag, via};
use crate::key::{Negotiated, TargetUri};
use crate::policy::freshness::{Source, TARGETED};
use crate::policy::storability::{NEVER_STORED, Terms};
use crate::policy::validation;
use crate::route::Route;

/// The request as far as a response's fields depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    pub route: &'a Route,
    pub target: &'a TargetUri,
    pub language: Option<Negotiated>,
}

/// Fields for clients of a response that is stored, or will be once it is complete. `length`: bytes
/// of its content, if they are known.
pub fn of_storable(
    origin: &HeaderMap,
    received: Version,
    terms: &Terms,
    length: Option<usize>,
    presented: Presented<'_>,
) -> HeaderMap {
    let mut fields = common(origin, received, presented);
    for name in &NEVER_STORED {
        fields.remove(name);
    }
    let rule = presented.route.cache.as_ref();
    let browser_ttl = rule.and_then(|rule| rule.browser_ttl);
    if let Some(told) = told(browser_ttl, terms) {
        fields.insert(CACHE_CONTROL, told);
        fields.remove(EXPIRES);
        fields.remove(PRAGMA);
    }
    set_vary(&mut fields, origin, length, presented);
    fields
}

/// Fields for the client of a response that is passed on.
pub fn of_passed(
    origin: &HeaderMap,
    received: Version,
    presented: Presented<'_>,
    is_personal: bool,
) -> HeaderMap {
    let mut fields = common(origin, received, presented);
    if is_personal {
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        fields.remove(EXPIRES);
        // To a cache that knows them these count for more than Cache-Control.
        for name in [&TARGETED[1], &SURROGATE_CONTROL] {
            fields.remove(name);
        }
    } else if presented.route.cache.is_some() {
        let length = content_length::of(origin).and_then(|length| usize::try_from(length).ok());
        set_vary(&mut fields, origin, length, presented);
    }
    fields
}

fn common(origin: &HeaderMap, received: Version, presented: Presented<'_>) -> HeaderMap {
    let route = presented.route;
    let mut fields = origin.clone();
    for name in &route.tags.fields {
        fields.remove(name);
    }
    // Our own targeted field is consumed (RFC 9213 §2.2); Warning is obsolete (RFC 9111 §5.5).
    fields.remove(&TARGETED[0]);
    if route.hears_surrogate_control() {
        fields.remove(SURROGATE_CONTROL);
    }
    fields.remove(WARNING);
    fields.remove(TRANSFER_ENCODING);
    if fields.contains_key(ETAG) && validation::etag(origin).is_none() {
        fields.remove(ETAG);
    }
    if let (Some(rule), Some(negotiated)) = (&route.key.language, presented.language)
        && content_language::tags(origin).next().is_none()
        && route.cache.is_some()
        && let Ok(tag) = HeaderValue::from_str(rule.tag(negotiated))
    {
        fields.insert(CONTENT_LANGUAGE, tag);
    }
    via::append(&mut fields, received, NAME);
    fields
}

/// What browsers are told instead of the origin's words. Where the route's rule decided, they keep
/// the copy and ask each time: they cannot be purged, and the edge answers them with a 304. Where
/// the origin wants each use validated, its words stand.
fn told(browser_ttl: Option<Duration>, terms: &Terms) -> Option<HeaderValue> {
    let text = match browser_ttl {
        _ if terms.no_cache => return None,
        Some(ttl) => format!("max-age={}", ttl.as_secs()),
        None if terms.lifetime.source == Source::Rule => "max-age=0, must-revalidate".to_owned(),
        None => return None,
    };
    let transform = if terms.no_transform {
        ", no-transform"
    } else {
        ""
    };
    HeaderValue::from_str(&format!("{text}{transform}")).ok()
}

/// Every request field that was consulted, and no other: those the origin nominates unless the
/// cache takes care of them, those the language was taken from, and Accept-Encoding where the
/// content may be sent in another coding.
/// Names every request field that was consulted, and no other; as the origin named them where
/// these are all.
fn set_vary(
    fields: &mut HeaderMap,
    origin: &HeaderMap,
    length: Option<usize>,
    presented: Presented<'_>,
) {
    let Ok(nominated) = Vary::parse(origin) else {
        return;
    };
    let route = presented.route;
    let mut names: Vec<HeaderName> = Vec::new();
    if let Some(rule) = &route.key.language {
        names.extend(rule.consulted(presented.target));
    }
    if !route.key.cookies.keep.is_empty() {
        names.push(COOKIE);
    }
    names.extend(route.key.fields.iter().cloned());
    // What came in a coding is decoded for whoever does not accept it.
    let length = length.filter(|_| !origin.contains_key(CONTENT_ENCODING));
    if nominated.contains(&ACCEPT_ENCODING) || route.compress.suits(origin, length) {
        names.push(ACCEPT_ENCODING);
    }
    let vary = route.vary.counting(&nominated).with(names);
    if vary == nominated {
        return;
    }
    match vary.to_value() {
        Some(value) => fields.insert(VARY, value),
        None => fields.remove(VARY),
    };
}

/// Gives the response an entity tag made of its content where the origin gave none.
pub fn add_own_etag(fields: &mut HeaderMap, content: &[u8]) {
    if fields.contains_key(ETAG) {
        return;
    }
    let digest = xxhash_rust::xxh3::xxh3_128(content);
    fields.insert(ETAG, EntityTag::strong(format!("{digest:032x}")).to_value());
}

/// Digests of a representation, or of the content of one message (RFC 9530).
const DIGESTS: [&str; 4] = ["content-md5", "digest", "repr-digest", "content-digest"];

/// A representation in another coding than the origin's is another representation: its entity tag
/// is weak then, and the same for all codings, so that If-None-Match works with each
/// (RFC 9110 §8.8.3.3).
pub fn set_coding(fields: &mut HeaderMap, coding: Coding, original: Coding) {
    if coding == original {
        return;
    }
    if coding == Coding::Identity {
        fields.remove(CONTENT_ENCODING);
    } else {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
    }
    if let Some(etag) = EntityTag::of(fields) {
        fields.insert(ETAG, etag.weakened().to_value());
    }
    // Digests and ranges are of the bytes as they were.
    for name in DIGESTS.iter().chain(&["accept-ranges"]) {
        fields.remove(*name);
    }
    // `Vary: *` says more than a name could.
    if let Ok(vary) = Vary::parse(fields)
        && !vary.contains(&ACCEPT_ENCODING)
        && let Some(value) = vary.with([ACCEPT_ENCODING]).to_value()
    {
        fields.insert(VARY, value);
    }
}

/// Nominated fields that the cache itself takes care of on a route, for its `VaryRule`.
pub fn handled_fields(has_language: bool, forwards_cookies: bool) -> Vec<HeaderName> {
    let mut names = Vec::new();
    if has_language {
        names.push(ACCEPT_LANGUAGE);
    }
    if !forwards_cookies {
        names.push(COOKIE);
    }
    names
}
