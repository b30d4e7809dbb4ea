//! What becomes of the single servers of an upstream, and of the measures that spare it.
//!
//! Labels are names from the configuration and fixed words, so the number of series is bounded.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The series of all upstreams.
#[derive(Clone, Debug, Default)]
pub(super) struct CareFamilies {
    in_flight: Family<ServerLabels, Gauge>,
    up: Family<ServerLabels, Gauge>,
    ejections: Family<ServerLabels, Counter>,
    checks: Family<CheckLabels, Counter>,
    breaker_state: Family<UpstreamLabels, Gauge>,
    breaker_opened: Family<UpstreamLabels, Counter>,
    budget_exhausted: Family<UpstreamLabels, Counter>,
    slow: Family<UpstreamLabels, Counter>,
}

impl CareFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "origin_server_in_flight",
            "Exchanges with the server, until the end of their content",
            self.in_flight.clone(),
        );
        registry.register(
            "origin_server_up",
            "1, or 0 while the server is left out after failures or health checks",
            self.up.clone(),
        );
        registry.register(
            "origin_ejections",
            "Times a server was left out after repeated failures",
            self.ejections.clone(),
        );
        registry.register(
            "origin_health_checks",
            "Health checks of the server, by result",
            self.checks.clone(),
        );
        registry.register(
            "origin_breaker_state",
            "The circuit breaker of the upstream: 0 closed, 1 half-open, 2 open",
            self.breaker_state.clone(),
        );
        registry.register(
            "origin_breaker_opened",
            "Times the circuit breaker of the upstream opened",
            self.breaker_opened.clone(),
        );
        registry.register(
            "origin_retry_budget_exhausted",
            "Attempts that did not follow because the retry budget was spent",
            self.budget_exhausted.clone(),
        );
        registry.register(
            "origin_slow",
            "Exchanges whose head took longer than the slow_threshold of the upstream",
            self.slow.clone(),
        );
    }

    pub(super) fn upstream(&self, name: &str) -> CareMetrics {
        let labels = UpstreamLabels {
            upstream: name.to_owned(),
        };
        CareMetrics {
            breaker: BreakerMetrics {
                state: self.breaker_state.get_or_create_owned(&labels),
                opened: self.breaker_opened.get_or_create_owned(&labels),
            },
            budget_exhausted: self.budget_exhausted.get_or_create_owned(&labels),
            slow: self.slow.get_or_create_owned(&labels),
            name: labels.upstream,
            all: self.clone(),
        }
    }
}

/// The series of one upstream, looked up once.
#[derive(Clone, Debug)]
pub struct CareMetrics {
    name: String,
    all: CareFamilies,
    breaker: BreakerMetrics,
    budget_exhausted: Counter,
    slow: Counter,
}

impl CareMetrics {
    /// `server` is a `host:port` of the configuration.
    pub fn server(&self, server: &str) -> ServerMetrics {
        let labels = ServerLabels {
            upstream: self.name.clone(),
            server: server.to_owned(),
        };
        let checks_of = |result| {
            let labels = CheckLabels {
                upstream: self.name.clone(),
                server: server.to_owned(),
                result,
            };
            self.all.checks.get_or_create_owned(&labels)
        };
        ServerMetrics {
            in_flight: self.all.in_flight.get_or_create_owned(&labels),
            up: self.all.up.get_or_create_owned(&labels),
            ejections: self.all.ejections.get_or_create_owned(&labels),
            good_checks: checks_of("good"),
            bad_checks: checks_of("bad"),
        }
    }

    pub fn breaker(&self) -> BreakerMetrics {
        self.breaker.clone()
    }

    /// An attempt did not follow because too many had followed others.
    pub fn budget_exhausted(&self) {
        self.budget_exhausted.inc();
    }

    pub fn slow(&self) {
        self.slow.inc();
    }
}

/// The series of one server, looked up once.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    in_flight: Gauge,
    up: Gauge,
    ejections: Counter,
    good_checks: Counter,
    bad_checks: Counter,
}

impl ServerMetrics {
    pub fn began(&self) {
        self.in_flight.inc();
    }

    pub fn ended(&self) {
        self.in_flight.dec();
    }

    pub fn up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    pub fn ejected(&self) {
        self.ejections.inc();
    }

    pub fn checked(&self, is_good: bool) {
        if is_good {
            self.good_checks.inc();
        } else {
            self.bad_checks.inc();
        }
    }
}

/// The series of one circuit breaker.
#[derive(Clone, Debug)]
pub struct BreakerMetrics {
    state: Gauge,
    opened: Counter,
}

#[derive(Clone, Copy, Debug)]
pub enum BreakerState {
    Closed = 0,
    HalfOpen = 1,
    Open = 2,
}

impl BreakerMetrics {
    pub fn state(&self, state: BreakerState) {
        self.state.set(state as i64);
    }

    pub fn opened(&self) {
        self.opened.inc();
        self.state(BreakerState::Open);
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ServerLabels {
    upstream: String,
    server: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CheckLabels {
    upstream: String,
    server: String,
    result: &'static str,
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn what_happened_is_found_in_the_exposition() {
        let mut registry = Registry::default();
        let families = CareFamilies::default();
        families.register(&mut registry);
        let care = families.upstream("cms");
        let server = care.server("10.0.0.1:80");
        server.began();
        server.up(true);
        server.ejected();
        server.checked(false);
        care.breaker().opened();
        care.budget_exhausted();
        care.slow();
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "origin_server_in_flight{upstream=\"cms\",server=\"10.0.0.1:80\"} 1",
            "origin_server_up{upstream=\"cms\",server=\"10.0.0.1:80\"} 1",
            "origin_ejections_total{upstream=\"cms\",server=\"10.0.0.1:80\"} 1",
            "origin_health_checks_total{upstream=\"cms\",server=\"10.0.0.1:80\",result=\"bad\"} 1",
            "origin_breaker_state{upstream=\"cms\"} 2",
            "origin_breaker_opened_total{upstream=\"cms\"} 1",
            "origin_retry_budget_exhausted_total{upstream=\"cms\"} 1",
            "origin_slow_total{upstream=\"cms\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
