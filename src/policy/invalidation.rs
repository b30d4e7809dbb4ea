//! RFC 9111 §4.4: what a successful unsafe request invalidates.

use http::header::{CONTENT_LOCATION, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use crate::fields::tags;

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
///
/// `here` resolves a reference, if it is of the target's origin.
pub fn invalidated<U>(
    method: &Method,
    status: StatusCode,
    response: &HeaderMap,
    here: impl Fn(&str) -> Option<U>,
) -> Option<Vec<U>> {
    if !is_change(method, status) {
        return None;
    }
    let named = NAMING
        .iter()
        .filter_map(|name| here(response.get(name)?.to_str().ok()?.trim_ascii()));
    Some(named.collect())
}

/// Groups in one response that are invalidated one by one; more of them are taken for the whole host.
/// RFC 9875 §3 wants at least 32.
const GROUPS_MAX: usize = 256;

/// What `Cache-Group-Invalidation` names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Named {
    Groups(Vec<String>),
    /// More than can be told apart.
    TooMany,
}

/// RFC 9875 §3: on a response to an unsafe request, a cache may invalidate all that share one of the
/// listed groups; on responses to safe methods the field must be ignored. There is no cascade
/// (§2.2.1).
pub fn groups(method: &Method, response: &HeaderMap) -> Named {
    if method.is_safe() {
        return Named::Groups(Vec::new());
    }
    let found = tags::cache_group_invalidation(response);
    if found.overflow || found.groups.len() > GROUPS_MAX {
        return Named::TooMany;
    }
    Named::Groups(found.groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_invalidated_by_unsafe_methods_alone() {
        // RFC 9875 §3.
        let many = |count: usize| vec!["\"a\""; count].join(", ");
        let groups_of = |method: &Method, value: &str| {
            let mut response = HeaderMap::new();
            response.insert("cache-group-invalidation", value.parse().unwrap());
            groups(method, &response)
        };
        let names = |names: &[&str]| Named::Groups(names.iter().copied().map(Into::into).collect());
        for (value, expected) in [
            (
                "\"eurovision-results\", \"australia\"",
                names(&["eurovision-results", "australia"]),
            ),
            ("\"a\";q=1", names(&["a"])),
            // RFC 9651 §4.2: what is no List of Strings is ignored.
            ("a", names(&[])),
            ("\"a\", b", names(&[])),
            ("(\"a\")", names(&[])),
            ("\"a", names(&[])),
        ] {
            assert_eq!(groups_of(&Method::POST, value), expected, "{value}");
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert_eq!(groups_of(&method, value), names(&[]), "{method} {value}");
            }
        }
        let at_most = groups_of(&Method::DELETE, &many(GROUPS_MAX));
        assert!(matches!(at_most, Named::Groups(groups) if groups.len() == GROUPS_MAX));
        assert_eq!(
            groups_of(&Method::DELETE, &many(GROUPS_MAX + 1)),
            Named::TooMany
        );
    }

    fn of(method: Method, status: u16, location: &'static str) -> Option<Vec<String>> {
        let mut response = HeaderMap::new();
        response.insert(LOCATION, location.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        invalidated(&method, status, &response, |named| {
            named.starts_with('/').then(|| named.to_owned())
        })
    }

    #[test]
    fn unsafe_methods_invalidate_unless_they_failed() {
        // RFC 9111 §4.4: "A cache MUST invalidate the target URI … when it receives a non-error status
        // code in response to an unsafe request method (including methods whose safety is unknown)."
        let new = || Some(vec!["/new".to_owned()]);
        for (method, status, location, expected) in [
            (Method::POST, 201, "/new", new()),
            (Method::DELETE, 303, "/new", new()),
            (Method::from_bytes(b"MERGE").unwrap(), 200, "/new", new()),
            (Method::POST, 200, "https://b.example/x", Some(vec![])),
            (Method::POST, 403, "/new", None),
            (Method::POST, 500, "/new", None),
            (Method::GET, 200, "/new", None),
        ] {
            let found = of(method.clone(), status, location);
            assert_eq!(found, expected, "{method} {status} {location}");
        }
    }
}
