//! What became of requests: one counter for each route and outcome, found by index on the hot
//! path.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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

const ANSWERS: [Answer; 9] = [
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
struct Reason {
    reason: &'static str,
}

/// The cache's own metrics.
#[derive(Debug)]
pub struct CacheMetrics {
    /// By route and answer; the last row is "no route".
    answers: Vec<[Counter<u64, AtomicU64>; ANSWERS.len()]>,
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
    /// Fills that are running.
    pub fills: Gauge,
    /// Tunnels and streams of events.
    pub upgrades: Arc<UpgradeMetrics>,
    /// Bytes in the memory tier.
    pub memory_bytes: Gauge,
    /// Keys in the memory tier.
    pub memory_keys: Gauge,
}

impl CacheMetrics {
    /// `routes` in the order of their indices.
    pub fn register<'r>(registry: &mut Registry, routes: impl Iterator<Item = &'r str>) -> Self {
        let requests = Family::<RouteAnswer, Counter<u64, AtomicU64>>::default();
        registry.register(
            "requests",
            "Requests by route and outcome",
            requests.clone(),
        );
        let answers = routes
            .chain(std::iter::once(""))
            .map(|route| {
                ANSWERS.map(|answer| {
                    requests
                        .get_or_create(&RouteAnswer {
                            route: route.to_owned(),
                            outcome: answer.as_str(),
                        })
                        .clone()
                })
            })
            .collect();
        let metrics = Self {
            answers,
            not_stored: Family::default(),
            store_errors: Family::default(),
            not_derived: Family::default(),
            limits: Family::default(),
            language_drift: Counter::default(),
            derived: Counter::default(),
            purged_in_flight: Counter::default(),
            fills: Gauge::default(),
            upgrades: Arc::new(UpgradeMetrics::register(registry)),
            memory_bytes: Gauge::default(),
            memory_keys: Gauge::default(),
        };
        metrics.register_rest(registry);
        metrics
    }

    fn register_rest(&self, registry: &mut Registry) {
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

    /// Counts an answer; `route` is the route's index, if one matched.
    pub fn answered(&self, route: Option<usize>, answer: Answer) {
        let row = route
            .and_then(|index| self.answers.get(index))
            .or_else(|| self.answers.last());
        if let Some(counter) = row.and_then(|row| row.get(answer as usize)) {
            counter.inc();
        }
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
