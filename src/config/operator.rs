//! The names that operators know from other programs: `CACHE_TTL`, `METRICS_PORT` and the like. A
//! variable of ours that begins with `CMS_EDGE_` wins over them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::operation::{LIFETIME_MAX, LIFETIME_MIN};
use super::reader::Reader;
use super::section::quoted;
use super::units;
use crate::switches;

/// What they say, as far as it is right.
#[derive(Clone, Debug, Default)]
pub(super) struct Operator {
    pub(super) switches: switches::Settings,
    /// Of routes that set none.
    pub(super) ttl: Option<Duration>,
    pub(super) compression: Option<Levels>,
    pub(super) metrics_port: Option<u16>,
}

/// Efforts of routes that set none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Levels {
    pub(super) gzip: u64,
    pub(super) brotli: u64,
}

pub(super) const CACHE_TTL: &str = "CACHE_TTL";
const COMPRESSION_LEVEL: &str = "COMPRESSION_LEVEL";
const ENABLE_CACHING: &str = "ENABLE_CACHING";
const ENABLE_COMPRESSION: &str = "ENABLE_COMPRESSION";
const METRICS_PORT: &str = "METRICS_PORT";

/// Brotli's effort for gzip's 1 to 9, at about the same cost.
const BROTLI: [u64; 9] = [1, 2, 3, 3, 4, 5, 6, 8, 9];

impl Operator {
    /// Mistakes in them are told by `reader`.
    pub(super) fn read(reader: &Reader) -> Self {
        let variables = Variables {
            reader,
            environment: &reader.environment,
        };
        let lifetimes = format!(
            "seconds like \"3600\", or a duration from \"{LIFETIME_MIN}\" to \"{LIFETIME_MAX}\""
        );
        let level = variables.take(COMPRESSION_LEVEL, "a whole number from 1 to 9", |text| {
            let level = text.parse::<u64>().ok()?;
            let brotli = BROTLI.get(usize::try_from(level.checked_sub(1)?).ok()?)?;
            Some(Levels {
                gzip: level,
                brotli: *brotli,
            })
        });
        let port = variables.take(METRICS_PORT, "a whole number from 1 to 65535", |text| {
            text.parse().ok().filter(|port| *port > 0)
        });
        Self {
            switches: switches::Settings {
                caching: variables.switch(ENABLE_CACHING),
                compression: variables.switch(ENABLE_COMPRESSION),
            },
            ttl: variables.take(CACHE_TTL, &lifetimes, lifetime),
            compression: level,
            metrics_port: port,
        }
    }

    /// The address of the admin listener, with their port if they name one and nothing that wins
    /// over it did.
    pub(super) fn admin_address(&self, listen: SocketAddr, is_ours: bool) -> SocketAddr {
        match self.metrics_port {
            Some(port) if !is_ours => SocketAddr::new(listen.ip(), port),
            _ => listen,
        }
    }
}

struct Variables<'r> {
    reader: &'r Reader,
    environment: &'r BTreeMap<String, String>,
}

impl Variables<'_> {
    /// An empty variable is none.
    fn get(&self, name: &str) -> Option<&str> {
        let text = self.environment.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn take<T>(&self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.get(name)?;
        let taken = parse(text);
        if taken.is_none() {
            self.reader.report_variable(name, quoted(text), allowed);
        }
        taken
    }

    /// On, unless it says otherwise.
    fn switch(&self, name: &str) -> bool {
        let allowed = "true or false (1, 0, yes, no, on and off are the same)";
        let on = self.take(name, allowed, |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            }
        });
        on.unwrap_or(true)
    }
}

fn lifetime(text: &str) -> Option<Duration> {
    let bounds = units::duration(LIFETIME_MIN)?..=units::duration(LIFETIME_MAX)?;
    let lifetime = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => units::duration(text),
    };
    lifetime.filter(|lifetime| bounds.contains(lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_seconds_or_a_duration() {
        assert_eq!(lifetime("90"), Some(Duration::from_secs(90)));
        assert_eq!(lifetime("5m"), Some(Duration::from_secs(300)));
        for text in ["", "-1", "5 m", "soon", "99999999999999"] {
            assert_eq!(lifetime(text), None, "{text}");
        }
    }
}
