//! What became of requests: counters and durations for each route, found by index on the hot path.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::{Durations, Row};

use super::upgrade::UpgradeMetrics;

/// How a request was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Answer {
    /// From the store, fresh.
    Hit,
    /// From the store, stale, and being validated.
    Stale,
    /// From the store, stale, because the origin failed.
    StaleOnError,
    /// From the store, after the origin said it is still good.
    Revalidated,
    /// From another request's exchange.
    Collapsed,
    /// From the origin; it may be stored.
    Miss,
    /// From the origin, never stored.
    Bypass,
    /// By an error of ours: the origin failed.
    Failed,
    /// By a refusal of ours: the request was at fault.
    Refused,
}

const ALL: usize = 9;

const ANSWERS: [Answer; ALL] = [
    Answer::Hit,
    Answer::Stale,
    Answer::StaleOnError,
    Answer::Revalidated,
    Answer::Collapsed,
    Answer::Miss,
    Answer::Bypass,
    Answer::Failed,
    Answer::Refused,
];

impl Answer {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::StaleOnError => "stale_on_error",
            Self::Revalidated => "revalidated",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteAnswer {
    route: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TierLabel {
    tier: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

type Count = Counter<u64, AtomicU64>;

/// A route by what its metrics are called. Both are the operator's words, never a client's.
#[derive(Clone, Debug)]
pub struct RouteLabels<'r> {
    pub name: &'r str,
    /// In the order of their indices; none for a route without languages.
    pub languages: Vec<&'r str>,
}

/// What is counted of a request that has been answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The route's index, if one matched.
    pub route: Option<usize>,
    /// The language's index, where one was negotiated.
    pub language: Option<usize>,
    pub answer: Answer,
    /// Until the head of the response.
    pub took: Duration,
}

/// The cache's own metrics. Clones count into the same; each has the routes it was made
/// [for](Self::for_routes).
#[derive(Clone, Debug)]
pub struct CacheMetrics {
    /// By route; the last row is "no route".
    routes: Arc<[RouteRow]>,
    requests: Family<RouteAnswer, Count>,
    durations: Durations<ALL>,
    bytes: Family<RouteLabel, Count>,
    hits: Family<TierLabel, Count>,
    memory_hits: Count,
    redis_hits: Count,
    misses: Family<Reason, Counter>,
    bypasses: Family<Reason, Counter>,
    not_stored: Family<Reason, Counter>,
    store_errors: Family<Reason, Counter>,
    not_derived: Family<Reason, Counter>,
    limits: Family<Reason, Counter>,
    /// Origin answers in another language than was asked for.
    pub language_drift: Counter,
    /// Representations that were compressed or decompressed for the store.
    pub derived: Counter,
    /// Answers that were purged while they were on their way.
    pub purged_in_flight: Counter,
    /// Requests that did not wait for others because the last answer could not be shared.
    pub hit_for_miss: Counter,
    /// Fills that are running.
    pub fills: Gauge,
    /// Tunnels and streams of events.
    pub upgrades: Arc<UpgradeMetrics>,
    /// Bytes in the memory tier.
    pub memory_bytes: Gauge,
    /// Keys in the memory tier.
    pub memory_keys: Gauge,
}

/// The counters of one route.
#[derive(Debug)]
struct RouteRow {
    answers: [Count; ALL],
    /// Of requests without a language, and then by language.
    durations: Vec<Arc<Row<ALL>>>,
    bytes: Count,
}

impl CacheMetrics {
    /// Metrics for no route yet.
    pub fn register(registry: &mut Registry) -> Self {
        let hits = Family::<TierLabel, Count>::default();
        let metrics = Self {
            routes: Arc::new([]),
            requests: Family::default(),
            durations: Durations::new(ANSWERS.map(Answer::as_str)),
            bytes: Family::default(),
            memory_hits: hits.get_or_create_owned(&TierLabel { tier: "memory" }),
            redis_hits: hits.get_or_create_owned(&TierLabel { tier: "redis" }),
            hits,
            misses: Family::default(),
            bypasses: Family::default(),
            not_stored: Family::default(),
            store_errors: Family::default(),
            not_derived: Family::default(),
            limits: Family::default(),
            language_drift: Counter::default(),
            derived: Counter::default(),
            purged_in_flight: Counter::default(),
            hit_for_miss: Counter::default(),
            fills: Gauge::default(),
            upgrades: Arc::new(UpgradeMetrics::register(registry)),
            memory_bytes: Gauge::default(),
            memory_keys: Gauge::default(),
        };
        metrics.register_requests(registry);
        metrics.register_reasons(registry);
        metrics.register_rest(registry);
        metrics.for_routes(std::iter::empty())
    }

