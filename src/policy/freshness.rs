//! RFC 9111 §4.2.1: how long a response is fresh, and who said so.

use std::time::Duration;

use http::header::{DATE, HeaderName};
use http::{HeaderMap, StatusCode};

use super::heuristic;
use super::rule::{CacheRule, Profile, TtlMode};
use crate::fields::cache_control::ResponseControl;
use crate::fields::date::{self, Expires};

/// Targeted fields in the order in which they count (RFC 9213 §2.2).
pub const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("cms-edge-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// A freshness lifetime and where it came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    pub fresh: Duration,
    pub source: Source,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The origin: a targeted field, `Cache-Control` or `Expires`.
    Origin,
    /// The route's rule.
    Rule,
    /// The cache itself: a heuristic (§4.2.2).
    Heuristic,
    /// Nobody said anything.
    Silence,
}

/// The directives that count for this cache: a valid targeted field wins completely over
/// `Cache-Control` and `Expires` (RFC 9213 §2.2), and so does `Surrogate-Control` where it is heard.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    pub control: ResponseControl,
    pub is_targeted: bool,
}

impl Directives {
    pub fn of(response: &HeaderMap, rule: &CacheRule) -> Self {
        let targeted = ResponseControl::targeted(response, &TARGETED).map(|(_, control)| control);
        let surrogate = || match rule.surrogate_control {
            true => ResponseControl::surrogate(response),
            false => None,
        };
        match targeted.or_else(surrogate) {
            Some(control) => Self {
                control,
                is_targeted: true,
            },
            None => Self {
                control: ResponseControl::parse(response),
                is_targeted: false,
            },
        }
    }
}

/// §4.2.1 with the route's rule in its mode, under the rule's ceiling.
pub fn lifetime(
    directives: &Directives,
    response: &HeaderMap,
    status: StatusCode,
    rule: &CacheRule,
) -> Lifetime {
    let own = rule.ttl_for(status);
    let said = explicit(directives, response);
    let guessed = || match rule.profile {
        Profile::Cms => None,
        Profile::Rfc => heuristic::lifetime(&directives.control, response, status),
    };
    let (fresh, source) = match (said, rule.mode) {
        (Some(said), TtlMode::Default) => (said, Source::Origin),
        (Some(said), TtlMode::Cap) if said <= own => (said, Source::Origin),
        (Some(said), TtlMode::Floor) if said >= own => (said, Source::Origin),
        (None, _) if own.is_zero() => match guessed() {
            Some(guess) => (guess, Source::Heuristic),
            None => (Duration::ZERO, Source::Silence),
        },
        _ => (own, Source::Rule),
    };
    Lifetime {
        fresh: fresh.min(rule.ttl_max),
        source,
    }
}

/// What the origin said: `s-maxage`, then `max-age`, then `Expires` minus `Date`.
fn explicit(directives: &Directives, response: &HeaderMap) -> Option<Duration> {
    let control = &directives.control;
    if let Some(seconds) = control.s_maxage.or(control.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    if directives.is_targeted {
        return None;
    }
    match date::expires(response)? {
        Expires::AlreadyExpired => Some(Duration::ZERO),
        Expires::At(expires) => {
            // §4.2.1: "If the Expires response header field is present, use its value minus the
            // value of the Date response header field". Without a Date the time of receipt stands
            // in for it; the fetch room has added that.
            let date = date::of(response, &DATE)?;
            Some(Duration::from_secs(expires.saturating_sub(date)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn of(fields: &[(&'static str, &'static str)], mode: TtlMode) -> (u64, Source) {
        let rule = CacheRule {
            ttl: Duration::from_secs(100),
            mode,
            ttl_max: Duration::from_secs(1000),
            ..CacheRule::default()
        };
        let response = headers(fields);
        let lifetime = lifetime(
            &Directives::of(&response, &rule),
            &response,
            StatusCode::OK,
            &rule,
        );
        (lifetime.fresh.as_secs(), lifetime.source)
    }

    #[test]
    fn the_order_is_targeted_then_s_maxage_then_max_age_then_expires() {
        let expires = [
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"),
        ];
        assert_eq!(of(&expires, TtlMode::Default), (60, Source::Origin));
        let mut all = expires.to_vec();
        all.push(("cache-control", "max-age=50"));
        assert_eq!(of(&all, TtlMode::Default), (50, Source::Origin));
        all.push(("cache-control", "s-maxage=40"));
        assert_eq!(of(&all, TtlMode::Default), (40, Source::Origin));
        all.push(("cdn-cache-control", "max-age=30"));
        assert_eq!(of(&all, TtlMode::Default), (30, Source::Origin));
        all.push(("cms-edge-cache-control", "max-age=20"));
        assert_eq!(of(&all, TtlMode::Default), (20, Source::Origin));
    }

    #[test]
    fn the_rule_counts_where_the_origin_is_silent() {
        assert_eq!(of(&[], TtlMode::Default), (100, Source::Rule));
        assert_eq!(
            of(
                &[("cdn-cache-control", "public"), ("expires", "0")],
                TtlMode::Default
            ),
            (100, Source::Rule)
        );
    }

    #[test]
    fn modes_combine_the_rule_with_the_origins_words() {
        let short = [("cache-control", "max-age=10")];
        let long = [("cache-control", "max-age=500")];
        assert_eq!(of(&short, TtlMode::Cap), (10, Source::Origin));
        assert_eq!(of(&long, TtlMode::Cap), (100, Source::Rule));
        assert_eq!(of(&short, TtlMode::Floor), (100, Source::Rule));
        assert_eq!(of(&long, TtlMode::Floor), (500, Source::Origin));
        assert_eq!(of(&long, TtlMode::Override), (100, Source::Rule));
    }

    #[test]
    fn nothing_outlives_the_ceiling() {
        let year = [("cache-control", "max-age=31536000")];
        assert_eq!(of(&year, TtlMode::Default), (1000, Source::Origin));
    }
}
