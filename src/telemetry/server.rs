//! What the listeners say about themselves: connections, TLS handshakes, requests, limits.

use http::Version;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A bound of the server that was reached, or a rule of framing that was broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// An accepted connection had to wait because `connections_max` were open.
    Connections,
    /// The system had no file descriptor or memory for another connection.
    Accept,
    /// The TLS handshake took longer than `tls_handshake_timeout`.
    TlsHandshake,
    /// A connection was closed because its address had `connections_per_address` open.
    Address,
    /// A connection was closed because the work memory was used up.
    Memory,
    /// A request head took longer than `header_timeout`.
    HeaderTimeout,
    /// A request head had too many fields or bytes. What HTTP/2 refuses before anybody has seen it
    /// counts once for each connection, when it ends.
    Headers,
    /// A request's target was longer than `target_bytes_max`.
    Target,
    /// The requests of an HTTP/2 connection had more than `connection_header_bytes_max` of heads.
    ConnectionHeaders,
    /// A request was refused for its framing, its target or its Host, or a connection ended for
    /// breaking the rules of HTTP/2.
    Framing,
    /// A connection without a request was closed after `idle_timeout`.
    Idle,
    /// A client took nothing of its response for `idle_timeout`.
    Stalled,
    /// A client took less of its response than `send_rate_min`.
    SlowReader,
    /// An HTTP/2 connection was cut for resetting streams faster than `resets_per_second`.
    H2Resets,
    /// An HTTP/2 connection was cut for more than `control_frames_per_second`.
    H2Control,
    /// An HTTP/2 connection was cut for a header block of too many frames.
    H2Continuation,
    /// An HTTP/2 connection was cut for more than `empty_frames_per_second`.
    H2Empty,
    /// An HTTP/2 connection was cut for more than `refused_per_second`.
    H2Refused,
    /// An HTTP/2 connection was ended by hyper's own bounds, most of them on resets.
    H2Calm,
    /// A connection was cut because `drain` had passed.
    Drain,
    /// A connection from a peer of `proxy_protocol_from` did not begin with a PROXY header in time.
    ProxyProtocol,
    /// A request came on a connection whose certificate is not for its host.
    Misdirected,
}

impl Limit {
    const ALL: [Self; 22] = [
        Self::Connections,
        Self::Accept,
        Self::Address,
        Self::Memory,
        Self::TlsHandshake,
        Self::HeaderTimeout,
        Self::Headers,
        Self::Target,
        Self::ConnectionHeaders,
        Self::Framing,
        Self::Idle,
        Self::Stalled,
        Self::SlowReader,
        Self::H2Resets,
        Self::H2Control,
        Self::H2Continuation,
        Self::H2Empty,
        Self::H2Refused,
        Self::H2Calm,
        Self::Drain,
        Self::ProxyProtocol,
        Self::Misdirected,
    ];

    /// The value of the label `limit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Accept => "accept",
            Self::Address => "address",
            Self::Memory => "memory",
            Self::TlsHandshake => "tls_handshake",
            Self::HeaderTimeout => "header_timeout",
            Self::Headers => "headers",
            Self::Target => "target",
            Self::ConnectionHeaders => "connection_headers",
            Self::Framing => "framing",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::SlowReader => "slow_reader",
            Self::H2Resets => "h2_resets",
            Self::H2Control => "h2_control",
            Self::H2Continuation => "h2_continuation",
            Self::H2Empty => "h2_empty",
            Self::H2Refused => "h2_refused",
            Self::H2Calm => "h2_calm",
            Self::Drain => "drain",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Misdirected => "misdirected",
        }
    }
}

