//! What proxies in front of us say about the client: `Forwarded` (RFC 7239) and the `X-Forwarded-`
//! fields that came before it.
//!
//! Each proxy writes whom it was asked by behind what it received. So the right-most entry is of
//! the nearest proxy, and an entry is as good as the proxy that wrote it: they are read from the
//! right for as long as the proxies named are trusted, and the first that is not is the client. What
//! stands further left is the client's own invention.
//!
//! `X-Forwarded-Host` is not read: many proxies pass on what a client sends in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

use super::forwarded::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use super::list::{self, string_length, trim, unquote};
use super::text;

/// Entries that are looked at, from the right.
pub const HOPS_MAX: usize = 16;

/// Stands for a client that a trusted proxy did not name, or not so that it can be read: an address
/// that nobody has, so that no list of networks lets it in.
pub const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What the fields of a request say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// `None`: nobody is named, the request is of the peer's own. [`UNKNOWN`]: it is of somebody,
    /// but nobody says of whom.
    pub client: Option<IpAddr>,
    /// `"http"` or `"https"`, as the client used it.
    pub scheme: Option<&'static str>,
}

/// Reads `X-Forwarded-For`, and the last entry of `X-Forwarded-Proto`: what the nearest proxy
/// says.
pub fn x_forwarded(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Told {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let entries = entries.map(trim).filter(|entry| !entry.is_empty());
    let mut client = None;
    for (hop, entry) in entries.enumerate() {
        let named = if hop < HOPS_MAX { node(entry) } else { None };
        client = Some(named.unwrap_or(UNKNOWN));
        if !named.is_some_and(&is_trusted) {
            break;
        }
    }
    let is_forwarded = || {
        let mut names = [X_FORWARDED_PROTO, X_FORWARDED_HOST].into_iter();
        names.any(|name| headers.contains_key(name))
    };
    let protocol = headers.get_all(X_FORWARDED_PROTO).iter().next_back();
    let protocol = protocol.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next());
    Told {
        client: client.or_else(|| is_forwarded().then_some(UNKNOWN)),
        scheme: protocol.and_then(|entry| scheme(trim(entry))),
    }
}

/// Reads `Forwarded`: `for`, and the `proto` of the same element.
pub fn forwarded(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Told {
    let mut told = Told::default();
    let mut hops = 0;
    for line in headers.get_all(FORWARDED).iter().rev() {
        for element in last_elements(line.as_bytes()) {
            let said = if hops < HOPS_MAX { hop(element) } else { None };
            let (named, scheme) = said.unwrap_or_default();
            told = Told {
                client: Some(named.unwrap_or(UNKNOWN)),
                scheme,
            };
            if !named.is_some_and(&is_trusted) {
                return told;
            }
            hops += 1;
        }
    }
    told
}

/// The elements of a line from the right; of a longer list one more than are looked at.
fn last_elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let skipped = list::elements(line).count().saturating_sub(HOPS_MAX + 1);
    let last: Vec<&[u8]> = list::elements(line).skip(skipped).collect();
    last.into_iter().rev()
}

/// `for` and `proto` of one element (RFC 7239 §4); `None` if it is malformed or says one of them
/// twice.
fn hop(element: &[u8]) -> Option<(Option<IpAddr>, Option<&'static str>)> {
    let (mut client, mut protocol) = (None, None);
    let mut rest = element;
    loop {
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let (name, value) = rest.split_at(equals);
        let name = trim(name);
        let value = value.get(1..)?;
        let length = match value.first() {
            Some(b'"') => string_length(value, 0)?,
            _ => value.iter().take_while(|byte| **byte != b';').count(),
        };
        let is_quoted = value.starts_with(b"\"");
        let (value, after) = value.split_at_checked(length)?;
        // A quote within a token (RFC 7239 §4 has none) may have swallowed the next element.
        if !is_quoted && value.contains(&b'"') {
            return None;
        }
        let seen = match () {
            () if name.eq_ignore_ascii_case(b"for") => Some(&mut client),
            () if name.eq_ignore_ascii_case(b"proto") => Some(&mut protocol),
            () => text::is_token(name).then_some(None)?,
        };
        if let Some(seen) = seen
            && seen.replace(unquote(trim(value))).is_some()
        {
            return None;
        }
        rest = match trim(after) {
            [] => break,
            [b';', rest @ ..] => rest,
            _ => return None,
        };
    }
    Some((
        client.and_then(|client| node(&client)),
        protocol.and_then(|protocol| scheme(&protocol)),
    ))
}

