//! `Via` (RFC 9110 §7.6.3).

use bytes::{BufMut, BytesMut};
use http::header::VIA;
use http::{HeaderMap, Version};

use super::{list, text};

/// Adds our member after those that are there. `received` is the version in which the message came
/// to us, `pseudonym` a token of ours.
pub fn append(headers: &mut HeaderMap, received: Version, pseudonym: &str) {
    let version = protocol_version(received);
    let mut out = BytesMut::with_capacity(version.len() + 1 + pseudonym.len());
    out.put_slice(version.as_bytes());
    out.put_u8(b' ');
    if text::is_token(pseudonym.as_bytes()) {
        out.put_slice(pseudonym.as_bytes());
    } else {
        out.put_u8(b'-');
    }
    headers.append(VIA, text::into_value(out));
}

/// Whether the message has passed us before. Pseudonyms are compared without regard to case, since
/// the hosts they stand for are.
pub fn loops(headers: &HeaderMap, pseudonym: &str) -> bool {
    list::lines(headers, &VIA).any(|member| {
        let mut words = member
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        words
            .nth(1)
            .is_some_and(|received_by| received_by.eq_ignore_ascii_case(pseudonym.as_bytes()))
    })
}

/// "The protocol-name is excluded if and only if it would be "HTTP"." HTTP/2 and later have no minor
/// version (RFC 9110 §2.5).
const fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_in_the_order_of_the_hops() {
        // RFC 9110 §7.6.3: "Each intermediary appends its own information about how the message was
        // received, such that the end result is ordered according to the sequence of forwarding
        // recipients."
        let mut headers = HeaderMap::new();
        headers.append(VIA, "1.0 fred".parse().unwrap());
        append(&mut headers, Version::HTTP_11, "cms-edge");
        append(&mut headers, Version::HTTP_2, "not a token");
        let lines: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(lines, ["1.0 fred", "1.1 cms-edge", "2 -"]);
    }

    #[test]
    fn a_message_that_came_by_before_is_recognised() {
        for (line, expected) in [
            ("1.1 cms-edge", true),
            ("1.0 fred, 1.1 CMS-Edge (cms-edge/1.0)", true),
            ("HTTP/1.1   cms-edge", true),
            ("1.0 fred, 1.1 p.example.net", false),
            ("1.1 cms-edge-2", false),
            ("1.1 cms-edge:8080", false),
            ("cms-edge", false),
            ("1.1 fred (cms-edge)", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(VIA, line.parse().unwrap());
            assert_eq!(loops(&headers, "cms-edge"), expected, "{line}");
        }
        assert!(!loops(&HeaderMap::new(), "cms-edge"));
    }
}
