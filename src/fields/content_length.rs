//! `Content-Length` (RFC 9110 §8.6).

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::{list, text};

/// The one declared length, in bytes. `None` without the field, and with anything but a single line
/// of digits: a repeated `5, 5` could be forgiven, but a cache compares a body against this number.
pub fn of(headers: &HeaderMap) -> Option<u64> {
    let line = list::single(headers, &CONTENT_LENGTH)?;
    // The parser saturates, and no body is that long.
    text::decimal(line.as_bytes()).filter(|length| *length < u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_line_of_digits_is_a_length() {
        // RFC 9110 §8.6: "Content-Length = 1*DIGIT".
        for (lines, expected) in [
            (&["0"][..], Some(0)),
            (&["3495"], Some(3495)),
            (&["18446744073709551614"], Some(u64::MAX - 1)),
            (&["18446744073709551616"], None),
            (&[], None),
            (&[""], None),
            (&["+5"], None),
            (&["-5"], None),
            (&["5, 5"], None),
            (&["0x10"], None),
            (&["5", "5"], None),
            (&["5", "6"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_LENGTH, line.parse().unwrap());
            }
            assert_eq!(of(&headers), expected, "{lines:?}");
        }
    }
}
