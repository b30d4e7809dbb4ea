//! The least configuration, and what is read from it.

use std::path::Path;

use cms_edge::config::{self, Config};
use cms_edge::policy::CacheRule;

/// The least that is a configuration: six lines, and what follows belongs to its route.
pub(crate) const LEAST: &str = "\
[upstream.cms]
servers = [\"http://127.0.0.1:8000\"]
[[route]]
name = \"all\"
path = \"/*\"
upstream = \"cms\"
";

pub(crate) const WEBHOOK: &str = r#"[[webhook]]
name = "w"
path = "/_cms-edge/w"
dialect = "hmac"
secrets = ["0123456789abcdef"]
[[webhook.rule]]
events = ["*"]
everything = true
"#;

pub(crate) fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse(text, "proxy.toml", Path::new(""), environment)
        .map_err(|mistakes| mistakes.to_string().lines().map(str::to_owned).collect())
}

pub(crate) fn cache(config: &Config) -> &CacheRule {
    config.routes[0].cache.as_ref().unwrap()
}

/// The mistakes of what follows the least configuration; its first line is line 7.
pub(crate) fn after_least(text: &str) -> Vec<String> {
    read(&format!("{LEAST}{text}"), &[])
        .err()
        .unwrap_or_default()
}

#[track_caller]
pub(crate) fn one_mistake(text: &str, expected: &str) {
    assert_eq!(after_least(text), [expected], "in:\n{text}");
}

#[track_caller]
pub(crate) fn no_mistake(text: &str) {
    assert_eq!(after_least(text), [""; 0], "in:\n{text}");
}
