//! `Strict-Transport-Security` (RFC 6797).

use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::header::{Entry, STRICT_TRANSPORT_SECURITY};

/// What browsers are told to remember of a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hsts {
    /// For how long it is reached by `https` only; whole seconds. Zero makes browsers forget.
    pub max_age: Duration,
    /// The hosts below it too.
    pub include_subdomains: bool,
    /// The site may be put on the lists that browsers ship with.
    pub preload: bool,
}

impl Hsts {
    pub(super) fn value(self) -> HeaderValue {
        let seconds = self.max_age.as_secs();
        let subdomains = if self.include_subdomains {
            "; includeSubDomains"
        } else {
            ""
        };
        let preload = if self.preload { "; preload" } else { "" };
        let text = format!("max-age={seconds}{subdomains}{preload}");
        // Digits and constants.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
    }
}

/// Adds the field to a response that goes out by `https` (§7.1, §7.2); an origin that sends its own
/// knows better.
pub(super) fn add(headers: &mut HeaderMap, value: &HeaderValue) {
    if let Entry::Vacant(vacant) = headers.entry(STRICT_TRANSPORT_SECURITY) {
        vacant.insert(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_says_what_is_set() {
        let year = Hsts {
            max_age: Duration::from_secs(31_536_000),
            include_subdomains: false,
            preload: false,
        };
        assert_eq!(year.value(), "max-age=31536000");
        let all = Hsts {
            include_subdomains: true,
            preload: true,
            ..year
        };
        assert_eq!(all.value(), "max-age=31536000; includeSubDomains; preload");
    }

    #[test]
    fn the_field_of_the_origin_stays() {
        let mut headers = HeaderMap::new();
        let ours = HeaderValue::from_static("max-age=1");
        add(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=1");
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=2"),
        );
        add(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=2");
        assert_eq!(headers.len(), 1);
    }
}
