//! The JSON of `POST /purge`. All mistakes are found at once, and one mistake purges nothing.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::purge::answer::Problem;
use crate::purge::target::{self, TargetError, Targets};
use crate::purge::{Cause, Purge};

/// Why a body is no purge.
#[derive(Debug)]
pub(super) enum Refusal {
    NotJson(String),
    Mistakes(Vec<Mistake>),
}

/// One mistake, at a place in the body (RFC 6901).
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Mistake {
    pointer: String,
    found: String,
    allowed: String,
}

const KEYS: [&str; 6] = ["tags", "urls", "prefixes", "hosts", "everything", "mode"];
/// Mistakes that are told; more are only counted.
const MISTAKES_MAX: usize = 20;
/// Bytes of what was found that are shown.
const FOUND_BYTES_MAX: usize = 80;

/// # Errors
/// What is not JSON, and everything in it that is not as it should be.
pub(super) fn parse(body: &[u8], targets: &Targets) -> Result<Purge, Refusal> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::NotJson(error.to_string()))?;
    let Value::Object(members) = &value else {
        return Err(Refusal::Mistakes(vec![mistake("", &value, "an object")]));
    };
    let mut reading = Reading::default();
    reading.unknown_keys(members);
    reading.scopes(members, "tags", |text| target::tag(text).map(one));
    reading.scopes(members, "urls", |text| targets.url_or_prefix(text));
    reading.scopes(members, "prefixes", |text| prefix(text, targets));
    reading.scopes(members, "hosts", |text| target::host(text).map(one));
    reading.everything(members);
    let mode = reading.mode(members);
    if !reading.mistakes.is_empty() {
        return Err(Refusal::Mistakes(reading.mistakes));
    }
    Purge::new(reading.scopes, mode, Cause::Admin).map_err(|error| {
        Refusal::Mistakes(vec![Mistake {
            pointer: String::new(),
            found: error.to_string(),
            allowed: format!("at least one of {}", listed(&KEYS[..5])),
        }])
    })
}

#[derive(Default)]
struct Reading {
    scopes: Vec<Scope>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn unknown_keys(&mut self, members: &Map<String, Value>) {
        for key in members.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            self.mistakes.push(Mistake {
                pointer: format!("/{}", key.replace('~', "~0").replace('/', "~1")),
                found: "an unknown key".to_owned(),
                allowed: listed(&KEYS),
            });
        }
    }

    fn scopes(
        &mut self,
        members: &Map<String, Value>,
        key: &str,
        to_scopes: impl Fn(&str) -> Result<Vec<Scope>, TargetError>,
    ) {
        let pointer = format!("/{key}");
        let items = match members.get(key) {
            None => return,
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.mistakes
                    .push(mistake(&pointer, other, "a list of texts"));
                return;
            }
        };
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Value::String(text) = item else {
                self.mistakes.push(mistake(&pointer, item, "a text"));
                continue;
            };
            match to_scopes(text) {
                Ok(scopes) => self.scopes.extend(scopes),
                Err(error) => self.mistakes.push(Mistake {
                    pointer,
                    found: format!("{}: {error}", shown(item)),
                    allowed: allowed(key).to_owned(),
                }),
            }
        }
    }

    fn everything(&mut self, members: &Map<String, Value>) {
        match members.get("everything") {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => self.scopes.push(Scope::Everything),
            Some(other) => self
                .mistakes
                .push(mistake("/everything", other, "true or false")),
        }
    }

    fn mode(&mut self, members: &Map<String, Value>) -> Mode {
        match members.get("mode") {
            None => Mode::Hard,
            Some(Value::String(mode)) if mode == "hard" => Mode::Hard,
            Some(Value::String(mode)) if mode == "soft" => Mode::Soft,
            Some(other) => {
                self.mistakes
                    .push(mistake("/mode", other, "\"hard\" or \"soft\""));
                Mode::Hard
            }
        }
    }
}

impl Refusal {
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "not-json",
            Self::Mistakes(_) => "mistakes",
        }
    }

    /// 400 for what is not JSON, 422 for JSON that is no purge.
    pub(super) fn problem(&self) -> Problem {
        let reason = self.as_str();
        match self {
            Self::NotJson(error) => Problem::new(
                StatusCode::BAD_REQUEST,
                reason,
                format!("the body is not JSON: {error}"),
            ),
            Self::Mistakes(mistakes) => {
                let errors: Vec<Value> = mistakes
                    .iter()
                    .take(MISTAKES_MAX)
                    .map(Mistake::to_json)
                    .collect();
                let detail = format!(
                    "nothing was purged, because the command has {} mistake(s)",
                    mistakes.len()
                );
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason, detail)
                    .with("errors", errors)
            }
        }
    }
}

