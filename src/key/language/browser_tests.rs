//! Populations of browsers on five sites, against RFC 4647 §3.4 written down as plainly as it
//! reads; and the headers that real browsers send.

use std::cmp::Reverse;
use std::collections::HashSet;

use http::HeaderValue;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::key::KeyRule;

/// One site: its languages, the operator's aliases, and all that ought to be derived from its list,
/// spelled out.
struct Site {
    supported: &'static [&'static str],
    given: &'static [(&'static str, &'static str)],
    derived: &'static [(&'static str, &'static str)],
}

const SITES: [Site; 5] = [
    Site {
        supported: &["en", "de", "fr", "pt-BR"],
        given: &[("gsw", "de")],
        derived: &[("pt", "pt-BR")],
    },
    Site {
        supported: &["en", "zh-Hans", "zh-Hant", "pt-BR", "pt-PT"],
        given: &[("pt", "pt-PT")],
        derived: &[
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-HK", "zh-Hant"),
            ("zh-MO", "zh-Hant"),
            ("cmn", "zh-Hans"),
            ("cmn-Hans", "zh-Hans"),
            ("cmn-Hant", "zh-Hant"),
        ],
    },
    Site {
        supported: &["en", "zh-CN", "zh-TW", "nb", "nn"],
        given: &[("zh-HK", "zh-CN")],
        derived: &[
            ("zh", "zh-CN"),
            ("zh-Hans", "zh-CN"),
            ("zh-Hant", "zh-TW"),
            ("zh-MO", "zh-TW"),
            ("cmn", "zh-CN"),
            ("cmn-Hans", "zh-CN"),
            ("cmn-Hant", "zh-TW"),
            ("no", "nb"),
        ],
    },
    Site {
        supported: &["en-GB", "en", "no", "es-419"],
        given: &[],
        derived: &[("nb", "no"), ("nn", "no"), ("es", "es-419")],
    },
    Site {
        supported: &["sr-Latn", "sr-Cyrl", "en-GB", "en-US", "de-CH"],
        given: &[("hr", "sr-Latn"), ("en", "en-US")],
        derived: &[
            ("sr", "sr-Cyrl"),
            ("sr-ME", "sr-Latn"),
            ("sh", "sr-Latn"),
            ("de", "de-CH"),
        ],
    },
];

/// What browsers, apps and robots send.
const TAGS: [&str; 52] = [
    "en",
    "en-US",
    "en-GB",
    "en-AU",
    "EN-us",
    "de",
    "de-DE",
    "de-AT",
    "de-CH",
    "de-DE-1996",
    "gsw",
    "gsw-CH",
    "fr",
    "fr-FR",
    "fr-CA",
    "pt",
    "pt-BR",
    "pt-PT",
    "pt-AO",
    "es",
    "es-ES",
    "es-419",
    "es-MX",
    "zh",
    "zh-CN",
    "zh-TW",
    "zh-HK",
    "zh-MO",
    "zh-SG",
    "zh-Hans",
    "zh-Hant",
    "zh-Hant-HK",
    "zh-Hant-TW",
    "zh-hans-cn",
    "cmn",
    "cmn-Hant-TW",
    "no",
    "no-NO",
    "nb",
    "nb-NO",
    "nn",
    "nn-NO",
    "sr",
    "sr-RS",
    "sr-ME",
    "sr-Latn-RS",
    "sr-Cyrl",
    "sh",
    "hr-HR",
    "ja",
    "*",
    "x-klingon",
];

