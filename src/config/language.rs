//! `[route.language]`: which languages there are, and how a request says which it wants.

use super::describe::{Presence, Sample};
use super::getters::near;
use super::section::{Section, Wrong, required};
use crate::key::LanguageRule;
use crate::key::language::{LanguageSettings, Source, TAG_BYTES_MAX};
use crate::route::pattern::is_host;

const LANGUAGE: &str = "One stored copy per language, instead of one per Accept-Language. Without \
    this table, a response that varies on Accept-Language has a copy per value of it.";
const TAG: &str = "a language tag (BCP 47) like \"de\" or \"pt-BR\"";
const SOURCE: &str = "\"path\", \"query:NAME\", \"cookie:NAME\", \"host\" or \"header\"";

/// `None` without the table, and where it has a mistake.
pub(super) fn read(parent: &Section<'_>) -> Option<LanguageRule> {
    let s = parent.optional_section("language", LANGUAGE)?;
    let supported = s.list(
        "supported",
        Presence::Required(Sample::List(&["en", "de", "fr", "pt-BR"])),
        TAG,
        "The languages that the CMS has, as it writes them. One too many: its visitors get \
         whatever the CMS makes of it, stored under that name.",
        tag,
    );
    let default = s.text(
        "default",
        required("en"),
        "one of `supported`",
        "What visitors get who want none of them.",
        tag,
    );
    let sources = s.list(
        "sources",
        Presence::Default(Sample::List(&["path", "header"])),
        SOURCE,
        "Where a request says its language; the first that names a supported one wins. \"path\" is \
         its first segment, \"header\" is Accept-Language. Each header that is consulted is named \
         in Vary.",
        source,
    );
    let language = LanguageSettings {
        supported,
        default: default.unwrap_or_default(),
        sources,
        aliases: aliases(&s),
        fallback: fallback(&s),
        hosts: hosts(&s),
        drift_guard: s.boolean(
            "drift_guard",
            true,
            "A response whose Content-Language is not the language that was asked for, nor one of \
             its fallbacks, is counted and not stored. false: for a CMS that echoes \
             Accept-Language there.",
        ),
    };
    check(&s, &language);
    match LanguageRule::new(language) {
        Ok(rule) => Some(rule),
        Err(error) => {
            s.reader
                .object(&s.path, &error.to_string(), "languages that are supported");
            None
        }
    }
}

fn aliases(s: &Section<'_>) -> Vec<(Box<str>, Box<str>)> {
    s.table_of_text(
        "aliases",
        Presence::Default(Sample::Table(&[])),
        ("a language tag", "one of `supported`"),
        "Other names, e.g. { pt = \"pt-BR\", gsw = \"de\" }. A language with one regional variant \
         needs none: pt finds pt-BR when that is the only Portuguese. Nor do Chinese (zh-TW finds \
         zh-Hant, zh-CN zh-Hans, and the reverse), Norwegian (no, nb, nn) and Serbian (sr finds \
         sr-Cyrl, sh sr-Latn). An alias given here comes before all of these.",
        |from, to| Ok((key(from, TAG, is_tag)?, tag(to)?)),
    )
}

fn fallback(s: &Section<'_>) -> Vec<(Box<str>, Vec<Box<str>>)> {
    let fallback = s.table_of_lists(
        "fallback",
        Presence::Default(Sample::Table(&[])),
        ("one of `supported`", "one of `supported`"),
        "What the CMS shows where a translation is missing, e.g. { pt-BR = [\"en\"] }: accepted \
         by the drift guard.",
        tag,
    );
    fallback
        .into_iter()
        .map(|(from, chain)| (from.into(), chain))
        .collect()
}

fn hosts(s: &Section<'_>) -> Vec<(Box<str>, Box<str>)> {
    s.table_of_text(
        "hosts",
        Presence::Default(Sample::Table(&[])),
        ("a host", "one of `supported`"),
        "The language of each host, for the source \"host\", e.g. { \"de.example.org\" = \"de\" }.",
        |host, to| {
            let host = key(
                host,
                "a host without a port like \"de.example.org\"",
                is_host,
            )?;
            Ok((host.to_ascii_lowercase().into(), tag(to)?))
        },
    )
}

