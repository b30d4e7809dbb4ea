//! Field values of our own making: structured field items (RFC 9651 §4.1) and plain text, written
//! into a buffer that becomes the value without another copy.

use bytes::{BufMut, BytesMut};
use http::HeaderValue;

/// The buffer as a field value. Bytes that no field value may have (RFC 9110 §5.5) were not put
/// there by the writers below; should a caller have done so, the value is empty.
pub(super) fn into_value(text: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// RFC 9651 §4.1.7 and §4.1.6: a Token where the text is one, else a String.
pub(super) fn put_token_or_string(out: &mut BytesMut, text: &str) {
    if is_sf_token(text) {
        out.put_slice(text.as_bytes());
    } else {
        put_string(out, text);
    }
}

/// RFC 9651 §4.1.6: a String has printable ASCII only. Everything else becomes `?`, since the text
/// is for people and half a sentence is better than none.
pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.put_slice(&[b'\\', character as u8]),
            ' '..='~' => out.put_u8(character as u8),
            _ => out.put_u8(b'?'),
        }
    }
    out.put_u8(b'"');
}

/// A number as a field value, such as `Age`. (That of `http` takes two allocations.)
pub fn number(value: u64) -> HeaderValue {
    let length = value
        .checked_ilog10()
        .map_or(1, |digits| digits as usize + 1);
    let mut out = BytesMut::with_capacity(length);
    put_decimal(&mut out, value);
    into_value(out)
}

pub(super) fn put_integer(out: &mut BytesMut, value: i64) {
    if value < 0 {
        out.put_u8(b'-');
    }
    put_decimal(out, value.unsigned_abs());
}

/// What [`put_integer`] writes, in bytes.
pub(super) const fn integer_length(value: i64) -> usize {
    let digits = match value.unsigned_abs().checked_ilog10() {
        Some(digits) => digits as usize + 1,
        None => 1,
    };
    digits + (value < 0) as usize
}

pub(super) fn put_decimal(out: &mut BytesMut, mut value: u64) {
    // The longest u64 has 20 digits.
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        length += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - length));
}

/// RFC 9651 §3.3.4: a letter or `*`, then tchar, `:` or `/`.
pub(super) fn is_sf_token(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'*')
        && bytes.all(|byte| is_tchar(byte) || matches!(byte, b':' | b'/'))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// 1*DIGIT, saturating: a number too long to hold is the largest we hold. `None` where there is
/// anything but digits, or nothing.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then(|| {
            value
                .saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn integers_are_written_to_either_end_of_their_range() {
        for value in [0, 7, 9, 10, 99, 100, -1, -9, -10, -412, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| put_integer(out, value)), value.to_string());
            assert_eq!(integer_length(value), value.to_string().len());
        }
        assert_eq!(
            written(|out| put_decimal(out, u64::MAX)),
            u64::MAX.to_string()
        );
    }

    #[test]
    fn a_name_that_is_no_token_becomes_a_string() {
        for (text, expected) in [
            ("cms-edge", "cms-edge"),
            ("CDN Company Here", "\"CDN Company Here\""),
            ("1st", "\"1st\""),
            ("", "\"\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("Zür\r\nich", "\"Z?r??ich\""),
        ] {
            assert_eq!(written(|out| put_token_or_string(out, text)), expected);
        }
    }

    #[test]
    fn decimals_saturate_and_refuse_what_is_no_digit() {
        for (digits, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1.0", None),
            (" 1", None),
        ] {
            assert_eq!(decimal(digits.as_bytes()), expected, "{digits}");
        }
    }

    #[test]
    fn a_value_that_no_field_may_have_is_empty() {
        assert_eq!(into_value(BytesMut::from("a\r\nb: c")), "");
    }
}
