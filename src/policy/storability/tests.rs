//! §3 and §3.5 by table, and what real CMSs send.

use super::*;
use crate::clock::Timestamp;
use crate::exchange::{Fence, Forwarded, Generation, Position};
use crate::policy::StatusTtl;

fn exchange() -> Exchange {
    let fence = Fence {
        generation: Generation::new(1),
        position: Position::default(),
    };
    let now = Timestamp::from_millis(1_000_000);
    Forwarded::begin(now, fence).received(now)
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    headers
}

fn rule() -> CacheRule {
    CacheRule {
        ttl: Duration::from_secs(60),
        stale_while_revalidate: Some(Duration::from_secs(30)),
        stale_if_error: Duration::from_secs(300),
        ..CacheRule::default()
    }
}

fn outcome(
    request: &[(&'static str, &'static str)],
    status: u16,
    response: &[(&'static str, &'static str)],
    rule: &CacheRule,
) -> Result<Terms, NotStorable> {
    let request = headers(request);
    let asked = Asked {
        method: &Method::GET,
        headers: &request,
        no_store: false,
    };
    assess(
        asked,
        StatusCode::from_u16(status).unwrap(),
        headers(response),
        exchange(),
        rule,
    )
    .map(|storable| *storable.terms())
}

#[test]
fn what_is_private_is_refused_whoever_allows_it() {
    for (response, why) in [
        (vec![("cache-control", "no-store")], NotStorable::NoStore),
        (vec![("cache-control", "private")], NotStorable::Private),
        (
            vec![("cache-control", "private=\"x-user\"")],
            NotStorable::Private,
        ),
        (vec![("set-cookie", "a=b")], NotStorable::SetCookie),
        (vec![("vary", "accept, *")], NotStorable::VaryStar),
        // Directus signed in, with its cache on.
        (
            vec![("cache-control", "private, max-age=300, s-maxage=60")],
            NotStorable::Private,
        ),
        // A targeted field beside it: strict_private.
        (
            vec![
                ("cache-control", "private"),
                ("cdn-cache-control", "max-age=60"),
            ],
            NotStorable::Private,
        ),
    ] {
        for mode in [TtlMode::Default, TtlMode::Floor, TtlMode::Override] {
            let rule = CacheRule { mode, ..rule() };
            assert_eq!(
                outcome(&[], 200, &response, &rule),
                Err(why),
                "{response:?}"
            );
        }
    }
}

#[test]
fn the_targeted_field_wins_where_the_profile_lets_it() {
    let rule = CacheRule {
        strict_private: false,
        ..rule()
    };
    let response = [
        ("cache-control", "private"),
        ("cdn-cache-control", "max-age=60"),
    ];
    assert!(outcome(&[], 200, &response, &rule).is_ok());
}

#[test]
fn an_authorized_response_needs_the_origins_permission() {
    let request = [("authorization", "Bearer x")];
    assert_eq!(
        outcome(&request, 200, &[("cache-control", "max-age=60")], &rule()),
        Err(NotStorable::Authorization)
    );
    for allowed in [
        "public, max-age=60",
        "s-maxage=60",
        "must-revalidate, max-age=60",
    ] {
        let value: &'static str = allowed;
        assert!(outcome(&request, 200, &[("cache-control", value)], &rule()).is_ok());
    }
}

#[test]
fn statuses_follow_the_rule_where_the_origin_is_silent() {
    let rule = CacheRule {
        ttl_by_status: vec![
            StatusTtl {
                status: 404,
                ttl: Duration::from_secs(5),
            },
            StatusTtl {
                status: 5,
                ttl: Duration::ZERO,
            },
        ],
        ..rule()
    };
    let fresh =
        |status| outcome(&[], status, &[], &rule).map(|terms| terms.lifetime.fresh.as_secs());
    assert_eq!(fresh(200), Ok(60));
    assert_eq!(fresh(404), Ok(5));
    assert_eq!(fresh(302), Err(NotStorable::NoLifetime));
    assert_eq!(fresh(405), Err(NotStorable::NoLifetime));
    assert_eq!(fresh(206), Err(NotStorable::Status));
    assert_eq!(fresh(503), Err(NotStorable::Status));
    let explicit = [("cache-control", "max-age=9")];
    assert_eq!(
        outcome(&[], 302, &explicit, &rule).map(|terms| terms.lifetime.fresh.as_secs()),
        Ok(9)
    );
}

