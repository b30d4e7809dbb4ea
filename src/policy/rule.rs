//! What an operator says about storing a route's responses.

use std::time::Duration;

use http::StatusCode;

/// One route's cache rule.
#[derive(Clone, Debug)]
pub struct CacheRule {
    /// Freshness lifetime where the rule decides.
    pub ttl: Duration,
    pub mode: TtlMode,
    /// No response stays fresh longer than this, whoever said so: the ceiling for purges that a
    /// CMS lost on the way.
    pub ttl_max: Duration,
    /// Lifetimes of other statuses than 200 and 203 where the rule decides; the first match counts.
    pub ttl_by_status: Vec<StatusTtl>,
    /// `None`: [`OWN_STALE_WINDOW`] where the rule decided the lifetime, nothing where the origin did.
    pub stale_while_revalidate: Option<Duration>,
    pub stale_if_error: Duration,
    /// What clients may do where the rule decided; `None`: keep it, and validate each time.
    pub browser_ttl: Option<Duration>,
    /// How long an uncacheable outcome keeps requests from waiting for each other.
    pub hit_for_miss: Duration,
    /// Bytes of content; a larger response streams through.
    pub object_size_max: usize,
    /// Refuse `private` and `no-store` in `Cache-Control` even where a targeted field allows
    /// storing (RFC 9213 §2.2 would not).
    pub strict_private: bool,
    /// Whether `Surrogate-Control` is heard, after the targeted fields of RFC 9213 and before
    /// `Cache-Control`.
    pub surrogate_control: bool,
    /// Whether request directives such as `no-cache` are honoured (RFC 9111 §5.2.1).
    pub request_directives: bool,
    pub profile: Profile,
}

/// The default of `stale_while_revalidate` for lifetimes of the rule.
pub const OWN_STALE_WINDOW: Duration = Duration::from_secs(30);

/// What is decided where RFC 9111 leaves it to the cache.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// What is safe before a CMS: no response that sets a cookie or that speaks of one request, no
    /// error and no lifetime that nobody gave.
    #[default]
    Cms,
    /// All that the RFC permits to store is stored, with heuristic freshness (§4.2.2).
    Rfc,
}

/// How the rule and the origin's own words combine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TtlMode {
    /// The rule counts only where the origin is silent.
    Default,
    /// The shorter of the two.
    Cap,
    /// The longer of the two; also replaces `no-cache`.
    Floor,
    /// The rule, whatever the origin says but for `private` and `no-store`.
    Override,
}

/// A lifetime for one status or, as `5xx`, for one class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusTtl {
    /// 200–599, or the class as 2–5.
    pub status: u16,
    pub ttl: Duration,
}

impl CacheRule {
    /// The rule's lifetime for a status. Zero: the rule stores none of these.
    pub fn ttl_for(&self, status: StatusCode) -> Duration {
        let code = status.as_u16();
        let listed = self
            .ttl_by_status
            .iter()
            .find(|by| by.status == code)
            .or_else(|| self.ttl_by_status.iter().find(|by| by.status == code / 100));
        match listed {
            Some(by) => by.ttl,
            None if matches!(code, 200 | 203) => self.ttl,
            None => Duration::ZERO,
        }
    }
}

impl Default for CacheRule {
    fn default() -> Self {
        Self {
            ttl: Duration::ZERO,
            mode: TtlMode::Default,
            ttl_max: Duration::from_secs(365 * 24 * 3600),
            ttl_by_status: Vec::new(),
            stale_while_revalidate: Some(Duration::ZERO),
            stale_if_error: Duration::ZERO,
            browser_ttl: None,
            hit_for_miss: Duration::from_secs(10),
            object_size_max: 8 << 20,
            strict_private: true,
            surrogate_control: false,
            request_directives: true,
            profile: Profile::Cms,
        }
    }
}
