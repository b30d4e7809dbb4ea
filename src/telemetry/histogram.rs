//! Durations of requests by route, outcome and language. Counted without a lock: a request holds
//! the index of its row, and adds to two atomics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Upper bounds in microseconds, inclusive: from a hit in memory to an origin's timeout.
const BOUNDS_MICROS: [u64; BOUNDS] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
const BOUNDS: usize = 18;

/// Rows at a time, one for each route and language that there ever was: routes of configurations
/// that are gone stay until a restart.
const ROWS_MAX: usize = 20_000;

/// A histogram with fixed buckets. The count is the sum of the buckets.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS],
    beyond: AtomicU64,
    nanos: AtomicU64,
}

/// The histograms of one route and language, one for each outcome; those that nothing was observed
/// in are not there.
#[derive(Debug)]
pub struct Row<const OUTCOMES: usize>([OnceLock<Box<Histogram>>; OUTCOMES]);

/// All rows, by route and language. A clone is the same.
#[derive(Clone)]
pub struct Durations<const OUTCOMES: usize> {
    rows: Arc<Mutex<Rows<OUTCOMES>>>,
    outcomes: [&'static str; OUTCOMES],
    rows_max: usize,
}

type Rows<const OUTCOMES: usize> = BTreeMap<(Box<str>, Box<str>), Arc<Row<OUTCOMES>>>;

impl<const OUTCOMES: usize> Durations<OUTCOMES> {
    /// `outcomes` are the values of the label, in the order of their indices.
    pub fn new(outcomes: [&'static str; OUTCOMES]) -> Self {
        Self {
            rows: Arc::default(),
            outcomes,
            rows_max: ROWS_MAX,
        }
    }

    /// The row of a route and a language, which is made if there is room for another one.
    pub fn row(&self, route: &str, language: &str) -> Option<Arc<Row<OUTCOMES>>> {
        let mut rows = self.rows.lock();
        let key = (Box::from(route), Box::from(language));
        if let Some(row) = rows.get(&key) {
            return Some(Arc::clone(row));
        }
        if rows.len() >= self.rows_max {
            return None;
        }
        let row = Arc::new(Row(std::array::from_fn(|_| OnceLock::new())));
        rows.insert(key, Arc::clone(&row));
        Some(row)
    }
}

impl<const OUTCOMES: usize> Row<OUTCOMES> {
    /// Counts a request. An outcome without an index is not counted.
    pub fn observe(&self, outcome: usize, took: Duration) {
        if let Some(histogram) = self.0.get(outcome) {
            histogram.get_or_init(Box::default).observe(took);
        }
    }
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.partition_point(|bound| bound * 1000 < nanos);
        let bucket = self.buckets.get(at).unwrap_or(&self.beyond);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let bounds = BOUNDS_MICROS.iter().map(|bound| seconds(*bound));
        let bounds = bounds.chain(std::iter::once(f64::INFINITY));
        let counts = self.buckets.iter().chain(std::iter::once(&self.beyond));
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl<const OUTCOMES: usize> EncodeMetric for Durations<OUTCOMES> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // A copy of the handles: requests of a new configuration do not wait for the scrape.
        let rows: Vec<_> = {
            let rows = self.rows.lock();
            rows.iter()
                .map(|(key, row)| (key.clone(), Arc::clone(row)))
                .collect()
        };
        for ((route, language), row) in rows {
            for (outcome, histogram) in self.outcomes.iter().zip(&row.0) {
                let Some(histogram) = histogram.get() else {
                    continue;
                };
                let labels = [
                    ("route", &*route),
                    ("outcome", outcome),
                    ("language", &*language),
                ];
                histogram.encode(&mut encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        let rows = self.rows.lock();
        let mut histograms = rows.values().flat_map(|row| &row.0);
        histograms.all(|histogram| histogram.get().is_none())
    }
}

impl<const OUTCOMES: usize> fmt::Debug for Durations<OUTCOMES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.lock().len();
        f.debug_struct("Durations").field("rows", &rows).finish()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::{Registry, Unit};

    use super::*;

    #[test]
    fn an_observation_is_in_its_bucket_and_in_all_above() {
        let mut registry = Registry::default();
        let durations = Durations::new(["hit", "miss"]);
        registry.register_with_unit("took", "-", Unit::Seconds, durations.clone());
        let row = durations.row("all", "de").unwrap();
        for micros in [50, 51, 40_000_000] {
            row.observe(0, Duration::from_micros(micros));
        }
        row.observe(2, Duration::ZERO);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let labels = "route=\"all\",outcome=\"hit\",language=\"de\"";
        for line in [
            format!("took_seconds_sum{{{labels}}} 40.000101\n"),
            format!("took_seconds_count{{{labels}}} 3\n"),
            format!("took_seconds_bucket{{le=\"0.00005\",{labels}}} 1\n"),
            format!("took_seconds_bucket{{le=\"0.0001\",{labels}}} 2\n"),
            format!("took_seconds_bucket{{le=\"30.0\",{labels}}} 2\n"),
            format!("took_seconds_bucket{{le=\"+Inf\",{labels}}} 3\n"),
        ] {
            assert!(text.contains(&line), "{line} in\n{text}");
        }
        assert!(!text.contains("miss"), "nothing was observed: {text}");
    }

    #[test]
    fn the_same_names_are_the_same_row_and_there_are_not_more_than_the_bound() {
        let durations = Durations {
            rows_max: 1,
            ..Durations::new(["hit"])
        };
        let row = durations.row("all", "").unwrap();
        assert!(Arc::ptr_eq(&row, &durations.row("all", "").unwrap()));
        assert!(durations.row("other", "").is_none());
    }
}
