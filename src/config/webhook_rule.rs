//! `[[webhook.rule]]`: what an event purges.

use serde_json::Value;

use super::describe::{Presence, Sample, Style};
use super::section::{Section, Wrong};
use super::webhook::Kind;
use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::purge::target::{self, TargetError};
use crate::purge::template::{Template, TemplateError};
use crate::purge::webhook::condition::Condition;
use crate::purge::webhook::event::EventPattern;
use crate::purge::webhook::rule::{Action, Rule, UrlTemplate};

const RULE: &str = "What an event purges; all rules that hold count. {path} in a text is replaced \
    from the payload, e.g. {data.id}, and {keys[*]} makes one text of each item of a list. What a \
    delivery does not name widens to `collections`, or the delivery is answered 422: a gap never \
    means \"nothing\" and never \"everything\". Dialect \"strapi\" needs no rule: without any, \
    publishing purges {model}:{entry.documentId} and {model}, and files their URLs.";

/// In the order of the file.
pub(super) fn rules(webhook: &Section<'_>, kind: Kind) -> Vec<Rule> {
    let sections = webhook.array("rule", Style::Array, RULE);
    let rules: Vec<Rule> = sections.iter().map(rule).collect();
    if rules.is_empty() && kind != Kind::Strapi {
        let allowed = "at least one [[webhook.rule]]";
        webhook.object("rule", "no rule", allowed);
    }
    rules
}

fn rule(s: &Section<'_>) -> Rule {
    let events = s.list(
        "events",
        Presence::Required(Sample::List(&["article.published", "article.unpublished"])),
        "an event like \"article.published\" or \"article.*\"",
        "The events it is for, as the CMS names them; * is any text. \"*\" alone is also for \
         deliveries that name none.",
        |text| EventPattern::new(text).ok_or_else(Wrong::default),
    );
    let hard = Action::Purge(Mode::Hard);
    let modes = [
        ("hard", hard),
        ("soft", Action::Purge(Mode::Soft)),
        ("ignore", Action::Ignore),
    ];
    let action = s.choice(
        "mode",
        hard,
        &modes,
        "hard: nothing older is ever served again. soft: it may be served while a new one is \
         fetched. ignore: the event purges nothing, and the rules that follow do not count.",
    );
    let tags = tags(s);
    let (urls, prefixes, hosts) = places(s);
    let everything = s.boolean(
        "everything",
        false,
        "All that this namespace has stored. The CMS is asked for everything again.",
    );
    let collections = collections(s, &tags);
    let rule = Rule {
        events,
        when: when(s),
        action,
        tags,
        urls,
        prefixes,
        hosts,
        everything,
        collections,
    };
    check(s, &rule);
    rule
}

fn tags(s: &Section<'_>) -> Vec<Template> {
    s.list(
        "tags",
        Presence::Optional(Sample::List(&[
            "article:{data.id}:{data.language}",
            "articles:{data.language}",
        ])),
        TAG,
        "Tags, e.g. [\"article:{data.id}:{data.language}\"], and those of the lists that the entry \
         may enter or leave.",
        tag,
    )
}

fn collections(s: &Section<'_>, tags: &[Template]) -> Vec<Template> {
    let given = s.list(
        "collections",
        Presence::Optional(Sample::List(&["articles:{data.language}", "articles"])),
        TAG,
        "Tags to purge as well when a delivery does not fill another template, or names more than \
         one purge takes. Those of them that it does not fill, either, are left out. Where it is \
         not set: those of `tags` that have no {path}.",
        tag,
    );
    if s.is_given("collections") {
        return given;
    }
    let constant = tags.iter().filter(|tag| tag.is_constant());
    constant.cloned().collect()
}

const TAG: &str = "a tag like \"article:{data.id}\"";

fn tag(text: &str) -> Result<Template, Wrong> {
    if text.contains(|c: char| c.is_whitespace() || c == ',') {
        return Err(Wrong::because(
            "it has a space or comma, which separate tags",
        ));
    }
    template(text, target::tag)
}

/// What is the same for every payload must name something.
fn template(
    text: &str,
    to_scope: fn(&str) -> Result<Scope, TargetError>,
) -> Result<Template, Wrong> {
    let template = Template::parse(text).map_err(refused)?;
    if template.is_constant() {
        let filled = template.fill(&Value::Null);
        let filled = filled.map_err(|error| Wrong::because(error.problem.to_string()))?;
        for text in filled {
            to_scope(&text).map_err(|error| Wrong::because(error.to_string()))?;
        }
    }
    Ok(template)
}

fn refused(error: TemplateError) -> Wrong {
    Wrong::because(error.to_string())
}

fn places(s: &Section<'_>) -> (Vec<UrlTemplate>, Vec<UrlTemplate>, Vec<Template>) {
    let none = Presence::Default(Sample::List(&[]));
    let urls = s.list(
        "urls",
        none,
        "a URL like \"https://www.example.org/articles/{data.slug}\", or its path for all hosts",
        "URLs, with all their variants.",
        |text| UrlTemplate::url(text).map_err(refused),
    );
    let prefixes = s.list(
        "prefixes",
        none,
        "a URL like \"https://www.example.org/de/\", or its path for all hosts",
        "Everything below a path, by whole segments.",
        |text| UrlTemplate::prefix(text).map_err(refused),
    );
    let hosts = s.list(
        "hosts",
        none,
        "a host like \"de.example.org\"",
        "Everything of a host.",
        |text| template(text, target::host),
    );
    (urls, prefixes, hosts)
}

fn when(s: &Section<'_>) -> Vec<Condition> {
    s.table_of_text(
        "when",
        Presence::Default(Sample::Table(&[])),
        ("a path in the payload", "a text, number or truth value"),
        "Conditions: paths in the payload and their values, e.g. { \"entry.publishedAt\" = \
         \"!null\" }. \"null\" is also what is not there; \"!\" before a value is \"anything but it\". \
         All must hold.",
        |path, value| {
            Condition::parse(path, value).map_err(|error| Wrong {
                found: Some(format!("the path {path:?}")),
                because: Some(error.to_string()),
                allowed: Some("a path like \"entry.publishedAt\"".to_owned()),
                ..Wrong::default()
            })
        },
    )
}

fn check(s: &Section<'_>, rule: &Rule) {
    if s.is_given("events") && rule.events.is_empty() {
        s.object("events", "an empty list", "at least one event");
    }
    let keys = ["tags", "urls", "prefixes", "hosts", "everything"];
    if keys.iter().any(|key| !s.reader.is_sound(&s.path.key(key))) {
        return;
    }
    let ignores = rule.action == Action::Ignore;
    if ignores && (rule.names_something() || !rule.collections.is_empty()) {
        let found = "\"ignore\" in a rule that names something to purge";
        let allowed = "a rule with mode \"ignore\" names nothing to purge";
        s.object("mode", found, allowed);
    }
    if !ignores && !rule.names_something() {
        let allowed = "at least one of tags, urls, prefixes, hosts, or everything = true";
        s.reader
            .object(&s.path, "a rule that purges nothing", allowed);
    }
}