    /// The same metrics with a table for these routes, which are in the order of their indices.
    /// Routes of the same name go on counting where they were. A route for which there is no more
    /// room is counted as "no route".
    pub fn for_routes<'r>(&self, routes: impl Iterator<Item = RouteLabels<'r>>) -> Self {
        let mut rows: Vec<RouteRow> = Vec::new();
        for labels in routes {
            rows.push(self.row(&labels).unwrap_or_else(|| {
                self.limit("route-series");
                self.no_route()
            }));
        }
        rows.push(self.no_route());
        Self {
            routes: rows.into(),
            ..self.clone()
        }
    }

    fn row(&self, labels: &RouteLabels<'_>) -> Option<RouteRow> {
        let languages = std::iter::once(&"").chain(&labels.languages);
        let durations = languages.map(|language| self.durations.row(labels.name, language));
        let durations = durations.collect::<Option<_>>()?;
        let route = labels.name.to_owned();
        Some(RouteRow {
            answers: ANSWERS.map(|answer| {
                self.requests.get_or_create_owned(&RouteAnswer {
                    route: route.clone(),
                    outcome: answer.as_str(),
                })
            }),
            durations,
            bytes: self.bytes.get_or_create_owned(&RouteLabel { route }),
        })
    }

    /// Counts as a request that no route matched; made first, so that there is room.
    fn no_route(&self) -> RouteRow {
        let label = RouteLabel {
            route: String::new(),
        };
        RouteRow {
            answers: ANSWERS.map(|answer| {
                self.requests.get_or_create_owned(&RouteAnswer {
                    route: String::new(),
                    outcome: answer.as_str(),
                })
            }),
            durations: self.durations.row("", "").into_iter().collect(),
            bytes: self.bytes.get_or_create_owned(&label),
        }
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests by route and outcome",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time until the head of the response, by route, outcome and language",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "response_content_bytes",
            "Bytes of content that were handed to connections, by route",
            self.bytes.clone(),
        );
        registry.register(
            "hits",
            "Requests that were answered from a store, by tier",
            self.hits.clone(),
        );
        registry.register(
            "misses",
            "Requests that went forward, by why",
            self.misses.clone(),
        );
        registry.register(
            "bypasses",
            "Requests that were passed on by rule, by why",
            self.bypasses.clone(),
        );
        registry.register(
            "hit_for_miss",
            "Requests that waited for nobody because the last answer could not be shared",
            self.hit_for_miss.clone(),
        );
    }

    fn register_reasons(&self, registry: &mut Registry) {
        registry.register(
            "not_stored",
            "Responses that were not stored, by reason",
            self.not_stored.clone(),
        );
        registry.register(
            "store_errors",
            "Failures of the store that were treated as misses, by kind",
            self.store_errors.clone(),
        );
        registry.register(
            "not_derived",
            "Representations that could not be derived, by reason",
            self.not_derived.clone(),
        );
        registry.register(
            "cache_limits",
            "Bounds of the cache that were hit, by name",
            self.limits.clone(),
        );
    }

    fn register_rest(&self, registry: &mut Registry) {
        registry.register(
            "language_drift",
            "Origin responses in another language than was asked for",
            self.language_drift.clone(),
        );
        registry.register(
            "derived",
            "Representations that were derived for the store",
            self.derived.clone(),
        );
        registry.register(
            "purged_in_flight",
            "Responses that were purged while they were on their way",
            self.purged_in_flight.clone(),
        );
        registry.register("fills", "Fills that are running", self.fills.clone());
        registry.register(
            "memory_bytes",
            "Bytes that stored responses take in memory",
            self.memory_bytes.clone(),
        );
        registry.register(
            "memory_keys",
            "Primary keys in memory",
            self.memory_keys.clone(),
        );
    }

    /// Counts an answer.
    pub fn answered(&self, answered: Answered) {
        let Some(row) = self.row_of(answered.route) else {
            return;
        };
        let outcome = answered.answer as usize;
        if let Some(counter) = row.answers.get(outcome) {
            counter.inc();
        }
        let language = answered.language.map_or(0, |index| index + 1);
        if let Some(durations) = row
            .durations
            .get(language)
            .or_else(|| row.durations.first())
        {
            durations.observe(outcome, answered.took);
        }
    }

    /// The counter of a route's bytes, for content that is on its way.
    pub fn bytes(&self, route: Option<usize>) -> Option<&Count> {
        self.row_of(route).map(|row| &row.bytes)
    }

    fn row_of(&self, route: Option<usize>) -> Option<&RouteRow> {
        route
            .and_then(|index| self.routes.get(index))
            .or_else(|| self.routes.last())
    }

    /// A request was answered from memory.
    pub fn memory_hit(&self) {
        self.memory_hits.inc();
    }

    /// A request was answered from Redis.
    pub fn redis_hit(&self) {
        self.redis_hits.inc();
    }

    /// A request went forward; `reason` is the `fwd` of RFC 9211 §2.2.
    pub fn missed(&self, reason: &'static str) {
        self.misses.get_or_create(&Reason { reason }).inc();
    }

    /// A request was passed on by rule.
    pub fn bypassed(&self, reason: &'static str) {
        self.bypasses.get_or_create(&Reason { reason }).inc();
    }

    pub fn not_stored(&self, reason: &'static str) {
        self.not_stored.get_or_create(&Reason { reason }).inc();
    }

    pub fn store_error(&self, reason: &'static str) {
        self.store_errors.get_or_create(&Reason { reason }).inc();
    }

    pub fn not_derived(&self, reason: &'static str) {
        self.not_derived.get_or_create(&Reason { reason }).inc();
    }

    pub fn limit(&self, reason: &'static str) {
        self.limits.get_or_create(&Reason { reason }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn hit(route: usize, language: Option<usize>) -> Answered {
        Answered {
            route: Some(route),
            language,
            answer: Answer::Hit,
            took: Duration::from_millis(1),
        }
    }

    #[test]
    fn routes_of_the_same_name_go_on_counting_with_another_configuration() {
        let mut registry = Registry::default();
        let metrics = CacheMetrics::register(&mut registry);
        let route = |name, languages: &[&'static str]| RouteLabels {
            name,
            languages: languages.to_vec(),
        };
        let before = metrics.for_routes([route("a", &["en"]), route("b", &[])].into_iter());
        before.answered(hit(0, Some(0)));
        before.answered(hit(7, None));
        let after = before.for_routes([route("b", &[]), route("a", &["de", "en"])].into_iter());
        after.answered(hit(1, Some(1)));
        after.answered(hit(0, Some(9)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "requests_total{route=\"a\",outcome=\"hit\"} 2",
            "requests_total{route=\"b\",outcome=\"hit\"} 1",
            "requests_total{route=\"\",outcome=\"hit\"} 1",
            "request_duration_seconds_count{route=\"a\",outcome=\"hit\",language=\"en\"} 2",
            "request_duration_seconds_count{route=\"b\",outcome=\"hit\",language=\"\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
