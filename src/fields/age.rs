//! `Age` (RFC 9111 §5.1).

use http::HeaderMap;
use http::header::AGE;

use super::{DELTA_MAX, list, text};

/// `age_value` of RFC 9111 §4.2.3, in seconds, at most [`DELTA_MAX`]; 0 without a usable field.
///
/// Of a list the first member counts, and if that one is not a number the field is ignored: a later
/// member is never looked at.
pub fn age(headers: &HeaderMap) -> u64 {
    list::lines(headers, &AGE)
        .next()
        .and_then(text::decimal)
        .map_or(0, |seconds| seconds.min(DELTA_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_member_counts_and_an_invalid_one_counts_as_none() {
        // RFC 9111 §5.1: "a cache encountering a message with a list-based Age field value SHOULD
        // use the first member of the field value, discarding subsequent ones. If the field value
        // (after discarding additional members, as per above) is invalid (e.g., it contains
        // something other than a non-negative integer), a cache SHOULD ignore the field."
        for (lines, expected) in [
            (&[][..], 0),
            (&["0"], 0),
            (&["7200"], 7200),
            (&["7200, 0"], 7200),
            (&["0, 7200"], 0),
            (&["7200", "0"], 7200),
            (&["0", "7200"], 0),
            (&["abc"], 0),
            (&["abc, 7200"], 0),
            (&["-7200"], 0),
            (&["7200.0"], 0),
            (&["7200;foo=bar"], 0),
            (&["\"7200\""], 0),
        ] {
            assert_eq!(age(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_huge_age_counts_as_two_to_the_31st() {
        // RFC 9111 §1.2.2: "the cache MUST consider the value to be 2147483648 (2^31) or the
        // greatest positive integer it can conveniently represent."
        for (line, expected) in [
            ("2147483647", DELTA_MAX - 1),
            ("2147483648", DELTA_MAX),
            ("2147483649", DELTA_MAX),
            ("99999999999999999999999999999", DELTA_MAX),
        ] {
            assert_eq!(age(&headers(&[line])), expected, "{line}");
        }
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AGE, line.parse().unwrap());
        }
        headers
    }
}
