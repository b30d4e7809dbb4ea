//! What `/metrics` says, as far as a drill looks at it.

use tokio::time::Instant;

/// Sums over all series of a metric, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) at: Instant,
    pub(super) requests: f64,
    /// Errors of the edge's own.
    pub(super) failed: f64,
    /// Errors of the CMS that were not stood in for are passed on.
    pub(super) origin_errors: f64,
    pub(super) stale_on_error: f64,
    pub(super) hits: f64,
    pub(super) origin: f64,
    /// Seconds until the head of a response, of so many.
    pub(super) seconds: f64,
    pub(super) timed: f64,
    pub(super) deadlines: f64,
    pub(super) trips: f64,
    pub(super) fenced: f64,
    pub(super) is_breaker_open: bool,
    pub(super) is_log_connected: bool,
    pub(super) is_serving: bool,
}

impl Figures {
    pub(super) fn read(text: &str) -> Self {
        let sum = |name: &str, label: &str| -> f64 {
            text.lines()
                .filter_map(|line| value(line, name, label))
                .sum()
        };
        let is_one = |name| sum(name, "") >= 1.0;
        Self {
            at: Instant::now(),
            requests: sum("requests_total", ""),
            failed: sum("requests_total", "outcome=\"failed\""),
            origin_errors: sum("origin_requests_total", "result=\"5xx\""),
            stale_on_error: sum("requests_total", "outcome=\"stale_on_error\""),
            hits: sum("hits_total", ""),
            origin: sum("origin_requests_total", ""),
            seconds: sum("request_duration_seconds_sum", ""),
            timed: sum("request_duration_seconds_count", ""),
            deadlines: sum("redis_lookups_total", "outcome=\"deadline\""),
            trips: sum("redis_trips_total", ""),
            fenced: sum("purge_log_fenced_total", ""),
            is_breaker_open: is_one("redis_breaker_open"),
            is_log_connected: is_one("purge_log_connected"),
            is_serving: is_one("purge_log_serving"),
        }
    }
}

/// The value of a line, if it is of this metric and has this label.
fn value(line: &str, name: &str, label: &str) -> Option<f64> {
    let rest = line.strip_prefix("cms_edge_")?.strip_prefix(name)?;
    if !rest.starts_with([' ', '{']) || !rest.contains(label) {
        return None;
    }
    // An exemplar may follow.
    let series = rest.split(" # ").next()?;
    series.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_metric_are_summed() {
        let text = "# TYPE cms_edge_requests counter\n\
            cms_edge_requests_total{route=\"a b\",outcome=\"hit\"} 7\n\
            cms_edge_requests_total{route=\"c\",outcome=\"failed\"} 2\n\
            cms_edge_requests_total_other{outcome=\"failed\"} 9\n\
            cms_edge_origin_requests_total{upstream=\"cms\",result=\"5xx\"} 3\n\
            cms_edge_request_duration_seconds_sum{route=\"c\"} 0.25\n\
            cms_edge_redis_breaker_open 1\n# EOF\n";
        let figures = Figures::read(text);
        assert!((figures.requests - 9.0).abs() < 1e-9);
        assert!((figures.failed - 2.0).abs() < 1e-9);
        assert!((figures.origin_errors - 3.0).abs() < 1e-9);
        assert!((figures.seconds - 0.25).abs() < 1e-9);
        assert!(figures.is_breaker_open && !figures.is_serving);
    }
}
