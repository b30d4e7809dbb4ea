//! RFC 9111 §4: what answers a request, given what is stored.

use std::time::Duration;

use super::age;
use super::storability::Terms;
use crate::clock::Timestamp;
use crate::fields::cache_control::{MaxStale, RequestControl};
use crate::fields::cache_status::Fwd;

/// How far the clock that a response was received by may be ahead: those of instances that keep the
/// time differ by less.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(5);

/// What the cache does with a request: decided once, acted upon in one `match`. A variant that
/// needs the stored response owns it, so there is no state without its data.
#[derive(Debug, Eq, PartialEq)]
pub enum Disposition<E> {
    /// The stored response answers.
    Reuse(E),
    /// The stored response answers though stale, and is validated behind the client's back.
    ReuseWhileRevalidating(E),
    /// The origin answers; what is stored is validated, and may stand in if the origin fails.
    Validate(Fwd, E),
    /// The origin answers, and nothing that is stored can help.
    Forward(Fwd),
    /// Nothing usable is stored and the client said `only-if-cached` (§5.2.1.7): 504.
    GatewayTimeout,
}

/// What a lookup found for the presented request, purges already considered.
#[derive(Debug)]
pub enum Found<E> {
    Nothing,
    /// The URL is stored, for other values of the nominated fields.
    OtherVariants,
    Entry(E),
}

/// A stored response as the decision sees it.
pub trait Candidate {
    fn terms(&self) -> Terms;
    /// When the response was received (§4.2.3 `response_time`).
    fn response_time(&self) -> Timestamp;
    /// Covered by a soft purge: stale whatever its age.
    fn is_softly_purged(&self) -> bool;
}

/// §4, in the order of its sentences.
pub fn decide<E: Candidate>(
    found: Found<E>,
    request: &RequestControl,
    now: Timestamp,
) -> Disposition<E> {
    let entry = match found {
        Found::Entry(entry) => entry,
        other if request.only_if_cached => {
            drop(other);
            return Disposition::GatewayTimeout;
        }
        Found::Nothing => return Disposition::Forward(Fwd::UriMiss),
        Found::OtherVariants => return Disposition::Forward(Fwd::VaryMiss),
    };
    match standing(&entry, request, now) {
        Standing::Usable => Disposition::Reuse(entry),
        Standing::UsableWhileRevalidating => Disposition::ReuseWhileRevalidating(entry),
        Standing::Unusable(_) if request.only_if_cached => Disposition::GatewayTimeout,
        Standing::Unusable(why) => Disposition::Validate(why, entry),
    }
}

enum Standing {
    Usable,
    UsableWhileRevalidating,
    Unusable(Fwd),
}

fn standing<E: Candidate>(entry: &E, request: &RequestControl, now: Timestamp) -> Standing {
    let terms = entry.terms();
    let lifetime = terms.lifetime.fresh;
    let current_age = current_age(entry, now);
    if terms.no_cache {
        return Standing::Unusable(Fwd::Stale);
    }
    // By a clock that is ahead, or has been set back since: nobody knows how old it is.
    if entry.response_time() > now.after(CLOCK_AHEAD_MAX) {
        return Standing::Unusable(Fwd::Stale);
    }
    // §4.2: "response_is_fresh = (freshness_lifetime > current_age)".
    let is_fresh = lifetime > current_age && !entry.is_softly_purged();
    // §5.2.1.4, and RFC 8246 §2: a reload is answered from an immutable response while fresh.
    if request.no_cache && !(terms.immutable && is_fresh) {
        return Standing::Unusable(Fwd::Request);
    }
    let staleness = current_age.saturating_sub(lifetime);
    // §5.2.1.1: max-age "the client prefers a response whose age is less than or equal to".
    let too_old = request
        .max_age
        .is_some_and(|seconds| current_age.as_secs() > seconds && !(is_fresh && terms.immutable));
    // §5.2.1.3: min-fresh.
    let too_short = request
        .min_fresh
        .is_some_and(|seconds| lifetime < current_age.saturating_add(Duration::from_secs(seconds)));
    if is_fresh {
        return if too_old || too_short {
            Standing::Unusable(Fwd::Request)
        } else {
            Standing::Usable
        };
    }
    // A client that asks for freshness gets no stale response. §5.2.1.1, of max-age: "Unless the
    // max-stale request directive is also present, the client does not wish to receive a stale
    // response."
    let wants_fresh = request.max_age.is_some() && request.max_stale.is_none();
    if too_old || wants_fresh || request.min_fresh.is_some() {
        return Standing::Unusable(Fwd::Stale);
    }
    if staleness < terms.stale_while_revalidate
        || (entry.is_softly_purged() && lifetime > current_age)
    {
        return Standing::UsableWhileRevalidating;
    }
    // §5.2.1.2: max-stale, "if a value is assigned … exceeded by no more than".
    let tolerated = match request.max_stale {
        None => false,
        Some(MaxStale::Any) => true,
        Some(MaxStale::Seconds(seconds)) => staleness <= Duration::from_secs(seconds),
    };
    if tolerated && !terms.must_revalidate && !entry.is_softly_purged() {
        return Standing::Usable;
    }
    Standing::Unusable(Fwd::Stale)
}