#[test]
fn errors_that_one_request_provoked_are_stored_only_where_the_rule_names_them() {
    let explicit = [("cache-control", "public, max-age=600")];
    let named = CacheRule {
        ttl_by_status: vec![StatusTtl {
            status: 4,
            ttl: Duration::from_secs(5),
        }],
        ..rule()
    };
    for status in [400, 401, 403, 408, 413, 414, 415, 421, 422, 428, 429, 431] {
        let stored = |rule: &CacheRule| outcome(&[], status, &explicit, rule).map(|_| ());
        assert_eq!(stored(&rule()), Err(NotStorable::Status), "{status}");
        assert_eq!(stored(&named), Ok(()), "{status}");
    }
    for status in [404, 405, 410, 451] {
        assert!(outcome(&[], status, &explicit, &rule()).is_ok(), "{status}");
    }
}

#[test]
fn no_cache_is_replaced_only_where_the_operator_says_so() {
    // Directus: `no-cache` and a weak validator.
    let directus = [("cache-control", "no-cache"), ("etag", "W/\"a\"")];
    let no_cache = |mode| {
        let rule = CacheRule { mode, ..rule() };
        outcome(&[], 200, &directus, &rule).map(|terms| terms.no_cache)
    };
    assert_eq!(no_cache(TtlMode::Default), Ok(true));
    assert_eq!(no_cache(TtlMode::Override), Ok(false));
    assert_eq!(
        outcome(&[], 200, &[("cache-control", "no-cache")], &rule()),
        Err(NotStorable::NoLifetime),
        "without a validator it could never be used"
    );
}

#[test]
fn stale_windows_end_where_the_origin_demands_validation() {
    let windows = |value: &'static str| {
        outcome(&[], 200, &[("cache-control", value)], &rule()).map(|t| {
            (
                t.stale_while_revalidate.as_secs(),
                t.stale_if_error.as_secs(),
            )
        })
    };
    assert_eq!(windows("max-age=60"), Ok((30, 300)));
    assert_eq!(windows("max-age=60, must-revalidate"), Ok((0, 0)));
    assert_eq!(windows("s-maxage=60"), Ok((0, 0)));
    assert_eq!(windows("s-maxage=60, stale-while-revalidate=7"), Ok((7, 0)));
    assert_eq!(
        windows("max-age=60, must-revalidate, stale-if-error=7"),
        Ok((0, 0))
    );
}

#[test]
fn what_allows_authorization_with_revalidation_allows_nothing_where_the_rule_replaces_it() {
    // §5.2.2.2: "The must-revalidate directive also permits a shared cache to reuse a response to a
    // request containing an Authorization header field (Section 3.5), subject to the above requirement
    // on revalidation."
    let authorized = [("authorization", "Basic eA==")];
    for (mode, control, stored) in [
        (TtlMode::Default, "max-age=0, must-revalidate", true),
        (TtlMode::Default, "s-maxage=10", true),
        (TtlMode::Default, "must-revalidate", false),
        (TtlMode::Override, "max-age=0, must-revalidate", false),
        (TtlMode::Override, "s-maxage=0", false),
        (TtlMode::Override, "public, max-age=0", true),
        (TtlMode::Floor, "max-age=0, must-revalidate", false),
    ] {
        let rule = CacheRule { mode, ..rule() };
        let response = [("cache-control", control), ("etag", "\"a\"")];
        let found = outcome(&authorized, 200, &response, &rule).map(|_| ());
        let expected = if stored {
            Ok(())
        } else {
            Err(NotStorable::Authorization)
        };
        assert_eq!(found, expected, "{mode:?} {control}");
        assert!(outcome(&[], 200, &response, &rule).is_ok());
    }
}

#[test]
fn what_must_be_revalidated_must_be_after_a_heuristic_lifetime_too() {
    // §5.2.2.2: "once the response has become stale, a cache MUST NOT reuse that response to satisfy
    // another request until it has been successfully validated by the origin".
    let rule = CacheRule {
        ttl: Duration::ZERO,
        profile: Profile::Rfc,
        ..rule()
    };
    let response = [
        ("cache-control", "must-revalidate"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT"),
    ];
    let terms = outcome(&[], 200, &response, &rule).unwrap();
    assert_eq!(terms.lifetime.source, Source::Heuristic);
    assert!(terms.must_revalidate);
    assert_eq!(terms.stale_while_revalidate, Duration::ZERO);
    assert_eq!(terms.stale_if_error, Duration::ZERO);
}
