//! Entity tags (RFC 9110 §8.8.3), `ETag`, `If-None-Match` (§13.1.2) and `If-Match` (§13.1.1).

use bytes::{BufMut, BytesMut};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{list, text};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntityTag {
    pub weak: bool,
    /// Without the quotes; only etagc (§8.8.3) in it.
    opaque: Box<[u8]>,
}

impl EntityTag {
    /// `[ "W/" ] DQUOTE *etagc DQUOTE`, and nothing else: what is unquoted is no entity tag.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (tag, b"") = TagRef::parse(text)? else {
            return None;
        };
        Some(tag.to_owned())
    }

    /// The tag of the response. `None` if there is none, or a broken one, or more than one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let line = list::single(headers, &ETAG)?;
        Self::parse(list::trim(line.as_bytes()))
    }

    /// A strong tag with this text, less the characters that no tag may have.
    pub fn strong(text: impl AsRef<[u8]>) -> Self {
        let opaque = text.as_ref().iter().copied().filter(|byte| is_etagc(*byte));
        Self {
            weak: false,
            opaque: opaque.collect(),
        }
    }

    /// The same tag, weak: for a representation that was changed on its way without changing its
    /// meaning (§8.8.1).
    #[must_use]
    pub fn weakened(&self) -> Self {
        Self {
            weak: true,
            opaque: self.opaque.clone(),
        }
    }

    /// `""` is a tag by the grammar, but one that some CMSs send for everything they have.
    pub const fn is_empty(&self) -> bool {
        self.opaque.is_empty()
    }

    /// What stands between the quotes.
    pub const fn opaque(&self) -> &[u8] {
        &self.opaque
    }

    /// §8.8.3.2: the opaque parts are the same.
    pub fn weak_eq(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// §8.8.3.2: the opaque parts are the same, and neither tag is weak.
    pub fn strong_eq(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    pub fn to_value(&self) -> HeaderValue {
        let prefix_length = if self.weak { "W/".len() } else { 0 };
        let mut out = BytesMut::with_capacity(prefix_length + self.opaque.len() + 2);
        if self.weak {
            out.put_slice(b"W/");
        }
        out.put_u8(b'"');
        out.put_slice(&self.opaque);
        out.put_u8(b'"');
        text::into_value(out)
    }

    const fn borrowed(&self) -> TagRef<'_> {
        TagRef {
            weak: self.weak,
            opaque: &self.opaque,
        }
    }
}

/// Whether `If-None-Match` lets the request proceed: `None` without the field, `Some(true)` if the
/// representation is to be sent, `Some(false)` if the client has it. `etag` is the selected
/// representation's; there is a selected representation, or nobody would ask.
pub fn none_match(headers: &HeaderMap, etag: Option<&EntityTag>) -> Option<bool> {
    // §13.1.2: "A recipient MUST use the weak comparison function when comparing entity tags for
    // If-None-Match".
    Some(match Condition::parse(headers, &IF_NONE_MATCH)? {
        Condition::Any => false,
        Condition::Tags(mut tags) => {
            !etag.is_some_and(|etag| tags.any(|tag| tag.opaque == &*etag.opaque))
        }
    })
}

/// Whether `If-Match` lets the request proceed: `None` without the field. `etag` as above.
pub fn if_match(headers: &HeaderMap, etag: Option<&EntityTag>) -> Option<bool> {
    // §13.1.1: "An origin server MUST use the strong comparison function when comparing entity tags
    // for If-Match".
    Some(match Condition::parse(headers, &IF_MATCH)? {
        Condition::Any => true,
        Condition::Tags(mut tags) => {
            etag.is_some_and(|etag| !etag.weak && tags.any(|tag| tag == etag.borrowed()))
        }
    })
}

/// `"*" / #entity-tag`.
pub enum Condition<'a> {
    Any,
    Tags(Tags<'a>),
}