impl Mistake {
    fn to_json(&self) -> Value {
        json!({"pointer": self.pointer, "found": self.found, "allowed": self.allowed})
    }
}

fn prefix(text: &str, targets: &Targets) -> Result<Vec<Scope>, TargetError> {
    if text.ends_with("/*") {
        return targets.url_or_prefix(text);
    }
    targets.prefix(text).map(one)
}

fn one(scope: Scope) -> Vec<Scope> {
    vec![scope]
}

fn mistake(pointer: &str, found: &Value, allowed: &str) -> Mistake {
    Mistake {
        pointer: pointer.to_owned(),
        found: shown(found),
        allowed: allowed.to_owned(),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let end = text.floor_char_boundary(FOUND_BYTES_MAX);
    match text.get(..end) {
        Some(start) if end < text.len() => format!("{start}…"),
        _ => text,
    }
}

fn allowed(key: &str) -> &'static str {
    match key {
        "tags" => "a tag without control characters",
        "hosts" => "a host such as www.example.org",
        "prefixes" => "a prefix such as https://www.example.org/news or /news",
        _ => "a URL such as https://www.example.org/news?page=2, /news or /news/*",
    }
}

fn listed(keys: &[&str]) -> String {
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::target::{Settings, SortedQuery};
    use std::sync::Arc;

    fn read(body: &str) -> Result<Purge, Refusal> {
        let settings = Settings {
            any_query: true,
            slash_variants: false,
        };
        let targets = Targets::new(settings, Arc::new(SortedQuery));
        parse(body.as_bytes(), &targets)
    }

    fn mistakes(body: &str) -> Vec<Mistake> {
        match read(body) {
            Err(Refusal::Mistakes(mistakes)) => mistakes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_of_scope_can_be_named() {
        let purge = read(
            r#"{"tags": ["article:1"], "urls": ["https://x.example/a?b", "/c/*"],
                "prefixes": ["/d/*", "/e"], "hosts": ["X.example"], "everything": true,
                "mode": "soft"}"#,
        )
        .unwrap();
        let scopes: Vec<String> = purge.scopes().iter().map(ToString::to_string).collect();
        assert_eq!(
            scopes,
            [
                "tag:article:1",
                "path:x.example/a",
                "prefix:*/c",
                "prefix:*/d",
                "prefix:*/e",
                "host:x.example",
                "everything",
            ]
        );
        assert_eq!(purge.mode(), Mode::Soft);
        assert_eq!(read(r#"{"tags": ["a"]}"#).unwrap().mode(), Mode::Hard);
    }

    #[test]
    fn all_mistakes_are_told_with_what_is_allowed() {
        let found = mistakes(
            r#"{"tag": ["a"], "tags": [1, "", "a"], "urls": "x", "prefixes": ["/a?b"],
                "hosts": ["a b"], "everything": "yes", "mode": "gentle"}"#,
        );
        let pointers: Vec<&str> = found.iter().map(|mistake| &*mistake.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/tag",
                "/tags/0",
                "/tags/1",
                "/urls",
                "/prefixes/0",
                "/hosts/0",
                "/everything",
                "/mode",
            ]
        );
        assert_eq!(found[7].found, "\"gentle\"");
        assert_eq!(found[7].allowed, "\"hard\" or \"soft\"");
        assert!(found[0].allowed.contains("tags, urls"));
    }

    #[test]
    fn a_command_that_names_nothing_is_a_mistake() {
        for body in ["{}", r#"{"tags": []}"#, r#"{"everything": false}"#] {
            assert_eq!(
                mistakes(body)[0].found,
                "it names nothing to purge",
                "{body}"
            );
        }
        assert_eq!(mistakes("[]")[0].allowed, "an object");
    }

    #[test]
    fn more_scopes_than_a_purge_takes_are_refused_with_the_bound() {
        let tags: Vec<String> = (0..1025).map(|at| format!("t{at}")).collect();
        let found = mistakes(&json!({"tags": tags}).to_string());
        assert!(found[0].found.contains("1025 scopes"), "{found:?}");
        assert!(found[0].found.contains("at most 1024"), "{found:?}");
    }

    #[test]
    fn what_is_not_json_is_said_to_be_so() {
        assert!(matches!(read("{"), Err(Refusal::NotJson(_))));
        assert!(matches!(read(""), Err(Refusal::NotJson(_))));
    }

    #[test]
    fn long_values_are_cut_where_a_character_ends() {
        let value = json!("é".repeat(100));
        assert!(shown(&value).len() < 90);
        assert!(shown(&value).ends_with('…'));
    }
}
