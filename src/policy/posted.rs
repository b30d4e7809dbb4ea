//! RFC 9110 §9.3.3: a response to POST that is stored as the response to GET.

use http::header::CONTENT_LOCATION;
use http::{HeaderMap, StatusCode};

use super::freshness::Source;
use super::storability::Terms;

/// Whether the content is what a GET of the target would be answered with now.
///
/// RFC 9110 §9.3.3: "Responses to POST requests are only cacheable when they include explicit
/// freshness information (see Section 4.2.1 of CACHING) and a Content-Location header field that has
/// the same value as the POST's target URI". A 201 would tell every reader of a creation.
///
/// `is_target` tells whether a reference names the target.
pub fn represents(
    status: StatusCode,
    response: &HeaderMap,
    is_target: impl FnOnce(&str) -> bool,
) -> bool {
    let mut lines = response.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    status == StatusCode::OK && line.to_str().is_ok_and(|line| is_target(line.trim_ascii()))
}

/// Whether these terms are explicit freshness.
pub fn is_explicit(terms: &Terms) -> bool {
    terms.lifetime.source == Source::Origin && !terms.lifetime.fresh.is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_located_at_the_target_represents_it() {
        let of = |status, location: &[&'static str]| {
            let mut response = HeaderMap::new();
            for location in location {
                response.append(CONTENT_LOCATION, location.parse().unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            represents(status, &response, |named| named == "/a")
        };
        assert!(of(200, &["/a"]));
        assert!(of(200, &[" /a "]));
        assert!(!of(200, &[]));
        assert!(!of(200, &["/a", "/a"]));
        assert!(!of(200, &["/b"]));
        assert!(!of(201, &["/a"]));
        assert!(!of(303, &["/a"]));
    }
}