fn tag(text: &str) -> Result<Box<str>, Wrong> {
    if !is_tag(text) {
        return Err(Wrong {
            because: Some("not a language tag".to_owned()),
            ..Wrong::default()
        });
    }
    Ok(text.into())
}

/// A key of a table that must be of a form.
fn key(text: &str, form: &str, is_good: fn(&str) -> bool) -> Result<Box<str>, Wrong> {
    if !is_good(text) {
        return Err(Wrong {
            found: Some(format!("the key {text:?}")),
            allowed: Some(form.to_owned()),
            ..Wrong::default()
        });
    }
    Ok(text.into())
}

fn source(text: &str) -> Result<Source, Wrong> {
    let named = |name: &str| {
        let bad = |c: char| c.is_control() || c.is_whitespace() || "=&;,#".contains(c);
        (!name.is_empty() && !name.contains(bad)).then(|| Box::from(name))
    };
    let source = match text.split_once(':') {
        None => match text {
            "path" => Some(Source::Path),
            "host" => Some(Source::Host),
            "header" => Some(Source::Header),
            _ => None,
        },
        Some(("query", name)) => named(name).map(Source::Query),
        Some(("cookie", name)) => named(name).map(Source::Cookie),
        Some(_) => None,
    };
    source.ok_or_else(|| Wrong {
        meant: near(text, ["path", "host", "header"]),
        ..Wrong::default()
    })
}

/// What must fit together. Languages are compared without regard to case (RFC 5646 §2.1.1), but a
/// target is written as in `supported`, since the CMS receives it so.
fn check(s: &Section<'_>, language: &LanguageSettings) {
    if s.reader.is_describing() {
        return;
    }
    check_sources(s, language);
    let path = s.path.key("supported");
    if !s.reader.is_sound(&path) {
        return;
    }
    if language.supported.is_empty() {
        s.object("supported", "an empty list", "at least one language");
        return;
    }
    for (index, tag) in language.supported.iter().enumerate() {
        let mut earlier = language.supported.iter().take(index);
        if let Some(twin) = earlier.find(|other| other.eq_ignore_ascii_case(tag)) {
            let found = format!("{tag:?} beside {twin:?}");
            s.reader
                .object(&path.index(index), &found, "each language once");
        }
    }
    let expect = Expect { s, language };
    expect.supported(&s.path.key("default"), &language.default);
    let aliases = s.path.key("aliases");
    for (from, to) in &language.aliases {
        expect.supported(&aliases.key(from), to);
        if expect.is_supported(from) {
            let found = format!("an alias for {from:?}, which is supported itself");
            let allowed = "names that are not in `supported`";
            s.reader.object(&aliases.key(from), &found, allowed);
        }
    }
    let hosts = s.path.key("hosts");
    for (host, to) in &language.hosts {
        expect.supported(&hosts.key(host), to);
    }
    let fallback = s.path.key("fallback");
    for (from, chain) in &language.fallback {
        expect.supported(&fallback.key(from), from);
        for (index, to) in chain.iter().enumerate() {
            let path = fallback.key(from).index(index);
            expect.supported(&path, to);
            if to.eq_ignore_ascii_case(from) {
                s.reader
                    .object(&path, "the language itself", "other languages");
            }
        }
    }
}

fn check_sources(s: &Section<'_>, language: &LanguageSettings) {
    let path = s.path.key("sources");
    if !s.reader.is_sound(&path) {
        return;
    }
    if language.sources.is_empty() {
        s.object("sources", "an empty list", "at least one source");
    }
    for (index, source) in language.sources.iter().enumerate() {
        if language
            .sources
            .iter()
            .take(index)
            .any(|other| other == source)
        {
            s.reader
                .object(&path.index(index), "a source twice", "each source once");
        }
    }
    let consults_host = language.sources.contains(&Source::Host);
    if consults_host && language.hosts.is_empty() {
        let allowed = "at least one host, since `sources` has \"host\"";
        s.object("hosts", "no host", allowed);
    }
    if !consults_host && !language.hosts.is_empty() {
        let allowed = "\"host\" in `sources`, or no `hosts`";
        s.object("hosts", "hosts that no source consults", allowed);
    }
}

