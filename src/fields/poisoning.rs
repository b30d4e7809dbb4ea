//! Request fields by which a stranger changes a response without changing its key: the known vectors
//! of web cache poisoning. They are removed before a request is forwarded.

use http::{HeaderMap, HeaderName};

/// Removes every field for which [`is_vector`] holds. The edge sets the honest ones anew
/// ([`forwarded`](super::forwarded)).
pub fn strip_request(headers: &mut HeaderMap) {
    let vectors: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_vector(name))
        .cloned()
        .collect();
    for name in vectors {
        headers.remove(name);
    }
}

/// Whether the origin must not get this field from a stranger.
pub fn is_vector(name: &HeaderName) -> bool {
    let name = name.as_str();
    is_ambiguous(name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || GROUPS.iter().any(|group| group.contains(&name))
}

/// CGI, WSGI and PHP name a field's variable with `_` for `-`, and some of them for everything else
/// too: `X_Forwarded_Host` would arrive as the field that was just removed. Nothing but letters,
/// digits and hyphens passes, as with nginx by default (`ignore_invalid_headers`, and
/// `underscores_in_headers off`).
fn is_ambiguous(name: &str) -> bool {
    !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const PREFIXES: [&str; 9] = [
    // What only a proxy in front may claim: X-Forwarded-Host, -Proto, -Scheme, -Prefix, -Server…
    "x-forwarded",
    "x-original-",
    "x-envoy-",
    "cloudfront-",
    "cf-connecting-",
    // Next.js talking to itself: X-Middleware-Subrequest skipped authorisation (CVE-2025-29927),
    // X-Middleware-Prefetch emptied pages (CVE-2023-46298).
    "x-middleware-",
    // Likewise its data requests and its inner routing (CVE-2024-46982).
    "x-nextjs-",
    "x-invoke-",
    // React Router swaps the page for its data (CVE-2025-43864, CVE-2025-43865).
    "x-react-router-",
];

const GROUPS: [&[&str]; 7] = [
    &CLIENT_ADDRESS,
    &HOST,
    &URL,
    &SCHEME,
    &METHOD,
    &SERVER_INTERNALS,
    &FRAMEWORK_INTERNALS,
];

/// Who is asking: an origin that trusts one of these answers for somebody else, or logs him.
const CLIENT_ADDRESS: [&str; 22] = [
    "forwarded",
    "forwarded-for",
    "x-forward-for",
    "x-forwarder-for",
    "x-originally-forwarded-for",
    "x-originating-ip",
    "x-real-ip",
    "real-ip",
    "x-client-ip",
    "client-ip",
    "x-cluster-client-ip",
    "cluster-client-ip",
    "true-client-ip",
    "x-true-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-proxyuser-ip",
    "x-custom-ip-authorization",
    "x-azure-clientip",
    "x-appengine-user-ip",
    "fastly-client-ip",
    "wl-proxy-client-ip",
];

/// Whose site it is: links, redirects and password-reset mails are built from it.
const HOST: [&str; 6] = [
    "x-host",
    "x-http-host",
    "x-http-host-override",
    "x-host-override",
    "x-proxy-host",
    "forwarded-host",
];

/// What is asked for: the answer to another URL would be stored under this one.
const URL: [&str; 11] = [
    "x-rewrite-url",
    "x-override-url",
    "x-request-uri",
    "x-request-url",
    "x-http-path-override",
    "x-http-destinationurl",
    "x-proxy-url",
    "x-script-name",
    "request-uri",
    "http-url",
    "base-url",
];

/// How it came: an origin that believes in plain HTTP redirects to HTTPS, for ever and everybody.
const SCHEME: [&str; 8] = [
    "x-scheme",
    "x-url-scheme",
    "x-forward-proto",
    "forwarded-proto",
    "x-https",
    "front-end-https",
    "fastly-ssl",
    "cf-visitor",
];

/// What is to be done: a GET that the origin takes for a POST, a HEAD or a DELETE.
const METHOD: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Orders to the server software: `Proxy` becomes `HTTP_PROXY` in CGI (CVE-2016-5385), the others
/// let Rack and nginx choose the file that is sent (CVE-2025-61780), or ask for pages with ESI tags
/// in them, which nobody here would resolve.
const SERVER_INTERNALS: [&str; 6] = [
    "proxy",
    "x-sendfile-type",
    "x-accel-mapping",
    "x-accel-redirect",
    "surrogate-capability",
    "x-http-status-code-override",
];

/// What a hosting platform tells the framework about a route it has already matched
/// (CVE-2024-46982).
const FRAMEWORK_INTERNALS: [&str; 2] = ["x-now-route-matches", "x-matched-path"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_go_and_the_rest_stays() {
        let vectors = [
            "forwarded",
            "x-forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-scheme",
            "x-forwarded-server",
            "x-forwarded-prefix",
            "x-real-ip",
            "x-original-url",
            "x-original-host",
            "x-rewrite-url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-host",
            "true-client-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "cf-connecting-ip",
            "proxy",
            "x-middleware-subrequest",
            "x-nextjs-data",
            "x-now-route-matches",
            "surrogate-capability",
            "front-end-https",
        ];
        let honest = [
            "host",
            "accept",
            "accept-language",
            "cookie",
            "authorization",
            "origin",
            "range",
            "user-agent",
            "x-requested-with",
            "x-csrf-token",
            "x-request-id",
            "traceparent",
            "sec-ch-ua",
            "x-api-key",
            "x-hub-signature-256",
            "rsc",
        ];
        let mut headers = HeaderMap::new();
        for name in vectors.into_iter().chain(honest) {
            headers.append(name, "1".parse().unwrap());
            headers.append(name, "2".parse().unwrap());
        }
        strip_request(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let mut expected = honest;
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn a_name_that_a_server_may_read_as_another_goes() {
        for name in [
            "X_Forwarded_Host",
            "x-forwarded_host",
            "X.Forwarded.Host",
            "a~b",
            "a|b",
        ] {
            assert!(is_vector(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn the_tables_name_fields_as_they_are_compared() {
        for name in GROUPS.iter().copied().flatten().chain(&PREFIXES) {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(!is_ambiguous(name));
        }
    }
}
