//! `[redis]`: where instances share what they have stored.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use figment::value::Value;
use thiserror::Error;

use super::describe::{Kind, Presence, Sample};
use super::section::{Key, Section, Wrong, default, hidden_text};
use super::server::{Content, optional_file};
use crate::route::pattern::is_host;
use crate::store::redis;
use crate::store::redis::connect::{Mode, Servers};

#[derive(Clone, Debug)]
pub struct Redis {
    /// `None`: there is no Redis.
    pub url: Option<ConnectionInfo>,
    mode: Mode,
    servers: Vec<(String, u16)>,
    sentinel_master: String,
    sentinel_auth: bool,
    ca: Option<PathBuf>,
    timeout: Duration,
    connect_timeout: Duration,
    connections: usize,
    collapse_wait: Duration,
    max_object_size: usize,
}

/// The authorities of Redis cannot be read any more.
#[derive(Debug, Error)]
#[error("`ca` of [redis]: {path}: {source}")]
pub struct UnreadableCa {
    path: String,
    source: std::io::Error,
}

const REDIS: &str = "A Redis (6.2 or later) or Valkey in which instances share what they have \
    stored. It may fail at any time: requests then go on without it. It needs a maxmemory; the \
    best maxmemory-policy is volatile-lru.";

const URL: &str = "\"\", a URL like \"redis://user:password@host:6379/0\", \"rediss://…\" (TLS), \
    \"redis+unix:///path\", \"env:NAME\" or \"file:/path\"";

const SERVER: &str = "host and port like \"redis-2.example.org:6379\"";

/// Bytes of a file of authorities.
const CA_BYTES_MAX: u64 = 1 << 20;

impl Redis {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("redis", REDIS);
        let url = url(&s);
        let modes = [
            ("standalone", Mode::Standalone),
            ("sentinel", Mode::Sentinel),
            ("cluster", Mode::Cluster),
        ];
        let mode = s.choice(
            "mode",
            Mode::Standalone,
            &modes,
            "What the URL leads to: a server, one of the Sentinels that know the master, or a node \
             of a cluster.",
        );
        let servers = s.list(
            "servers",
            Presence::Default(Sample::List(&[])),
            SERVER,
            "Further Sentinels, or nodes of the cluster, for when the first cannot be reached.",
            server,
        );
        let redis = Self {
            mode,
            servers,
            sentinel_master: master(&s),
            sentinel_auth: s.boolean(
                "sentinel_auth",
                false,
                "Whether Sentinels ask for the user and password of the URL, too.",
            ),
            ca: ca(&s),
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
                "Connections for lookups, each shared by many requests; writes have one more. \
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
            url,
        };
        redis.check(&s);
        redis
    }

    fn check(&self, s: &Section<'_>) {
        let Some(url) = &self.url else { return };
        let is_one = self.mode == Mode::Standalone;
        if is_one && !self.servers.is_empty() {
            let found = "further servers of a standalone one";
            s.object("servers", found, "none, or another redis.mode");
        }
        if !is_one && matches!(url.addr(), ConnectionAddr::Unix(_)) {
            let found = "a socket with another redis.mode than \"standalone\"";
            s.object("url", found, "a URL with host and port");
        }
        if self.mode == Mode::Cluster && url.redis_settings().db() != 0 {
            let found = "a database of a cluster, which has but one";
            s.object("url", found, "a URL without a path");
        }
    }

    /// Nothing where there is no Redis.
    pub(super) fn settings(
        &self,
        namespace: &str,
        variants_max: usize,
    ) -> Result<Option<redis::Settings>, UnreadableCa> {
        let Some(first) = self.url.clone() else {
            return Ok(None);
        };
        let ca = self.ca.as_deref().map(authorities).transpose()?;
        let servers = Servers {
            mode: self.mode,
            first,
            others: self.servers.clone(),
            master: self.sentinel_master.clone(),
            sentinel_auth: self.sentinel_auth,
            ca,
            connect_timeout: self.connect_timeout,
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
    let doc = "Where Redis is. Empty: nowhere; each instance keeps its own in memory. User and \
        password are those of an ACL that allows HGET, HSET, HDEL, HMGET, UNLINK, PTTL, PEXPIRE, \
        TIME, EVAL, EVALSHA, PING and INFO.";
    let given = url_of_redis(s, doc);
    if s.is_given("url") {
        return given;
    }
    from_variable(s)
}

/// The key `url` of a section; "" is none.
pub(super) fn url_of_redis(s: &Section<'_>, doc: &'static str) -> Option<ConnectionInfo> {
    let key = Key {
        name: "url",
        kind: Kind::Secret(URL),
        presence: Presence::Default(Sample::Text("")),
        doc,
    };
    let taken = s.take(key, |value: &Value, _| {
        match value.as_str().ok_or_else(Wrong::default)? {
            "" => Ok(None),
            text => parsed(&s.resolve(text)?).map(Some),
        }
    });
    taken.flatten()
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

fn parsed(url: &str) -> Result<ConnectionInfo, Wrong> {
    // What is in it must not be shown.
    let wrong = |why: &str| Wrong {
        found: Some(hidden_text(url)),
        because: Some(why.to_owned()),
        ..Wrong::default()
    };
    let info = url
        .into_connection_info()
        .map_err(|_| wrong("it is no such URL"))?;
    match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            Err(wrong("TLS that trusts everybody protects from nobody"))
        }
        _ => Ok(info),
    }
}

