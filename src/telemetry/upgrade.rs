//! Exchanges without an end in sight: tunnels of other protocols, and streams of events.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a tunnel or a stream of events has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// The client ended it.
    Client,
    /// The origin ended it.
    Origin,
    /// Nothing had moved for too long.
    Idle,
    /// A connection broke.
    Broken,
    /// The server stopped.
    Drain,
}

impl Closed {
    const ALL: [Self; 5] = [
        Self::Client,
        Self::Origin,
        Self::Idle,
        Self::Broken,
        Self::Drain,
    ];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Origin => "origin",
            Self::Idle => "idle",
            Self::Broken => "broken",
            Self::Drain => "drain",
        }
    }
}

/// What became of a request for another protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade {
    /// There is a tunnel.
    Switched,
    /// The origin answered otherwise.
    Declined,
    /// The origin failed, or switched to what nobody had asked for.
    Failed,
    /// There were too many tunnels.
    Limit,
}

impl Upgrade {
    const ALL: [Self; 4] = [Self::Switched, Self::Declined, Self::Failed, Self::Limit];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Limit => "limit",
        }
    }
}

/// The metrics of tunnels and streams of events.
#[derive(Debug, Default)]
pub struct UpgradeMetrics {
    upgrades: Family<OutcomeLabel, Counter>,
    open: Gauge,
    closed: Family<ReasonLabel, Counter>,
    from_client: Counter,
    from_origin: Counter,
    streams_open: Gauge,
    streams_closed: Family<ReasonLabel, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabel {
    reason: &'static str,
}

impl UpgradeMetrics {
    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for outcome in Upgrade::ALL {
            let outcome = outcome.as_str();
            let label = OutcomeLabel { outcome };
            metrics.upgrades.get_or_create_owned(&label);
        }
        for reason in Closed::ALL {
            let label = ReasonLabel {
                reason: reason.as_str(),
            };
            metrics.closed.get_or_create_owned(&label);
            metrics.streams_closed.get_or_create_owned(&label);
        }
        registry.register(
            "upgrades",
            "Requests for another protocol on routes that allow it, by outcome",
            metrics.upgrades.clone(),
        );
        registry.register(
            "tunnels_open",
            "Tunnels of another protocol that are open",
            metrics.open.clone(),
        );
        registry.register(
            "tunnels_closed",
            "Tunnels that have ended, by who or what ended them",
            metrics.closed.clone(),
        );
        registry.register(
            "tunnel_client_bytes",
            "Bytes that clients have sent through tunnels",
            metrics.from_client.clone(),
        );
        registry.register(
            "tunnel_origin_bytes",
            "Bytes that origins have sent through tunnels",
            metrics.from_origin.clone(),
        );
        registry.register(
            "event_streams_open",
            "Streams of events that clients are reading",
            metrics.streams_open.clone(),
        );
        registry.register(
            "event_streams_closed",
            "Streams of events that have ended, by who or what ended them",
            metrics.streams_closed.clone(),
        );
        metrics
    }

    /// A request for another protocol was answered.
    pub fn upgrade(&self, outcome: Upgrade) {
        let outcome = outcome.as_str();
        self.upgrades
            .get_or_create_owned(&OutcomeLabel { outcome })
            .inc();
    }

    /// A tunnel begins, or a stream of events; it is open until the returned value is dropped.
    pub fn tunnel(&self) -> Open {
        Open::new(&self.open, &self.closed)
    }

    pub fn stream(&self) -> Open {
        Open::new(&self.streams_open, &self.streams_closed)
    }

    /// Counts the bytes that clients send through tunnels.
    pub fn from_client(&self) -> &Counter {
        &self.from_client
    }

    /// Counts the bytes that origins send through tunnels.
    pub fn from_origin(&self) -> &Counter {
        &self.from_origin
    }
}

/// Counts a tunnel or a stream as open for as long as it lives, and then why it ended.
#[derive(Debug)]
pub struct Open {
    open: Gauge,
    ended: Family<ReasonLabel, Counter>,
    closed: Closed,
}

impl Open {
    fn new(open: &Gauge, ended: &Family<ReasonLabel, Counter>) -> Self {
        open.inc();
        Self {
            open: open.clone(),
            ended: ended.clone(),
            closed: Closed::Client,
        }
    }

    /// What it will have ended by if nothing else is said: at first, that its client left.
    pub const fn ends_by(&mut self, closed: Closed) {
        self.closed = closed;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.dec();
        let reason = self.closed.as_str();
        self.ended
            .get_or_create_owned(&ReasonLabel { reason })
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_counted_as_closed_when_it_is_dropped() {
        let mut registry = Registry::default();
        let metrics = UpgradeMetrics::register(&mut registry);
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let mut tunnel = metrics.tunnel();
        let stream = metrics.stream();
        assert!(text().contains("tunnels_open 1\n"));
        tunnel.ends_by(Closed::Idle);
        drop((tunnel, stream));
        for line in [
            "tunnels_open 0",
            "tunnels_closed_total{reason=\"idle\"} 1",
            "tunnels_closed_total{reason=\"drain\"} 0",
            "event_streams_closed_total{reason=\"client\"} 1",
        ] {
            assert!(text().contains(line), "{line} is not in\n{}", text());
        }
    }
}
