//! Redis about itself, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, cmd};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::examine::room;
use super::link::Link;
use crate::telemetry::redis::RedisMetrics;

/// How often Redis is asked.
const EVERY: Duration = Duration::from_secs(15);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `INFO` says; of several servers, their sums.
#[derive(Debug, Default, Eq, PartialEq)]
struct Figures {
    used_memory: u64,
    evicted_keys: u64,
    keyspace_hits: u64,
    keyspace_misses: u64,
    policy: Option<String>,
    /// What may be wrong with its memory.
    advice: Option<&'static str>,
}

/// Never ends. A Redis that does not answer is left alone.
pub(super) async fn ask_regularly(link: Arc<Link>, metrics: Arc<RedisMetrics>) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = None;
    loop {
        every.tick().await;
        while link.way().is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let Some(way) = link.way() else { continue };
        let mut connection = way.writes();
        let info = cmd("INFO");
        let asked = info.query_async::<Value>(&mut connection);
        if let Ok(Ok(info)) = timeout(PATIENCE, asked).await {
            let mut figures = Figures::default();
            figures.add(&info);
            figures.tell(&metrics);
            let advice = figures.advice;
            if let Some(advice) = advice.filter(|_| advice != warned) {
                tracing::warn!("{advice}");
            }
            warned = advice;
        }
    }
}

impl Figures {
    /// A text, or several, one of each server of a cluster.
    fn add(&mut self, info: &Value) {
        match info {
            Value::BulkString(text) => self.add_text(&String::from_utf8_lossy(text)),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => self.add_text(text),
            Value::Map(servers) => servers.iter().for_each(|(_, info)| self.add(info)),
            Value::Array(servers) => servers.iter().for_each(|info| self.add(info)),
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        self.advice = self.advice.or_else(|| room(text));
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let sum = match name {
                "used_memory" => &mut self.used_memory,
                "evicted_keys" => &mut self.evicted_keys,
                "keyspace_hits" => &mut self.keyspace_hits,
                "keyspace_misses" => &mut self.keyspace_misses,
                "maxmemory_policy" => {
                    // Of several policies the worst counts.
                    if !self.evicts_any() {
                        self.policy = Some(value.to_owned());
                    }
                    continue;
                }
                _ => continue,
            };
            *sum = sum.saturating_add(value.parse().unwrap_or(0));
        }
    }

    fn evicts_any(&self) -> bool {
        let policy = self.policy.as_deref();
        policy.is_some_and(|policy| policy.starts_with("allkeys-"))
    }

    fn tell(&self, metrics: &RedisMetrics) {
        let gauge = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
        metrics.used_memory.set(gauge(self.used_memory));
        metrics.evicted_keys.set(gauge(self.evicted_keys));
        metrics.keyspace_hits.set(gauge(self.keyspace_hits));
        metrics.keyspace_misses.set(gauge(self.keyspace_misses));
        metrics.evicts_any.set(i64::from(self.evicts_any()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(policy: &str) -> Value {
        let text = format!(
            "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory_policy:{policy}\r\n\
             # Stats\r\nevicted_keys:2\r\nkeyspace_hits:3\r\nkeyspace_misses:4\r\n"
        );
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn servers_of_a_cluster_are_summed_and_the_worst_policy_counts() {
        let node = |policy| (Value::Nil, text(policy));
        let mut figures = Figures::default();
        let nodes = ["noeviction", "allkeys-lru", "volatile-lru"];
        figures.add(&Value::Map(nodes.map(node).to_vec()));
        assert_eq!(figures.used_memory, 3000);
        assert_eq!(figures.keyspace_misses, 12);
        assert!(figures.evicts_any());
        let mut one = Figures::default();
        one.add(&text("volatile-lru"));
        assert!(!one.evicts_any());
    }
}
