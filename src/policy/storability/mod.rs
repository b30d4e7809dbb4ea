//! RFC 9111 §3: which responses may be stored.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::freshness::{Directives, Lifetime, Source, lifetime};
use super::rule::{CacheRule, OWN_STALE_WINDOW, Profile, TtlMode};
use super::{age, validation};
use crate::exchange::Exchange;
use crate::fields::cache_control::ResponseControl;
use crate::fields::media_type;
use crate::fields::vary::{Vary, VaryStar};

/// Proof that a response may be stored. Only [`assess`] makes one.
///
/// ```compile_fail,E0451
/// use cms_edge::policy::storability::Storable;
/// fn forge(storable: Storable) -> Storable {
///     Storable { status: http::StatusCode::OK, ..storable }
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Storable {
    status: StatusCode,
    headers: HeaderMap,
    vary: Vary,
    terms: Terms,
    exchange: Exchange,
}

/// On which terms a stored response may be reused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub lifetime: Lifetime,
    pub corrected_initial_age: Duration,
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    /// It must be validated before each reuse (`no-cache`).
    pub no_cache: bool,
    /// It must not be used stale, not even for a `max-stale` (§5.2.2.2, §5.2.2.8).
    pub must_revalidate: bool,
    /// `immutable`: a client's reload is no reason to validate while it is fresh (RFC 8246 §2).
    pub immutable: bool,
    /// `no-transform`: the content coding must stay as it is (§5.2.2.6).
    pub no_transform: bool,
}

/// Why a response was not stored. Data, not an error: a metric label, and the `detail` of
/// `Cache-Status`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NotStorable {
    Method,
    Status,
    NoStore,
    Private,
    Authorization,
    SetCookie,
    VaryStar,
    NoLifetime,
    RequestNoStore,
    EventStream,
    /// A 206 that cannot be kept as a part (§3.3).
    Partial,
}

impl NotStorable {
    pub const ALL: [Self; 11] = [
        Self::Method,
        Self::Status,
        Self::NoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::VaryStar,
        Self::NoLifetime,
        Self::RequestNoStore,
        Self::EventStream,
        Self::Partial,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryStar => "vary-star",
            Self::NoLifetime => "no-lifetime",
            Self::RequestNoStore => "request-no-store",
            Self::EventStream => "event-stream",
            Self::Partial => "partial",
        }
    }
}

/// What was asked: the parts of the request that storability depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// `no-store` among the request's directives, where these are honoured.
    pub no_store: bool,
}

/// §3, sentence by sentence, with the route's rule where §4.2.1 leaves it to the cache.
///
/// # Errors
/// The first reason against storing.
pub fn assess(
    asked: Asked<'_>,
    status: StatusCode,
    response: HeaderMap,
    exchange: Exchange,
    rule: &CacheRule,
) -> Result<Storable, NotStorable> {
    let directives = Directives::of(&response, rule);
    let terms = terms(&directives, &response, status, &exchange, rule);
    let vary = permitted(asked, status, &response, &directives, &terms, rule)?;
    // §3: "the response contains at least one of …": something must say for how long, or there
    // must be a validator that makes a stale response useful.
    let is_useless = terms.lifetime.fresh.is_zero() || terms.no_cache;
    if is_useless && !validation::has_validator(&response) {
        return Err(NotStorable::NoLifetime);
    }
    // `no-cache` alone says how the response may be reused: validated each time.
    if terms.lifetime.source == Source::Silence && !terms.no_cache {
        return Err(NotStorable::NoLifetime);
    }
    Ok(Storable {
        status,
        headers: response,
        vary,
        terms,
        exchange,
    })
}

fn permitted(
    asked: Asked<'_>,
    status: StatusCode,
    response: &HeaderMap,
    directives: &Directives,
    terms: &Terms,
    rule: &CacheRule,
) -> Result<Vary, NotStorable> {
    let control = &directives.control;
    // §3: "the request method is understood by the cache". A HEAD may freshen, it stores nothing.
    if asked.method != Method::GET {
        return Err(NotStorable::Method);
    }
    if !is_stored_status(status, rule) {
        return Err(NotStorable::Status);
    }
    if asked.no_store {
        return Err(NotStorable::RequestNoStore);
    }
    // It need not end, and what it told one reader is over when the next one comes.
    if media_type::is_event_stream(response) {
        return Err(NotStorable::EventStream);
    }
    // §3: "the no-store cache directive is not present in the response", and §5.2.2.3: with
    // must-understand, a cache that knows the status code ignores no-store, and one that does not
    // stores nothing.
    let forbids_storing = |control: &ResponseControl| match control.must_understand {
        true => !is_understood(status),
        false => control.no_store,
    };
    if forbids_storing(control) || strictly(directives, response, rule, forbids_storing) {
        return Err(NotStorable::NoStore);
    }
    // §3: "if the cache is shared: the private response directive is either not present or allows
    // a shared cache to store a modified response". A qualified form is treated as unqualified,
    // as §5.2.2.7 allows.
    let is_private =
        |control: &ResponseControl| control.private || !control.private_fields.is_empty();
    if is_private(control) || strictly(directives, response, rule, is_private) {
        return Err(NotStorable::Private);
    }
    // §3.5: "A shared cache MUST NOT use a cached response to a request with an Authorization
    // header field … unless the response contains a Cache-Control field with a response directive
    // that allows it": must-revalidate, public and s-maxage. The first and the last allow it "subject
    // to the above requirement on revalidation" (§5.2.2.2): not where the rule's lifetime stands in
    // the place of the origin's, and of that requirement.
    let is_revalidated = control.must_revalidate || control.s_maxage.is_some();
    let allows_authorization =
        control.public || is_revalidated && terms.lifetime.source != Source::Rule;
    if asked.headers.contains_key(AUTHORIZATION) && !allows_authorization {
        return Err(NotStorable::Authorization);
    }
    // A cookie is one client's. `no-cache="set-cookie"` would allow it without the field; an origin
    // that sets cookies by mistake does not write that. §7.3 leaves it to the origin: "The presence
    // of a Set-Cookie header field does not inhibit caching".
    if response.contains_key(SET_COOKIE) && rule.profile == Profile::Cms {
        return Err(NotStorable::SetCookie);
    }
    Vary::parse(response).map_err(|VaryStar| NotStorable::VaryStar)
}

