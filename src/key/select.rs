//! Selecting a stored response under `Vary` (RFC 9111 §4.1).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName};

use super::{CacheKey, PART};
use crate::fields::forwarded::names_client;
use crate::fields::poisoning::is_vector;
use crate::fields::vary::Vary;
use crate::fields::{accept_language, list};

/// Which nominated fields count on a route. Fields whose variance the cache handles itself (the
/// coding always, the language where it is negotiated) and fields the operator knows better about
/// do not.
#[derive(Clone, Debug, Default)]
pub struct VaryRule {
    pub ignored: Vec<HeaderName>,
    pub folding: Folding,
}

/// How far presented values are normalised before they are compared (RFC 9111 §4.1: "normalizing
/// … in a way that is known to have identical semantics").
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Folding {
    /// White space in fields that are lists by their definition.
    #[default]
    Careful,
    /// Also white space around commas in any field (RFC 9110 §5.6.1), the case of languages, and
    /// the order of languages that count the same, which RFC 9110 §12.5.4 says nobody can rely on.
    Full,
}

/// Primary key plus the presented values of the nominated fields: it names one stored response.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EntryKey {
    primary: CacheKey,
    secondary: Secondary,
}

/// The presented values of the nominated fields, in one canonical text.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Secondary(Arc<str>);

/// Bytes of a secondary key; a longer one is replaced by its SHA-256.
const SECONDARY_BYTES_MAX: usize = 4096;

impl VaryRule {
    /// The nominated fields that count. What the origin is never sent by a client makes no
    /// difference to it, but would let strangers make copies; scheme and host are in the key.
    pub fn counting(&self, vary: &Vary) -> Vary {
        let is_sent = |name: &HeaderName| !is_vector(name) || names_client(name);
        let mut ignored = self.ignored.clone();
        ignored.push(ACCEPT_ENCODING);
        ignored.extend(vary.names().iter().filter(|name| !is_sent(name)).cloned());
        vary.without(&ignored)
    }
}

impl CacheKey {
    /// The entry that a request with these fields selects, under the counting fields of `vary`.
    pub fn select(&self, vary: &Vary, presented: &HeaderMap, folding: Folding) -> EntryKey {
        EntryKey {
            primary: self.clone(),
            secondary: Secondary::of(vary, presented, folding),
        }
    }
}

impl EntryKey {
    pub const fn primary(&self) -> &CacheKey {
        &self.primary
    }

    pub const fn secondary(&self) -> &Secondary {
        &self.secondary
    }
}

