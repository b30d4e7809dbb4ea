//! Which event a delivery is about.

use http::HeaderMap;
use http::header::HeaderName;
use serde_json::Value;

use crate::purge::template::{Path, scalar};

/// Where the name of the event is. The payload counts first: it is what was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventSource {
    /// The first that leads to a text is it.
    pub paths: Vec<Path>,
    pub header: Option<HeaderName>,
}

/// Names of events: `*` stands for any run of characters, none included. Case counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPattern(Box<str>);

impl EventSource {
    /// The name, unless there is none or it is empty.
    pub(super) fn event(&self, headers: &HeaderMap, payload: &Value) -> Option<String> {
        let in_payload = self
            .paths
            .iter()
            .find_map(|path| scalar(path.value(payload)?));
        let in_header = || {
            let value = headers.get(self.header.as_ref()?)?;
            value.to_str().ok().map(str::to_owned)
        };
        in_payload
            .filter(|event| !event.is_empty())
            .or_else(in_header)
            .filter(|event| !event.is_empty())
    }
}

impl EventPattern {
    /// `None` for an empty one, which matches nothing.
    pub fn new(pattern: &str) -> Option<Self> {
        (!pattern.is_empty()).then(|| Self(pattern.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In time linear in the event for each `*`.
    pub fn matches(&self, event: &str) -> bool {
        let mut literals = self.0.split('*');
        let first = literals.next().unwrap_or_default();
        let Some(mut rest) = event.strip_prefix(first) else {
            return false;
        };
        let Some(last) = literals.next_back() else {
            return rest.is_empty();
        };
        for literal in literals {
            let Some((_, after)) = rest.split_once(literal) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, event, matches) in [
            ("article.published", "article.published", true),
            ("article.published", "article.published2", false),
            ("article.*", "article.published", true),
            ("article.*", "articles.published", false),
            ("article.*", "article.", true),
            ("*", "", true),
            ("*.items.update", "articles.items.update", true),
            ("*.items.*", "articles.items.delete", true),
            ("*.items.*", "articles.update", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            let pattern = EventPattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(event), matches, "{pattern:?} {event}");
        }
        assert_eq!(EventPattern::new(""), None);
    }

    #[test]
    fn the_payload_counts_before_the_header() {
        let source = EventSource {
            paths: ["event", "type"]
                .map(|path| Path::parse(path).unwrap())
                .into(),
            header: Some(HeaderName::from_static("x-event")),
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-event", "header".parse().unwrap());
        let event = |payload| source.event(&headers, &payload);
        assert_eq!(event(json!({"event": "a", "type": "b"})).unwrap(), "a");
        assert_eq!(event(json!({"type": "b"})).unwrap(), "b");
        assert_eq!(event(json!({"event": ""})).unwrap(), "header");
        assert_eq!(event(json!([])).unwrap(), "header");
        assert_eq!(source.event(&HeaderMap::new(), &json!({})), None);
    }
}