struct Expect<'a, 'r> {
    s: &'a Section<'r>,
    language: &'a LanguageSettings,
}

impl Expect<'_, '_> {
    fn is_supported(&self, tag: &str) -> bool {
        let mut supported = self.language.supported.iter();
        supported.any(|known| known.eq_ignore_ascii_case(tag))
    }

    fn supported(&self, path: &super::key_path::KeyPath, tag: &str) {
        let supported = &self.language.supported;
        if supported.iter().any(|known| **known == *tag) || !self.s.reader.is_sound(path) {
            return;
        }
        let quoted: Vec<String> = supported.iter().map(|tag| format!("{tag:?}")).collect();
        let same = supported
            .iter()
            .find(|known| known.eq_ignore_ascii_case(tag));
        let meant = same
            .map(|known| format!("{known:?}"))
            .or_else(|| near(tag, supported.iter().map(AsRef::as_ref)));
        let allowed = format!("one of `supported` ({})", quoted.join(", "));
        self.s
            .reader
            .report(path, format!("{tag:?}"), allowed, meant);
    }
}

/// Well-formed by RFC 5646 §2.1, without the grandfathered tags, and no longer than what is looked
/// up.
fn is_tag(text: &str) -> bool {
    if text.len() > TAG_BYTES_MAX {
        return false;
    }
    let alpha = |s: &str, n: std::ops::RangeInclusive<usize>| {
        n.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let alnum = |s: &str, n: std::ops::RangeInclusive<usize>| {
        n.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let mut rest = text.split('-').peekable();
    let Some(first) = rest.next() else {
        return false;
    };
    if first.eq_ignore_ascii_case("x") {
        return rest.peek().is_some() && rest.all(|s| alnum(s, 1..=8));
    }
    if !alpha(first, 2..=8) {
        return false;
    }
    for _ in 0..3 {
        if first.len() <= 3 {
            let _ = rest.next_if(|s| alpha(s, 3..=3));
        }
    }
    let _ = rest.next_if(|s| alpha(s, 4..=4));
    let _ = rest
        .next_if(|s| alpha(s, 2..=2) || (s.len() == 3 && s.bytes().all(|b| b.is_ascii_digit())));
    let digit_first = |s: &str| s.len() == 4 && s.starts_with(|c: char| c.is_ascii_digit());
    while rest
        .next_if(|s| alnum(s, 5..=8) || (digit_first(s) && alnum(s, 4..=4)))
        .is_some()
    {}
    while let Some(singleton) = rest.next_if(|s| alnum(s, 1..=1)) {
        let least = if singleton.eq_ignore_ascii_case("x") {
            1
        } else {
            2
        };
        let mut any = false;
        while rest.next_if(|s| alnum(s, least..=8)).is_some() {
            any = true;
        }
        if !any {
            return false;
        }
    }
    rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_are_well_formed_or_not() {
        for tag in [
            "de",
            "pt-BR",
            "zh-Hant-TW",
            "es-419",
            "sl-rozaj-biske",
            "de-CH-1901",
            "zh-cmn-Hans",
            "en-u-hc-h12",
            "de-x-plain",
            "x-mine",
            "fil",
        ] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in [
            "",
            "d",
            "de_DE",
            "de-",
            "-de",
            "deutschland",
            "de-a",
            "en-u",
            "x",
            "de-DE-AT",
            "*",
            "de--AT",
            "d1",
            "en-x-longer-than-what-is-ever-looked-up",
        ] {
            assert!(!is_tag(tag), "{tag}");
        }
    }

    #[test]
    fn sources_are_read() {
        assert_eq!(source("path").unwrap(), Source::Path);
        let query = Source::Query("locale".into());
        assert_eq!(source("query:locale").unwrap(), query);
        for text in [
            "",
            "query",
            "query:",
            "path:x",
            "cookie:a b",
            "accept-language",
        ] {
            assert!(source(text).is_err(), "{text}");
        }
        assert_eq!(
            source("headers").unwrap_err().meant.as_deref(),
            Some("\"header\"")
        );
    }
}
