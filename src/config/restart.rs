//! Which keys a reload cannot change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use figment::value::{Dict, Value};

use xxhash_rust::xxh3::xxh3_64;

use super::file::Config;
use super::key_path::KeyPath;

/// Sections and keys that are taken over by a reload. All others need a restart, those included
/// that are not yet thought of: to promise too little is the safer mistake.
const RELOADED: &[&str] = &[
    "admin.token",
    "cache.fills_max",
    "certificate",
    "purge",
    "route",
    "server.drain_delay",
    "server.request_body_max",
    "server.upgrade_idle_timeout",
    "server.upgrade_timeout",
    "server.upgrades_max",
    "server.watch",
    "ttl",
    "upstream",
    "webhook",
];

/// Hashes of what was written, by key, for the keys that a reload does not take over. Hashes: a
/// secret may be among them.
#[derive(Clone, Default)]
pub(super) struct Written(BTreeMap<String, u64>);

impl Written {
    pub(super) fn of(values: &Dict) -> Self {
        let mut written = BTreeMap::new();
        flatten(&KeyPath::root(), values, &mut written);
        Self(written)
    }
}

/// Two configurations that mean the same are the same, however they were written.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl Config {
    /// The keys in which `self` differs from `running` and that need a restart to be in force.
    pub fn needs_restart(&self, running: &Self) -> Vec<String> {
        let (new, old) = (&self.written.0, &running.written.0);
        let keys: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
        let differs = |key: &&String| new.get(*key) != old.get(*key);
        // A default that is written out changes nothing.
        let has_changed = |key: &&String| match (self.section_of(key), running.section_of(key)) {
            (Some(new), Some(old)) => new != old,
            _ => true,
        };
        keys.into_iter()
            .filter(differs)
            .filter(has_changed)
            .cloned()
            .collect()
    }

    /// The section of a key as it was understood; nothing for sections that are not known here.
    fn section_of(&self, key: &str) -> Option<String> {
        match key.split('.').next() {
            Some("namespace") => Some(self.namespace.clone()),
            Some("server") => Some(format!("{:?}", self.server)),
            Some("tls") => Some(format!("{:?}", self.tls)),
            Some("log") => Some(format!("{:?}", self.log)),
            Some("cache") => Some(format!("{:?}", self.cache)),
            Some("admin") => Some(format!("{:?}", self.admin)),
            _ => None,
        }
    }
}

fn flatten(path: &KeyPath, values: &Dict, written: &mut BTreeMap<String, u64>) {
    for (name, value) in values {
        let path = path.key(name);
        let key = path.to_string();
        if RELOADED.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::Dict(_, inner) => flatten(&path, inner, written),
            value => {
                let mut text = String::new();
                write(value, &mut text);
                written.insert(key, xxh3_64(text.as_bytes()));
            }
        }
    }
}

/// The value without the marks of where it came from.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(_, values) => {
            for value in values {
                write(value, text);
                text.push(',');
            }
        }
        Value::Dict(_, values) => {
            for (name, value) in values {
                text.push_str(name);
                text.push('=');
                write(value, text);
                text.push(',');
            }
        }
        value => {
            let plain = value.clone().into_string();
            let number = || value.to_num().map(|number| format!("{number:?}"));
            let truth = || value.to_bool().map(|truth| truth.to_string());
            let shown = plain.or_else(number).or_else(truth).unwrap_or_default();
            // Writing to a text does not fail.
            let _written = write!(text, "{shown:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn config(server: &str, rest: &str) -> Config {
        let text = format!(
            "[server]\n{server}\n[upstream.cms]\nservers = [\"http://127.0.0.1:9\"]\n\
             [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"cms\"\n{rest}"
        );
        config::parse(&text, "a.toml", Path::new(""), []).unwrap()
    }

    #[test]
    fn what_a_reload_cannot_change_is_named_by_its_key() {
        let running = config("http = [\"127.0.0.1:8080\"]", "");
        let new = config(
            "http = [\"127.0.0.1:8081\"]\nworkers = 2\nrequest_body_max = \"1MiB\"",
            "ttl = \"5m\"\n[cache]\nmemory = \"1GiB\"\nfills_max = 7\n\
             [admin]\nlisten = \"127.0.0.1:9\"\ntoken = \"another-token-of-admins\"",
        );
        assert_eq!(
            new.needs_restart(&running),
            [
                "admin.listen",
                "cache.memory",
                "server.http",
                "server.workers"
            ]
        );
    }

    #[test]
    fn what_stays_as_it_is_is_not_named() {
        let running = config("workers = 2", "");
        let new = config("workers = 2\nhttp = [\"127.0.0.1:8080\"]", "ttl = \"5m\"");
        assert!(new.needs_restart(&running).is_empty());
    }
}
