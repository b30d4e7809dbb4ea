//! How often instances waited for each other's fetches.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

/// The metrics of claims.
#[derive(Debug, Default)]
pub struct ClaimMetrics {
    claims: Family<Outcome, Counter>,
    /// Commands sent while another instance fetched.
    pub polls: Counter,
    /// Fetches of other instances that are waited for now.
    pub waiting: Gauge,
    /// Claims that this instance holds now.
    pub held: Gauge,
    /// Claims that another instance took while this one held them.
    pub lost: Counter,
}

impl ClaimMetrics {
    /// How asking for a claim ended.
    pub fn asked(&self, outcome: &'static str) {
        self.claims.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "redis_claims",
            "Fetches that other instances were asked about, by what came of it",
            self.claims.clone(),
        );
        registry.register(
            "redis_claim_polls",
            "Commands sent to Redis while another instance fetched",
            self.polls.clone(),
        );
        registry.register(
            "redis_claims_waiting",
            "Fetches of other instances that are waited for",
            self.waiting.clone(),
        );
        registry.register(
            "redis_claims_held",
            "Fetches of this instance that others wait for or would",
            self.held.clone(),
        );
        registry.register(
            "redis_claims_lost",
            "Claims that ran out or were taken over while this instance fetched",
            self.lost.clone(),
        );
    }
}
