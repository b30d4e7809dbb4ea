//! What a Redis is set to do that may take the log, or let two masters have one: looked at when a session
//! begins and now and then, told once, and shown as metrics.

use std::convert::Infallible;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{MissedTickBehavior, interval};

use super::Instance;
use super::connection::Link;
use super::session::Ended;
use crate::store::redis::connect::Mode;

/// What Redis says about itself. What it does not say is not held against it.
#[derive(Debug, Default)]
pub(super) struct Said {
    memory: String,
    replication: String,
    /// Of `CONFIG GET`, which the user need not have.
    replicas_to_write: Option<u64>,
    replica_lag_max: Option<Duration>,
    node_timeout: Option<Duration>,
    config_is_refused: bool,
}

/// What was told last, so that it is told once.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) danger: Option<String>,
    policy: Option<String>,
    /// `CONFIG GET` was refused: each further one would stand in the ACL log.
    config_is_refused: bool,
}

/// How often Redis is looked at.
const EVERY: Duration = Duration::from_secs(30);

/// How much longer than what Redis is set to `split` has to be.
const MARGIN: Duration = Duration::from_secs(1);

impl Instance {
    /// Never ends by itself.
    pub(super) async fn look_after_redis(&self, link: &Link) -> Result<Infallible, Ended> {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let may_ask = !self.told.lock().config_is_refused;
            let mode = self.settings.servers.mode;
            let said = Said::of(link.scripts.clone(), mode, may_ask).await;
            self.told.lock().config_is_refused |= said.config_is_refused;
            self.tell(&said);
        }
    }

    fn tell(&self, said: &Said) {
        let (mode, split) = (self.settings.servers.mode, self.settings.split);
        let policy = said.evicting_policy();
        let danger = said.danger(mode, split);
        self.metrics.evictable.set(i64::from(policy.is_some()));
        self.metrics.unguarded.set(i64::from(danger.is_some()));
        let mut told = self.told.lock();
        if let Some(policy) = &policy
            && told.policy.as_ref() != Some(policy)
        {
            tracing::warn!(
                policy,
                "Redis may evict the purge log when its memory is full, and all hits with it: set maxmemory-policy to volatile-lru"
            );
        }
        if let Some(danger) = &danger
            && told.danger.as_ref() != Some(danger)
        {
            tracing::warn!("after a failover of Redis, what was purged may come back: {danger}");
        }
        (told.policy, told.danger) = (policy, danger);
    }
}

impl Said {
    /// `may_ask`: also by `CONFIG GET`.
    pub(super) async fn of(
        mut connection: MultiplexedConnection,
        mode: Mode,
        may_ask: bool,
    ) -> Self {
        let mut said = Self {
            memory: info(&mut connection, "memory").await,
            replication: info(&mut connection, "replication").await,
            ..Self::default()
        };
        if mode == Mode::Standalone || !may_ask {
            return said;
        }
        let read = async |name: &str, connection: &mut MultiplexedConnection| {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(name);
            let pair: Vec<String> = command.query_async(connection).await.ok()?;
            pair.get(1)?.parse::<u64>().ok()
        };
        if mode == Mode::Cluster {
            let millis = read("cluster-node-timeout", &mut connection).await;
            said.node_timeout = millis.map(Duration::from_millis);
            said.config_is_refused = millis.is_none();
        } else {
            said.replicas_to_write = read("min-replicas-to-write", &mut connection).await;
            said.config_is_refused = said.replicas_to_write.is_none();
            if said.replicas_to_write.is_some() {
                let seconds = read("min-replicas-max-lag", &mut connection).await;
                said.replica_lag_max = seconds.map(Duration::from_secs);
            }
        }
        said
    }

    /// In sentences.
    pub(super) fn warnings(&self, mode: Mode, split: Duration) -> Vec<String> {
        let evicts = self.evicting_policy().map(|policy| {
            format!(
                "its maxmemory-policy is {policy}: it may evict the purge log, and all hits with it; set \
                 volatile-lru"
            )
        });
        let danger = self.danger(mode, split);
        let danger =
            danger.map(|why| format!("after a failover, what was purged may come back: {why}"));
        evicts.into_iter().chain(danger).collect()
    }

    /// One that evicts keys without a lifetime, where there is a limit at which it does.
    fn evicting_policy(&self) -> Option<String> {
        let policy = value(&self.memory, "maxmemory_policy")?;
        let has_limit = value(&self.memory, "maxmemory") != Some("0");
        (has_limit && policy.starts_with("allkeys-")).then(|| policy.to_owned())
    }

