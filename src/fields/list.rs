//! Lists, `#element` (RFC 9110 §5.6.1), and quoted strings (§5.6.4).

use std::borrow::Cow;

use http::header::ValueIter;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The elements of one field line: split at commas outside quoted strings, without the whitespace
/// around them, without the empty ones.
///
/// A quote that is never closed opens no string: what follows it is split as if the quote were a
/// letter, so that a directive behind it is still seen.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    Elements::new(value)
}

/// The elements of every line of the field, in order: RFC 9110 §5.3 makes one list of them.
pub fn lines<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    Lines {
        lines: headers.get_all(name).into_iter(),
        current: Elements::new(b""),
    }
}

/// The line of a field that is no list. `None` without it, and with more than one: nobody can tell
/// which was meant.
pub fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

/// The content of a quoted string. What is not quoted is returned as it is.
pub fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = text
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return Cow::Borrowed(text);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        // RFC 9110 §5.6.4: "Recipients that process the value of a quoted-string MUST handle a
        // quoted-pair as if it were replaced by the octet following the backslash."
        let literal = if byte == b'\\' { bytes.next() } else { None };
        content.push(*literal.unwrap_or(&byte));
    }
    Cow::Owned(content)
}

/// Without the optional whitespace around it (RFC 9110 §5.6.3: SP and HTAB).
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

struct Elements<'a> {
    rest: &'a [u8],
    /// No later quote is closed either, so nobody has to look again: the walk stays linear.
    quotes_are_literal: bool,
}

impl<'a> Elements<'a> {
    const fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            quotes_are_literal: false,
        }
    }

    /// Where the element at the front ends: at a comma, or at the end.
    fn end(&mut self) -> usize {
        let mut at = 0;
        while let Some(&byte) = self.rest.get(at) {
            match byte {
                b',' => return at,
                b'"' if !self.quotes_are_literal => match string_length(self.rest, at) {
                    Some(length) => at += length,
                    None => {
                        self.quotes_are_literal = true;
                        at += 1;
                    }
                },
                _ => at += 1,
            }
        }
        at
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = self.end();
            let (element, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The length of the quoted string that begins at `start`, with both quotes; `None` if it never
/// ends.
pub(super) fn string_length(text: &[u8], start: usize) -> Option<usize> {
    let mut escaped = false;
    for (offset, &byte) in text.get(start..)?.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

struct Lines<'a> {
    lines: ValueIter<'a, HeaderValue>,
    current: Elements<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(element) = self.current.next() {
                return Some(element);
            }
            self.current = Elements::new(self.lines.next()?.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &str) -> Vec<&str> {
        elements(value.as_bytes())
            .map(|element| std::str::from_utf8(element).unwrap())
            .collect()
    }

    #[test]
    fn empty_elements_do_not_count() {
        // RFC 9110 §5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list
        // elements". The three examples are the RFC's own.
        assert_eq!(split("foo,bar"), ["foo", "bar"]);
        assert_eq!(split("foo ,bar,"), ["foo", "bar"]);
        assert_eq!(split("foo , ,bar,charlie"), ["foo", "bar", "charlie"]);
        for nothing in ["", ",", ",   ,", "\t , \t"] {
            assert!(split(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn a_comma_in_a_quoted_string_separates_nothing() {
        for (value, expected) in [
            (r#"a="x, y", b"#, vec![r#"a="x, y""#, "b"]),
            (r#"a="x\", y", b"#, vec![r#"a="x\", y""#, "b"]),
            (r#"a="x\\", b"#, vec![r#"a="x\\""#, "b"]),
            (r#""", b"#, vec![r#""""#, "b"]),
        ] {
            assert_eq!(split(value), expected);
        }
    }

    #[test]
    fn an_unclosed_quote_hides_nothing_behind_it() {
        assert_eq!(split(r#"a="x, no-store, b"#), [r#"a="x"#, "no-store", "b"]);
        assert_eq!(
            split(r#"a="x", b="y, no-store"#),
            [r#"a="x""#, r#"b="y"#, "no-store"]
        );
        assert_eq!(split(r#"a="x\", b"#), [r#"a="x\""#, "b"]);
    }

    #[test]
    fn quotes_by_the_thousand_are_walked_once() {
        // Quadratic would be 10^9 steps here.
        let hostile = r#"\"#.repeat(3) + &r#""\"#.repeat(20_000);
        assert_eq!(elements(hostile.as_bytes()).count(), 1);
    }

    #[test]
    fn several_lines_make_one_list() {
        // RFC 9110 §5.3: "The field lines' order is significant", and the combined value is the
        // lines' values in order, separated by commas.
        let mut headers = HeaderMap::new();
        for line in ["a, b", "", ",", "c"] {
            headers.append("accept", line.parse().unwrap());
        }
        let found: Vec<_> = lines(&headers, &http::header::ACCEPT).collect();
        assert_eq!(found, [b"a", b"b", b"c"]);
        assert_eq!(lines(&headers, &http::header::VARY).count(), 0);
    }

    #[test]
    fn a_field_that_is_no_list_has_one_line() {
        // RFC 9110 §5.3: "a sender MUST NOT generate multiple field lines with the same name in a
        // message [...] unless that field's definition allows multiple field line values to be
        // recombined as a comma-separated list".
        let mut headers = HeaderMap::new();
        assert_eq!(single(&headers, &http::header::DATE), None);
        headers.append("date", "a".parse().unwrap());
        assert_eq!(single(&headers, &http::header::DATE).unwrap(), "a");
        headers.append("date", "a".parse().unwrap());
        assert_eq!(single(&headers, &http::header::DATE), None);
    }

    #[test]
    fn unquoting_replaces_quoted_pairs() {
        for (text, expected) in [
            ("plain", "plain"),
            (r#""quoted""#, "quoted"),
            (r#""a\"b\\c\d""#, r#"a"b\cd"#),
            (r#""open"#, r#""open"#),
            (r#"""#, r#"""#),
            (r#""""#, ""),
            (r#""\""#, r"\"),
        ] {
            assert_eq!(&*unquote(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