/// An address, with or without a port (RFC 7239 §6); not `unknown`, and no name made up to hide one.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let alone = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || {
        let address = text.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let address = alone().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

fn scheme(text: &[u8]) -> Option<&'static str> {
    let schemes = ["https", "http"];
    schemes
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Proxies: 10.0.0.0/8 and fd00::/8.
    fn is_trusted(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.octets()[0] == 0xfd,
        }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn client_of_x(lines: &[&str]) -> Option<String> {
        let fields: Vec<_> = lines
            .iter()
            .map(|line| ("x-forwarded-for", *line))
            .collect();
        let told = x_forwarded(&headers(&fields), is_trusted);
        told.client.map(|client| client.to_string())
    }

    #[test]
    fn the_client_is_the_right_most_that_is_no_trusted_proxy() {
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (
                &["198.51.100.9", "192.0.2.1,10.0.0.2 ,\t10.0.0.3"],
                "192.0.2.1",
            ),
            (&["10.0.0.9, 192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["garbage, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:80, fd00::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.1, , "], "192.0.2.1"),
        ] {
            assert_eq!(client_of_x(lines).as_deref(), Some(client), "{lines:?}");
        }
        assert_eq!(client_of_x(&[]), None);
        assert_eq!(client_of_x(&["", " , "]), None);
    }

    #[test]
    fn what_a_trusted_proxy_does_not_say_is_unknown_and_not_the_next_best() {
        let unknown = UNKNOWN.to_string();
        for lines in [
            &["192.0.2.1, unknown"][..],
            &["192.0.2.1, _hidden, 10.0.0.2"],
            &["192.0.2.1.7"],
            &["192.0.2.1, 10.0.0.2x"],
        ] {
            assert_eq!(client_of_x(lines).as_ref(), Some(&unknown), "{lines:?}");
        }
        let only = headers(&[("x-forwarded-proto", "https")]);
        assert_eq!(x_forwarded(&only, is_trusted).client, Some(UNKNOWN));
    }

    #[test]
    fn hops_are_bounded() {
        let chain = |hops: usize| format!("192.0.2.1{}", ", 10.0.0.2".repeat(hops));
        let within = chain(HOPS_MAX - 1);
        assert_eq!(client_of_x(&[&within]).as_deref(), Some("192.0.2.1"));
        let beyond = chain(HOPS_MAX);
        assert_eq!(client_of_x(&[&beyond]), Some(UNKNOWN.to_string()));
        let chain = |hops: usize| format!("for=192.0.2.1{}", ", for=10.0.0.2".repeat(hops));
        for (hops, client) in [
            (HOPS_MAX - 1, "192.0.2.1".parse().unwrap()),
            (HOPS_MAX, UNKNOWN),
            (HOPS_MAX * 9, UNKNOWN),
        ] {
            let told = forwarded(&headers(&[("forwarded", &chain(hops))]), is_trusted);
            assert_eq!(told.client, Some(client), "{hops}");
        }
    }

    #[test]
    fn the_nearest_proxy_tells_the_scheme() {
        for (lines, scheme) in [
            (&["https"][..], Some("https")),
            (&["HTTP"], Some("http")),
            (&["https, http"], Some("http")),
            (&["http", "https"], Some("https")),
            (&["wss"], None),
            (&["https,"], None),
            (&[], None),
        ] {
            let mut fields: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-proto", *line))
                .collect();
            fields.push(("x-forwarded-for", "192.0.2.1"));
            let told = x_forwarded(&headers(&fields), is_trusted);
            assert_eq!(told.scheme, scheme, "{lines:?}");
            assert_eq!(told.client, Some("192.0.2.1".parse().unwrap()));
        }
    }

    #[test]
    fn forwarded_is_read_element_by_element() {
        let unknown = Some(UNKNOWN);
        let client = |text: &str| Some(text.parse().unwrap());
        let cases: [(&[&str], Option<IpAddr>, Option<&str>); 21] = [
            (&["for=192.0.2.1"], client("192.0.2.1"), None),
            (
                &["For=192.0.2.1;Proto=HTTPS;by=10.0.0.1;host=a"],
                client("192.0.2.1"),
                Some("https"),
            ),
            (
                &["for=\"192.0.2.1:99\" ; proto=http"],
                client("192.0.2.1"),
                Some("http"),
            ),
            (&["for=\"[2001:db8::1]:_port\""], unknown, None),
            (&["for=\"[2001:db8::1]:99\""], client("2001:db8::1"), None),
            (&["for=\"[2001:db8::1]\""], client("2001:db8::1"), None),
            (
                &["for=198.51.100.9;proto=https, for=192.0.2.1, for=10.0.0.2;proto=https"],
                client("192.0.2.1"),
                None,
            ),
            (
                &["for=192.0.2.1;proto=https", "for=10.0.0.2;proto=http"],
                client("192.0.2.1"),
                Some("https"),
            ),
            (&["for=10.0.0.3, for=10.0.0.2"], client("10.0.0.3"), None),
            (&["for=192.0.2.1, for=unknown"], unknown, None),
            (
                &["for=192.0.2.1, for=_abc;proto=https"],
                unknown,
                Some("https"),
            ),
            (&["proto=https"], unknown, Some("https")),
            (&["for=192.0.2.1;for=192.0.2.2"], unknown, None),
            (&["for=192.0.2.1;"], unknown, None),
            (&["for=192.0.2.1;x"], unknown, None),
            (&["nonsense"], unknown, None),
            (&["for=\"192.0.2.1"], unknown, None),
            // A client that opens a quote to swallow what the proxy writes behind it.
            (
                &["for=10.0.0.7;x=\", for=192.0.2.1"],
                client("192.0.2.1"),
                None,
            ),
            (&["for=10.0.0.7;x=\", for=\"[2001:db8::1]\""], unknown, None),
            (&["for=10.0.0.7;x=y\", for=\"192.0.2.1:80\""], unknown, None),
            (&[], None, None),
        ];
        for (lines, client, scheme) in cases {
            let fields: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            let told = forwarded(&headers(&fields), is_trusted);
            assert_eq!(told, Told { client, scheme }, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_its_address_is_what_its_proxy_wrote(
            invented in "[ -~]{0,60}", in_a_line_of_its_own: bool,
        ) {
            let fields = match in_a_line_of_its_own {
                true => vec![invented, "192.0.2.1".to_owned()],
                false => vec![format!("{invented}, 192.0.2.1")],
            };
            let fields: Vec<_> = fields.iter().map(|line| ("x-forwarded-for", &**line)).collect();
            let told = x_forwarded(&headers(&fields), is_trusted);
            prop_assert_eq!(told.client, Some("192.0.2.1".parse().unwrap()));
        }

        #[test]
        fn no_invention_in_forwarded_becomes_an_address(
            invented in "(for=10\\.0\\.0\\.7|[ -~]|[\";,=]){0,30}", quoted: bool,
        ) {
            let written = if quoted { "for=\"192.0.2.1:80\"" } else { "for=192.0.2.1" };
            let line = format!("{invented}, {written}");
            let told = forwarded(&headers(&[("forwarded", &line)]), is_trusted);
            let honest = Some("192.0.2.1".parse().unwrap());
            prop_assert!([honest, Some(UNKNOWN)].contains(&told.client), "{:?}", told);
        }
    }
}