impl Secondary {
    pub fn of(vary: &Vary, presented: &HeaderMap, folding: Folding) -> Self {
        if vary.is_empty() {
            return Self::default();
        }
        let mut text = String::new();
        for name in vary.names() {
            match folding {
                Folding::Careful => write_field(&mut text, name, presented),
                Folding::Full => write_folded(&mut text, name, presented),
            }
        }
        if text.len() > SECONDARY_BYTES_MAX {
            let digest = digest(&SHA256, text.as_bytes());
            text = format!("{PART}sha-256={}", hex::encode(digest));
        }
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Appends a field's presented values. An absent field is not an empty one.
///
/// Lists are normalised without changing their meaning (RFC 9111 §4.1): white space around
/// elements is dropped, and so are empty ones. Of no other field is it known what an origin makes
/// of a comma more or a space less: `https://a.example,` is another `Origin`, and would bring the
/// refusal of one client to all that send the right one.
pub(super) fn write_field(text: &mut String, name: &HeaderName, presented: &HeaderMap) {
    text.push(PART);
    text.push_str(name.as_str());
    if !presented.contains_key(name) {
        return;
    }
    text.push(':');
    if LISTS.contains(name) {
        let drop_spaces = *name == ACCEPT_LANGUAGE;
        for (at, element) in list::lines(presented, name).enumerate() {
            if at > 0 {
                text.push(',');
            }
            // The case of a language stays: it means nothing (RFC 4647 §2), but not every origin
            // knows, and it is sent the client's own spelling.
            let counts = |byte: &&u8| !drop_spaces || **byte != b' ';
            for byte in element.iter().filter(counts) {
                push(text, *byte);
            }
        }
        return;
    }
    for (at, line) in presented.get_all(name).iter().enumerate() {
        if at > 0 {
            // RFC 9110 §5.2: what several lines are one line of.
            text.push_str(", ");
        }
        for byte in line.as_bytes() {
            push(text, *byte);
        }
    }
}

fn write_folded(text: &mut String, name: &HeaderName, presented: &HeaderMap) {
    text.push(PART);
    text.push_str(name.as_str());
    if !presented.contains_key(name) {
        return;
    }
    text.push(':');
    if *name == ACCEPT_LANGUAGE {
        accept_language::write_folded(presented, text);
        return;
    }
    for (at, element) in list::lines(presented, name).enumerate() {
        if at > 0 {
            text.push(',');
        }
        element.iter().for_each(|byte| push(text, *byte));
    }
}

/// Fields that are lists by their definition.
const LISTS: [HeaderName; 3] = [ACCEPT, ACCEPT_CHARSET, ACCEPT_LANGUAGE];

/// One char a byte, so that different bytes stay different.
fn push(text: &mut String, byte: u8) {
    text.push(char::from(byte));
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn presented(lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (ACCEPT_LANGUAGE, HeaderValue::from_static(line)))
            .collect()
    }

    fn of(vary: &Vary, presented: &HeaderMap) -> Secondary {
        Secondary::of(vary, presented, Folding::Careful)
    }

    #[test]
    fn full_folding_takes_the_same_meaning_for_the_same_value() {
        let vary = Vary::from_names([ACCEPT_LANGUAGE]);
        let full = |line| Secondary::of(&vary, &presented(&[line]), Folding::Full);
        assert_eq!(full("en, de"), full("de,EN"));
        assert_eq!(full("en;q=0.5, de"), full("de, en;q=0.50"));
        assert_ne!(full("en;q=0.5, de"), full("de;q=0.5, en"));
        assert_ne!(full("de"), full("de, *;q=0"));
        let other = Vary::from_names([HeaderName::from_static("foo")]);
        let foo = |value: &'static str| {
            let mut fields = HeaderMap::new();
            fields.insert("foo", HeaderValue::from_static(value));
            Secondary::of(&other, &fields, Folding::Full)
        };
        assert_eq!(foo("1, 2"), foo("1,2"));
        assert_ne!(foo("\"1, 2\""), foo("\"1,2\""));
        assert_ne!(foo("1, 2"), foo("2, 1"));
    }

    #[test]
    fn white_space_and_line_breaks_of_accept_language_do_not_count() {
        let vary = Vary::from_names([ACCEPT_LANGUAGE]);
        let one = of(&vary, &presented(&["de, en;q=0.5"]));
        assert_eq!(one, of(&vary, &presented(&["de,en; q=0.5"])));
        assert_ne!(one, of(&vary, &presented(&["DE,en;q=0.5"])));
        assert_eq!(one, of(&vary, &presented(&["de", "en;q=0.5"])));
        assert_ne!(one, of(&vary, &presented(&["en;q=0.5, de"])));
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        let vary = Vary::from_names([ACCEPT]);
        let mut empty = HeaderMap::new();
        empty.insert(ACCEPT, HeaderValue::from_static(""));
        assert_ne!(of(&vary, &HeaderMap::new()), of(&vary, &empty));
    }

    #[test]
    fn what_the_origin_is_never_sent_by_a_client_does_not_count() {
        let name = |name: &'static str| HeaderName::from_static(name);
        let vary = [
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-original-url",
            "x-theme",
        ];
        let counting = VaryRule::default().counting(&Vary::from_names(vary.map(name)));
        // Of the client's address it is known that it counts.
        let expected = Vary::from_names(["x-forwarded-for", "x-theme"].map(name));
        assert_eq!(counting, expected);
    }

    #[test]
    fn accept_encoding_never_counts() {
        let rule = VaryRule::default();
        let vary = Vary::from_names([ACCEPT_ENCODING, ACCEPT]);
        assert_eq!(rule.counting(&vary), Vary::from_names([ACCEPT]));
    }
}
