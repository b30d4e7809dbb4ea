//! What happened between this instance and the origin servers, per upstream.
//!
//! Labels are names from the configuration and fixed words, so the number of series is bounded.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::origin_pool::{PoolFamilies, PoolMetrics};
use super::servers::{CareFamilies, CareMetrics};

/// Upper bounds of the first-byte histogram, in seconds: from a warm CMS cache to its timeout.
const FIRST_BYTE_BUCKETS_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Every series about origin servers. One per process; an upstream takes its part by name.
#[derive(Clone, Debug)]
pub struct OriginMetrics {
    requests: Family<ResultLabels, Counter>,
    broken_bodies: Family<ReasonLabels, Counter>,
    limit_hits: Family<ReasonLabels, Counter>,
    retries: Family<ReasonLabels, Counter>,
    interim: Family<ReasonLabels, Counter>,
    first_byte: Family<UpstreamLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<UpstreamLabels, Gauge>,
    queued: Family<UpstreamLabels, Gauge>,
    pool: PoolFamilies,
    care: CareFamilies,
}

impl OriginMetrics {
    /// Makes the series and puts them into `registry`, which gives the prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register_counters(registry);
        metrics.care.register(registry);
        registry.register_with_unit(
            "origin_first_byte",
            "Time from handing a request to a connection until the head of the response",
            Unit::Seconds,
            metrics.first_byte.clone(),
        );
        registry.register(
            "origin_in_flight",
            "Exchanges that hold a place of the upstream's concurrency limit",
            metrics.in_flight.clone(),
        );
        registry.register(
            "origin_queued",
            "Requests that wait for a place of the upstream's concurrency limit",
            metrics.queued.clone(),
        );
        metrics
    }

    /// The series of the upstream `name`.
    pub fn upstream(&self, name: &str) -> UpstreamMetrics {
        let labels = UpstreamLabels {
            upstream: name.to_owned(),
        };
        UpstreamMetrics {
            first_byte: self.first_byte.get_or_create_owned(&labels),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            queued: self.queued.get_or_create_owned(&labels),
            pool: self.pool.upstream(name),
            care: self.care.upstream(name),
            name: labels.upstream,
            all: self.clone(),
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        registry.register(
            "origin_requests",
            "Requests to the upstream, by class of status or by what went wrong",
            self.requests.clone(),
        );
        let by_reason = [
            (
                "origin_broken_bodies",
                "Responses whose content broke off, by what went wrong",
                &self.broken_bodies,
            ),
            (
                "origin_limit_hits",
                "Requests refused because the upstream's queue was full or too slow",
                &self.limit_hits,
            ),
            (
                "origin_retries",
                "Attempts after the first one, by what went wrong before",
                &self.retries,
            ),
            (
                "origin_interim_responses",
                "Interim responses (1xx), by whether they were sent on or why not",
                &self.interim,
            ),
        ];
        for (name, help, family) in by_reason {
            registry.register(name, help, family.clone());
        }
        self.pool.register(registry);
    }
}

impl Default for OriginMetrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(FIRST_BYTE_BUCKETS_SECONDS);
        Self {
            requests: Family::default(),
            broken_bodies: Family::default(),
            limit_hits: Family::default(),
            retries: Family::default(),
            interim: Family::default(),
            first_byte: Family::new_with_constructor(histogram),
            in_flight: Family::default(),
            queued: Family::default(),
            pool: PoolFamilies::default(),
            care: CareFamilies::default(),
        }
    }
}

/// The series of one upstream, looked up once.
#[derive(Clone, Debug)]
pub struct UpstreamMetrics {
    name: String,
    all: OriginMetrics,
    first_byte: Histogram,
    in_flight: Gauge,
    queued: Gauge,
    pool: PoolMetrics,
    care: CareMetrics,
}

impl UpstreamMetrics {
    /// A response head came, with this status code.
    pub fn answered(&self, status: u16) {
        self.count_result(status_class(status));
    }

    /// No response: `reason` is one fixed word.
    pub fn failed(&self, reason: &'static str) {
        self.count_result(reason);
    }

    /// The content of a response broke off.
    pub fn body_broken(&self, reason: &'static str) {
        self.count(&self.all.broken_bodies, reason);
    }

    /// A request was refused by the concurrency limit.
    pub fn limit_hit(&self, reason: &'static str) {
        self.count(&self.all.limit_hits, reason);
    }

    /// Another attempt follows, because of `reason`.
    pub fn retried(&self, reason: &'static str) {
        self.count(&self.all.retries, reason);
    }

    /// An interim response came, and `outcome` became of it.
    pub fn interim(&self, outcome: &'static str) {
        self.count(&self.all.interim, outcome);
    }

    pub fn first_byte(&self, waited: Duration) {
        self.first_byte.observe(waited.as_secs_f64());
    }

    /// The series about its connections.
    pub const fn pool(&self) -> &PoolMetrics {
        &self.pool
    }

    /// The series of its single servers, and of what spares it.
    pub const fn care(&self) -> &CareMetrics {
        &self.care
    }

    /// One exchange more in flight until the level is dropped.
    pub fn in_flight(&self) -> Level {
        Level::raise(&self.in_flight)
    }

    /// One request more in the queue until the level is dropped.
    pub fn queued(&self) -> Level {
        Level::raise(&self.queued)
    }

    fn count_result(&self, result: &'static str) {
        let labels = ResultLabels {
            upstream: self.name.clone(),
            result,
        };
        self.all.requests.get_or_create(&labels).inc();
    }

    fn count(&self, family: &Family<ReasonLabels, Counter>, reason: &'static str) {
        let labels = ReasonLabels {
            upstream: self.name.clone(),
            reason,
        };
        family.get_or_create(&labels).inc();
    }
}

/// A gauge that is one higher for as long as this lives.
#[derive(Debug)]
pub struct Level(Gauge);

impl Level {
    pub(super) fn raise(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResultLabels {
    upstream: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    upstream: String,
    reason: &'static str,
}

const fn status_class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn what_happened_is_found_in_the_exposition() {
        let mut registry = Registry::default();
        let metrics = OriginMetrics::register(&mut registry).upstream("cms");
        let level = metrics.in_flight();
        metrics.answered(204);
        metrics.failed("connect");
        metrics.first_byte(Duration::from_millis(20));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "origin_requests_total{upstream=\"cms\",result=\"2xx\"} 1",
            "origin_requests_total{upstream=\"cms\",result=\"connect\"} 1",
            "origin_in_flight{upstream=\"cms\"} 1",
            "origin_first_byte_seconds_bucket{le=\"0.025\",upstream=\"cms\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        drop(level);
        text.clear();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("origin_in_flight{upstream=\"cms\"} 0"));
    }
}
