//! What the purges say about themselves: where they came from, what became of each request for
//! one, and how far the log has come.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of the purge log and of all that append to it. A clone counts into the same.
#[derive(Clone, Debug, Default)]
pub struct PurgeMetrics {
    purges: Family<PurgeLabels, Counter>,
    scopes: Family<KindLabel, Counter>,
    duplicates: Counter,
    position: Gauge,
    webhooks: Family<WebhookLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PurgeLabels {
    source: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WebhookLabels {
    /// The name in the settings: their number is bounded, a client cannot add one.
    webhook: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    source: &'static str,
    outcome: &'static str,
}

impl PurgeMetrics {
    /// Metrics that nobody scrapes.
    pub fn unregistered() -> Self {
        Self::default()
    }

    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "purges",
            "Records appended to the purge log, by who asked and by mode",
            metrics.purges.clone(),
        );
        registry.register(
            "purge_scopes",
            "Scopes named by these records, by kind",
            metrics.scopes.clone(),
        );
        registry.register(
            "purge_duplicates",
            "Purges not appended because their delivery id was known",
            metrics.duplicates.clone(),
        );
        registry.register(
            "purge_log_position",
            "The last record of the purge log that this instance has applied",
            metrics.position.clone(),
        );
        registry.register(
            "webhook_requests",
            "Webhook deliveries, by webhook and by what became of them",
            metrics.webhooks.clone(),
        );
        registry.register(
            "purge_requests",
            "Requests for a purge by admin API and purge protocols, by what became of them",
            metrics.requests.clone(),
        );
        metrics
    }

    /// A record was appended.
    pub fn purged(&self, source: &'static str, mode: &'static str) {
        self.purges
            .get_or_create_owned(&PurgeLabels { source, mode })
            .inc();
    }

    /// A record named one scope of this kind.
    pub fn scope(&self, kind: &'static str) {
        self.scopes.get_or_create_owned(&KindLabel { kind }).inc();
    }

    pub fn duplicate(&self) {
        self.duplicates.inc();
    }

    /// The log has been applied up to `ordinal`.
    pub fn applied(&self, ordinal: u64) {
        self.position
            .set(i64::try_from(ordinal).unwrap_or(i64::MAX));
    }

    /// A delivery to `webhook` was answered; `outcome` is a name from a fixed set.
    pub fn webhook(&self, webhook: &str, outcome: &'static str) {
        self.webhook_counter(webhook, outcome).inc();
    }

    pub fn webhook_count(&self, webhook: &str, outcome: &'static str) -> u64 {
        self.webhook_counter(webhook, outcome).get()
    }

    /// A purge request of the admin API or of a purge protocol was answered.
    pub fn request(&self, source: &'static str, outcome: &'static str) {
        self.request_counter(source, outcome).inc();
    }

    pub fn request_count(&self, source: &'static str, outcome: &'static str) -> u64 {
        self.request_counter(source, outcome).get()
    }

    pub fn purged_count(&self, source: &'static str, mode: &'static str) -> u64 {
        self.purges
            .get_or_create_owned(&PurgeLabels { source, mode })
            .get()
    }

    pub fn duplicate_count(&self) -> u64 {
        self.duplicates.get()
    }

    fn webhook_counter(&self, webhook: &str, outcome: &'static str) -> Counter {
        self.webhooks.get_or_create_owned(&WebhookLabels {
            webhook: webhook.to_owned(),
            outcome,
        })
    }

    fn request_counter(&self, source: &'static str, outcome: &'static str) -> Counter {
        self.requests
            .get_or_create_owned(&RequestLabels { source, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let mut registry = Registry::default();
        let metrics = PurgeMetrics::register(&mut registry);
        metrics.purged("webhook", "hard");
        metrics.scope("tag");
        metrics.duplicate();
        metrics.applied(17);
        metrics.webhook("demo", "wrong-signature");
        metrics.request("protocol", "forbidden");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "purges_total{source=\"webhook\",mode=\"hard\"} 1",
            "purge_scopes_total{kind=\"tag\"} 1",
            "purge_duplicates_total 1",
            "purge_log_position 17",
            "webhook_requests_total{webhook=\"demo\",outcome=\"wrong-signature\"} 1",
            "purge_requests_total{source=\"protocol\",outcome=\"forbidden\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
