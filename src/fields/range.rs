//! `Range` and `Content-Range` (RFC 9110 §14).

use http::HeaderMap;
use http::header::{HeaderValue, RANGE};

use super::list;

/// What a `Range` asks of a representation of known length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ranges {
    /// Nothing, or nothing that is understood: the whole is sent (§14.2).
    None,
    /// First and last byte, both inclusive, within the representation.
    One {
        first: u64,
        last: u64,
    },
    /// 416.
    Unsatisfiable,
    Many,
}

pub fn resolve(request: &HeaderMap, length: u64) -> Ranges {
    let mut lines = request.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Ranges::None;
    };
    let Some((unit, set)) = line.to_str().ok().and_then(|text| text.split_once('=')) else {
        return Ranges::None;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ranges::None;
    }
    let mut ranges = list::elements(set.as_bytes());
    match (ranges.next(), ranges.next()) {
        (Some(range), None) => one(range, length),
        (Some(_), Some(_)) => Ranges::Many,
        (None, _) => Ranges::None,
    }
}

fn one(range: &[u8], length: u64) -> Ranges {
    let parts = std::str::from_utf8(range)
        .ok()
        .and_then(|text| text.split_once('-'));
    let Some((first, last)) = parts else {
        return Ranges::None;
    };
    let (Ok(first), Ok(last)) = (number(first), number(last)) else {
        return Ranges::None;
    };
    match (first, last) {
        (None, None) => Ranges::None,
        // §14.1.2: "If the selected representation is shorter than the specified suffix-length,
        // the entire representation is used."
        (None, Some(0)) => Ranges::Unsatisfiable,
        (None, Some(_)) if length == 0 => Ranges::Unsatisfiable,
        (None, Some(suffix)) => Ranges::One {
            first: length.saturating_sub(suffix),
            last: length - 1,
        },
        (Some(first), Some(last)) if last < first => Ranges::None,
        (Some(first), _) if first >= length => Ranges::Unsatisfiable,
        (Some(first), last) => Ranges::One {
            first,
            last: last.unwrap_or(u64::MAX).min(length - 1),
        },
    }
}

/// Digits or nothing; a number too large for any representation is the largest.
fn number(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

pub fn content_range(first: u64, last: u64, length: u64) -> HeaderValue {
    value(&format!("bytes {first}-{last}/{length}"))
}

/// §14.4: for a 416.
pub fn unsatisfied(length: u64) -> HeaderValue {
    value(&format!("bytes */{length}"))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("bytes */*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (value, ranges) in [
            ("bytes=0-4", Ranges::One { first: 0, last: 4 }),
            ("bytes=5-", Ranges::One { first: 5, last: 9 }),
            ("bytes=5-99", Ranges::One { first: 5, last: 9 }),
            ("bytes=-3", Ranges::One { first: 7, last: 9 }),
            ("bytes=-30", Ranges::One { first: 0, last: 9 }),
            ("Bytes= 1-1 ", Ranges::One { first: 1, last: 1 }),
            ("bytes=10-", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999-", Ranges::Unsatisfiable),
            ("bytes=0-1,3-4", Ranges::Many),
            ("bytes=4-3", Ranges::None),
            ("bytes=a-b", Ranges::None),
            ("bytes=-", Ranges::None),
            ("bytes=", Ranges::None),
            ("rows=0-4", Ranges::None),
            ("bytes=+1-2", Ranges::None),
        ] {
            let mut request = HeaderMap::new();
            request.insert(RANGE, value.parse().unwrap());
            assert_eq!(resolve(&request, 10), ranges, "{value}");
        }
    }
}
