//! What the budget of work memory says about itself, read when it is asked for.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::budget::{Budget, Shed, Use};

/// Adds the budget's metrics to `registry`.
pub fn register(registry: &mut Registry, budget: Arc<Budget>) {
    registry.register_collector(Box::new(Collected(budget)));
}

#[derive(Debug)]
struct Collected(Arc<Budget>);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = |bytes: u64| ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let max = encoder.encode_descriptor(
            "work_memory_max_bytes",
            "Bytes that work in progress may take",
            None,
            MetricType::Gauge,
        )?;
        gauge(self.0.max()).encode(max)?;
        let mut used = encoder.encode_descriptor(
            "work_memory_bytes",
            "Bytes that work in progress takes, by use",
            None,
            MetricType::Gauge,
        )?;
        for what in Use::ALL {
            let label = [("use", what.as_str())];
            gauge(self.0.used(what)).encode(used.encode_family(&label)?)?;
        }
        let mut shed = encoder.encode_descriptor(
            "work_memory_shed",
            "What was not done for want of work memory, by kind",
            None,
            MetricType::Counter,
        )?;
        for kind in Shed::ALL {
            let label = [("kind", kind.as_str())];
            ConstCounter::new(self.0.shed_count(kind)).encode(shed.encode_family(&label)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_and_every_kind_is_there_from_the_start() {
        let budget = Budget::new(1000);
        let mut registry = Registry::with_prefix("p");
        register(&mut registry, Arc::clone(&budget));
        let _charge = budget.take(Use::Fills, 7);
        budget.shed(Shed::Stale);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "p_work_memory_max_bytes 1000",
            "p_work_memory_bytes{use=\"fills\"} 7",
            "p_work_memory_bytes{use=\"held\"} 0",
            "p_work_memory_shed_total{kind=\"stale\"} 1",
            "p_work_memory_shed_total{kind=\"request\"} 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
