//! From an event and its payload to scopes.

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::condition::Condition;
use super::event::EventPattern;
use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::purge::target::{self, SortedQuery, TargetError, Targets};
use crate::purge::template::{Template, TemplateError, Unfilled};

/// What is to be purged on which events.
#[derive(Clone, Debug)]
pub struct Rule {
    /// One of them must match. None: no event does.
    pub events: Vec<EventPattern>,
    /// All of them must hold.
    pub when: Vec<Condition>,
    pub action: Action,
    pub tags: Vec<Template>,
    /// URLs; those that end in `/*` are prefixes.
    pub urls: Vec<UrlTemplate>,
    pub prefixes: Vec<UrlTemplate>,
    pub hosts: Vec<Template>,
    pub everything: bool,
    /// Tags to purge as well when a template cannot be filled. Constant tags, prefixes and hosts
    /// of the rule serve as such, too.
    pub collections: Vec<Template>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    Purge(Mode),
    /// Nothing is purged, and the rules that follow do not count.
    Ignore,
}

/// A template of a URL. Whether it is a prefix is up to the template, never to the payload: a slug
/// `*` does not purge everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UrlTemplate {
    template: Template,
    is_prefix: bool,
}

/// A template that names no scope for this payload.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unresolved {
    #[error("{0}")]
    Unfilled(#[from] Unfilled),
    #[error("template `{template}` becomes `{text}`, which names nothing: {error}")]
    Target {
        template: Box<str>,
        text: Box<str>,
        error: TargetError,
    },
}

/// What a rule makes of a payload.
#[derive(Debug, Default)]
pub(super) struct Resolution {
    /// What could be named, including the collections when not all could.
    pub(super) scopes: Vec<Scope>,
    /// What could not be named, and whether the scopes make up for it.
    pub(super) unresolved: Option<(Unresolved, Widened)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Widened {
    /// A scope that does not depend on the missing field is purged instead.
    Yes,
    /// The rule has no such scope.
    No,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            when: Vec::new(),
            action: Action::Purge(Mode::Hard),
            tags: Vec::new(),
            urls: Vec::new(),
            prefixes: Vec::new(),
            hosts: Vec::new(),
            everything: false,
            collections: Vec::new(),
        }
    }
}

impl Rule {
    /// Whether it could purge anything if it had to.
    pub const fn names_something(&self) -> bool {
        self.everything
            || !(self.tags.is_empty()
                && self.urls.is_empty()
                && self.prefixes.is_empty()
                && self.hosts.is_empty())
    }

    pub(super) fn holds(&self, event: &str, payload: &Value) -> bool {
        self.events.iter().any(|pattern| pattern.matches(event))
            && self.when.iter().all(|condition| condition.holds(payload))
    }

    pub(super) fn resolve(&self, payload: &Value, targets: &Targets) -> Resolution {
        let mut scopes = Vec::new();
        let mut first = None;
        let mut add = |found: Result<Vec<Scope>, Unresolved>| match found {
            Ok(found) => scopes.extend(found),
            Err(error) => first = first.take().or(Some(error)),
        };
        for template in &self.tags {
            add(filled(template, payload, |text| target::tag(text).map(one)));
        }
        for template in &self.hosts {
            add(filled(template, payload, |text| {
                target::host(text).map(one)
            }));
        }
        for url in self.urls.iter().chain(&self.prefixes) {
            add(filled(&url.template, payload, |text| {
                url.scopes(text, targets)
            }));
        }
        if self.everything {
            scopes.push(Scope::Everything);
        }
        let unresolved = first.map(|error| {
            let collections = self.collections(payload);
            let widened = if collections.is_empty() && !self.has_constant_scope() {
                Widened::No
            } else {
                Widened::Yes
            };
            scopes.extend(collections);
            (error, widened)
        });
        Resolution { scopes, unresolved }
    }

