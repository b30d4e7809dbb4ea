//! `Content-Length` (RFC 9110 §8.6).

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// Bytes; nothing unless there is exactly one line of digits.
pub fn of(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let value = lines.next()?.to_str().ok()?;
    if lines.next().is_some() || value.is_empty() {
        return None;
    }
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_length() {
        for (value, length) in [("12", Some(12)), ("+12", None), ("", None), ("1, 1", None)] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, value.parse().unwrap());
            assert_eq!(of(&headers), length, "{value}");
        }
    }
}
