//! `ETag` (RFC 9110 §8.8.3).

use http::HeaderMap;
use http::header::{ETAG, HeaderName, HeaderValue};

use super::list;

/// An entity tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntityTag {
    pub weak: bool,
    /// Between the quotes.
    opaque: Box<[u8]>,
}

impl EntityTag {
    /// A strong tag. Bytes that cannot stand in one are dropped.
    pub fn strong(text: &str) -> Self {
        let opaque = text.bytes().filter(|byte| is_etagc(*byte)).collect();
        Self {
            weak: false,
            opaque,
        }
    }

    pub fn parse(value: &[u8]) -> Option<Self> {
        // §8.8.3: `W/` is case-sensitive.
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        opaque.iter().all(|byte| is_etagc(*byte)).then(|| Self {
            weak,
            opaque: opaque.into(),
        })
    }

    /// The `ETag` field; nothing if it is malformed or there are several.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(ETAG).iter();
        let tag = Self::parse(lines.next()?.as_bytes().trim_ascii())?;
        lines.next().is_none().then_some(tag)
    }

    /// `""`, which some origins send for "unknown".
    pub fn is_empty(&self) -> bool {
        self.opaque.is_empty()
    }

    /// §8.8.3.2: the opaque tags are the same.
    pub fn weak_eq(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// §8.8.3.2: the same, and neither is weak.
    pub fn strong_eq(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.weak_eq(other)
    }

    #[must_use]
    pub fn weakened(self) -> Self {
        Self { weak: true, ..self }
    }

    pub fn to_value(&self) -> HeaderValue {
        let mut text = Vec::with_capacity(self.opaque.len() + 4);
        if self.weak {
            text.extend_from_slice(b"W/");
        }
        text.push(b'"');
        text.extend_from_slice(&self.opaque);
        text.push(b'"');
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
            .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    }
}

/// Whether the tags of a condition field match `current`; nothing without such a field. `*`
/// matches any current representation (§13.1.1, §13.1.2).
pub fn matches(
    headers: &HeaderMap,
    name: &HeaderName,
    current: Option<&EntityTag>,
    same: impl Fn(&EntityTag, &EntityTag) -> bool,
) -> Option<bool> {
    if !headers.contains_key(name) {
        return None;
    }
    Some(list::lines(headers, name).any(|element| {
        element == b"*"
            || EntityTag::parse(element)
                .zip(current)
                .is_some_and(|(theirs, ours)| same(&theirs, ours))
    }))
}

/// §8.8.3: `etagc = %x21 / %x23-7E / obs-text`.
const fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_follows_the_table_of_the_rfc() {
        // §8.8.3.2: pairs, strong, weak.
        for (a, b, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let tag = |text: &str| EntityTag::parse(text.as_bytes()).unwrap();
            assert_eq!(tag(a).strong_eq(&tag(b)), strong, "{a} {b}");
            assert_eq!(tag(a).weak_eq(&tag(b)), weak, "{a} {b}");
        }
    }

    #[test]
    fn malformed_tags_are_none() {
        for text in ["", "\"", "abc", "w/\"a\"", "\"a\"b\"", "\"a b\""] {
            assert_eq!(EntityTag::parse(text.as_bytes()), None, "{text}");
        }
        assert!(EntityTag::parse(b"\"\"").unwrap().is_empty());
    }

    #[test]
    fn a_tag_is_written_as_it_was_read() {
        for text in ["\"a\"", "W/\"a,b\""] {
            assert_eq!(EntityTag::parse(text.as_bytes()).unwrap().to_value(), text);
        }
    }
}
