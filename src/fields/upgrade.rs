//! `Upgrade` (RFC 9110 §7.8): the protocols that a sender would rather speak.

use http::HeaderMap;
use http::header::{CONNECTION, UPGRADE};

use super::list;

/// Protocols of one message that are looked at; the usual number is one.
const PROTOCOLS_MAX: usize = 8;

/// The first of the protocols in `headers` that is in `known`, as it stands there. `None` without
/// the connection option `upgrade`, which a sender of the field must send: then the field was meant
/// for another hop. Names are compared without case, versions belong to them.
pub fn wanted<'k>(headers: &HeaderMap, known: &'k [Box<str>]) -> Option<&'k str> {
    if !headers.contains_key(UPGRADE) || !is_connection_option(headers) {
        return None;
    }
    let protocols = list::lines(headers, &UPGRADE).take(PROTOCOLS_MAX);
    protocols.into_iter().find_map(|protocol| {
        let mut known = known.iter().map(|known| &**known);
        known.find(|known| known.as_bytes().eq_ignore_ascii_case(protocol))
    })
}

/// Whether the one protocol that a 101 switches to is `protocol`: another one, several, or none is
/// no answer to a request that named one.
pub fn is_to(headers: &HeaderMap, protocol: &[u8]) -> bool {
    let mut protocols = list::lines(headers, &UPGRADE);
    is_connection_option(headers)
        && protocols
            .next()
            .is_some_and(|named| named.eq_ignore_ascii_case(protocol))
        && protocols.next().is_none()
}

fn is_connection_option(headers: &HeaderMap) -> bool {
    list::lines(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_first_known_protocol_is_the_one_that_is_wanted() {
        let known = ["websocket".into(), "chat/2".into()];
        for (option, protocols, expected) in [
            ("Upgrade", "WebSocket", Some("websocket")),
            ("keep-alive, upgrade", "h2c, chat/2", Some("chat/2")),
            ("upgrade", "chat", None),
            ("upgrade", "h2c", None),
            ("close", "websocket", None),
        ] {
            let headers = headers(&[("connection", option), ("upgrade", protocols)]);
            assert_eq!(wanted(&headers, &known), expected, "{protocols}");
        }
        assert_eq!(wanted(&headers(&[("connection", "upgrade")]), &known), None);
    }

    #[test]
    fn a_switch_is_to_one_protocol() {
        for (option, protocols, expected) in [
            ("upgrade", "websocket", true),
            ("Upgrade", "WebSocket", true),
            ("upgrade", "chat", false),
            ("upgrade", "websocket, chat", false),
            ("close", "websocket", false),
        ] {
            let headers = headers(&[("connection", option), ("upgrade", protocols)]);
            assert_eq!(is_to(&headers, b"websocket"), expected, "{protocols}");
        }
        assert!(!is_to(&headers(&[("connection", "upgrade")]), b"websocket"));
    }
}