/// Whether a stored response may answer because the origin cannot (RFC 5861 §4, RFC 9111 §4.2.4).
pub fn may_stand_in<E: Candidate>(entry: &E, request: &RequestControl, now: Timestamp) -> bool {
    let terms = entry.terms();
    // RFC 9111 §4.2.4: no stale response "if it is prohibited by an explicit in-protocol directive
    // (e.g., by a no-cache response directive, a must-revalidate response directive, …)".
    if terms.no_cache || (terms.must_revalidate && terms.stale_if_error.is_zero()) {
        return false;
    }
    let staleness = current_age(entry, now).saturating_sub(terms.lifetime.fresh);
    // §5.2.2.2: what "MUST NOT" be reused stale is not the client's to allow; the origin's own window
    // is.
    let asked = request.stale_if_error.filter(|_| !terms.must_revalidate);
    let asked = Duration::from_secs(asked.unwrap_or(0));
    // `<=`: a response that is still fresh, and was to be validated for another reason, stands in.
    staleness.is_zero() || staleness < terms.stale_if_error.max(asked)
}

pub fn current_age<E: Candidate>(entry: &E, now: Timestamp) -> Duration {
    age::current_age(
        entry.terms().corrected_initial_age,
        entry.response_time(),
        now,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::freshness::{Lifetime, Source};

    #[derive(Debug, PartialEq)]
    struct Stored {
        terms: Terms,
        soft: bool,
    }

    impl Candidate for Stored {
        fn terms(&self) -> Terms {
            self.terms
        }
        fn response_time(&self) -> Timestamp {
            Timestamp::from_secs(1000)
        }
        fn is_softly_purged(&self) -> bool {
            self.soft
        }
    }

    /// Fresh for 60 s, usable for 30 s more while it is validated.
    fn stored() -> Stored {
        let terms = Terms {
            lifetime: Lifetime {
                fresh: Duration::from_secs(60),
                source: Source::Rule,
            },
            corrected_initial_age: Duration::ZERO,
            stale_while_revalidate: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(300),
            no_cache: false,
            must_revalidate: false,
            immutable: false,
            no_transform: false,
        };
        Stored { terms, soft: false }
    }

    fn word(entry: Stored, request: RequestControl, age: u64) -> &'static str {
        match decide(
            Found::Entry(entry),
            &request,
            Timestamp::from_secs(1000 + age),
        ) {
            Disposition::Reuse(_) => "reuse",
            Disposition::ReuseWhileRevalidating(_) => "swr",
            Disposition::Validate(Fwd::Stale, _) => "stale",
            Disposition::Validate(_, _) => "request",
            Disposition::Forward(_) => "forward",
            Disposition::GatewayTimeout => "504",
        }
    }

    #[test]
    fn age_and_windows_decide() {
        let at = |age| word(stored(), RequestControl::default(), age);
        assert_eq!(at(0), "reuse");
        assert_eq!(at(59), "reuse");
        assert_eq!(at(60), "swr", "fresh means lifetime > age");
        assert_eq!(at(89), "swr");
        assert_eq!(at(90), "stale");
    }

    #[test]
    fn request_directives_narrow_and_widen() {
        let ask = |change: fn(&mut RequestControl), age| {
            let mut request = RequestControl::default();
            change(&mut request);
            word(stored(), request, age)
        };
        assert_eq!(ask(|r| r.no_cache = true, 1), "request");
        assert_eq!(ask(|r| r.max_age = Some(10), 11), "request");
        assert_eq!(ask(|r| r.max_age = Some(10), 10), "reuse");
        assert_eq!(ask(|r| r.min_fresh = Some(30), 31), "request");
        assert_eq!(
            ask(|r| r.max_stale = Some(MaxStale::Seconds(100)), 150),
            "reuse"
        );
        assert_eq!(
            ask(|r| r.max_stale = Some(MaxStale::Seconds(10)), 150),
            "stale"
        );
        assert_eq!(ask(|r| r.only_if_cached = true, 150), "504");
        assert_eq!(ask(|r| r.only_if_cached = true, 1), "reuse");
    }

    #[test]
    fn a_soft_purge_makes_a_fresh_response_stale() {
        let soft = Stored {
            soft: true,
            ..stored()
        };
        assert_eq!(word(soft, RequestControl::default(), 1), "swr");
    }

    #[test]
    fn a_soft_purge_ends_what_immutable_promises() {
        // RFC 8246 §2 speaks of the freshness lifetime, which the purge has ended.
        let mut entry = stored();
        entry.terms.immutable = true;
        let reload = RequestControl {
            no_cache: true,
            ..RequestControl::default()
        };
        assert_eq!(word(entry, reload, 1), "reuse");
        let mut entry = stored();
        entry.terms.immutable = true;
        entry.soft = true;
        assert_eq!(word(entry, reload, 1), "request");
    }

    #[test]
    fn who_names_a_max_age_wants_nothing_stale() {
        let ask = |max_stale| RequestControl {
            max_age: Some(100),
            max_stale,
            ..RequestControl::default()
        };
        assert_eq!(word(stored(), ask(None), 59), "reuse");
        assert_eq!(word(stored(), ask(None), 61), "stale");
        assert_eq!(word(stored(), ask(Some(MaxStale::Seconds(5))), 61), "swr");
    }

    #[test]
    fn a_client_cannot_widen_the_window_of_what_must_be_revalidated() {
        let asked = RequestControl {
            stale_if_error: Some(100),
            ..RequestControl::default()
        };
        let mut entry = stored();
        entry.terms.stale_if_error = Duration::from_secs(5);
        let at = |entry: &Stored, age: u64| {
            may_stand_in(entry, &asked, Timestamp::from_secs(1000 + age))
        };
        assert!(at(&entry, 100));
        entry.terms.must_revalidate = true;
        assert!(at(&entry, 64));
        assert!(!at(&entry, 65));
    }

    #[test]
    fn no_cache_in_the_response_is_validated_each_time() {
        let mut entry = stored();
        entry.terms.no_cache = true;
        assert_eq!(word(entry, RequestControl::default(), 0), "stale");
    }

    #[test]
    fn a_stale_response_stands_in_only_within_its_window() {
        let request = RequestControl::default();
        let at = |age: u64| may_stand_in(&stored(), &request, Timestamp::from_secs(1000 + age));
        assert!(at(0) && at(359));
        assert!(!at(360));
        let mut strict = stored();
        strict.terms.must_revalidate = true;
        strict.terms.stale_if_error = Duration::ZERO;
        assert!(!may_stand_in(&strict, &request, Timestamp::from_secs(1061)));
        let mut validated = stored();
        validated.terms.no_cache = true;
        assert!(!may_stand_in(
            &validated,
            &request,
            Timestamp::from_secs(1001)
        ));
    }
}
