//! `Forwarded` (RFC 7239) and its older relatives, built anew: what a stranger claims is gone.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

/// Says who asked, over which scheme, for which host.
pub fn set(headers: &mut HeaderMap, client: IpAddr, scheme: &str, host: &str) {
    let node = match client {
        IpAddr::V4(address) => address.to_string(),
        // §6: IPv6 addresses are bracketed and quoted.
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    insert(
        headers,
        FORWARDED,
        &format!("for={node};host=\"{host}\";proto={scheme}"),
    );
    insert(
        headers,
        HeaderName::from_static("x-forwarded-for"),
        &client.to_string(),
    );
    insert(
        headers,
        HeaderName::from_static("x-forwarded-proto"),
        scheme,
    );
    insert(headers, HeaderName::from_static("x-forwarded-host"), host);
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Hosts were checked when the target was parsed.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_bracketed_and_quoted() {
        let mut headers = HeaderMap::new();
        set(
            &mut headers,
            "2001:db8::1".parse().unwrap(),
            "https",
            "a.example:8443",
        );
        assert_eq!(
            headers["forwarded"],
            "for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https"
        );
        assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
    }
}
