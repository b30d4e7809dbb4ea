//! Settings from environment variables: `CMS_EDGE_ADMIN__LISTEN` is `listen` in `[admin]`.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};

/// What the name of a variable begins with that sets a key.
pub const PREFIX: &str = "CMS_EDGE_";

/// What stands between the names of nested tables.
const NESTING: &str = "__";

/// Deeper than any key stands; a longer name is no key.
const DEPTH_MAX: usize = 8;

/// The process's variables. What is not UTF-8 is replaced, and refused where it is read.
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

/// One variable as a source of figment's, so that every value knows which variable it came from.
pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    /// The keys from the top of the file, in lower case.
    pub(super) keys: Vec<String>,
    value: &'a str,
}

impl<'a> Variable<'a> {
    /// Nothing where the name does not begin with [`PREFIX`], or is one that Kubernetes makes up.
    pub(super) fn new(name: &'a str, value: &'a str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        if is_service_link(rest) {
            return None;
        }
        let keys = rest
            .splitn(DEPTH_MAX, NESTING)
            .map(str::to_ascii_lowercase)
            .collect();
        Some(Self { name, keys, value })
    }
}

impl Provider for Variable<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.to_owned()).source(Source::Custom("environment".to_owned()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        // Lists and tables as figment reads them; anything else stays a text until it is known
        // what it is for.
        let text = || Value::from(self.value.trim().to_owned());
        let mut value = match self.value.parse() {
            Ok(value @ (Value::String(..) | Value::Array(..) | Value::Dict(..))) => value,
            _ => text(),
        };
        for key in self.keys.iter().rev() {
            value = Value::from(Dict::from([(key.clone(), value)]));
        }
        let values = value.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, values)]))
    }
}

/// The variable that a value came from; `None` for values of the file.
pub(super) fn variable_name(metadata: &Metadata) -> Option<&str> {
    matches!(metadata.source, Some(Source::Custom(_))).then_some(&*metadata.name)
}

/// Kubernetes puts `CMS_EDGE_SERVICE_HOST`, `CMS_EDGE_PORT_8080_TCP` and the like into every
/// container beside a Service that is called `cms-edge`. They name no key of ours.
fn is_service_link(rest: &str) -> bool {
    let port = |word: &str| {
        word == "PORT"
            || word
                .strip_prefix("PORT_")
                .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    !rest.contains(NESTING)
        && (rest == "SERVICE_HOST"
            || rest.ends_with("_SERVICE_HOST")
            || rest.starts_with("SERVICE_PORT")
            || rest.contains("_SERVICE_PORT")
            || port(rest)
            || rest
                .match_indices("_PORT")
                .any(|(at, _)| rest.get(at + 1..).is_some_and(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_double_underscores() {
        let variable = Variable::new("CMS_EDGE_SERVER__HTTP_MODE", "serve").unwrap();
        assert_eq!(variable.keys, ["server", "http_mode"]);
        assert!(Variable::new("PATH", "/bin").is_none());
    }

    #[test]
    fn what_kubernetes_sets_beside_a_service_of_our_name_is_not_ours() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_8080_TCP",
            "PORT_8080_TCP_ADDR",
            "ADMIN_SERVICE_HOST",
            "ADMIN_PORT_9090_TCP_PROTO",
        ] {
            assert!(
                Variable::new(&format!("{PREFIX}{name}"), "x").is_none(),
                "{name}"
            );
        }
        for name in ["SERVER__REDIRECT_PORT", "NAMESPACE", "PORTS", "HOME"] {
            assert!(
                Variable::new(&format!("{PREFIX}{name}"), "x").is_some(),
                "{name}"
            );
        }
    }
}
