//! `[redis]`: where instances share what they have stored.

use std::time::Duration;

use ::redis::ConnectionInfo;

use super::reach::{Reach, UnreadableCa, parsed, url_of_redis};
use super::section::{Section, hidden_text};
use crate::store::redis;

#[derive(Clone, Debug)]
pub struct Redis {
    pub(super) reach: Reach,
    timeout: Duration,
    connect_timeout: Duration,
    connections: usize,
    collapse_wait: Duration,
    max_object_size: usize,
}

const REDIS: &str = "A Redis (6.2 or later) or Valkey in which instances share what they have \
    stored. It may fail at any time: requests then go on without it. It needs a maxmemory; the \
    best maxmemory-policy is volatile-lru.";

impl Redis {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("redis", REDIS);
        let url = url(&s);
        Self {
            reach: Reach::read(&s, "redis", url),
            timeout: s.duration(
                "timeout",
                "50ms",
                "1ms"..="10s",
                "How long a request waits for Redis, which is then left alone until it answers \
                 faster. Short: a busy network turns hits into misses. Long: readers feel a Redis \
                 that hangs.",
            ),
            connect_timeout: s.duration(
                "connect_timeout",
                "1s",
                "10ms"..="1m",
                "How long a connection may take to open, in the background.",
            ),
            connections: s.count(
                "connections",
                2,
                1..=64,
                "Connections for lookups, each shared by many requests; writes and claims have one more each. \
                 High: more work for Redis, little gain.",
            ),
            collapse_wait: collapse_wait(&s),
            max_object_size: s.size(
                "max_object_size",
                "1MiB",
                "1KiB"..="64MiB",
                "Bytes of the largest response that is written to Redis. Larger ones stay in \
                 memory alone.",
            ),
        }
    }

    /// `None`: there is no Redis.
    pub const fn url(&self) -> Option<&ConnectionInfo> {
        self.reach.url.as_ref()
    }

    /// Nothing where there is no Redis.
    pub(super) fn settings(
        &self,
        namespace: &str,
        variants_max: usize,
    ) -> Result<Option<redis::Settings>, UnreadableCa> {
        let Some(servers) = self.reach.servers(self.connect_timeout)? else {
            return Ok(None);
        };
        Ok(Some(redis::Settings {
            servers,
            namespace: namespace.to_owned(),
            timeout: self.timeout,
            connections: self.connections,
            collapse_wait: self.collapse_wait,
            object_bytes_max: self.max_object_size,
            variants_max,
        }))
    }
}

fn url(s: &Section<'_>) -> Option<ConnectionInfo> {
    let doc = "Where Redis is. Empty: nowhere; each instance keeps its own in memory. A user of an \
        ACL needs ~cms-edge:* ~{NAMESPACE:* +@read +@write +@scripting +@connection +info +time, for \
        responses and the purge log; NAMESPACE is `namespace`. `cms-edge check --connect` tries it.";
    let given = url_of_redis(s, doc);
    if s.is_given("url") {
        return given;
    }
    from_variable(s)
}

/// What other programs call it.
const REDIS_URL: &str = "REDIS_URL";

fn from_variable(s: &Section<'_>) -> Option<ConnectionInfo> {
    let url = s.reader.environment.get(REDIS_URL)?.trim();
    if url.is_empty() {
        return None;
    }
    let taken = parsed(url);
    if taken.is_err() {
        let allowed = "a URL like \"redis://127.0.0.1:6379/0\"";
        s.reader
            .report_variable(REDIS_URL, hidden_text(url), allowed);
    }
    taken.ok()
}

fn collapse_wait(s: &Section<'_>) -> Duration {
    s.duration(
        "collapse_wait",
        "10s",
        "0s"..="1m",
        "How long a miss waits for what another instance fetches already, so that all instances \
         together ask the CMS once. 0: never; each asks once. Long: readers wait for an instance \
         whose CMS is slow; one that died is noticed within 2 s.",
    )
}
