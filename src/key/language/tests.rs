//! Negotiation against real browsers' headers and against RFC 4647's own rules.

use http::HeaderValue;

use super::*;

fn rule(supported: &[&str]) -> LanguageRule {
    with(supported, |_| {})
}

fn with(supported: &[&str], change: impl FnOnce(&mut LanguageSettings)) -> LanguageRule {
    let mut settings = LanguageSettings {
        supported: supported.iter().map(|tag| (*tag).into()).collect(),
        sources: vec![Source::Header],
        drift_guard: true,
        ..LanguageSettings::default()
    };
    change(&mut settings);
    LanguageRule::new(settings).unwrap()
}

fn asks(header: &str) -> HeaderMap {
    let value = HeaderValue::from_str(header).unwrap();
    std::iter::once((ACCEPT_LANGUAGE, value)).collect()
}

fn target(path_and_query: &str) -> TargetUri {
    let (path, query) = path_and_query
        .split_once('?')
        .map_or((path_and_query, None), |(path, query)| (path, Some(query)));
    TargetUri::parse("https", "de.example.org", path, query).unwrap()
}

fn chosen<'r>(rule: &'r LanguageRule, header: &str) -> &'r str {
    rule.tag(rule.negotiate(&target("/"), &asks(header)))
}

#[test]
fn browsers_get_the_language_their_user_reads() {
    let rule = rule(&["en", "de", "fr", "pt-BR"]);
    for (header, language) in [
        // German Chrome, Firefox, Safari; Swiss and Austrian Chrome.
        ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        ("de,en-US;q=0.7,en;q=0.3", "de"),
        ("de-DE,de;q=0.9", "de"),
        ("de-CH,de;q=0.9,en;q=0.8,fr;q=0.7", "de"),
        ("de-AT", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("pt-PT,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("pt", "pt-BR"),
        ("PT-br", "pt-BR"),
        ("ja,zh;q=0.9", "en"),
        ("ja;q=0.9,fr;q=0.2,de;q=0.3", "de"),
        ("*", "en"),
        ("da, *;q=0.5", "en"),
        ("", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("garbage;;;q=x, de", "de"),
        ("de-x-private-a, fr", "de"),
    ] {
        assert_eq!(chosen(&rule, header), language, "{header}");
    }
}

#[test]
fn a_range_is_shortened_with_its_single_letter_subtags() {
    // RFC 4647 §3.4: zh-Hant-CN-x-private1-private2 … zh-Hant-CN … zh-Hant … zh.
    let rule = rule(&["en", "zh-Hant"]);
    assert_eq!(chosen(&rule, "zh-Hant-CN-x-private1-private2"), "zh-Hant");
}

#[test]
fn a_base_with_two_variants_is_not_guessed() {
    let rule = rule(&["en", "pt-BR", "pt-PT"]);
    assert_eq!(chosen(&rule, "pt"), "en");
    assert_eq!(chosen(&rule, "pt-PT"), "pt-PT");
}

#[test]
fn aliases_are_looked_up_before_truncation() {
    let rule = with(&["en", "zh-Hant", "zh-Hans", "nb"], |settings| {
        settings.aliases = vec![
            ("zh-TW".into(), "zh-Hant".into()),
            ("zh".into(), "zh-Hans".into()),
            ("no".into(), "nb".into()),
        ];
    });
    assert_eq!(chosen(&rule, "zh-TW,zh;q=0.9"), "zh-Hant");
    assert_eq!(chosen(&rule, "zh-CN"), "zh-Hans");
    assert_eq!(chosen(&rule, "no-NO"), "nb");
}

#[test]
fn sources_are_asked_in_the_routes_order() {
    let rule = with(&["en", "de", "fr"], |settings| {
        settings.sources = vec![
            Source::Path,
            Source::Query("locale".into()),
            Source::Cookie("lang".into()),
            Source::Host,
            Source::Header,
        ];
        settings.hosts = vec![("de.example.org".into(), "de".into())];
    });
    let mut presented = asks("en");
    let tag = |path: &str, presented: &HeaderMap| {
        rule.tag(rule.negotiate(&target(path), presented))
            .to_owned()
    };
    assert_eq!(tag("/", &presented), "de", "the host decides");
    presented.insert(COOKIE, HeaderValue::from_static("a=b; lang=fr"));
    assert_eq!(tag("/", &presented), "fr", "the cookie comes first");
    assert_eq!(tag("/?locale=en", &presented), "en");
    assert_eq!(tag("/de/x?locale=en", &presented), "de");
    assert_eq!(
        tag("/deutsch", &presented),
        "fr",
        "a segment is not shortened"
    );
}

#[test]
fn vary_names_what_was_consulted_and_no_other() {
    let rule = with(&["en", "de"], |settings| {
        settings.sources = vec![Source::Path, Source::Cookie("lang".into()), Source::Header];
    });
    assert_eq!(rule.consulted(&target("/")), [COOKIE, ACCEPT_LANGUAGE]);
    assert!(rule.consulted(&target("/de/")).is_empty());
}

#[test]
fn the_drift_guard_admits_the_language_and_its_fallbacks() {
    let rule = with(&["en", "de", "pt-BR"], |settings| {
        settings.fallback = vec![("pt-BR".into(), vec!["en".into()])];
    });
    let of = |header: &str| rule.negotiate(&target("/"), &asks(header));
    for (asked, answered, admitted) in [
        ("de", "de", true),
        ("de", "de-DE", true),
        ("pt-BR", "pt", true),
        ("pt-BR", "en", true),
        ("de", "en", false),
        ("de", "den", false),
    ] {
        assert_eq!(
            rule.admits(of(asked), answered),
            admitted,
            "{asked} {answered}"
        );
    }
}
