//! What we tell the origin about the client: `Forwarded` (RFC 7239) and the `X-Forwarded-` fields that
//! came before it.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarders::UNKNOWN;
use super::text;

/// Sets the four fields for this hop. They are built anew: nothing that came with the request is
/// left in them. `host` is the authority the client addressed, `scheme` is `http` or `https`. A
/// client that a proxy in front of us did not name ([`UNKNOWN`]) is `unknown` (RFC 7239 §6.2).
pub fn set(headers: &mut HeaderMap, client: IpAddr, scheme: &str, host: &str) {
    // An IPv4 client of a dual-stack listener is an IPv4 client.
    let client = client.to_canonical();
    let mut address = BytesMut::with_capacity(ADDRESS_LENGTH_MAX);
    // Writing to a buffer that grows cannot fail.
    let _ = match client {
        UNKNOWN => address.write_str(UNKNOWN_NODE),
        client => write!(address, "{client}"),
    };
    headers.insert(FORWARDED, forwarded(client, scheme, host));
    headers.insert(X_FORWARDED_FOR, text::into_value(address));
    headers.insert(X_FORWARDED_PROTO, value(scheme));
    headers.insert(X_FORWARDED_HOST, value(host));
}

/// Whether the origin gets in this field what only one client is sent: a response that varies by
/// it is that client's alone, whatever the client presented in the field.
pub fn names_client(name: &HeaderName) -> bool {
    *name == FORWARDED || *name == X_FORWARDED_FOR
}

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const UNKNOWN_NODE: &str = "unknown";

/// The longest IPv6 address as text.
const ADDRESS_LENGTH_MAX: usize = 39;

/// RFC 7239 §4: `for=192.0.2.43;host=example.com;proto=https`.
fn forwarded(client: IpAddr, scheme: &str, host: &str) -> HeaderValue {
    let mut out = BytesMut::with_capacity(32 + ADDRESS_LENGTH_MAX + scheme.len() + host.len());
    let _ = match client {
        UNKNOWN => write!(out, "for={UNKNOWN_NODE}"),
        IpAddr::V4(address) => write!(out, "for={address}"),
        // §6: "Note that IPv6 addresses may not be quoted in X-Forwarded-For and may not be
        // enclosed by square brackets, but they are quoted and enclosed in square brackets in
        // "Forwarded"."
        IpAddr::V6(address) => write!(out, "for=\"[{address}]\""),
    };
    out.put_slice(b";host=");
    put_token_or_quoted(&mut out, host);
    out.put_slice(b";proto=");
    put_token_or_quoted(&mut out, scheme);
    text::into_value(out)
}

/// §4: `value = token / quoted-string`. A port or the brackets of an address make it no token.
fn put_token_or_quoted(out: &mut BytesMut, text: &str) {
    if text::is_token(text.as_bytes()) {
        out.put_slice(text.as_bytes());
    } else {
        text::put_string(out, text);
    }
}

fn value(text: &str) -> HeaderValue {
    text::into_value(BytesMut::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_tell_what_the_client_did_and_nothing_else() {
        for (client, scheme, host, expected) in [
            (
                "192.0.2.43",
                "https",
                "example.com",
                ["for=192.0.2.43;host=example.com;proto=https", "192.0.2.43"],
            ),
            (
                "2001:db8:cafe::17",
                "http",
                "example.com:8080",
                [
                    "for=\"[2001:db8:cafe::17]\";host=\"example.com:8080\";proto=http",
                    "2001:db8:cafe::17",
                ],
            ),
            (
                "::ffff:192.0.2.43",
                "https",
                "[2001:db8::1]",
                [
                    "for=192.0.2.43;host=\"[2001:db8::1]\";proto=https",
                    "192.0.2.43",
                ],
            ),
            (
                "0.0.0.0",
                "https",
                "example.com",
                ["for=unknown;host=example.com;proto=https", "unknown"],
            ),
        ] {
            let mut headers = HeaderMap::new();
            for name in [
                "forwarded",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
            ] {
                headers.append(name, "evil".parse().unwrap());
                headers.append(name, "evil".parse().unwrap());
            }
            set(&mut headers, client.parse().unwrap(), scheme, host);
            assert_eq!(headers.len(), 4);
            assert_eq!(headers[FORWARDED], expected[0]);
            assert_eq!(headers[X_FORWARDED_FOR], expected[1]);
            assert_eq!(headers[X_FORWARDED_PROTO], scheme);
            assert_eq!(headers[X_FORWARDED_HOST], host);
        }
    }

    #[test]
    fn a_host_cannot_leave_its_quotes() {
        let mut headers = HeaderMap::new();
        set(
            &mut headers,
            [192, 0, 2, 1].into(),
            "https",
            "a\";for=evil\\",
        );
        let expected = "for=192.0.2.1;host=\"a\\\";for=evil\\\\\";proto=https";
        assert_eq!(headers[FORWARDED], expected);
    }
}