/// The metrics of one set of listeners.
#[derive(Debug)]
pub struct ServerMetrics {
    accepted: Family<SchemeLabel, Counter>,
    open: Family<SchemeLabel, Gauge>,
    limits: Family<LimitLabel, Counter>,
    handshakes: Family<HandshakeLabels, Counter>,
    sessions: Family<TlsSession, Counter>,
    reloads: Family<OutcomeLabel, Counter>,
    not_after: Family<ListenersLabel, Gauge>,
    panics: Counter,
    requests: Family<VersionLabel, Counter>,
    // The counters that every request touches, so that it looks up none.
    requests_1_0: Counter,
    requests_1_1: Counter,
    requests_2: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SchemeLabel {
    scheme: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct HandshakeLabels {
    outcome: &'static str,
    version: &'static str,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct TlsSession {
    pub handshake: &'static str,
    pub cipher: &'static str,
    /// Of the key exchange; a resumed session of TLS 1.2 has none.
    pub group: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ListenersLabel {
    listeners: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VersionLabel {
    version: &'static str,
}

impl ServerMetrics {
    /// Metrics that nobody scrapes, for listeners of their own.
    pub fn unregistered() -> Self {
        let requests = Family::<VersionLabel, Counter>::default();
        let of = |version| requests.get_or_create_owned(&VersionLabel { version });
        let metrics = Self {
            requests_1_0: of("1.0"),
            requests_1_1: of("1.1"),
            requests_2: of("2"),
            requests,
            accepted: Family::default(),
            open: Family::default(),
            limits: Family::default(),
            handshakes: Family::default(),
            sessions: Family::default(),
            reloads: Family::default(),
            not_after: Family::default(),
            panics: Counter::default(),
        };
        for limit in Limit::ALL {
            metrics.limit_counter(limit);
        }
        metrics
    }

    /// Adds the metrics to `registry`, which gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        registry.register(
            "connections_accepted",
            "Connections accepted from clients",
            metrics.accepted.clone(),
        );
        registry.register(
            "connections_open",
            "Connections from clients that are open now",
            metrics.open.clone(),
        );
        registry.register(
            "connection_limits",
            "Bounds of the server that were reached, and requests refused for their framing",
            metrics.limits.clone(),
        );
        registry.register(
            "tls_handshakes",
            "TLS handshakes with clients, by outcome and protocol version",
            metrics.handshakes.clone(),
        );
        registry.register(
            "tls_sessions",
            "TLS handshakes that came about, by resumption, cipher suite and key exchange group",
            metrics.sessions.clone(),
        );
        registry.register(
            "tls_certificate_reloads",
            "Changes of the certificates' files, by what became of them",
            metrics.reloads.clone(),
        );
        registry.register(
            "tls_certificate_not_after_seconds",
            "When the first of the certificates in use ends, in seconds since the Unix epoch",
            metrics.not_after.clone(),
        );
        registry.register(
            "connection_panics",
            "Connections or streams that ended in a panic",
            metrics.panics.clone(),
        );
        registry.register(
            "http_requests",
            "Requests received, by HTTP version",
            metrics.requests.clone(),
        );
        metrics
    }

    /// A connection was accepted; it is open until the returned value is dropped.
    pub fn connection(&self, scheme: &'static str) -> OpenConnection {
        let label = SchemeLabel { scheme };
        self.accepted.get_or_create_owned(&label).inc();
        let open = self.open.get_or_create_owned(&label);
        open.inc();
        OpenConnection(open)
    }

    /// A limit was reached.
    pub fn limit(&self, limit: Limit) {
        self.limit_counter(limit).inc();
    }

    /// How often `limit` was reached.
    pub fn limit_count(&self, limit: Limit) -> u64 {
        self.limit_counter(limit).get()
    }

    /// A TLS handshake ended; `version` is `"1.2"`, `"1.3"`, or `"none"` when it failed.
    pub fn tls_handshake(&self, outcome: &'static str, version: &'static str) {
        self.handshakes
            .get_or_create_owned(&HandshakeLabels { outcome, version })
            .inc();
    }

    /// A TLS handshake came about.
    pub fn tls_session(&self, session: &TlsSession) {
        self.sessions.get_or_create(session).inc();
    }

    /// The files of certificates changed; `outcome` is `"ok"`, or `"failed"` where the old ones stay.
    pub fn certificates_reloaded(&self, outcome: &'static str) {
        let label = OutcomeLabel { outcome };
        self.reloads.get_or_create_owned(&label).inc();
    }

    /// How many changes had this outcome.
    pub fn certificates_reloaded_count(&self, outcome: &'static str) -> u64 {
        let label = OutcomeLabel { outcome };
        self.reloads.get_or_create_owned(&label).get()
    }

    /// When the first certificate of these listeners ends, in seconds since the Unix epoch.
    pub fn certificates_not_after(&self, listeners: &'static str) -> Gauge {
        let label = ListenersLabel { listeners };
        self.not_after.get_or_create_owned(&label)
    }

    /// The task of a connection or of a stream panicked.
    pub fn panic(&self) {
        self.panics.inc();
    }

    /// How many tasks panicked.
    pub fn panic_count(&self) -> u64 {
        self.panics.get()
    }

    /// A request head was received.
    pub fn request(&self, version: Version) {
        match version {
            Version::HTTP_2 => self.requests_2.inc(),
            Version::HTTP_11 => self.requests_1_1.inc(),
            _ => self.requests_1_0.inc(),
        };
    }

    fn limit_counter(&self, limit: Limit) -> Counter {
        self.limits.get_or_create_owned(&LimitLabel {
            limit: limit.as_str(),
        })
    }
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn a_connection_is_open_until_it_is_dropped() {
        let mut registry = Registry::default();
        let metrics = ServerMetrics::register(&mut registry);
        let connection = metrics.connection("https");
        assert!(text(&registry).contains("connections_open{scheme=\"https\"} 1"));
        drop(connection);
        let text = text(&registry);
        assert!(text.contains("connections_open{scheme=\"https\"} 0"));
        assert!(text.contains("connections_accepted_total{scheme=\"https\"} 1"));
    }

    #[test]
    fn every_limit_is_there_before_it_is_reached() {
        let mut registry = Registry::default();
        let metrics = ServerMetrics::register(&mut registry);
        metrics.limit(Limit::Idle);
        metrics.request(Version::HTTP_2);
        let text = text(&registry);
        for limit in Limit::ALL {
            assert!(text.contains(&format!("limit=\"{}\"", limit.as_str())));
        }
        assert!(text.contains("connection_limits_total{limit=\"idle\"} 1"));
        assert!(text.contains("http_requests_total{version=\"2\"} 1"));
        assert_eq!(metrics.limit_count(Limit::Idle), 1);
    }
}
