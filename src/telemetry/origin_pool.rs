//! Connections to the origin servers: how many there are, why they were given up, and what became
//! of the lookups of their names.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::origin::Level;

/// Every series about connections to origin servers.
#[derive(Clone, Debug, Default)]
pub struct PoolFamilies {
    opened: Family<UpstreamLabels, Counter>,
    open: Family<UpstreamLabels, Gauge>,
    retired: Family<ReasonLabels, Counter>,
    lookups: Family<ResultLabels, Counter>,
    slow_readers: Family<UpstreamLabels, Counter>,
}

/// Why a connection that still stood was not used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retired {
    /// Nobody had used it for the keep-alive time.
    Idle,
    /// It was as old as connections may become.
    Age,
    /// The server's name has lost the address that it leads to.
    AddressGone,
    /// There were enough idle ones.
    PoolFull,
}

/// What a lookup of a name brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookup {
    Same,
    Changed,
    Failed,
}

impl PoolFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "origin_connections_opened",
            "Connections opened to servers of the upstream",
            self.opened.clone(),
        );
        registry.register(
            "origin_connections",
            "Connections to servers of the upstream that are open now",
            self.open.clone(),
        );
        registry.register(
            "origin_connections_retired",
            "Connections that still stood and were not used again, by the reason",
            self.retired.clone(),
        );
        registry.register(
            "origin_lookups",
            "Lookups of the names of the upstream's servers, by what they brought",
            self.lookups.clone(),
        );
        registry.register(
            "origin_slow_readers",
            "Exchanges that gave their place at the upstream up because their reader was too slow",
            self.slow_readers.clone(),
        );
    }

    pub(super) fn upstream(&self, name: &str) -> PoolMetrics {
        let labels = UpstreamLabels {
            upstream: name.to_owned(),
        };
        let retired = |reason| {
            self.retired.get_or_create_owned(&ReasonLabels {
                upstream: name.to_owned(),
                reason,
            })
        };
        let lookup = |result| {
            self.lookups.get_or_create_owned(&ResultLabels {
                upstream: name.to_owned(),
                result,
            })
        };
        PoolMetrics {
            opened: self.opened.get_or_create_owned(&labels),
            open: self.open.get_or_create_owned(&labels),
            retired: ["idle", "age", "address_gone", "pool_full"].map(retired),
            lookups: ["same", "changed", "failed"].map(lookup),
            slow_readers: self.slow_readers.get_or_create_owned(&labels),
        }
    }
}

/// The series of one upstream, looked up once.
#[derive(Clone, Debug)]
pub struct PoolMetrics {
    opened: Counter,
    open: Gauge,
    retired: [Counter; 4],
    lookups: [Counter; 3],
    slow_readers: Counter,
}

impl PoolMetrics {
    /// A connection stands, until the level is dropped.
    pub fn opened(&self) -> Level {
        self.opened.inc();
        Level::raise(&self.open)
    }

    pub fn retired(&self, reason: Retired) {
        let [idle, age, address_gone, pool_full] = &self.retired;
        let counter = match reason {
            Retired::Idle => idle,
            Retired::Age => age,
            Retired::AddressGone => address_gone,
            Retired::PoolFull => pool_full,
        };
        counter.inc();
    }

    pub fn looked_up(&self, lookup: Lookup) {
        let [same, changed, failed] = &self.lookups;
        let counter = match lookup {
            Lookup::Same => same,
            Lookup::Changed => changed,
            Lookup::Failed => failed,
        };
        counter.inc();
    }

    /// An exchange gave its place up while its content was still under way.
    pub fn slow_reader(&self) {
        self.slow_readers.inc();
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    upstream: String,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResultLabels {
    upstream: String,
    result: &'static str,
}