    /// The collections that can be named.
    pub(super) fn collections(&self, payload: &Value) -> Vec<Scope> {
        self.collections
            .iter()
            .filter_map(|template| {
                filled(template, payload, |text| target::tag(text).map(one)).ok()
            })
            .flatten()
            .collect()
    }

    fn has_constant_scope(&self) -> bool {
        self.everything
            || self.tags.iter().any(Template::is_constant)
            || self.hosts.iter().any(Template::is_constant)
            || self
                .urls
                .iter()
                .chain(&self.prefixes)
                .any(|url| url.is_prefix && url.template.is_constant())
    }
}

impl UrlTemplate {
    /// A URL, or a prefix when it ends in `/*`.
    ///
    /// # Errors
    /// What is not a template, and what becomes a URL with no payload.
    pub fn url(text: &str) -> Result<Self, TemplateError> {
        if text.ends_with("/*") {
            return Self::prefix(text);
        }
        if text.ends_with('*') {
            return Err(TargetError::Wildcard.into());
        }
        Self::new(text, false)
    }

    /// A prefix, with or without `/*` at its end.
    ///
    /// # Errors
    /// What is not a template, and what becomes a URL with no payload.
    pub fn prefix(text: &str) -> Result<Self, TemplateError> {
        let above = text.strip_suffix('*').filter(|text| text.ends_with('/'));
        Self::new(above.unwrap_or(text), true)
    }

    fn new(text: &str, is_prefix: bool) -> Result<Self, TemplateError> {
        let url = Self {
            template: Template::parse(text)?,
            is_prefix,
        };
        if url.template.is_constant() {
            let targets = Targets::new(target::Settings::default(), Arc::new(SortedQuery));
            url.scopes(text, &targets)?;
        } else if !text.starts_with('{') && !target::begins_a_url(text) {
            return Err(TargetError::NotAUrl.into());
        }
        Ok(url)
    }

    fn scopes(&self, text: &str, targets: &Targets) -> Result<Vec<Scope>, TargetError> {
        if self.is_prefix {
            return targets.prefix(text).map(one);
        }
        targets.url(text)
    }
}

fn one(scope: Scope) -> Vec<Scope> {
    vec![scope]
}

