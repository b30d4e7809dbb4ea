//! `Cookie` (RFC 6265 §4.2).

use bytes::{BufMut, BytesMut};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{list, text};

/// The name and the value of every cookie, of all lines (HTTP/2 sends them apart, RFC 9113 §8.2.3).
///
/// Quotes protect no semicolon, as in browsers and in most servers. A cookie without `=` is a name
/// with an empty value. A value that is not UTF-8 is given as empty, so that its name is still seen;
/// a name that is not UTF-8 is left out.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    raw_pairs(headers).filter_map(|pair| {
        let (name, value) = split(pair);
        let name = std::str::from_utf8(name).ok()?;
        Some((name, std::str::from_utf8(value).unwrap_or_default()))
    })
}

/// The value of the first cookie with this name; names are case-sensitive.
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    pairs(headers)
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

/// The name and the value, as bytes, of every cookie whose name passes: what [`keep_only`] leaves.
pub fn kept(
    headers: &HeaderMap,
    keep: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&str, &[u8])> {
    raw_pairs(headers).filter_map(move |pair| {
        let (name, value) = split(pair);
        let name = std::str::from_utf8(name).ok().filter(|name| keep(name))?;
        Some((name, value))
    })
}

/// Keeps the cookies whose name passes, in one line and without the white space that some servers
/// take for a part of the name; without any the field goes.
pub fn keep_only(headers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    if !headers.contains_key(COOKIE) {
        return;
    }
    let mut line = BytesMut::new();
    for (name, value) in kept(headers, keep) {
        if !line.is_empty() {
            line.put_slice(b"; ");
        }
        line.put_slice(name.as_bytes());
        line.put_u8(b'=');
        line.put_slice(value);
    }
    if line.is_empty() {
        headers.remove(COOKIE);
    } else {
        headers.insert(COOKIE, text::into_value(line));
    }
}

fn raw_pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(COOKIE)
        .into_iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(list::trim)
        .filter(|pair| !pair.is_empty())
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let equals = pair.iter().position(|byte| *byte == b'=');
    let (name, value) = pair.split_at(equals.unwrap_or(pair.len()));
    (
        list::trim(name),
        list::trim(value.get(1..).unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn cookies_of_all_lines_are_read() {
        for (lines, expected) in [
            (&[][..], vec![]),
            // RFC 6265 §3.1.
            (
                &[&b"SID=31d4d96e407aad42; lang=en-US"[..]],
                vec![("SID", "31d4d96e407aad42"), ("lang", "en-US")],
            ),
            (
                &[b"a=1", b"b=2; c=3"],
                vec![("a", "1"), ("b", "2"), ("c", "3")],
            ),
            (
                &[b"a=1;b=2 ;; c = 3;"],
                vec![("a", "1"), ("b", "2"), ("c", "3")],
            ),
            (
                &[b"a=b=c; flag; =v"],
                vec![("a", "b=c"), ("flag", ""), ("", "v")],
            ),
            (
                &[b"a=\"x; session=1\""],
                vec![("a", "\"x"), ("session", "1\"")],
            ),
            (
                &[b"session=\xff; b=2; \xfe=3"],
                vec![("session", ""), ("b", "2")],
            ),
        ] {
            let headers = headers(lines);
            assert_eq!(pairs(&headers).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let headers = headers(&[b"lang=de; Lang=fr; lang=en"]);
        assert_eq!(get(&headers, "lang"), Some("de"));
        assert_eq!(get(&headers, "Lang"), Some("fr"));
        assert_eq!(get(&headers, "LANG"), None);
    }

    #[test]
    fn only_the_kept_cookies_are_forwarded() {
        let kept = |lines: &[&[u8]]| {
            let mut headers = headers(lines);
            keep_only(&mut headers, |name| name == "keep");
            let left = headers.get_all(COOKIE).into_iter();
            left.map(|line| line.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&[b"keep=1; drop=2"]), [b"keep=1"]);
        assert_eq!(
            kept(&[b"drop=2; keep=\xff; drop=3; keep=x=y"]),
            [b"keep=\xff; keep=x=y"]
        );
        assert_eq!(kept(&[b"drop=1", b"keep=2"]), [b"keep=2"]);
        assert!(kept(&[b"drop=1", b"drop=2"]).is_empty());
        assert!(kept(&[b"\xff=1"]).is_empty());
        assert!(kept(&[]).is_empty());
        // In one spelling, which is that of the key.
        for lines in [
            &[&b"keep=1;keep=2"[..]][..],
            &[b"keep=1", b"keep=2"],
            &[b" keep =1 ;; keep= 2"],
        ] {
            assert_eq!(kept(lines), [b"keep=1; keep=2"]);
        }
        assert_eq!(kept(&[b"keep"]), [b"keep="]);
    }

    #[test]
    fn an_empty_field_says_nothing() {
        let mut headers = headers(&[b" ; "]);
        assert_eq!(pairs(&headers).count(), 0);
        keep_only(&mut headers, |_| false);
        assert_eq!(pairs(&headers).count(), 0);
    }
}