impl<'a> Condition<'a> {
    /// All lines of the field; `None` without it. The `*` counts only if it is all there is.
    pub fn parse(headers: &'a HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).into_iter();
        let first = lines.next()?.as_bytes();
        if list::trim(first) == b"*" && headers.get_all(name).iter().nth(1).is_none() {
            return Some(Self::Any);
        }
        Some(Self::Tags(Tags { rest: first, lines }))
    }
}

/// An entity tag as it stands in a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TagRef<'a> {
    pub weak: bool,
    pub opaque: &'a [u8],
}

impl<'a> TagRef<'a> {
    /// The tag at the front, and what follows it.
    fn parse(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        // §8.8.3: weak = %s"W/", which is case-sensitive.
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let opaque_on = quoted.strip_prefix(b"\"")?;
        let length = opaque_on.iter().position(|byte| !is_etagc(*byte))?;
        let (opaque, rest) = opaque_on.split_at(length);
        let rest = rest.strip_prefix(b"\"")?;
        Some((Self { weak, opaque }, rest))
    }

    fn to_owned(self) -> EntityTag {
        EntityTag {
            weak: self.weak,
            opaque: self.opaque.into(),
        }
    }
}

/// The tags of a list. What is no tag is left out, up to the next comma.
pub struct Tags<'a> {
    rest: &'a [u8],
    lines: http::header::ValueIter<'a, HeaderValue>,
}

impl<'a> Iterator for Tags<'a> {
    type Item = TagRef<'a>;

    fn next(&mut self) -> Option<TagRef<'a>> {
        loop {
            self.rest = list::trim(self.rest);
            match self.rest {
                [] => self.rest = self.lines.next()?.as_bytes(),
                [b',', rest @ ..] => self.rest = rest,
                // A backslash escapes nothing in an entity tag, so these are no quoted strings.
                text => match TagRef::parse(text) {
                    Some((tag, rest)) if is_end(rest) => {
                        self.rest = rest;
                        return Some(tag);
                    }
                    _ => self.rest = after_comma(text),
                },
            }
        }
    }
}

fn is_end(rest: &[u8]) -> bool {
    let rest = list::trim(rest);
    rest.is_empty() || rest.starts_with(b",")
}

fn after_comma(text: &[u8]) -> &[u8] {
    let comma = text.iter().position(|byte| *byte == b',');
    comma.and_then(|at| text.get(at..)).unwrap_or_default()
}