fn filled(
    template: &Template,
    payload: &Value,
    to_scopes: impl Fn(&str) -> Result<Vec<Scope>, TargetError>,
) -> Result<Vec<Scope>, Unresolved> {
    let mut scopes = Vec::new();
    for text in template.fill(payload)? {
        scopes.extend(to_scopes(&text).map_err(|error| Unresolved::Target {
            template: template.as_str().into(),
            text: text.as_str().into(),
            error,
        })?);
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::target::Refused;
    use crate::purge::target::Settings;
    use serde_json::json;

    fn targets() -> Targets {
        let settings = Settings {
            any_query: true,
            slash_variants: false,
        };
        Targets::new(settings, Arc::new(SortedQuery))
    }

    fn templates(texts: &[&str]) -> Vec<Template> {
        let parsed = texts.iter().map(|text| Template::parse(text));
        parsed.collect::<Result<_, _>>().unwrap()
    }

    fn resolve(rule: &Rule, payload: Value) -> (Vec<String>, Option<Widened>) {
        let Resolution { scopes, unresolved } = rule.resolve(&payload, &targets());
        let scopes = scopes.iter().map(ToString::to_string).collect();
        (scopes, unresolved.map(|(_, widened)| widened))
    }

    #[test]
    fn every_kind_of_scope_comes_from_the_payload() {
        let rule = Rule {
            tags: templates(&["article:{id}"]),
            urls: vec![
                UrlTemplate::url("/{slug}").unwrap(),
                UrlTemplate::url("https://{host}/{slug}/*").unwrap(),
            ],
            prefixes: vec![UrlTemplate::prefix("/assets/{id}").unwrap()],
            hosts: templates(&["{host}"]),
            everything: true,
            ..Rule::default()
        };
        let payload = json!({"id": 7, "slug": "über", "host": "Example.org"});
        assert_eq!(
            resolve(&rule, payload).0,
            [
                "tag:article:7",
                "host:example.org",
                "path:*/%C3%BCber",
                "prefix:example.org/%C3%BCber",
                "prefix:*/assets/7",
                "everything",
            ]
        );
    }

    #[test]
    fn what_cannot_be_named_widens_to_the_collection() {
        let rule = Rule {
            tags: templates(&["article:{id}", "lang:{lang}"]),
            collections: templates(&["{model}", "articles"]),
            ..Rule::default()
        };
        assert_eq!(
            resolve(&rule, json!({"lang": "de"})),
            (
                vec!["tag:lang:de".to_owned(), "tag:articles".to_owned()],
                Some(Widened::Yes)
            )
        );
        assert_eq!(
            resolve(&rule, json!({"lang": "de", "id": 1})),
            (
                vec!["tag:article:1".to_owned(), "tag:lang:de".to_owned()],
                None
            )
        );
    }

    #[test]
    fn a_constant_tag_is_a_collection() {
        let rule = Rule {
            tags: templates(&["article:{id}", "articles"]),
            ..Rule::default()
        };
        assert_eq!(
            resolve(&rule, json!({})),
            (vec!["tag:articles".to_owned()], Some(Widened::Yes))
        );
    }

    #[test]
    fn without_a_collection_nothing_makes_up_for_a_missing_field() {
        let rule = Rule {
            tags: templates(&["article:{id}"]),
            urls: vec![UrlTemplate::url("/sitemap.xml").unwrap()],
            ..Rule::default()
        };
        assert_eq!(
            resolve(&rule, json!({})),
            (vec!["path:*/sitemap.xml".to_owned()], Some(Widened::No))
        );
    }

    #[test]
    fn a_payload_cannot_turn_a_url_into_a_prefix() {
        let rule = Rule {
            urls: vec![UrlTemplate::url("/{slug}").unwrap()],
            prefixes: vec![UrlTemplate::prefix("/{slug}").unwrap()],
            ..Rule::default()
        };
        assert_eq!(
            resolve(&rule, json!({"slug": "*"})).0,
            ["path:*/*", "prefix:*/*"]
        );
        assert_eq!(
            resolve(&rule, json!({"slug": "/other.example"})),
            (vec![], Some(Widened::No)),
            "nor name another host"
        );
        assert_eq!(resolve(&rule, json!({"slug": ".."})).1, Some(Widened::No));
    }

    #[test]
    fn what_becomes_a_url_with_no_payload_is_refused() {
        for text in [
            "/",
            "/{slug}",
            "{media.url}",
            "HTTPS://a.example/{x}",
            "/a/*",
        ] {
            assert!(UrlTemplate::url(text).is_ok(), "{text}");
        }
        for (text, error) in [
            ("articles/{slug}", TargetError::NotAUrl),
            ("//a.example/{slug}", TargetError::NotAUrl),
            ("ftp://a.example/", TargetError::NotAUrl),
            ("/articles*", TargetError::Wildcard),
            ("https://a b/", TargetError::Refused(Refused::Host)),
        ] {
            let error = Err(TemplateError::Target(error));
            assert_eq!(UrlTemplate::url(text), error, "{text}");
        }
        let query = TemplateError::Target(TargetError::PrefixQuery);
        assert_eq!(UrlTemplate::prefix("/a?b=c"), Err(query));
    }

    #[test]
    fn a_rule_holds_for_its_events_under_its_conditions() {
        let rule = Rule {
            events: vec![EventPattern::new("entry.*").unwrap()],
            when: vec![Condition::parse("entry.publishedAt", "!null").unwrap()],
            ..Rule::default()
        };
        let live = json!({"entry": {"publishedAt": "2026-11-20"}});
        let draft = json!({"entry": {"publishedAt": null}});
        assert!(rule.holds("entry.update", &live));
        assert!(!rule.holds("entry.update", &draft));
        assert!(!rule.holds("media.update", &live));
        assert!(!rule.names_something());
    }
}
