//! What compression costs and what it saves.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// Where the coded content goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum For {
    /// Whole, to be kept with the stored response.
    Store,
    /// In pieces, on its way to one client.
    Stream,
}

/// The metrics of all coders. Clones count into the same.
#[derive(Clone, Debug, Default)]
pub struct TransformMetrics {
    input: Family<CoderLabels, Counter>,
    output: Family<CoderLabels, Counter>,
    time: Family<CoderLabels, Counter<f64, AtomicU64>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CoderLabels {
    coding: &'static str,
    purpose: &'static str,
}

impl TransformMetrics {
    /// Metrics that nobody scrapes.
    pub fn unregistered() -> Self {
        Self::default()
    }

    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "compression_input_bytes",
            "Bytes that went into coders, by coding and purpose",
            metrics.input.clone(),
        );
        registry.register(
            "compression_output_bytes",
            "Bytes that came out of them",
            metrics.output.clone(),
        );
        registry.register_with_unit(
            "compression",
            "Time that coders took",
            Unit::Seconds,
            metrics.time.clone(),
        );
        metrics
    }

    /// A coder has worked; `coding` is what it makes, `identity` where it decodes.
    pub fn coded(&self, coding: &'static str, purpose: For, bytes: (usize, usize), took: Duration) {
        let labels = CoderLabels {
            coding,
            purpose: match purpose {
                For::Store => "store",
                For::Stream => "stream",
            },
        };
        let (input, output) = bytes;
        self.input.get_or_create(&labels).inc_by(input as u64);
        self.output.get_or_create(&labels).inc_by(output as u64);
        self.time.get_or_create(&labels).inc_by(took.as_secs_f64());
    }
}