/// §8.8.3: `%x21 / %x23-7E / obs-text`.
const fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> EntityTag {
        EntityTag::parse(text.as_bytes()).unwrap()
    }

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn tags_are_parsed_by_the_grammar_and_written_as_they_were() {
        // The first three are the examples of RFC 9110 §8.8.3.
        for (text, weak, opaque) in [
            ("\"xyzzy\"", false, "xyzzy"),
            ("W/\"xyzzy\"", true, "xyzzy"),
            ("\"\"", false, ""),
            ("\"a\\\"", false, "a\\"),
            ("\"a,b\"", false, "a,b"),
            ("\"é\"", false, "é"),
        ] {
            let tag = tag(text);
            assert_eq!(
                (tag.weak, tag.opaque()),
                (weak, opaque.as_bytes()),
                "{text}"
            );
            assert_eq!(tag.to_value().as_bytes(), text.as_bytes());
            assert_eq!(tag.is_empty(), opaque.is_empty());
        }
        for text in [
            "",
            "xyzzy",
            "\"",
            "\"x",
            "x\"",
            "w/\"x\"",
            "W\"x\"",
            "W/x",
            "W/ \"x\"",
            "\"a b\"",
            "\"a\"b",
            "\"a\", \"b\"",
            " \"a\"",
            "*",
        ] {
            assert_eq!(EntityTag::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn comparison_is_that_of_the_table_in_the_rfc() {
        // RFC 9110 §8.8.3.2, the example table: ETag 1, ETag 2, strong, weak.
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (one, other) = (tag(one), tag(other));
            assert_eq!(one.strong_eq(&other), strong);
            assert_eq!(other.strong_eq(&one), strong);
            assert_eq!(one.weak_eq(&other), weak);
        }
    }

    #[test]
    fn a_tag_of_our_own_is_always_a_tag() {
        for (text, written) in [
            ("abc-1", "\"abc-1\""),
            ("a \"b\"\r\n", "\"ab\""),
            ("", "\"\""),
        ] {
            let tag = EntityTag::strong(text);
            assert_eq!(tag.to_value(), written);
            assert_eq!(EntityTag::parse(tag.to_value().as_bytes()), Some(tag));
        }
        assert_eq!(EntityTag::strong("x").weakened().to_value(), "W/\"x\"");
    }

    #[test]
    fn a_response_has_one_tag_or_none() {
        for (lines, expected) in [
            (&[][..], None),
            (&["\"a\""], Some(tag("\"a\""))),
            (&["W/\"a\" "], Some(tag("W/\"a\""))),
            (&["a"], None),
            (&["\"a\"", "\"b\""], None),
            (&["\"a\", \"b\""], None),
        ] {
            assert_eq!(EntityTag::of(&headers(&ETAG, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn if_none_match_is_false_when_a_listed_tag_matches() {
        // RFC 9110 §13.1.2: "If the field value is "*", the condition is false if the origin server
        // has a current representation for the target resource. If the field value is a list of
        // entity tags, the condition is false if one of the listed tags matches the entity tag of
        // the selected representation. Otherwise, the condition is true."
        let strong = tag("\"abcdef\"");
        for (lines, expected) in [
            (&[][..], None),
            (&["\"abcdef\""], Some(false)),
            (&["W/\"abcdef\""], Some(false)),
            (&["\"abcdef\", \"1234\", \"5678\""], Some(false)),
            (&["\"1234\", \"abcdef\", \"5678\""], Some(false)),
            (&["\"1234\",\"5678\",\"abcdef\""], Some(false)),
            (&["\"1234\"", "\"abcdef\""], Some(false)),
            (&["junk, \"abcdef\""], Some(false)),
            (&["\"1\"junk, \"abcdef\""], Some(false)),
            (&["\"1\\\", \"abcdef\""], Some(false)),
            (&["*"], Some(false)),
            (&[" * "], Some(false)),
            (&["*, \"1\""], Some(true)),
            (&["*", "*"], Some(true)),
            (&["abcdef"], Some(true)),
            (&["w/\"abcdef\""], Some(true)),
            (&["\"1234\""], Some(true)),
            (&["\"abcdef"], Some(true)),
            (&[""], Some(true)),
        ] {
            let request = headers(&IF_NONE_MATCH, lines);
            assert_eq!(none_match(&request, Some(&strong)), expected, "{lines:?}");
            let weak = strong.weakened();
            assert_eq!(none_match(&request, Some(&weak)), expected, "{lines:?}");
        }
        let request = headers(&IF_NONE_MATCH, &["\"abcdef\""]);
        assert_eq!(none_match(&request, None), Some(true));
        assert_eq!(
            none_match(&headers(&IF_NONE_MATCH, &["*"]), None),
            Some(false)
        );
    }

    #[test]
    fn if_match_compares_strongly() {
        let strong = tag("\"a\"");
        for (line, expected) in [
            ("\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("", false),
        ] {
            let request = headers(&IF_MATCH, &[line]);
            assert_eq!(if_match(&request, Some(&strong)), Some(expected), "{line}");
            let weak = Some(strong.weakened());
            assert_eq!(
                if_match(&request, weak.as_ref()),
                Some(line == "*"),
                "{line}"
            );
            assert_eq!(if_match(&request, None), Some(line == "*"), "{line}");
        }
        assert_eq!(if_match(&HeaderMap::new(), Some(&strong)), None);
    }

    #[test]
    fn a_hostile_list_is_walked_once() {
        let hostile = "\"".repeat(100_000) + &"W/\"a".repeat(100_000);
        let request = headers(&IF_NONE_MATCH, &[&hostile]);
        assert_eq!(none_match(&request, Some(&tag("\"a\""))), Some(true));
    }
}
