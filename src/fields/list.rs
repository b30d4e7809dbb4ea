//! Comma-separated lists (RFC 9110 §5.6.1).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// The elements of one field line: split at commas outside quoted strings, white space around
/// them dropped, empty ones skipped (§5.6.1.2: "a recipient MUST parse and ignore a reasonable
/// number of empty list elements").
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |byte| {
            let splits = *byte == b',' && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            splits
        })
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The elements of all lines of a field (§5.2: lines are combined in order).
pub fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .map(HeaderValue::as_bytes)
        .flat_map(elements)
}

/// The text of a quoted string (§5.6.4), or the value itself if it is none.
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let Some(inner) = inner else {
        return Cow::Borrowed(value);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for byte in inner {
        if *byte == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            text.push(*byte);
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_split_outside_quotes_only() {
        let found: Vec<&[u8]> = elements(b" a, ,\"b, \\\" c\" ,d=\"x,y\"").collect();
        assert_eq!(found, [&b"a"[..], b"\"b, \\\" c\"", b"d=\"x,y\""]);
    }

    #[test]
    fn quoted_pairs_lose_their_backslash() {
        assert_eq!(&*unquote(b"\"a\\\"b\""), b"a\"b");
        assert_eq!(&*unquote(b"token"), b"token");
    }
}
