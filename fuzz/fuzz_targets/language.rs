//! Negotiation: whatever is sent, one of the supported languages comes of it, the case of letters
//! and the white space do not count, and a supported language that is asked for alone is given.

#![no_main]

use std::sync::LazyLock;

use cms_edge::key::language::{LanguageSettings, Source};
use cms_edge::key::{LanguageRule, TargetUri};
use cms_edge_fuzz::{lines, selected};
use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE, HeaderValue};
use libfuzzer_sys::fuzz_target;

const LISTS: [&[&str]; 5] = [
    &["en", "de", "fr", "pt-BR"],
    &["en", "zh-Hans", "zh-Hant"],
    &["en-GB", "en", "pt-BR", "pt-PT", "es-419"],
    &["nb", "nn", "sv", "da"],
    &["sr-Latn", "sr-Cyrl", "hr"],
];

static RULES: LazyLock<Vec<LanguageRule>> =
    LazyLock::new(|| LISTS.iter().map(|list| rule(list)).collect());
static TARGET: LazyLock<TargetUri> =
    LazyLock::new(|| TargetUri::parse("https", "a.example", "/a", Some("lang=xx")).unwrap());

fn rule(list: &[&str]) -> LanguageRule {
    let settings = LanguageSettings {
        supported: list.iter().map(|tag| (*tag).into()).collect(),
        sources: vec![Source::Cookie("lang".into()), Source::Header],
        aliases: vec![
            ("no".into(), list[0].into()),
            ("zh-TW".into(), list[1].into()),
        ],
        drift_guard: true,
        ..LanguageSettings::default()
    };
    LanguageRule::new(settings).unwrap()
}

fn chosen(rule: &LanguageRule, headers: &HeaderMap) -> usize {
    let negotiated = rule.negotiate(&TARGET, headers);
    assert!(
        rule.supported()
            .iter()
            .any(|tag| **tag == *rule.tag(negotiated))
    );
    negotiated.index()
}

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = selected(data) else {
        return;
    };
    let rule = &RULES[usize::from(which) % RULES.len()];
    let headers = lines(data, &ACCEPT_LANGUAGE);
    let found = chosen(rule, &headers);
    let upper = lines(&data.to_ascii_uppercase(), &ACCEPT_LANGUAGE);
    assert_eq!(chosen(rule, &upper), found, "in upper case");
    if !data.contains(&b'"') && !data.contains(&b'\n') {
        let spaced = data.iter().flat_map(|byte| match byte {
            b',' => b" ,\t,, ".to_vec(),
            byte => vec![*byte],
        });
        let spaced: Vec<u8> = spaced.collect();
        assert_eq!(
            chosen(rule, &lines(&spaced, &ACCEPT_LANGUAGE)),
            found,
            "with white space"
        );
    }
    let alone = HeaderMap::from_iter([(
        ACCEPT_LANGUAGE,
        HeaderValue::from_str(&rule.supported()[found]).unwrap(),
    )]);
    assert_eq!(chosen(rule, &alone), found, "asked for alone");
    // A cookie or an answer's Content-Language of the client's making.
    chosen(rule, &lines(&[b"lang=", data].concat(), &COOKIE));
    let negotiated = rule.negotiate(&TARGET, &headers);
    if let Ok(text) = std::str::from_utf8(data) {
        rule.admits(negotiated, text);
    }
    assert!(rule.admits(negotiated, rule.tag(negotiated)));
});
