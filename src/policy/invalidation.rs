//! RFC 9111 §4.4: what a successful unsafe request invalidates.

use http::header::{CONTENT_LOCATION, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use crate::key::TargetUri;

/// Fields of the response that name further URIs to invalidate.
const NAMING: [HeaderName; 2] = [LOCATION, CONTENT_LOCATION];

/// Whether the response says that something has changed.
///
/// §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code in
/// response to an unsafe request method".
pub fn is_change(method: &Method, status: StatusCode) -> bool {
    !method.is_safe() && (status.is_success() || status.is_redirection())
}

/// What is invalidated besides the target itself, or nothing at all: "A cache MAY invalidate other
/// URIs … In particular, the URI(s) in the Location and Content-Location response header fields (if
/// present) are candidates", but not "if the origin of the URI to be invalidated differs from that of
/// the target URI. This helps prevent denial-of-service attacks."
pub fn invalidated(
    method: &Method,
    status: StatusCode,
    response: &HeaderMap,
    target: &TargetUri,
) -> Option<Vec<TargetUri>> {
    if !is_change(method, status) {
        return None;
    }
    let named = NAMING.iter().filter_map(|name| {
        let named = target.named(response.get(name)?.to_str().ok()?.trim_ascii())?;
        named.is_same_origin(target).then_some(named)
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, status: u16, location: &'static str) -> Option<Vec<String>> {
        let mut response = HeaderMap::new();
        response.insert(LOCATION, location.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let target = TargetUri::parse("https", "a.example", "/articles/1", None).unwrap();
        let named = invalidated(&method, status, &response, &target)?;
        Some(named.iter().map(|uri| uri.path().to_owned()).collect())
    }

    fn paths(paths: &[&str]) -> Option<Vec<String>> {
        Some(paths.iter().copied().map(Into::into).collect())
    }

    #[test]
    fn unsafe_methods_invalidate_unless_they_failed() {
        for (method, status, location, expected) in [
            (Method::POST, 201, "/new", paths(&["/new"])),
            (
                Method::DELETE,
                303,
                "https://a.example/list",
                paths(&["/list"]),
            ),
            (Method::PATCH, 200, "2", paths(&["/articles/2"])),
            // As the key spells it.
            (Method::POST, 201, "/%7euser/%e4", paths(&["/~user/%E4"])),
            (Method::POST, 200, "https://A.example:443/x", paths(&["/x"])),
            (Method::POST, 200, "https://b.example/x", paths(&[])),
            (Method::POST, 200, "http://a.example/x", paths(&[])),
            (Method::POST, 200, "https://a.example:8443/x", paths(&[])),
            (Method::POST, 200, "/%zz", paths(&[])),
            (Method::POST, 403, "/new", None),
            (Method::GET, 200, "/new", None),
        ] {
            assert_eq!(of(method, status, location), expected, "{location}");
        }
    }
}
