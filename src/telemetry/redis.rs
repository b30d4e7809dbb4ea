//! What Redis does for this instance, and how Redis is.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::claims::ClaimMetrics;

/// Upper bounds of the lookup histogram, in seconds.
const LOOKUP_BUCKETS_SECONDS: [f64; 12] = [
    0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0,
];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Direction {
    direction: &'static str,
}

/// How a lookup in Redis ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Lookup {
    Hit,
    Miss,
    /// Nothing for these fields, but for others.
    OtherVariants,
    /// Redis was not asked, because it does not answer.
    Skipped,
    /// Redis was not asked, because too many do already.
    Busy,
    Deadline,
    Failed,
    Corrupt,
}

const LOOKUPS: [Lookup; 8] = [
    Lookup::Hit,
    Lookup::Miss,
    Lookup::OtherVariants,
    Lookup::Skipped,
    Lookup::Busy,
    Lookup::Deadline,
    Lookup::Failed,
    Lookup::Corrupt,
];

impl Lookup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::OtherVariants => "other_variants",
            Self::Skipped => "skipped",
            Self::Busy => "busy",
            Self::Deadline => "deadline",
            Self::Failed => "failed",
            Self::Corrupt => "corrupt",
        }
    }
}

/// The metrics of the Redis tier.
#[derive(Debug)]
pub struct RedisMetrics {
    lookups: Family<Outcome, Counter>,
    /// Of `lookups`, by outcome.
    ended: [Counter; LOOKUPS.len()],
    writes: Family<Outcome, Counter>,
    bytes: Family<Direction, Counter>,
    bytes_read: Counter,
    bytes_written: Counter,
    /// Commands that lookups sent.
    pub round_trips: Counter,
    /// Lookups that took two, because the guess of Vary was wrong.
    pub second_round_trips: Counter,
    latency: Histogram,
    /// Values that were not what they should be, and were dropped.
    pub corrupt: Counter,
    /// Times that Redis was given up for a while.
    pub trips: Counter,
    /// 1 while Redis is not asked.
    pub breaker_open: Gauge,
    /// Bytes that Redis uses, of all its servers.
    pub used_memory: Gauge,
    pub evicted_keys: Gauge,
    pub keyspace_hits: Gauge,
    pub keyspace_misses: Gauge,
    /// 1 where Redis may evict keys that have no lifetime.
    pub evicts_any: Gauge,
    pub claims: ClaimMetrics,
}

impl RedisMetrics {
    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        metrics.register_use(registry);
        metrics.claims.register(registry);
        metrics.register_server(registry);
        metrics
    }

    /// Metrics that nobody scrapes.
    pub fn unregistered() -> Self {
        let lookups = Family::<Outcome, Counter>::default();
        let ended = LOOKUPS.map(|outcome| {
            let outcome = outcome.as_str();
            lookups.get_or_create_owned(&Outcome { outcome })
        });
        let bytes = Family::<Direction, Counter>::default();
        Self {
            lookups,
            ended,
            writes: Family::default(),
            bytes_read: bytes.get_or_create_owned(&Direction { direction: "read" }),
            bytes_written: bytes.get_or_create_owned(&Direction {
                direction: "written",
            }),
            bytes,
            round_trips: Counter::default(),
            second_round_trips: Counter::default(),
            latency: Histogram::new(LOOKUP_BUCKETS_SECONDS),
            corrupt: Counter::default(),
            trips: Counter::default(),
            breaker_open: Gauge::default(),
            used_memory: Gauge::default(),
            evicted_keys: Gauge::default(),
            keyspace_hits: Gauge::default(),
            keyspace_misses: Gauge::default(),
            evicts_any: Gauge::default(),
            claims: ClaimMetrics::default(),
        }
    }

    pub fn looked_up(&self, outcome: Lookup) {
        if let Some(counter) = self.ended.get(outcome as usize) {
            counter.inc();
        }
    }

    pub fn took(&self, span: Duration) {
        self.latency.observe(span.as_secs_f64());
    }

    pub fn wrote(&self, outcome: &'static str) {
        self.writes.get_or_create(&Outcome { outcome }).inc();
    }

    /// A value of so many bytes was read.
    pub fn read(&self, bytes: usize) {
        self.bytes_read.inc_by(bytes as u64);
    }

    /// A value of so many bytes was written.
    pub fn written(&self, bytes: usize) {
        self.bytes_written.inc_by(bytes as u64);
    }

    fn register_use(&self, registry: &mut Registry) {
        registry.register(
            "redis_lookups",
            "Lookups in Redis, by outcome",
            self.lookups.clone(),
        );
        registry.register(
            "redis_writes",
            "Responses offered to Redis, by what became of them",
            self.writes.clone(),
        );
        registry.register(
            "redis_value_bytes",
            "Bytes of values read from Redis and written to it",
            self.bytes.clone(),
        );
        registry.register(
            "redis_round_trips",
            "Commands that lookups sent to Redis",
            self.round_trips.clone(),
        );
        registry.register(
            "redis_second_round_trips",
            "Lookups that took two round trips, because another Vary was expected",
            self.second_round_trips.clone(),
        );
        registry.register(
            "redis_lookup_seconds",
            "How long lookups in Redis take",
            self.latency.clone(),
        );
        registry.register(
            "redis_corrupt",
            "Values in Redis that were damaged or not ours, and were dropped",
            self.corrupt.clone(),
        );
        registry.register(
            "redis_trips",
            "Times that Redis did not answer and was given up for a while",
            self.trips.clone(),
        );
        registry.register(
            "redis_breaker_open",
            "1 while Redis is not asked because it does not answer",
            self.breaker_open.clone(),
        );
    }

    fn register_server(&self, registry: &mut Registry) {
        registry.register(
            "redis_used_memory_bytes",
            "Bytes that Redis uses, its servers together",
            self.used_memory.clone(),
        );
        registry.register(
            "redis_evicted_keys",
            "Keys that Redis has evicted since it started",
            self.evicted_keys.clone(),
        );
        registry.register(
            "redis_keyspace_hits",
            "Lookups of any client that found a key since Redis started",
            self.keyspace_hits.clone(),
        );
        registry.register(
            "redis_keyspace_misses",
            "Lookups of any client that found no key since Redis started",
            self.keyspace_misses.clone(),
        );
        registry.register(
            "redis_evicts_any",
            "1 where the policy of Redis may evict keys without a lifetime",
            self.evicts_any.clone(),
        );
    }
}