/// A range and its quality in thousandths, if it is sent with one.
type Wish = (&'static str, Option<u32>);

#[test]
fn ten_thousand_browsers_get_on_each_site_what_rfc_4647_says() {
    for site in &SITES {
        let rule = site.rule();
        let keyed = KeyRule {
            language: Some(rule.clone()),
            ..KeyRule::default()
        };
        let mut runner = TestRunner::deterministic();
        let mut variants = HashSet::new();
        for _ in 0..10_000 {
            let wishes = wishes().new_tree(&mut runner).unwrap().current();
            let header = header(&wishes);
            let key = keyed.key(&target(), &asks(&header));
            let tag = rule.tag(key.language.unwrap());
            assert_eq!(
                tag,
                site.reference(&wishes),
                "{header} of {:?}",
                site.supported
            );
            variants.insert(key.key.as_str().to_owned());
        }
        assert_eq!(variants.len(), site.supported.len(), "{:?}", site.supported);
    }
}

#[test]
fn real_browsers_get_the_language_their_user_reads() {
    const EUROPE: &[&str] = &["en", "de", "fr", "pt-BR", "pt-PT", "nb", "es"];
    const SCRIPTS: &[&str] = &["en", "zh-Hans", "zh-Hant", "sr-Latn", "sr-Cyrl"];
    const REGIONS: &[&str] = &["en-GB", "en-US", "zh-CN", "zh-TW", "nn", "nb"];
    for (supported, header, language) in [
        // Chrome and Edge: the region, the language, then English.
        (EUROPE, "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        (EUROPE, "de,en-US;q=0.9,en;q=0.8,de-DE;q=0.7", "de"),
        (
            EUROPE,
            "de-AT,de-DE;q=0.9,de;q=0.8,en-US;q=0.7,en;q=0.6",
            "de",
        ),
        (EUROPE, "de-CH,de;q=0.9,en;q=0.8,fr;q=0.7", "de"),
        (EUROPE, "de-LI,de;q=0.9", "de"),
        (EUROPE, "pt-PT,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt-PT"),
        (EUROPE, "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt-BR"),
        (EUROPE, "fr-BE,fr;q=0.9,nl;q=0.8,en;q=0.7", "fr"),
        (EUROPE, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (
            EUROPE,
            "nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.7,en-US;q=0.6,en;q=0.5",
            "nb",
        ),
        (EUROPE, "en-AU,en-GB;q=0.9,en-US;q=0.8,en;q=0.7", "en"),
        (EUROPE, "en-US,en;q=0.9,de;q=0.8", "en"),
        (EUROPE, "nl-NL,nl;q=0.9,de;q=0.8,en;q=0.7", "de"),
        // Firefox.
        (EUROPE, "de,en-US;q=0.7,en;q=0.3", "de"),
        (EUROPE, "de-AT,de;q=0.8,en-US;q=0.5,en;q=0.3", "de"),
        (EUROPE, "pt-PT,pt;q=0.8,en;q=0.5,en-US;q=0.3", "pt-PT"),
        (
            EUROPE,
            "nb-NO,nb;q=0.9,no-NO;q=0.8,no;q=0.6,nn-NO;q=0.5,nn;q=0.4,en-US;q=0.3,en;q=0.1",
            "nb",
        ),
        (EUROPE, "en-GB,en;q=0.5", "en"),
        // Safari, which names one, or a script.
        (EUROPE, "de-DE,de;q=0.9", "de"),
        (EUROPE, "de-de", "de"),
        (EUROPE, "no", "nb"),
        (EUROPE, "nn-NO", "en"),
        (EUROPE, "en-AU,en;q=0.9", "en"),
        (SCRIPTS, "zh-TW,zh-Hant;q=0.9", "zh-Hant"),
        (SCRIPTS, "zh-CN,zh-Hans;q=0.9", "zh-Hans"),
        (SCRIPTS, "zh-HK,zh-Hant;q=0.9", "zh-Hant"),
        // Chrome and Firefox in China, Taiwan, Hong Kong, Macau, Singapore.
        (SCRIPTS, "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        (SCRIPTS, "zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-Hant"),
        (SCRIPTS, "zh-TW,zh;q=0.8,en-US;q=0.5,en;q=0.3", "zh-Hant"),
        (SCRIPTS, "zh-HK,zh;q=0.9,en;q=0.8", "zh-Hant"),
        (SCRIPTS, "zh-MO,zh;q=0.9", "zh-Hant"),
        (SCRIPTS, "zh-SG,zh;q=0.9", "zh-Hans"),
        (SCRIPTS, "zh-Hant-TW", "zh-Hant"),
        (SCRIPTS, "cmn-Hans-CN", "zh-Hans"),
        (SCRIPTS, "sr-RS,sr;q=0.9,en;q=0.8", "sr-Cyrl"),
        (SCRIPTS, "sr-Latn-RS,sr-Latn;q=0.9,sr;q=0.8", "sr-Latn"),
        (SCRIPTS, "sr-ME", "sr-Latn"),
        (REGIONS, "zh-Hant-HK,zh-Hant;q=0.9", "zh-TW"),
        (REGIONS, "zh-Hans-CN", "zh-CN"),
        (REGIONS, "zh-HK,zh;q=0.9,en;q=0.8", "zh-TW"),
        (REGIONS, "no-NO,no;q=0.9", "nb"),
        (REGIONS, "nn-NO,nn;q=0.9,no;q=0.8", "nn"),
        (REGIONS, "en-US,en;q=0.9", "en-US"),
        // Which English is not said: the default.
        (REGIONS, "en", "en-GB"),
        // Not at all this one; curl, robots, and what is broken.
        (EUROPE, "en;q=0,de;q=0.1", "de"),
        (EUROPE, "de;q=0,de-AT,fr;q=0.2", "fr"),
        (EUROPE, "*", "en"),
        (EUROPE, "*;q=0", "en"),
        (EUROPE, "en;q=0", "en"),
        (EUROPE, "de;q=1.1,fr;q=0.5", "fr"),
        (EUROPE, "de;q=,fr;q=0.5", "fr"),
        (EUROPE, "de_DE", "en"),
        (EUROPE, ";,;,,;q=1,de", "de"),
        (EUROPE, "german, de;q=0.5", "de"),
        (EUROPE, "\"de\", fr", "fr"),
        (EUROPE, "-de,de-,--,d-e-", "en"),
    ] {
        assert_eq!(
            chosen(&rule(supported, &[]), header),
            language,
            "{header} of {supported:?}"
        );
    }
}

#[test]
fn a_segment_of_a_path_is_a_language_only_by_its_own_name_or_an_alias_that_was_given() {
    let settings = LanguageSettings {
        supported: vec!["en".into(), "nb".into(), "zh-Hant".into(), "zh-Hans".into()],
        aliases: vec![("tw".into(), "zh-Hant".into())],
        sources: vec![Source::Path],
        ..LanguageSettings::default()
    };
    let rule = LanguageRule::new(settings).unwrap();
    for (path, language) in [
        ("/nb/a", "nb"),
        ("/no/a", "en"),
        ("/zh-hant", "zh-Hant"),
        ("/zh-TW", "en"),
        ("/tw/", "zh-Hant"),
    ] {
        let target = TargetUri::parse("https", "a.example", path, None).unwrap();
        assert_eq!(
            rule.tag(rule.negotiate(&target, &HeaderMap::new())),
            language,
            "{path}"
        );
    }
}

#[test]
fn a_chain_of_fallbacks_admits_each_of_its_languages_and_no_other() {
    let settings = LanguageSettings {
        supported: ["en", "de", "de-CH", "gsw", "fr"].map(Box::from).into(),
        sources: vec![Source::Header],
        fallback: vec![
            ("gsw".into(), vec!["de-CH".into(), "de".into()]),
            ("de-CH".into(), vec!["de".into()]),
        ],
        drift_guard: true,
        ..LanguageSettings::default()
    };
    let rule = LanguageRule::new(settings).unwrap();
    for (asked, admitted, refused) in [
        (
            "gsw",
            &["gsw", "gsw-CH", "de-CH", "de", "DE-ch"][..],
            &["en", "fr", "gs"][..],
        ),
        // What `de-CH` falls back to is its own matter: chains are not joined.
        ("de-CH", &["de-CH", "de", "de-DE"], &["gsw", "en", "fr"]),
        ("de", &["de", "de-AT", "de-CH"], &["en", "gsw"]),
        ("fr", &["fr", "fr-CA"], &["en", "de"]),
    ] {
        let negotiated = rule.negotiate(&target(), &asks(asked));
        assert_eq!(rule.tag(negotiated), asked);
        for answered in admitted {
            assert!(rule.admits(negotiated, answered), "{asked} {answered}");
        }
        for answered in refused {
            assert!(!rule.admits(negotiated, answered), "{asked} {answered}");
        }
    }
}

/// Whatever the 8 KB are, the work is one pass over them and [`LANGUAGE_RANGES_MAX`] lookups; ten
/// thousand of each would not end in an hour if it grew with their square.
#[test]
fn eight_kilobytes_of_anything_are_answered() {
    let rule = rule(&["en", "de"], &[]);
    for part in [
        "xx-yy-zz,",
        "de;q=0,",
        "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q,",
        ",",
        ";",
        "\"",
        "\\\"",
        "*,",
        "x;q=0.1;q=0.2;",
        "a;b;c;",
        "de;q=0.999 ,",
        "-",
        " ",
    ] {
        let header = asks(&part.repeat(8192 / part.len()));
        let first = rule.negotiate(&target(), &header);
        for _ in 0..1000 {
            assert_eq!(rule.negotiate(&target(), &header), first, "{part}");
        }
    }
    // What stands among the first ranges counts however much follows.
    let long = format!("xx, de, {}", "yy,".repeat(2700));
    assert_eq!(chosen(&rule, &long), "de");
}

impl Site {
    fn rule(&self) -> LanguageRule {
        rule(self.supported, self.given)
    }

    /// RFC 4647 §3.4.
    fn reference(&self, wishes: &[Wish]) -> &'static str {
        let mut wanted: Vec<(&str, u32)> = wishes
            .iter()
            .map(|(tag, quality)| (*tag, quality.unwrap_or(1000)))
            .collect();
        // "…each language range in the language priority list is considered in turn, according to
        // priority": by quality, equals in the order of the field. `sort_by_key` is stable.
        wanted.sort_by_key(|(_, quality)| Reverse(*quality));
        let is_refused = |tag: &str| {
            wanted
                .iter()
                .any(|(other, quality)| *quality == 0 && same(other, tag))
        };
        for (range, _) in wanted.iter().filter(|(_, quality)| *quality > 0) {
            let mut subtags: Vec<&str> = range.split('-').collect();
            while !subtags.is_empty() {
                if let Some(tag) = self.named(&subtags.join("-")) {
                    match is_refused(tag) {
                        true => break,
                        false => return tag,
                    }
                }
                subtags.pop();
                // "If the language range's last subtag is of a single letter or digit, it is
                // removed as well."
                while subtags.last().is_some_and(|subtag| subtag.len() == 1) {
                    subtags.pop();
                }
            }
        }
        self.supported[0]
    }

    fn named(&self, name: &str) -> Option<&'static str> {
        let alias = |aliases: &'static [(&'static str, &'static str)]| {
            let found = aliases.iter().find(|(alias, _)| same(alias, name));
            found.map(|(_, tag)| *tag)
        };
        alias(self.given)
            .or_else(|| self.supported.iter().copied().find(|tag| same(tag, name)))
            .or_else(|| alias(self.derived))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn rule(supported: &[&str], aliases: &[(&str, &str)]) -> LanguageRule {
    let settings = LanguageSettings {
        supported: supported.iter().map(|tag| (*tag).into()).collect(),
        sources: vec![Source::Header],
        aliases: aliases
            .iter()
            .map(|(alias, tag)| ((*alias).into(), (*tag).into()))
            .collect(),
        ..LanguageSettings::default()
    };
    LanguageRule::new(settings).unwrap()
}

fn target() -> TargetUri {
    TargetUri::parse("https", "a.example", "/a", None).unwrap()
}

fn asks(header: &str) -> HeaderMap {
    let value = HeaderValue::from_str(header).unwrap();
    std::iter::once((ACCEPT_LANGUAGE, value)).collect()
}

fn chosen<'r>(rule: &'r LanguageRule, header: &str) -> &'r str {
    rule.tag(rule.negotiate(&target(), &asks(header)))
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let quality = prop_oneof![
        2 => Just(None),
        6 => (1_u32..=1000).prop_map(Some),
        1 => Just(Some(0)),
    ];
    prop::collection::vec((prop::sample::select(&TAGS[..]), quality), 1..12)
}

/// As browsers write it: with and without white space, with as many digits as are needed.
fn header(wishes: &[Wish]) -> String {
    let separators = [",", ", ", " ,\t"];
    let separator = separators[wishes.len() % separators.len()];
    let written = wishes.iter().map(|(tag, quality)| match quality {
        None => (*tag).to_owned(),
        Some(1000) => format!("{tag};q=1"),
        Some(0) => format!("{tag};q=0"),
        Some(quality) => format!("{tag}; q=0.{quality:03}"),
    });
    written.collect::<Vec<_>>().join(separator)
}