/// §3: "the response status code is final". 206 and 304 need caches that combine, 226 one that
/// applies deltas (RFC 3229). In profile `cms` an error of the origin's, or one that is about who
/// asks and how, is stored only where the rule names it.
fn is_stored_status(status: StatusCode, rule: &CacheRule) -> bool {
    match (status.as_u16(), rule.profile) {
        (206 | 226 | 304 | 416, _) => false,
        (200..=599, Profile::Rfc) => true,
        (401 | 403 | 500..=599, Profile::Cms) => !rule.ttl_for(status).is_zero(),
        (200..=499, Profile::Cms) => !is_about_request(status) || !rule.ttl_for(status).is_zero(),
        _ => false,
    }
}

/// The final statuses of RFC 9110 §15 whose caching this cache implements.
const fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=415 | 417 | 421 | 422 | 426 | 500..=505
    )
}

/// Whether a status speaks of one request (its framing, its fields, its pace) and says nothing
/// about the resource. A stranger can provoke it with what is in no key: whatever lifetime the
/// origin gives it, it is no answer to the others.
pub const fn is_about_request(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 406..=408 | 411..=415 | 417 | 421 | 422 | 425 | 426 | 428 | 429 | 431
    )
}

impl NotStorable {
    /// Whether the same response to another request could have been stored.
    pub const fn is_about_request(self) -> bool {
        matches!(
            self,
            Self::Authorization | Self::RequestNoStore | Self::Partial
        )
    }
}

/// Under `strict_private` what `Cache-Control` forbids stays forbidden beside a targeted field.
fn strictly(
    directives: &Directives,
    response: &HeaderMap,
    rule: &CacheRule,
    forbids: impl Fn(&ResponseControl) -> bool,
) -> bool {
    rule.strict_private && directives.is_targeted && forbids(&ResponseControl::parse(response))
}

fn terms(
    directives: &Directives,
    response: &HeaderMap,
    status: StatusCode,
    exchange: &Exchange,
    rule: &CacheRule,
) -> Terms {
    let control = &directives.control;
    let lifetime = lifetime(directives, response, status, rule);
    let rule_replaces_no_cache =
        lifetime.source == Source::Rule && matches!(rule.mode, TtlMode::Floor | TtlMode::Override);
    let no_cache =
        (control.no_cache || !control.no_cache_fields.is_empty()) && !rule_replaces_no_cache;
    // Only a lifetime of the rule's own ends as the rule says; a heuristic one ends as the origin
    // does (§5.2.2.2: "once the response has become stale, a cache MUST NOT reuse that response").
    let rule_decides = lifetime.source == Source::Rule;
    // §5.2.2.10: s-maxage "incorporates the semantics of the proxy-revalidate response directive".
    let must_revalidate = !rule_decides
        && (control.must_revalidate || control.proxy_revalidate || control.s_maxage.is_some());
    let window = |said: Option<u64>, own: Duration| match said {
        // An explicit window stands, also beside s-maxage, as CDNs have it; the RFC does not.
        Some(seconds)
            if !(control.must_revalidate || must_revalidate && rule.profile == Profile::Rfc) =>
        {
            Duration::from_secs(seconds)
        }
        _ if must_revalidate => Duration::ZERO,
        _ => own,
    };
    // A lifetime that the origin gave ends when it says, unless the operator knows better.
    let own_window = match lifetime.source {
        Source::Rule => OWN_STALE_WINDOW,
        Source::Origin | Source::Heuristic | Source::Silence => Duration::ZERO,
    };
    let own_window = rule.stale_while_revalidate.unwrap_or(own_window);
    Terms {
        stale_while_revalidate: window(control.stale_while_revalidate, own_window),
        stale_if_error: window(control.stale_if_error, rule.stale_if_error),
        corrected_initial_age: age::corrected_initial_age(response, exchange),
        no_cache,
        must_revalidate,
        immutable: control.immutable,
        no_transform: control.no_transform || ResponseControl::parse(response).no_transform,
        lifetime,
    }
}

/// Response fields that may not be stored (§3.1): those between one client and one server.
pub const NEVER_STORED: [HeaderName; 5] = [
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-status"),
    HeaderName::from_static("age"),
];

impl Storable {
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The fields as the origin sent them.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The fields the origin nominated, all of them.
    pub const fn vary(&self) -> &Vary {
        &self.vary
    }

    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

#[cfg(test)]
mod tests;
