//! `Connection` (RFC 9110 §7.6.1) and the fields that are for one hop only.

use http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use super::list;

/// Removes what is meant for the next hop, from a request or a response that is passed on: the
/// fields `Connection` lists, `Connection` itself, and those known to be for one hop whether listed
/// or not. Framing, upgrades and trailers of the other side are made anew by whoever needs them.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = list::lines(headers, &CONNECTION)
        .take(OPTIONS_MAX)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| !is_for_all_recipients(name))
        .collect();
    for name in &listed {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Options of one message that are looked at; the usual number is one.
const OPTIONS_MAX: usize = 64;

/// RFC 9110 §7.6.1, and what belongs to it: `HTTP2-Settings` an upgrade that is not passed on (RFC 9113 §3.1). The `Proxy-` fields apply "only
/// to the next inbound proxy" and "only to the next outbound client" (§11.7): a gateway asks for no
/// such credentials, so they are somebody else's, and the origin must not see them.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
];

/// "A sender MUST NOT send a connection option corresponding to a field that is intended for all
/// recipients of the content." One that does so is mistaken or attacks: without `Set-Cookie`,
/// `Vary` or `Cache-Control: private` a personal response would look public, without `Host` or
/// `Content-Length` a message would change its meaning, without `Cookie` or `Authorization` it
/// would pass for somebody else's, and without the `Forwarded` family for a stranger's. Such an
/// option is ignored.
fn is_for_all_recipients(name: &HeaderName) -> bool {
    let name = name.as_str();
    END_TO_END.contains(&name)
        || END_TO_END_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || name.ends_with("-cache-control")
}

const END_TO_END_PREFIXES: [&str; 6] = [
    "accept",
    "access-control-",
    "content-",
    "if-",
    "x-forwarded-",
    "cache-",
];

const END_TO_END: [&str; 28] = [
    "age",
    "authorization",
    "cookie",
    "date",
    "etag",
    "expires",
    "forwarded",
    "host",
    "last-modified",
    "location",
    "no-vary-search",
    "origin",
    "pragma",
    "proxy-status",
    "purge-cache-tags",
    "range",
    "set-cookie",
    "surrogate-control",
    "surrogate-key",
    "traceparent",
    "tracestate",
    "vary",
    "via",
    "www-authenticate",
    "x-cache-tags",
    "x-magento-tags",
    "x-real-ip",
    "xkey",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[(&'static str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect()
    }

    #[test]
    fn what_connection_lists_goes_with_it() {
        // RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a
        // message is forwarded and, for each connection-option in this field, remove any header or
        // trailer field(s) from the message with the same name as the connection-option, and then
        // remove the Connection header field itself".
        let left = stripped(&[
            ("connection", "close, X-Hop , , not a name"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-hop", "2"),
            ("x-other", "1"),
            ("x-stays", "1"),
        ]);
        assert_eq!(left, ["x-stays"]);
    }

    #[test]
    fn hop_by_hop_fields_go_whether_listed_or_not() {
        // RFC 9110 §7.6.1: "intermediaries SHOULD remove or replace fields that are known to
        // require removal before forwarding, whether or not they appear as a connection-option".
        let lines = [
            ("connection", ""),
            ("proxy-connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-authentication-info", "x"),
        ];
        assert!(stripped(&lines).is_empty());
    }

    #[test]
    fn connection_takes_nothing_that_is_for_all_recipients() {
        for name in [
            "cache-control",
            "cdn-cache-control",
            "cms-edge-cache-control",
            "host",
            "content-length",
            "content-type",
            "content-encoding",
            "set-cookie",
            "cookie",
            "authorization",
            "vary",
            "surrogate-key",
            "cache-tag",
            "accept-language",
            "x-forwarded-for",
            "forwarded",
            "if-none-match",
        ] {
            let left = stripped(&[("connection", name), (name, "x")]);
            assert_eq!(left, [name]);
        }
    }

    #[test]
    fn a_flood_of_options_is_cut() {
        let flood = "x-a,".repeat(OPTIONS_MAX) + "x-late";
        assert_eq!(
            stripped(&[("connection", &flood), ("x-late", "1")]),
            ["x-late"]
        );
    }
}
