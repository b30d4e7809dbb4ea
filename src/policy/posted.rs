//! RFC 9110 §9.3.3: a response to POST that is stored as the response to GET.

use http::header::CONTENT_LOCATION;
use http::{HeaderMap, StatusCode};

use super::freshness::Source;
use super::storability::Terms;
use crate::key::TargetUri;

/// Whether the content is what a GET of the target would be answered with now.
///
/// RFC 9110 §9.3.3: "Responses to POST requests are only cacheable when they include explicit
/// freshness information (see Section 4.2.1 of CACHING) and a Content-Location header field that has
/// the same value as the POST's target URI". A 201 would tell every reader of a creation.
pub fn represents(target: &TargetUri, status: StatusCode, response: &HeaderMap) -> bool {
    let mut lines = response.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let named = line
        .to_str()
        .ok()
        .and_then(|line| target.named(line.trim_ascii()));
    status == StatusCode::OK && named.as_ref() == Some(target)
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
        let target = TargetUri::parse("https", "a.example", "/a", Some("x=1")).unwrap();
        let of = |status, location: &[&'static str]| {
            let mut response = HeaderMap::new();
            for location in location {
                response.append(CONTENT_LOCATION, location.parse().unwrap());
            }
            represents(&target, StatusCode::from_u16(status).unwrap(), &response)
        };
        assert!(of(200, &["/a?x=1"]));
        assert!(of(200, &["https://A.example/a?x=1"]));
        assert!(of(200, &["?x=1"]));
        assert!(!of(200, &[]));
        assert!(!of(200, &["/a?x=1", "/a?x=1"]));
        assert!(!of(200, &["/a"]));
        assert!(!of(200, &["http://a.example/a?x=1"]));
        assert!(!of(200, &["https://b.example/a?x=1"]));
        assert!(!of(201, &["/a?x=1"]));
        assert!(!of(303, &["/a?x=1"]));
    }
}