    fn danger(&self, mode: Mode, split: Duration) -> Option<String> {
        let replicas = value(&self.replication, "connected_slaves");
        let replicas: u64 = replicas.and_then(|many| many.parse().ok()).unwrap_or(0);
        let wanted = |limit: Option<Duration>| {
            let limit = limit.filter(|limit| *limit + MARGIN > split)?;
            Some((limit + MARGIN).as_secs_f64())
        };
        match mode {
            Mode::Standalone if replicas > 0 && split.is_zero() => Some(
                "it has replicas, and purge_log.split is 0s: if one may be promoted, say how (mode), \
                 or set split"
                    .to_owned(),
            ),
            Mode::Standalone => None,
            Mode::Cluster => wanted(self.node_timeout).map(|least| {
                format!("cluster-node-timeout asks for a purge_log.split of at least {least} s")
            }),
            Mode::Sentinel => self.danger_of_replicas(replicas).or_else(|| {
                let least = wanted(self.replica_lag_max)?;
                Some(format!(
                    "min-replicas-max-lag asks for a purge_log.split of at least {least} s"
                ))
            }),
        }
    }

    /// Redis shows the number of good replicas only where it asks for any.
    fn danger_of_replicas(&self, replicas: u64) -> Option<String> {
        let asks = value(&self.replication, "min_slaves_good_slaves").is_some();
        let few = self.replicas_to_write.is_some_and(|many| many < replicas);
        (replicas > 0 && (few || !asks)).then(|| {
            format!(
                "its master takes writes without its replicas; set min-replicas-to-write to \
                 {replicas}, the number of replicas"
            )
        })
    }
}

async fn info(connection: &mut MultiplexedConnection, section: &str) -> String {
    let mut command = redis::cmd("INFO");
    command.arg(section);
    command.query_async(connection).await.unwrap_or_default()
}

fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(10);
    const SPLIT: Duration = Duration::from_secs(11);

    fn memory(limit: &str, policy: &str) -> Said {
        Said {
            memory: format!(
                "# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_human:0B\r\nmaxmemory_policy:{policy}\r\n"
            ),
            ..Said::default()
        }
    }

    fn replicas(many: u64, more: &str) -> Said {
        Said {
            replication: format!("# Replication\r\nconnected_slaves:{many}\r\n{more}"),
            ..Said::default()
        }
    }

    #[test]
    fn a_policy_evicts_where_there_is_a_limit() {
        let policy = |limit, policy| memory(limit, policy).evicting_policy();
        assert_eq!(
            policy("1000", "allkeys-lfu").as_deref(),
            Some("allkeys-lfu")
        );
        assert_eq!(policy("0", "allkeys-lfu"), None);
        assert_eq!(policy("1000", "volatile-lru"), None);
        assert_eq!(Said::default().evicting_policy(), None);
    }

    #[test]
    fn a_master_behind_sentinels_asks_all_its_replicas() {
        let good = "min_slaves_good_slaves:2\r\n";
        let asks = |many, lag| Said {
            replicas_to_write: many,
            replica_lag_max: lag,
            ..replicas(2, good)
        };
        let danger = |said: Said, split| said.danger(Mode::Sentinel, split);
        assert_eq!(danger(replicas(0, ""), SPLIT), None);
        assert!(danger(replicas(2, ""), SPLIT).is_some());
        // The user may not see the settings: what shows is well.
        assert_eq!(danger(asks(None, None), SPLIT), None);
        assert_eq!(danger(asks(Some(2), Some(LAG)), SPLIT), None);
        assert!(danger(asks(Some(1), Some(LAG)), SPLIT).is_some());
        let short = danger(asks(Some(2), Some(LAG)), LAG).unwrap();
        assert!(short.ends_with("at least 11 s"), "{short}");
    }

    #[test]
    fn a_split_is_longer_than_the_timeout_of_nodes() {
        let said = Said {
            node_timeout: Some(LAG),
            ..replicas(1, "")
        };
        assert_eq!(said.danger(Mode::Cluster, SPLIT), None);
        assert!(said.danger(Mode::Cluster, LAG).is_some());
    }

    #[test]
    fn one_server_with_replicas_may_have_a_successor() {
        let danger = |many, split| replicas(many, "").danger(Mode::Standalone, split);
        assert_eq!(danger(0, Duration::ZERO), None);
        assert!(danger(1, Duration::ZERO).is_some());
        assert_eq!(danger(1, SPLIT), None);
    }
}
