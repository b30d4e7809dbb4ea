//! Trailer fields (RFC 9110 §6.5).

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, DATE, EXPECT, EXPIRES, HOST, LOCATION, MAX_FORWARDS, PRAGMA, RANGE,
    RETRY_AFTER, SET_COOKIE, TRAILER, VARY, WARNING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName};

use super::connection;

/// Removes what must not stand in a trailer section: fields of one hop, and those "that describe
/// message framing, routing, authentication, request modifiers, response controls, or content
/// format" (§6.5.1), which somebody behind us might merge into the header.
pub fn strip(trailers: &mut HeaderMap) {
    connection::strip_hop_by_hop(trailers);
    for name in &NEVER_TRAILERS {
        trailers.remove(name);
    }
    let conditions: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| name.as_str().starts_with("if-"))
        .cloned()
        .collect();
    for name in conditions {
        trailers.remove(name);
    }
}

const NEVER_TRAILERS: [HeaderName; 22] = [
    AGE,
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    DATE,
    EXPECT,
    EXPIRES,
    HOST,
    LOCATION,
    MAX_FORWARDS,
    PRAGMA,
    RANGE,
    RETRY_AFTER,
    SET_COOKIE,
    TRAILER,
    VARY,
    WARNING,
    WWW_AUTHENTICATE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_message_does_not_stay_in_its_trailers() {
        let mut trailers = HeaderMap::new();
        for name in [
            "transfer-encoding",
            "content-length",
            "host",
            "cookie",
            "set-cookie",
            "if-none-match",
            "cache-control",
            "x-checksum",
            "grpc-status",
        ] {
            trailers.insert(HeaderName::from_static(name), "1".parse().unwrap());
        }
        strip(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
