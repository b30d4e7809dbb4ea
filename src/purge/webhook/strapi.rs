//! The dialect `strapi`: Strapi 4 and 5, which sign nothing and let the operator add fields.
//!
//! Without rules of the operator's, these hold:
//!
//! | event | purged |
//! |---|---|
//! | `entry.publish`, `entry.unpublish`, `entry.delete` | tags `{model}:{entry.documentId}` and `{model}` |
//! | `entry.create`, `entry.update` with `publishedAt` | the same: a type without draft & publish sends nothing else |
//! | `entry.create`, `entry.update` without `publishedAt` | nothing: a draft, which nobody has been served |
//! | `media.*` | the file's URL and those of its sizes; tags `media:{media.documentId}` and `media` |
//! | all others (`entry.draft-discard`, `trigger-test`, `releases.publish`, …) | nothing: publishing a release sends `entry.publish` for each entry |
//!
//! An `entry.delete` purges whatever `publishedAt` says: Strapi sends one for each row, and which
//! of them come is not worth relying on. Version 4 has no `documentId`: the purge widens to
//! `{model}`. `entry.id` is not used, because it changes with every publish. Entries of all locales
//! share the tag, because relations and `localizations` embed them in each other's responses.

use http::header::HeaderName;

use super::condition::Condition;
use super::event::{EventPattern, EventSource};
use super::rule::{Rule, UrlTemplate};
use crate::purge::template::{Path, Template, TemplateError};

/// `event` in the body, else `X-Strapi-Event`.
pub(super) fn events() -> Result<EventSource, TemplateError> {
    Ok(EventSource {
        paths: vec![Path::parse_single("event")?],
        header: Some(HeaderName::from_static("x-strapi-event")),
    })
}

/// The rules in the table above.
///
/// # Errors
/// None; a template of this file that is not one would be.
pub fn default_rules() -> Result<Vec<Rule>, TemplateError> {
    let entry = Rule {
        tags: vec![
            Template::parse("{model}:{entry.documentId}")?,
            Template::parse("{model}")?,
        ],
        collections: vec![Template::parse("{model}")?],
        ..Rule::default()
    };
    Ok(vec![
        Rule {
            events: patterns(&["entry.publish", "entry.unpublish", "entry.delete"]),
            ..entry.clone()
        },
        Rule {
            events: patterns(&["entry.create", "entry.update"]),
            when: vec![Condition::parse("entry.publishedAt", "!null")?],
            ..entry
        },
        Rule {
            events: patterns(&["media.*"]),
            tags: vec![
                Template::parse("media:{media.documentId}")?,
                Template::parse("media")?,
            ],
            urls: vec![UrlTemplate::url("{media.url}")?],
            ..Rule::default()
        },
        Rule {
            events: patterns(&["media.*"]),
            when: vec![Condition::parse("media.formats", "!null")?],
            urls: vec![UrlTemplate::url("{media.formats[*].url}")?],
            collections: vec![Template::parse("media")?],
            ..Rule::default()
        },
    ])
}

fn patterns(events: &[&str]) -> Vec<EventPattern> {
    events
        .iter()
        .filter_map(|event| EventPattern::new(event))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::target::{Settings, SortedQuery, Targets};
    use crate::purge::webhook::plan::{Plan, plan};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn purged(payload: &Value) -> Option<Vec<String>> {
        let settings = Settings {
            slash_variants: false,
            ..Settings::default()
        };
        let targets = Targets::new(settings, Arc::new(SortedQuery));
        let event = payload["event"].as_str().unwrap();
        match plan(&default_rules().unwrap(), event, payload, &targets) {
            Plan::Purge(planned) => {
                assert!(planned.failed.is_empty(), "{planned:?}");
                Some(planned.scopes.iter().map(ToString::to_string).collect())
            }
            Plan::Unmatched | Plan::Ignored => None,
        }
    }

    fn entry(event: &str, published_at: &str) -> Value {
        let published_at = (!published_at.is_empty()).then_some(published_at);
        json!({
            "event": event, "model": "article", "uid": "api::article.article",
            "entry": {"id": 7, "documentId": "jec3", "publishedAt": published_at, "locale": "de"},
        })
    }

    #[test]
    fn published_content_is_purged_and_drafts_are_not() {
        let both = Some(vec![
            "tag:article:jec3".to_owned(),
            "tag:article".to_owned(),
        ]);
        for event in [
            "entry.publish",
            "entry.unpublish",
            "entry.update",
            "entry.create",
        ] {
            assert_eq!(purged(&entry(event, "2026-11-20")), both, "{event}");
        }
        assert_eq!(purged(&entry("entry.delete", "")), both);
        for event in ["entry.create", "entry.update", "entry.draft-discard"] {
            assert_eq!(purged(&entry(event, "")), None, "{event}");
        }
        assert_eq!(purged(&json!({"event": "trigger-test"})), None);
    }

    #[test]
    fn version_4_widens_to_the_model() {
        let mut payload = entry("entry.publish", "2026-11-20");
        payload["entry"]
            .as_object_mut()
            .unwrap()
            .remove("documentId");
        assert_eq!(purged(&payload), Some(vec!["tag:article".to_owned()]));
    }

    #[test]
    fn media_are_purged_by_their_urls() {
        let payload = json!({"event": "media.update", "media": {
            "documentId": "uo4j", "url": "/uploads/a.png",
            "formats": {"small": {"url": "/uploads/small_a.png"}},
        }});
        let expected = [
            "tag:media:uo4j",
            "tag:media",
            "path:*/uploads/a.png",
            "path:*/uploads/small_a.png",
        ];
        assert_eq!(purged(&payload).unwrap(), expected);
        let mut without = payload;
        without["media"]["formats"] = Value::Null;
        assert_eq!(purged(&without).unwrap(), expected[..3]);
    }
}