fn server(text: &str) -> Result<(String, u16), Wrong> {
    let (host, port) = text.rsplit_once(':').ok_or_else(Wrong::default)?;
    let port: u16 = port.parse().map_err(|_| Wrong::default())?;
    if port == 0 || !is_host(host) {
        return Err(Wrong::default());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), port))
}

fn collapse_wait(s: &Section<'_>) -> Duration {
    s.duration(
        "collapse_wait",
        "10s",
        "0s"..="1m",
        "How long a miss waits for what another instance fetches already, so that all \
                 instances together ask the CMS once. 0: never; each asks once. Long: readers \
                 wait for an instance whose CMS is slow; one that died is noticed within 2 s.",
    )
}

fn ca(s: &Section<'_>) -> Option<PathBuf> {
    optional_file(
        s,
        "ca",
        Content::Certificate,
        "The authorities that may sign the certificates of rediss servers. Empty: those of \
                 the system.",
    )
}

fn master(s: &Section<'_>) -> String {
    let name = s.text(
        "sentinel_master",
        default("mymaster"),
        super::NAME,
        "What Sentinels call the master.",
        super::name,
    );
    name.unwrap_or_default()
}

fn authorities(path: &Path) -> Result<Vec<u8>, UnreadableCa> {
    let mut pem = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut pem));
    match read {
        Ok(_) => Ok(pem),
        Err(source) => Err(UnreadableCa {
            path: path.display().to_string(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_redis_rediss_or_a_socket() {
        for url in [
            "redis://127.0.0.1:6379",
            "redis://edge:secret@redis.example.org/2",
            "rediss://:secret@redis.example.org:6380",
            "redis+unix:///run/redis.sock",
            "unix:///run/redis.sock",
        ] {
            assert!(parsed(url).is_ok(), "{url}");
        }
        for url in ["127.0.0.1:6379", "http://a", "redis://", "redis://a:0x"] {
            assert!(parsed(url).is_err(), "{url}");
        }
        let wrong = parsed("rediss://edge:hunter2@redis#insecure").unwrap_err();
        assert_eq!(wrong.found.as_deref(), Some("a text of 36 characters"));
    }

    #[test]
    fn a_server_is_host_and_port() {
        assert_eq!(server("[::1]:1").unwrap(), ("::1".to_owned(), 1));
        assert_eq!(server("a.example:6379").unwrap().1, 6379);
        for text in ["", "a", "a:", "a:0", ":1", "a b:1", "redis://a:1"] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
