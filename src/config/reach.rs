//! Where a Redis is, and how to get in: the keys that [redis] and [purge_log] share.

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
use crate::store::redis::connect::{Mode, Servers};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    section: &'static str,
    /// `None`: it is nowhere.
    pub(super) url: Option<ConnectionInfo>,
    mode: Mode,
    servers: Vec<(String, u16)>,
    sentinel_master: String,
    sentinel_auth: bool,
    ca: Option<PathBuf>,
}

/// The authorities of Redis cannot be read any more.
#[derive(Debug, Error)]
#[error("`ca` of [{section}]: {path}: {source}")]
pub struct UnreadableCa {
    section: &'static str,
    path: String,
    source: std::io::Error,
}

const URL: &str = "\"\", a URL like \"redis://user:password@host:6379/0\", \"rediss://…\" (TLS), \
    \"redis+unix:///path\", \"env:NAME\" or \"file:/path\"";

const SERVER: &str = "host and port like \"redis-2.example.org:6379\"";

const MASTER: &str = "mymaster";

/// Bytes of a file of authorities.
const CA_BYTES_MAX: u64 = 1 << 20;

impl Reach {
    /// `section` is its name. `url` is what was read of the key of this name.
    pub(super) fn read(
        s: &Section<'_>,
        section: &'static str,
        url: Option<ConnectionInfo>,
    ) -> Self {
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
        let reach = Self {
            section,
            mode,
            servers,
            sentinel_master: master(s),
            sentinel_auth: s.boolean(
                "sentinel_auth",
                false,
                "Whether Sentinels ask for the user and password of the URL, too.",
            ),
            ca: optional_file(
                s,
                "ca",
                Content::Certificate,
                "The authorities that may sign the certificates of rediss servers. Empty: those of \
                 the system.",
            ),
            url,
        };
        reach.check(s);
        reach
    }

    /// The keys beside `url` that say something.
    pub(super) fn details(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("mode", self.mode != Mode::Standalone),
            ("servers", !self.servers.is_empty()),
            ("sentinel_master", self.sentinel_master != MASTER),
            ("sentinel_auth", self.sentinel_auth),
            ("ca", self.ca.is_some()),
        ];
        keys.into_iter()
            .filter_map(|(key, says)| says.then_some(key))
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    fn check(&self, s: &Section<'_>) {
        let Some(url) = &self.url else { return };
        let is_one = self.mode == Mode::Standalone;
        let another = format!("another {}.mode", self.section);
        if is_one && !self.servers.is_empty() {
            let found = "further servers of a standalone one";
            s.object("servers", found, &format!("none, or {another}"));
        }
        if !is_one && matches!(url.addr(), ConnectionAddr::Unix(_)) {
            let found = format!("a socket with {another} than \"standalone\"");
            s.object("url", &found, "a URL with host and port");
        }
        if self.mode == Mode::Cluster && url.redis_settings().db() != 0 {
            let found = "a database of a cluster, which has but one";
            s.object("url", found, "a URL without a path");
        }
    }

    /// Nothing where there is no Redis.
    pub(super) fn servers(
        &self,
        connect_timeout: Duration,
    ) -> Result<Option<Servers>, UnreadableCa> {
        let Some(first) = self.url.clone() else {
            return Ok(None);
        };
        let read = |path: &PathBuf| authorities(path, self.section);
        Ok(Some(Servers {
            section: self.section,
            mode: self.mode,
            first,
            others: self.servers.clone(),
            master: self.sentinel_master.clone(),
            sentinel_auth: self.sentinel_auth,
            ca: self.ca.as_ref().map(read).transpose()?,
            connect_timeout,
        }))
    }
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

/// Whether it is the URL of a Redis.
///
/// # Errors
/// What is wrong with it, without what is secret in it.
pub fn is_redis_url(url: &str) -> Result<(), String> {
    let wrong = |wrong: Wrong| wrong.because.unwrap_or_default();
    parsed(url).map(drop).map_err(wrong)
}

pub(super) fn parsed(url: &str) -> Result<ConnectionInfo, Wrong> {
    // What is in it must not be shown.
    let wrong = |why: &str| Wrong {
        found: Some(hidden_text(url)),
        because: Some(why.to_owned()),
        ..Wrong::default()
    };
    let info = url.into_connection_info().map_err(|_| wrong(&slip(url)))?;
    match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            Err(wrong("TLS that trusts everybody protects from nobody"))
        }
        _ => Ok(info),
    }
}

/// What is wrong with a URL, without what is secret in it.
fn slip(url: &str) -> String {
    const SCHEMES: &str = "redis://, rediss://, redis+unix:// or unix://";
    let Some((scheme, rest)) = url.split_once("://") else {
        return format!("it does not begin with {SCHEMES}");
    };
    if !["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys"].contains(&scheme) {
        // What is before "://" may be anything, but it is no place for a password.
        let shown: String = scheme.chars().take(16).collect();
        return format!("it begins with {shown:?} and not with {SCHEMES}");
    }
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let host_and_port = place.split('/').next().unwrap_or_default();
    if rest.matches('@').count() > 1 || rest.contains('#') || rest.contains('?') {
        return "in a password, @ is written %40, # %23, / %2F, : %3A, ? %3F and % %25".to_owned();
    }
    match host_and_port.rsplit_once(':') {
        _ if host_and_port.is_empty() => "it names no host".to_owned(),
        Some((_, port)) if port.parse::<u16>().is_err() => "its port is no number up to 65535".to_owned(),
        _ => "host, port or number of the database cannot be understood; in a password, @ is written %40, # %23, / %2F".to_owned(),
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

fn master(s: &Section<'_>) -> String {
    let name = s.text(
        "sentinel_master",
        default(MASTER),
        super::NAME,
        "What Sentinels call the master.",
        super::name,
    );
    name.unwrap_or_default()
}

fn authorities(path: &Path, section: &'static str) -> Result<Vec<u8>, UnreadableCa> {
    let mut pem = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut pem));
    match read {
        Ok(_) => Ok(pem),
        Err(source) => Err(UnreadableCa {
            section,
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
