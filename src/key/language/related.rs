//! Languages that go by several names: a macrolanguage and its members, a script and the regions
//! that write it. Used where neither the operator's list nor his aliases know a name.
//!
//! Browsers send `zh-TW`, CMSs have `zh-Hant`: lookup alone (RFC 4647 §3.4) would shorten the one to
//! `zh` and find nothing, or Chinese in the other script.

/// A name in lower case, and what stands for it: the first of these that is supported.
///
/// From the IANA Language Subtag Registry (macrolanguages and preferred values, RFC 5646 §3.1) and
/// CLDR's likely subtags.
const RELATED: [(&str, &[&str]); 16] = [
    ("cmn", &["zh", "zh-hans", "zh-cn"]),
    ("cmn-hans", &["zh-hans", "zh-cn", "zh"]),
    ("cmn-hant", &["zh-hant", "zh-tw", "zh-hk", "zh"]),
    ("nb", &["no"]),
    ("nn", &["no"]),
    ("no", &["nb", "nn"]),
    // Serbian in Latin letters, by its former code.
    ("sh", &["sr-latn"]),
    ("sr", &["sr-cyrl"]),
    ("sr-me", &["sr-latn"]),
    ("zh", &["zh-hans", "zh-cn"]),
    ("zh-cn", &["zh-hans"]),
    ("zh-hans", &["zh-cn", "zh-sg"]),
    ("zh-hant", &["zh-tw", "zh-hk"]),
    ("zh-hk", &["zh-hant", "zh-tw"]),
    ("zh-mo", &["zh-hant", "zh-hk", "zh-tw"]),
    ("zh-tw", &["zh-hant", "zh-hk"]),
];

/// The names that stand for a supported language, each with that language's index; sorted.
/// `index` takes a tag in lower case.
pub(super) fn names(index: impl Fn(&str) -> Option<usize>) -> Vec<(&'static str, usize)> {
    RELATED
        .iter()
        .filter_map(|(name, tags)| Some((*name, tags.iter().find_map(|tag| index(tag))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(RELATED.is_sorted_by(|(one, _), (other, _)| one < other));
        for (name, tags) in RELATED {
            assert!(
                tags.iter()
                    .chain([&name])
                    .all(|tag| tag.to_lowercase() == **tag)
            );
            assert!(!tags.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_first_that_is_supported_stands_for_a_name() {
        let supported = ["en", "zh-tw", "zh-hant"];
        let names = names(|tag| supported.iter().position(|other| *other == tag));
        let of = |name: &str| names.iter().find(|(other, _)| *other == name);
        assert_eq!(of("zh-hk"), Some(&("zh-hk", 2)));
        assert_eq!(of("zh-hant"), Some(&("zh-hant", 1)));
        assert_eq!(of("zh-cn"), None);
    }
}
