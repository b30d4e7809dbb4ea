//! Request fields that make origins answer something else, and that no key has: known vectors of
//! cache poisoning. They are removed from what strangers send.

use http::HeaderMap;
use http::header::HeaderName;

const fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

const VECTORS: [HeaderName; 27] = [
    // Who asked, and under which name: frameworks build links and redirects from these. The edge
    // sends its own.
    name("forwarded"),
    name("x-real-ip"),
    name("true-client-ip"),
    name("x-client-ip"),
    name("x-cluster-client-ip"),
    name("cf-connecting-ip"),
    name("fastly-client-ip"),
    name("x-host"),
    name("x-original-host"),
    name("x-http-host-override"),
    name("x-forwarded"),
    name("forwarded-for"),
    // Another target than the request's own.
    name("x-original-url"),
    name("x-rewrite-url"),
    name("x-accel-redirect"),
    name("x-sendfile"),
    name("destination"),
    // Another method.
    name("x-http-method-override"),
    name("x-http-method"),
    name("x-method-override"),
    // CGI programs take it for their outgoing proxy (CVE-2016-5385).
    name("proxy"),
    // A framework's internal switches (CVE-2025-29927 and others).
    name("x-middleware-subrequest"),
    name("x-middleware-prefetch"),
    name("x-nextjs-data"),
    name("x-invoke-path"),
    name("x-invoke-status"),
    name("x-wap-profile"),
];

/// Also all of `X-Forwarded-*` and `X-Invoke-*`, and names with an underscore: many servers read
/// `x_forwarded_host` as `X-Forwarded-Host`.
pub fn strip_request(headers: &mut HeaderMap) {
    let is_vector = |name: &&HeaderName| {
        let text = name.as_str();
        text.starts_with("x-forwarded-")
            || text.starts_with("x-invoke-")
            || text.contains('_')
            || VECTORS.contains(name)
    };
    let found: Vec<HeaderName> = headers.keys().filter(is_vector).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_go_and_other_fields_stay() {
        let names = [
            "x-forwarded-host",
            "x-forwarded-anything",
            "x-original-url",
            "x_forwarded_host",
            "x-http-method-override",
            "accept",
            "x-custom",
        ];
        let mut headers: HeaderMap = names
            .into_iter()
            .map(|name| (HeaderName::from_static(name), "1".parse().unwrap()))
            .collect();
        strip_request(&mut headers);
        assert_eq!(headers.len(), 2);
        assert!(headers.contains_key("accept") && headers.contains_key("x-custom"));
    }
}
