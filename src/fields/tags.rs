//! The fields by which origins name what a response was made of: `Surrogate-Key`, `Cache-Tag`,
//! `Cache-Tags`, `X-Cache-Tags`, `xkey`, `X-Magento-Tags` and their kin, and `Cache-Groups`
//! (RFC 9875).

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

/// Tags, and groups, of one response.
pub const TAGS_MAX: usize = 1024;

/// Length of one tag, in bytes.
pub const TAG_LENGTH_MAX: usize = 1024;

/// The tags a response declares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Declared<'a> {
    /// In the order of the fields; what stands twice is there twice.
    pub tags: Vec<&'a str>,
    /// Some were left out: too many, one too long, or one not UTF-8. A purge of those would not
    /// find the response.
    pub overflow: bool,
}

/// Reads the tags of all lines of the named fields.
pub fn declared<'a>(headers: &'a HeaderMap, names: &[HeaderName]) -> Declared<'a> {
    let mut declared = Declared::default();
    for line in names.iter().flat_map(|name| headers.get_all(name)) {
        for tag in line.as_bytes().split(is_separator) {
            if tag.is_empty() {
                continue;
            }
            match std::str::from_utf8(tag) {
                Ok(tag) if tag.len() <= TAG_LENGTH_MAX && declared.tags.len() < TAGS_MAX => {
                    declared.tags.push(tag);
                }
                _ => declared.overflow = true,
            }
        }
    }
    declared
}

/// The tags of one text, split as [`declared`] splits them: purges must be read like declarations.
///
/// The dialects disagree on whether a comma or a space separates, and no tag of any of them has
/// either in it. So both separate everywhere. Where somebody does put one into a tag, the response
/// has the parts as its tags and a purge names the parts: that purges more than was meant, never
/// less.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character| u8::try_from(character).is_ok_and(|byte| is_separator(&byte)))
        .filter(|tag| !tag.is_empty())
}

/// The groups of `Cache-Groups` (RFC 9875 §2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Groups {
    pub groups: Vec<String>,
    /// Some were left out: too many, or one too long.
    pub overflow: bool,
}

/// Reads all lines of `Cache-Groups`, a List of Strings whose parameters are ignored. A field that
/// is anything else is ignored as a whole (RFC 9651 §4.2).
pub fn cache_groups(headers: &HeaderMap) -> Groups {
    groups(headers, &CACHE_GROUPS)
}

/// Reads all lines of `Cache-Group-Invalidation` (RFC 9875 §3) in the same way.
pub fn cache_group_invalidation(headers: &HeaderMap) -> Groups {
    groups(headers, &CACHE_GROUP_INVALIDATION)
}

fn groups(headers: &HeaderMap, name: &HeaderName) -> Groups {
    let mut members = List::new();
    for line in headers.get_all(name) {
        match Parser::new(line.as_bytes()).parse_list_with_visitor(members) {
            Ok(more) => members = more,
            Err(_) => return Groups::default(),
        }
    }
    let mut found = Groups::default();
    for member in members {
        let ListEntry::Item(item) = member else {
            return Groups::default();
        };
        let BareItem::String(group) = item.bare_item else {
            return Groups::default();
        };
        if group.as_str().len() <= TAG_LENGTH_MAX && found.groups.len() < TAGS_MAX {
            found.groups.push(group.into());
        } else {
            found.overflow = true;
        }
    }
    found
}

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// A field value has no line break in it, but [`split`] may be given other text.
const fn is_separator(byte: &u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')
}

impl<'a> IntoIterator for Declared<'a> {
    type Item = &'a str;
    type IntoIter = std::vec::IntoIter<&'a str>;

    fn into_iter(self) -> Self::IntoIter {
        self.tags.into_iter()
    }
}

impl IntoIterator for Groups {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("surrogate-key"),
        HeaderName::from_static("x-cache-tags"),
        HeaderName::from_static("cache-tags"),
    ];

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn every_dialect_is_split() {
        for (name, value, expected) in [
            (
                "surrogate-key",
                "article:5 lang:de",
                vec!["article:5", "lang:de"],
            ),
            ("surrogate-key", " a  b ", vec!["a", "b"]),
            (
                "x-cache-tags",
                "site-1,p-12,pt-post,404",
                vec!["site-1", "p-12", "pt-post", "404"],
            ),
            ("x-cache-tags", "a, b ,,c", vec!["a", "b", "c"]),
            (
                "cache-tags",
                "config:system.site node:12 node_list",
                vec!["config:system.site", "node:12", "node_list"],
            ),
            ("cache-tags", "größe", vec!["größe"]),
            ("cache-tags", ", ,", vec![]),
            ("x-unknown", "a", vec![]),
        ] {
            let headers = headers(&[(name, value)]);
            let found = declared(&headers, &NAMES);
            assert_eq!(found.tags, expected, "{value}");
            assert!(!found.overflow);
            if !expected.is_empty() {
                assert_eq!(split(value).collect::<Vec<_>>(), expected, "{value}");
            }
        }
        let headers = headers(&[
            ("cache-tags", "c"),
            ("surrogate-key", "a"),
            ("surrogate-key", "b"),
        ]);
        let found: Vec<_> = declared(&headers, &NAMES).into_iter().collect();
        assert_eq!(found, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_left_out_is_told() {
        let longest = "x".repeat(TAG_LENGTH_MAX);
        let headers_of = |value: &str| headers(&[("cache-tags", value)]);
        let fits = headers_of(&format!("a {longest}"));
        assert_eq!(declared(&fits, &NAMES).tags, ["a", &longest]);
        assert!(!declared(&fits, &NAMES).overflow);

        let too_long = headers_of(&format!("a {longest}x b"));
        let found = declared(&too_long, &NAMES);
        assert_eq!((found.tags, found.overflow), (vec!["a", "b"], true));

        let as_many = headers_of(&"x ".repeat(TAGS_MAX));
        assert!(!declared(&as_many, &NAMES).overflow);
        let too_many = headers_of(&"x ".repeat(TAGS_MAX + 1));
        let found = declared(&too_many, &NAMES);
        assert_eq!((found.tags.len(), found.overflow), (TAGS_MAX, true));

        let mut not_text = HeaderMap::new();
        not_text.append(&NAMES[0], HeaderValue::from_bytes(b"a \xff b").unwrap());
        let found = declared(&not_text, &NAMES);
        assert_eq!((found.tags, found.overflow), (vec!["a", "b"], true));
    }

    #[test]
    fn cache_groups_is_a_list_of_strings() {
        // RFC 9875 §2: "The Cache-Groups HTTP response header field is a List of Strings".
        for (lines, expected) in [
            (&[][..], vec![]),
            (&["\"scripts\""], vec!["scripts"]),
            (&["\"a\";x=1, \"b, \\\"c\\\"\""], vec!["a", "b, \"c\""]),
            (&["\"a\"", "\"b\""], vec!["a", "b"]),
            (&["scripts"], vec![]),
            (&["\"a\", b"], vec![]),
            (&["\"a\", (\"b\")"], vec![]),
            (&["\"a\", 1"], vec![]),
            (&["\"a"], vec![]),
            (&["\"a\"", "&"], vec![]),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("cache-groups", *line)).collect();
            let found = cache_groups(&headers(&lines));
            assert_eq!(found.groups, expected, "{lines:?}");
            assert!(!found.overflow);
        }
        let flood = headers(&[("cache-groups", &vec!["\"g\""; TAGS_MAX + 1].join(", "))]);
        let found = cache_groups(&flood);
        assert!(found.overflow);
        assert_eq!(found.into_iter().count(), TAGS_MAX);
    }
}
