//! `Age` (RFC 9111 §5.1).

use http::HeaderMap;
use http::header::AGE;

use super::{DELTA_MAX, list};

/// Seconds; 0 without a valid value. §5.1: of a list the first member counts, and a value that is
/// no non-negative integer is ignored.
pub fn age(headers: &HeaderMap) -> u64 {
    let Some(first) = list::lines(headers, &AGE).next() else {
        return 0;
    };
    if !first.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    std::str::from_utf8(first).map_or(0, |text| {
        text.parse::<u64>().unwrap_or(DELTA_MAX).min(DELTA_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_valid_number_counts() {
        for (value, seconds) in [
            ("60", 60),
            ("60, 5", 60),
            ("-1", 0),
            ("1.5", 0),
            ("x", 0),
            ("99999999999999999999", DELTA_MAX),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AGE, value.parse().unwrap());
            assert_eq!(age(&headers), seconds, "{value}");
        }
    }
}
