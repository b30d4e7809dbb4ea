//! RFC 9111 §4.2.2: a lifetime where nobody gave one.

use std::time::Duration;

use http::header::{DATE, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::fields::cache_control::ResponseControl;
use crate::fields::date;

/// §4.2.2: "A typical setting of this fraction might be 10%."
const FRACTION: u64 = 10;

/// What nobody promised is not believed for longer.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A tenth of the time since the last modification, for responses that are "heuristically
/// cacheable".
pub fn lifetime(
    control: &ResponseControl,
    response: &HeaderMap,
    status: StatusCode,
) -> Option<Duration> {
    // §4.2.2: "a cache MUST NOT use heuristics … when an explicit expiration time is present", and
    // may for a status "defined as heuristically cacheable" or a response "explicitly marked as
    // cacheable (e.g., by using the public response directive)".
    if !(is_heuristically_cacheable(status) || control.public) {
        return None;
    }
    let modified = date::of(response, &LAST_MODIFIED)?;
    let unchanged = date::of(response, &DATE)?.checked_sub(modified)?;
    Some(Duration::from_secs(unchanged / FRACTION).min(LIFETIME_MAX))
}

/// RFC 9110 §15.1.
const fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&'static str, &'static str)], status: u16) -> Option<u64> {
        let response: HeaderMap = fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let control = ResponseControl::parse(&response);
        let status = StatusCode::from_u16(status).unwrap();
        lifetime(&control, &response, status).map(|lifetime| lifetime.as_secs())
    }

    const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");

    #[test]
    fn a_tenth_of_the_time_since_the_last_modification() {
        let hour = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
        let years = ("last-modified", "Sun, 06 Nov 1990 07:49:37 GMT");
        assert_eq!(of(&[DATE, hour], 200), Some(360));
        assert_eq!(of(&[DATE, years], 200), Some(24 * 3600));
        assert_eq!(of(&[DATE], 200), None);
        let future = ("last-modified", "Sun, 06 Nov 1994 09:49:37 GMT");
        assert_eq!(of(&[DATE, future], 200), None);
    }

    #[test]
    fn other_statuses_need_public() {
        let hour = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
        assert_eq!(of(&[DATE, hour], 599), None);
        assert_eq!(
            of(&[DATE, hour, ("cache-control", "public")], 599),
            Some(360)
        );
        assert_eq!(of(&[DATE, hour], 404), Some(360));
        assert_eq!(of(&[DATE, hour], 302), None);
    }
}
