//! `Accept-Language` (RFC 9110 §12.5.4): the language priority list of RFC 4647 §2.3. Which language
//! comes of it is decided in `key`.

use std::ops::Deref;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::{accept, list};

/// Ranges of one field that are kept, and as many exclusions; the rest is not looked at.
pub const LANGUAGE_RANGES_MAX: usize = 32;

/// The longest language range looked at, in bytes: RFC 5646 §4.4.1 has no tag beyond 35.
pub const LANGUAGE_RANGE_LENGTH_MAX: usize = 35;

/// The ranges of one field, without allocation. Derefs to those that are wanted, each with its
/// quality in thousandths (1 to 1000): the best first, equals in the order of the field.
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    wanted: Bounded<(&'a str, u16)>,
    /// The ranges with `q=0`, in the order of the field.
    pub excluded: Excluded<'a>,
}

/// Derefs to a slice of ranges.
#[derive(Clone, Debug)]
pub struct Excluded<'a>(Bounded<&'a str>);

/// Reads one field value. What is no basic language range (RFC 4647 §2.1) is left out.
///
/// The time is bounded whatever is sent: at most one pass over the bytes and
/// [`LANGUAGE_RANGES_MAX`] insertions into a list of that length.
pub fn ranges(value: &str) -> Ranges<'_> {
    let mut ranges = Ranges {
        wanted: Bounded::new(("", 0)),
        excluded: Excluded(Bounded::new("")),
    };
    for element in list::elements(value.as_bytes()) {
        let Some((range, quality)) = accept::weighted(element) else {
            continue;
        };
        let Ok(range) = std::str::from_utf8(range) else {
            continue;
        };
        if !is_range(range) {
            continue;
        }
        let is_kept = if quality == 0 {
            ranges.excluded.0.push(range)
        } else {
            ranges.wanted.push((range, quality)) && {
                ranges.wanted.settle_last();
                true
            }
        };
        if !is_kept {
            break;
        }
    }
    ranges
}

/// Appends what all lines of the field mean: the ranges in lower case, the best first, those that
/// count the same in alphabetical order, then those that are excluded. A field with more ranges than
/// are looked at is appended as it is.
pub fn write_folded(headers: &HeaderMap, text: &mut String) {
    let mut value = String::new();
    for line in headers.get_all(ACCEPT_LANGUAGE) {
        // One char a byte, so that different bytes stay different.
        value.extend(line.as_bytes().iter().map(|byte| char::from(*byte)));
        value.push(',');
    }
    let ranges = ranges(&value);
    if ranges.len() + ranges.excluded.len() >= LANGUAGE_RANGES_MAX {
        text.push_str(&value);
        return;
    }
    let lower = |range: &str| range.to_ascii_lowercase();
    let mut wanted: Vec<_> = ranges
        .iter()
        .map(|(range, q)| (1000 - q, lower(range)))
        .collect();
    wanted.sort_unstable();
    let mut excluded: Vec<_> = ranges.excluded.iter().map(|range| lower(range)).collect();
    excluded.sort_unstable();
    for (demerit, range) in wanted {
        text.push_str(&format!("{range};{demerit},"));
    }
    for range in excluded {
        text.push_str(&format!("{range};-,"));
    }
}

/// The range that the client wants above all others, if there is one.
pub fn favourite(headers: &HeaderMap) -> Option<&str> {
    let value = list::single(headers, &ACCEPT_LANGUAGE)?.to_str().ok()?;
    match *ranges(value) {
        [(range, best), (_, next), ..] if best > next => Some(range),
        [(range, _)] => Some(range),
        _ => None,
    }
}

/// Whether the text has the shape of a language tag (RFC 5646 §2.1): subtags of 1 to 8 letters and
/// digits, the first of letters only.
pub(super) fn is_tag(text: &str) -> bool {
    text.len() <= LANGUAGE_RANGE_LENGTH_MAX
        && text.split('-').enumerate().all(|(index, subtag)| {
            (1..=8).contains(&subtag.len())
                && subtag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit())
        })
}

fn is_range(text: &str) -> bool {
    text == "*" || is_tag(text)
}

/// The first [`LANGUAGE_RANGES_MAX`] of something.
#[derive(Clone, Debug)]
struct Bounded<T> {
    items: [T; LANGUAGE_RANGES_MAX],
    length: usize,
}

