//! `[purge_log]`: the purge log that instances share.

use std::path::PathBuf;
use std::time::Duration;

use redis::ConnectionInfo;

use super::redis::url_of_redis;
use super::section::{Section, default};
use crate::purge::shared;

#[derive(Clone, Debug)]
pub struct PurgeLog {
    /// `None`: the log is in the process.
    pub url: Option<ConnectionInfo>,
    lease: Duration,
    renew: Duration,
    gone: Duration,
    split: Duration,
    timeout: Duration,
    records: usize,
    spool: Option<PathBuf>,
    /// Hits are served although it is not known what was purged.
    pub serve_when_lost: bool,
}

const PURGE_LOG: &str = "The purges of several instances, in one Redis (6.2 or later) or Valkey: \
    once a receipt says complete, none of them serves what the purge has ended. Its \
    maxmemory-policy must not be one of allkeys-*.";

/// How wrong the rate of a clock may be, in percent.
const CLOCK_PERCENT: u32 = 1;

impl PurgeLog {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("purge_log", PURGE_LOG);
        let log = Self {
            url: url_of_redis(
                &s,
                "Where Redis is. Empty: nowhere; the log is in the process, and each instance has \
                 to be told of each purge.",
            ),
            lease: s.duration(
                "lease",
                "5s",
                "100ms"..="1m",
                "How long hits are served without a word from the log. Short: a moment without \
                 Redis sends every request to the CMS. Long: a purge waits longer for an instance \
                 that was killed.",
            ),
            renew: s.duration(
                "renew",
                "1s",
                "20ms"..="10s",
                "How often an instance says that it lives; less than half of lease, so that one \
                 lost answer costs nothing.",
            ),
            gone: s.duration(
                "gone",
                "6s",
                "100ms"..="5m",
                "How long an instance may be silent before receipts do not wait for it any more. \
                 Longer than lease by more than clocks differ: 2 %. After a start with an empty \
                 log the first receipt takes as long.",
            ),
            split: s.duration(
                "split",
                "0s",
                "0s"..="10m",
                "How long a Redis master may take writes after another one was promoted. 0s is \
                 right for one server; with Sentinel min-replicas-max-lag and 1 s (and \
                 min-replicas-to-write as many as there are replicas), with a cluster \
                 cluster-node-timeout and 1 s. Too short: a failover may bring back what was purged.",
            ),
            timeout: s.duration(
                "timeout",
                "1s",
                "10ms"..="10s",
                "How long Redis may take to connect, and to answer. A purge waits as long before it \
                 is kept for later.",
            ),
            records: s.count(
                "records",
                100_000,
                100..=10_000_000,
                "Purges that stay in the log, about. Few: an instance that was away reads what was \
                 purged as a whole. Many: memory of Redis, some 300 bytes each.",
            ),
            spool: spool(&s),
            serve_when_lost: s.boolean(
                "serve_when_lost",
                false,
                "What an instance does that cannot reach Redis for a lease. false: it asks the CMS \
                 for everything, and answers with its errors. true: it serves what it has, purged \
                 elsewhere or not, and receipts promise nothing for that time.",
            ),
        };
        log.check(&s);
        log
    }

    fn check(&self, s: &Section<'_>) {
        let (fast, slow) = (100 + CLOCK_PERCENT, 100 - CLOCK_PERCENT);
        if self.lease * fast > self.gone * slow {
            let found = "a time that is not longer than purge_log.lease by 2 %";
            s.object("gone", found, "a longer one, or a shorter purge_log.lease");
        }
        if self.renew * 2 >= self.lease {
            let found = "half of purge_log.lease or more";
            s.object("renew", found, "less, or a longer purge_log.lease");
        }
    }

    /// Nothing where the log is in the process.
    pub(super) fn settings(&self, namespace: &str, instance: &str) -> Option<shared::Settings> {
        Some(shared::Settings {
            redis: self.url.clone()?,
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
            lease: self.lease,
            renew: self.renew,
            gone: self.gone,
            split: self.split,
            timeout: self.timeout,
            records_max: self.records,
            spool: self.spool.clone(),
        })
    }
}

fn spool(s: &Section<'_>) -> Option<PathBuf> {
    let folder = s.text(
        "spool",
        default(""),
        "a path of a folder",
        "The folder in which purges wait while Redis cannot be reached. Empty: they wait in memory, \
         and a restart loses them.",
        |text| Ok(text.to_owned()),
    );
    let folder = folder.filter(|folder| !folder.is_empty())?;
    Some(s.reader.folder.join(folder))
}
