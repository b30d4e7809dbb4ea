//! HTTP dates (RFC 9110 §5.6.7): `Date`, `Last-Modified`, `Expires`.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{EXPIRES, HeaderName, HeaderValue};

/// What `Expires` says (RFC 9111 §5.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expires {
    /// Seconds since the epoch.
    At(u64),
    /// "A cache recipient MUST interpret invalid date formats, especially the value "0", as
    /// representing a time in the past".
    AlreadyExpired,
}

/// Seconds since the epoch, of any of the three formats.
pub fn parse(value: &HeaderValue) -> Option<u64> {
    let date = httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The date of a field that has exactly one line.
pub fn of(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut lines = headers.get_all(name).iter();
    let date = parse(lines.next()?)?;
    lines.next().is_none().then_some(date)
}

/// `Expires`, if it is there. Several lines are invalid, as it is no list.
pub fn expires(headers: &HeaderMap) -> Option<Expires> {
    headers.get(EXPIRES)?;
    Some(of(headers, &EXPIRES).map_or(Expires::AlreadyExpired, Expires::At))
}

/// IMF-fixdate of seconds since the epoch; dates beyond the year 9999 become its end.
pub fn format(seconds: u64) -> HeaderValue {
    /// Fri, 31 Dec 9999 23:59:59 GMT.
    const LAST: u64 = 253_402_300_799;
    let date = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    HeaderValue::from_str(&httpdate::fmt_http_date(date))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_formats_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(&text.parse().unwrap()), Some(784_111_777), "{text}");
        }
        assert_eq!(format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn an_invalid_expires_is_in_the_past() {
        for text in ["0", "-1", "soon", "Sun, 06 Nov 1994 08:49:37 UTC"] {
            let mut headers = HeaderMap::new();
            headers.insert(EXPIRES, text.parse().unwrap());
            assert_eq!(expires(&headers), Some(Expires::AlreadyExpired), "{text}");
        }
        assert_eq!(expires(&HeaderMap::new()), None);
    }
}
