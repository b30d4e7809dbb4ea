//! RFC 9111 §4.4: what a successful unsafe request invalidates.

use http::header::{CONTENT_LOCATION, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};

/// Fields of the response that name further URIs to invalidate.
const NAMING: [HeaderName; 2] = [LOCATION, CONTENT_LOCATION];

/// A URI at the same authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    pub path: Box<str>,
    pub query: Option<Box<str>>,
}

/// What is invalidated besides the target itself, or nothing at all.
///
/// §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code in
/// response to an unsafe request method"; it may also invalidate what Location and
/// Content-Location name, if the origin is the same.
pub fn invalidated(
    method: &Method,
    status: StatusCode,
    response: &HeaderMap,
    authority: &str,
) -> Option<Vec<Named>> {
    if method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return None;
    }
    let named = NAMING.iter().filter_map(|name| {
        let uri: Uri = response.get(name)?.to_str().ok()?.parse().ok()?;
        let is_here = uri
            .authority()
            .is_none_or(|named| named.as_str().eq_ignore_ascii_case(authority));
        (is_here && uri.path().starts_with('/')).then(|| Named {
            path: uri.path().into(),
            query: uri.query().map(Into::into),
        })
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, status: u16, location: &'static str) -> Option<usize> {
        let mut response = HeaderMap::new();
        response.insert(LOCATION, location.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        invalidated(&method, status, &response, "a.example").map(|named| named.len())
    }

    #[test]
    fn unsafe_methods_invalidate_unless_they_failed() {
        assert_eq!(of(Method::POST, 201, "/new"), Some(1));
        assert_eq!(of(Method::DELETE, 303, "https://a.example/list"), Some(1));
        assert_eq!(of(Method::POST, 200, "https://b.example/x"), Some(0));
        assert_eq!(of(Method::POST, 403, "/new"), None);
        assert_eq!(of(Method::GET, 200, "/new"), None);
    }
}
