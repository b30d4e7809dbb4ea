//! `[purge_log]`: the purge log that instances share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reach::{Reach, UnreadableCa, url_of_redis};
use super::section::{Section, Wrong, default};
use crate::purge::shared;
use crate::store::redis::connect::Mode;

#[derive(Clone, Debug)]
pub struct PurgeLog {
    enabled: bool,
    /// Of its own, or that of `[redis]`. Without a URL, or not enabled, the log is in the process.
    reach: Reach,
    lease: Duration,
    renew: Duration,
    gone: Duration,
    /// As long as the master of `reach` may need; nothing: as servers do by default.
    split: Option<Duration>,
    timeout: Duration,
    records: usize,
    size_max: usize,
    spool: Option<PathBuf>,
    /// How it is called, where it is not the host's name.
    pub(super) instance: Option<String>,
    /// Hits are served although it is not known what was purged.
    pub serve_when_lost: bool,
}

const PURGE_LOG: &str = "The purges of several instances, in one Redis (6.2 or later) or Valkey: \
    once a receipt says complete, none of them serves what the purge has ended. It is in the Redis \
    of [redis], unless it has a url of its own. Its maxmemory-policy must not be one of allkeys-*.";

const URL: &str = "Where Redis is. Empty: where [redis] has it, and as it is reached there; the five \
    keys below are for a URL of its own. Without either, the log is in the process: right for one \
    instance alone.";

const SPLIT: &str = "How long a Redis master may take writes after another one was promoted. For so long \
    after that, and after the log began, instances serve nothing that is stored. Empty: 0s for one server; 11s with Sentinel (min-replicas-max-lag of 10 and 1 s; it needs \
    min-replicas-to-write as many as there are replicas); 16s with a cluster (cluster-node-timeout \
    of 15 s and 1 s). Too short: a failover may bring back what was purged.";

/// What Redis does by default (`min-replicas-max-lag` 10, `cluster-node-timeout` 15000), and 1 s.
const SPLIT_OF_SENTINEL: Duration = Duration::from_secs(11);
const SPLIT_OF_CLUSTER: Duration = Duration::from_secs(16);
/// No settings of Redis make less right where there may be another master.
const SPLIT_MIN: Duration = Duration::from_secs(1);

/// How wrong the rate of a clock may be, in percent.
const CLOCK_PERCENT: u32 = 1;

impl PurgeLog {
    /// `store`: how the Redis of stored responses is reached.
    pub(super) fn read(parent: &Section<'_>, store: &Reach) -> Self {
        let s = parent.section("purge_log", PURGE_LOG);
        let log = Self {
            enabled: s.boolean(
                "enabled",
                true,
                "Whether purges are shared, where there is a Redis for them. false: each instance \
                 has to be told of each purge, serves its pages whether or not it hears of others, \
                 and sees nothing that others have stored in Redis.",
            ),
            reach: reach(&s, store),
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
            split: s.optional_duration("split", "0s"..="10m", SPLIT),
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
            size_max: s.size(
                "size_max",
                "64MiB",
                "1MiB"..="1GiB",
                "Bytes of these purges in Redis, about; the oldest go first, as with records. A purge \
                 of 1,024 long tags takes some 90 KiB.",
            ),
            spool: spool(&s),
            instance: instance(&s),
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
        let is_one = self.reach.mode() == Mode::Standalone;
        if !is_one && self.split.is_some_and(|split| split < SPLIT_MIN) {
            let found = "less than a second where another master may be promoted";
            s.object("split", found, "\"\", or at least \"1s\"");
        }
    }

    fn split(&self) -> Duration {
        self.split.unwrap_or_else(|| match self.reach.mode() {
            Mode::Standalone => Duration::ZERO,
            Mode::Sentinel => SPLIT_OF_SENTINEL,
            Mode::Cluster => SPLIT_OF_CLUSTER,
        })
    }

    /// What may not be meant.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.enabled && self.reach.url.is_some() {
            notices.push(
                "purge_log.enabled is false although there is a Redis: purges reach only the \
                 instance that is told of them, and instances do not see what others have stored",
            );
        }
        if self.spool.is_some() && (self.reach.url.is_none() || !self.enabled) {
            notices.push(
                "purge_log.spool has no effect: there is no purge log in a Redis, and nothing waits for it",
            );
        }
        notices.into_iter().map(str::to_owned).collect()
    }

    /// Nothing where the log is in the process.
    pub(super) fn settings(
        &self,
        namespace: &str,
        instance: &str,
    ) -> Result<Option<shared::Settings>, UnreadableCa> {
        if !self.enabled {
            return Ok(None);
        }
        let Some(servers) = self.reach.servers(self.timeout)? else {
            return Ok(None);
        };
        Ok(Some(shared::Settings {
            servers,
            namespace: namespace.to_owned(),
            instance: self.instance.as_deref().unwrap_or(instance).to_owned(),
            lease: self.lease,
            renew: self.renew,
            gone: self.gone,
            split: self.split(),
            timeout: self.timeout,
            records_max: self.records,
            bytes_max: self.size_max,
            spool: self.spool.clone(),
        }))
    }
}

fn instance(s: &Section<'_>) -> Option<String> {
    let name = s.text(
        "instance",
        default(""),
        "\"\", or a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
        "How receipts, the log and `cms-edge status` call this instance. Empty: as the variable HOSTNAME \
         says, else as the machine is called. Several on one machine need a name each: for people; the \
         log tells them apart in any case.",
        |text| match text {
            "" => Ok(String::new()),
            text => super::name(text),
        },
    );
    name.filter(|name| !name.is_empty())
}

/// Its own where it has a URL, else that of the store.
fn reach(s: &Section<'_>, store: &Reach) -> Reach {
    let own = Reach::read(s, "purge_log", url_of_redis(s, URL));
    if own.url.is_some() {
        return own;
    }
    let is_empty = !s.is_given("url") || s.is_empty_text("url");
    for key in own.details().filter(|_| is_empty) {
        let found = "a way to reach Redis without a purge_log.url";
        s.object(key, found, "what it is by default, or also a purge_log.url");
    }
    store.clone()
}

fn spool(s: &Section<'_>) -> Option<PathBuf> {
    let folder = s.text(
        "spool",
        default(""),
        "\"\", or the path of a folder of this instance alone, or of one to be made in a folder that is there",
        "The folder in which purges wait while Redis cannot be reached; it is made if it is not there. Empty: \
         they wait in memory, and a restart loses them.",
        |text| match text {
            "" => Ok(None),
            text => folder(s.reader.folder.join(text)).map(Some),
        },
    );
    folder.flatten()
}

/// That it can be written is seen at the start, by the user who will write.
fn folder(path: PathBuf) -> Result<PathBuf, Wrong> {
    let because = |why: String| Wrong {
        because: Some(why),
        ..Wrong::default()
    };
    if path.exists() && !path.is_dir() {
        return Err(because("it is no folder".to_owned()));
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let lacks = |folder: &Path| folder.try_exists().is_ok_and(|there| !there);
    match parent.filter(|parent| lacks(parent)) {
        Some(parent) => Err(because(format!("there is no folder {}", parent.display()))),
        None => Ok(path),
    }
}
