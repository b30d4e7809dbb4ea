//! How this instance stands, for `GET /status` and for the log: whether it serves what is stored, what
//! Redis and the purge log say, who else reads the log, and what somebody should look after.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::log::AnyLog;
use crate::admin::status::Look;
use crate::outage::Outage;
use crate::purge::shared::report::{Reader, Report};
use crate::store::redis::Standing;
use crate::store::redis::teller::{Teller, Trouble};
use crate::store::tiers::Tiers;

/// See the module.
pub(super) struct Status {
    instance: String,
    log: Arc<AnyLog>,
    store: Arc<Tiers>,
    outage: Outage,
    serve_when_lost: bool,
    lease: Duration,
    serving: Teller,
}

/// An instance that is silent for longer is a problem: it renews every second or so.
const SILENT_MAX: Duration = Duration::from_secs(3);

impl Status {
    pub(super) fn new(
        instance: String,
        log: Arc<AnyLog>,
        store: Arc<Tiers>,
        outage: Outage,
        serve_when_lost: bool,
        lease: Duration,
    ) -> Self {
        Self {
            instance,
            log,
            store,
            outage,
            serve_when_lost,
            lease,
            serving: Teller::default(),
        }
    }

    pub(super) fn look(self: &Arc<Self>) -> Look {
        let status = Arc::clone(self);
        Arc::new(move || status.to_json())
    }

    /// Says in the log when nothing stored is served any more, and when it is again. To be called
    /// about once a second.
    pub(super) fn tell(&self) {
        let Some(report) = self.log.report() else {
            return;
        };
        if !report.lease_left.is_zero() {
            if self.serving.is_well() || self.serving.stays_well() {
                tracing::info!("what is stored may be served: the purge log is known");
            }
            return;
        }
        let text = self.without_lease();
        // A start takes a moment.
        if self.serving.trouble().is_none() {
            self.serving.notes(text);
            return;
        }
        if let Some(trouble) = self.serving.fails(text) {
            let seconds = trouble.seconds();
            tracing::warn!(seconds, "{text}");
        }
    }

    const fn without_lease(&self) -> &'static str {
        if self.serve_when_lost {
            "old pages may be served: what other instances purge is not known (purge_log.serve_when_lost)"
        } else {
            "nothing that is stored is served, and the CMS is asked for everything: what was purged is not known"
        }
    }

    fn to_json(&self) -> Value {
        let report = self.log.report();
        let store = self.store.redis_standing();
        let mut problems = Vec::new();
        if let Some(left) = self.outage.left() {
            let left = left.as_secs();
            problems.push(format!(
                "a drill: Redis counts as unreachable for {left} s more"
            ));
        }
        if let Some(store) = &store {
            problems.extend(of_store(store));
        }
        if let Some(report) = &report {
            problems.extend(self.of_log(report));
        }
        let runs = report
            .as_ref()
            .is_none_or(|report| !report.lease_left.is_zero());
        json!({
            "instance": self.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "serves_stored": runs || self.serve_when_lost,
            "redis": store.map(|store| store_json(&store)),
            "purge_log": report.map(|report| log_json(&report)),
            "problems": problems,
        })
    }

    fn of_log(&self, report: &Report) -> Vec<String> {
        let mut problems = Vec::new();
        if report.lease_left.is_zero() {
            problems.push(self.without_lease().to_owned());
        }
        if !report.waits.is_zero() {
            let seconds = report.waits.as_secs() + 1;
            problems.push(format!(
                "the purge log began anew: it is followed in {seconds} s, when purge_log.split is over"
            ));
        } else if let Some(trouble) = report.trouble.as_ref().filter(|_| !report.is_connected) {
            problems.push(format!(
                "the purge log in {} cannot be followed: {}",
                report.redis, trouble.last
            ));
        }
        if report.spooled > 0 {
            let (many, lost) = (
                report.spooled,
                if report.is_durable {
                    ""
                } else {
                    "; a restart loses them (purge_log.spool)"
                },
            );
            problems.push(format!(
                "{many} purges wait for Redis: other instances do not know them{lost}"
            ));
        }
        if report.is_evictable {
            problems.push(
                "Redis may evict the purge log: its maxmemory-policy must not be one of allkeys-*"
                    .to_owned(),
            );
        }
        if let Some(danger) = &report.danger {
            problems.push(format!(
                "after a failover of Redis, what was purged may come back: {danger}"
            ));
        }
        if !report.settles_after.is_zero() && report.is_connected {
            let seconds = report.settles_after.as_secs() + 1;
            problems.push(format!(
                "the purge log began anew: receipts are complete in {seconds} s at the earliest"
            ));
        }
        // Else it is not known how others are.
        if report.is_connected {
            problems.extend(self.of_others(report));
        }
        problems
    }

    fn of_others(&self, report: &Report) -> Vec<String> {
        let mut problems = Vec::new();
        let silent = report
            .instances
            .iter()
            .filter(|one| !one.is_this && one.silent > self.silent_max());
        problems.extend(silent.map(|one| {
            format!(
                "{} is silent for {} s: receipts wait for it until it is declared gone",
                one.name,
                one.silent.as_secs()
            )
        }));
        let behind = report.instances.iter().filter(|one| one.behind > 0);
        problems.extend(behind.map(|one| {
            format!(
                "{} has not applied the last {} purges",
                one.name, one.behind
            )
        }));
        problems.extend(same_names(&report.instances).map(|name| {
            format!("several instances are called {name}: purge_log.instance tells them apart")
        }));
        problems
    }

    fn silent_max(&self) -> Duration {
        SILENT_MAX.min(self.lease)
    }
}

fn of_store(store: &Standing) -> Option<String> {
    let trouble = store.trouble.as_ref()?;
    Some(format!(
        "responses are not shared: Redis at {}: {}",
        store.place, trouble.last
    ))
}

/// They are sorted.
fn same_names(instances: &[Reader]) -> impl Iterator<Item = &str> {
    let mut names: Vec<&str> = instances
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a.name == b.name => Some(a.name.as_str()),
            _ => None,
        })
        .collect();
    names.dedup();
    names.into_iter()
}

fn store_json(store: &Standing) -> Value {
    json!({
        "at": store.place,
        "asked": store.is_asked,
        "trouble": store.trouble.as_ref().map(trouble_json),
    })
}

fn log_json(report: &Report) -> Value {
    let instances: Vec<Value> = report.instances.iter().map(reader_json).collect();
    json!({
        "at": report.redis,
        "connected": report.is_connected,
        "trouble": report.trouble.as_ref().map(trouble_json),
        "lease_left_ms": millis(report.lease_left),
        "generation": report.generation,
        "applied": report.applied,
        "head": report.head,
        "receipts_complete_in_ms": millis(report.settles_after),
        "spooled": report.spooled,
        "spool_is_durable": report.is_durable,
        "instances": instances,
    })
}

fn reader_json(reader: &Reader) -> Value {
    json!({
        "name": reader.name,
        "incarnation": reader.incarnation,
        "this": reader.is_this,
        "applied": reader.applied,
        "behind": reader.behind,
        "silent_ms": millis(reader.silent),
    })
}

fn trouble_json(trouble: &Trouble) -> Value {
    json!({"error": trouble.last, "seconds": trouble.seconds(), "failures": trouble.failures})
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
