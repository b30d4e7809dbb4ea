//! Traces (W3C Trace Context): which one a request belongs to, and the spans of what is forwarded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::fields::trace_context::{RANDOM, SAMPLED, TraceParent};

/// What the operator says about traces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Where spans go.
    pub endpoint: Option<Endpoint>,
    /// Of a hundred traces that begin here, so many are recorded; 0 to 100.
    pub sample_percent: u8,
    /// What the site is called in the traces.
    pub namespace: String,
}

/// An OTLP receiver over HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// `host:port`.
    pub authority: String,
    pub path: String,
}

/// The trace of one request, and our own span in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trace {
    pub id: u128,
    /// Ours: the origin sees it as its parent.
    pub span: u64,
    /// The client's; none where the trace begins here.
    pub parent: Option<u64>,
    flags: u8,
}

/// One exchange with an origin.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: Trace,
    pub began: Timestamp,
    /// Until the head of the response, or the failure.
    pub took: Duration,
    pub method: Box<str>,
    pub route: Box<str>,
    pub upstream: Box<str>,
    pub host: Box<str>,
    pub path: Box<str>,
    pub language: Option<Box<str>>,
    /// What the origin answered, or what failed.
    pub result: Result<u16, &'static str>,
}

/// Makes traces and takes spans. Clones are the same; one for the process.
#[derive(Clone, Debug)]
pub struct Tracing {
    spans: Option<mpsc::Sender<Span>>,
    sample_percent: u8,
    metrics: TraceMetrics,
}

/// Spans that may wait to be sent. Further ones are dropped and counted.
pub const SPANS_WAITING_MAX: usize = 2048;

impl Tracing {
    /// Traces are continued, and nobody is told of spans.
    pub fn off() -> Self {
        Self {
            spans: None,
            sample_percent: 0,
            metrics: TraceMetrics::default(),
        }
    }

    /// Traces by `settings`, and what is to be sent to the endpoint, if there is one and this
    /// build can send.
    pub fn new(settings: &Settings, metrics: TraceMetrics) -> (Self, Option<mpsc::Receiver<Span>>) {
        let sends = settings.endpoint.is_some() && cfg!(feature = "otlp");
        let (sender, receiver) = mpsc::channel(SPANS_WAITING_MAX);
        let tracing = Self {
            spans: sends.then_some(sender),
            sample_percent: settings.sample_percent,
            metrics,
        };
        (tracing, sends.then_some(receiver))
    }

    /// The trace that the request says it belongs to, or a new one.
    pub fn trace(&self, presented: &HeaderMap) -> Trace {
        let (outcome, parent) = match TraceParent::parse(presented) {
            Ok(Some(parent)) => ("continued", Some(parent)),
            Ok(None) => ("started", None),
            Err(_) => ("malformed", None),
        };
        self.metrics
            .contexts
            .get_or_create(&Outcome { outcome })
            .inc();
        let span = random_u64();
        match parent {
            Some(parent) => Trace {
                id: parent.trace_id,
                span,
                parent: Some(parent.parent_id),
                flags: parent.flags,
            },
            None => {
                let low = random_u64();
                let id = (u128::from(random_u64()) << 64) | u128::from(low);
                let is_sampled = self.spans.is_some() && low % 100 < u64::from(self.sample_percent);
                let flags = if is_sampled { SAMPLED | RANDOM } else { RANDOM };
                Trace {
                    id,
                    span,
                    parent: None,
                    flags,
                }
            }
        }
    }

    /// Whether anybody wants to know of this trace's spans.
    pub const fn records(&self, trace: Trace) -> bool {
        self.spans.is_some() && trace.flags & SAMPLED != 0
    }

    pub fn record(&self, span: Span) {
        if let Some(spans) = &self.spans
            && spans.try_send(span).is_err()
        {
            self.metrics.dropped("queue", 1);
        }
    }
}

impl Trace {
    /// What the origin is told: this trace, with our span as its parent.
    pub const fn to_origin(self) -> TraceParent {
        TraceParent {
            trace_id: self.id,
            parent_id: self.span,
            flags: self.flags,
        }
    }

    /// The same trace with another span: every exchange has its own.
    #[must_use]
    pub fn with_new_span(self) -> Self {
        Self {
            span: random_u64(),
            ..self
        }
    }

    /// Whether a `tracestate` that came with the request belongs to it.
    pub const fn is_continued(self) -> bool {
        self.parent.is_some()
    }
}

/// What is counted of traces.
#[derive(Clone, Debug, Default)]
pub struct TraceMetrics {
    contexts: Family<Outcome, Counter>,
    exported: Counter,
    dropped: Family<Reason, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

impl TraceMetrics {
    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "trace_contexts",
            "Requests with a trace, by whether it was continued or begun here",
            metrics.contexts.clone(),
        );
        registry.register(
            "spans_exported",
            "Spans that the endpoint took",
            metrics.exported.clone(),
        );
        registry.register(
            "spans_dropped",
            "Spans that were lost, by reason",
            metrics.dropped.clone(),
        );
        metrics
    }

    pub fn exported(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    pub fn dropped(&self, reason: &'static str, spans: u64) {
        self.dropped.get_or_create(&Reason { reason }).inc_by(spans);
    }
}

/// Not zero. Where there is no randomness, a number that is unique in this process.
fn random_u64() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    match getrandom::u64() {
        Ok(number) if number != 0 => number,
        _ => NEXT.fetch_add(1, Ordering::Relaxed).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::trace_context::TRACEPARENT;

    fn presented(line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, line.parse().unwrap());
        headers
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_ours() {
        let line = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Tracing::off().trace(&presented(line));
        let sent = trace.to_origin();
        assert_eq!(sent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(trace.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_ne!(sent.parent_id, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(sent.flags, SAMPLED);
        assert!(!Tracing::off().records(trace), "there is nobody to tell");
    }

    #[test]
    fn without_a_trace_that_can_be_read_one_begins_that_nobody_records() {
        for headers in [HeaderMap::new(), presented("00-nonsense")] {
            let (one, two) = (
                Tracing::off().trace(&headers),
                Tracing::off().trace(&headers),
            );
            assert!(!one.is_continued());
            assert_ne!(one.id, two.id);
            assert_eq!(one.to_origin().flags, RANDOM);
        }
    }
}
