//! RFC 9111 §4.2.3: how old a response is.

use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;

use crate::clock::Timestamp;
use crate::exchange::Exchange;
use crate::fields::{age, date};

/// The age a response had when it was received.
///
/// §4.2.3: `corrected_initial_age = max(apparent_age, corrected_age_value)`.
pub fn corrected_initial_age(response: &HeaderMap, exchange: &Exchange) -> Duration {
    let (request_time, response_time) = (exchange.request_time(), exchange.response_time());
    let apparent_age = date::of(response, &DATE)
        .map(Timestamp::from_secs)
        .map_or(Duration::ZERO, |date_value| {
            whole_seconds(response_time).since(date_value)
        });
    let response_delay = response_time.since(request_time);
    let corrected_age_value = Duration::from_secs(age::age(response)) + response_delay;
    apparent_age.max(corrected_age_value)
}

/// §4.2.3: `current_age = corrected_initial_age + resident_time`.
pub fn current_age(
    corrected_initial_age: Duration,
    response_time: Timestamp,
    now: Timestamp,
) -> Duration {
    corrected_initial_age + now.since(response_time)
}

/// `Date` has whole seconds; a response sent within the current one has no apparent age.
const fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_secs(time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Fence, Forwarded, Generation, Position};

    fn exchange(request_ms: u64, response_ms: u64) -> Exchange {
        let fence = Fence {
            generation: Generation::new(1),
            position: Position::default(),
        };
        Forwarded::begin(Timestamp::from_millis(request_ms), fence)
            .received(Timestamp::from_millis(response_ms))
    }

    /// 784111777 is Sun, 06 Nov 1994 08:49:37 GMT.
    const DATE_SECONDS: u64 = 784_111_777;

    fn response(age: Option<&'static str>) -> HeaderMap {
        let mut response = HeaderMap::new();
        response.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        if let Some(age) = age {
            response.insert(http::header::AGE, age.parse().unwrap());
        }
        response
    }

    #[test]
    fn the_larger_of_date_and_age_counts() {
        let received = exchange((DATE_SECONDS + 10) * 1000, (DATE_SECONDS + 10) * 1000 + 999);
        let secs = |age| corrected_initial_age(&response(age), &received).as_secs_f64();
        assert!((secs(None) - 10.0).abs() < f64::EPSILON);
        assert!(
            (secs(Some("30")) - 30.999).abs() < 1e-9,
            "with response_delay"
        );
    }

    #[test]
    fn a_date_in_the_future_makes_nothing_younger() {
        let received = exchange((DATE_SECONDS - 60) * 1000, (DATE_SECONDS - 60) * 1000);
        let age = corrected_initial_age(&response(None), &received);
        assert_eq!(age, Duration::ZERO);
    }
}