impl<T: Copy> Bounded<T> {
    const fn new(filler: T) -> Self {
        Self {
            items: [filler; LANGUAGE_RANGES_MAX],
            length: 0,
        }
    }

    /// False if there is no room.
    fn push(&mut self, item: T) -> bool {
        let Some(slot) = self.items.get_mut(self.length) else {
            return false;
        };
        *slot = item;
        self.length += 1;
        true
    }

    fn as_slice(&self) -> &[T] {
        self.items.get(..self.length).unwrap_or_default()
    }
}

impl Bounded<(&str, u16)> {
    /// Moves the last item before all that are worse. Browsers send their list in order, so it
    /// mostly stays where it is.
    fn settle_last(&mut self) {
        let items = self.items.get_mut(..self.length).unwrap_or_default();
        let Some(((_, quality), before)) = items.split_last() else {
            return;
        };
        let place = before.partition_point(|(_, other)| other >= quality);
        if let Some(worse) = items.get_mut(place..) {
            worse.rotate_right(1);
        }
    }
}

impl<'a> Deref for Ranges<'a> {
    type Target = [(&'a str, u16)];

    fn deref(&self) -> &Self::Target {
        self.wanted.as_slice()
    }
}

impl<'a> Deref for Excluded<'a> {
    type Target = [&'a str];

    fn deref(&self) -> &Self::Target {
        self.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_by_quality_and_equals_keep_their_order() {
        // RFC 4647 §2.3: "a language range with a higher weight is preferred", and "If the weights
        // are equal" the order of the list stands.
        for (value, expected) in [
            (
                "da, en-gb;q=0.8, en;q=0.7",
                vec![("da", 1000), ("en-gb", 800), ("en", 700)],
            ),
            (
                "en;q=0.7, da, en-GB;q=0.8",
                vec![("da", 1000), ("en-GB", 800), ("en", 700)],
            ),
            (
                "fr, de, en;q=0.9, it",
                vec![("fr", 1000), ("de", 1000), ("it", 1000), ("en", 900)],
            ),
            ("de-CH,*;q=0.1", vec![("de-CH", 1000), ("*", 100)]),
            ("zh-Hant-TW", vec![("zh-Hant-TW", 1000)]),
            ("", vec![]),
        ] {
            assert_eq!(*ranges(value), *expected, "{value}");
        }
    }

    #[test]
    fn a_quality_of_zero_excludes() {
        // RFC 9110 §12.4.2: "a value of 0 means "not acceptable"."
        let ranges = ranges("en;q=0, de, *;q=0.0, fr;q=0.001");
        assert_eq!(*ranges, [("de", 1000), ("fr", 1)]);
        assert_eq!(*ranges.excluded, ["en", "*"]);
    }

    #[test]
    fn what_is_no_language_range_is_left_out() {
        for garbage in [
            "de_DE",
            "dé",
            "de-",
            "-de",
            "de--CH",
            "abcdefghi",
            "de-abcdefghi",
            "1de",
            "*-CH",
            "**",
            "de;x=y",
            "de;q=x",
            "<script>",
            "de/CH",
            "\"de\"",
            "de-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd",
        ] {
            let value = format!("{garbage}, en");
            assert_eq!(*ranges(&value), [("en", 1000)], "{garbage}");
        }
        let longest = "de-aaaaaaaa-bbbbbbbb-cccccccc-ddddd";
        assert_eq!(longest.len(), LANGUAGE_RANGE_LENGTH_MAX);
        assert_eq!(*ranges(longest), [(longest, 1000)]);
    }

    #[test]
    fn a_flood_is_cut_and_the_best_of_what_was_read_comes_first() {
        let flood: Vec<_> = (0..2000)
            .map(|n| format!("x{};q=0.{:03}", "abcdefg", n % 999 + 1))
            .collect();
        let flood = flood.join(",").replace("x", "");
        let ranges = ranges(&flood);
        assert_eq!(ranges.len(), LANGUAGE_RANGES_MAX);
        assert!(ranges.is_sorted_by(|(_, one), (_, other)| one >= other));
        assert_eq!(
            super::ranges(&"en;q=0,".repeat(1200)).excluded.len(),
            LANGUAGE_RANGES_MAX
        );
        assert!(super::ranges(&",".repeat(8192)).is_empty());
        assert!(super::ranges(&"\"".repeat(8192)).is_empty());
    }
}
