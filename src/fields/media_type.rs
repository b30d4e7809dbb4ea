//! `Content-Type` (RFC 9110 §8.3), and patterns of media types.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::{list, text};

/// `type/subtype` as written, without parameters. `None` without the field, with more than one line,
/// and for what is no media type.
pub fn essence(headers: &HeaderMap) -> Option<&str> {
    let line = list::single(headers, &CONTENT_TYPE)?;
    let essence = line.as_bytes().split(|byte| *byte == b';').next()?;
    let essence = std::str::from_utf8(essence).ok()?.trim_ascii();
    let (of_type, subtype) = essence.split_once('/')?;
    (text::is_token(of_type.as_bytes()) && text::is_token(subtype.as_bytes())).then_some(essence)
}

/// Whether the content is a stream of server-sent events: it need never end, and each piece counts
/// when it comes.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| essence.eq_ignore_ascii_case("text/event-stream"))
}

/// Whether the content is several ranges of a representation (RFC 9110 §14.6).
pub fn is_byteranges(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| essence.eq_ignore_ascii_case("multipart/byteranges"))
}

/// Whether one of the patterns is the media type: exact (`application/json`), by type (`text/*`), by
/// structured suffix (`*+json`, `application/*+xml`), or any (`*`, `*/*`). §8.3.1: "The type and
/// subtype tokens are case-insensitive."
pub fn matches(patterns: &[Box<str>], essence: &str) -> bool {
    patterns.iter().any(|pattern| is_match(pattern, essence))
}

fn is_match(pattern: &str, essence: &str) -> bool {
    if pattern == "*/*" {
        return true;
    }
    let (pattern, essence) = (pattern.as_bytes(), essence.as_bytes());
    let Some(star) = pattern.iter().position(|byte| *byte == b'*') else {
        return pattern.eq_ignore_ascii_case(essence);
    };
    let (prefix, rest) = pattern.split_at(star);
    let suffix = rest.get(1..).unwrap_or_default();
    let Some((head, rest)) = essence.split_at_checked(prefix.len()) else {
        return false;
    };
    let Some(tail_at) = rest.len().checked_sub(suffix.len()) else {
        return false;
    };
    let (_, tail) = rest.split_at(tail_at);
    head.eq_ignore_ascii_case(prefix) && tail.eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_essence_is_what_stands_before_the_parameters() {
        for (lines, expected) in [
            (&[][..], None),
            (&["text/html"], Some("text/html")),
            // RFC 9110 §8.3.1: the four are equivalent.
            (&["text/html;charset=utf-8"], Some("text/html")),
            (&["Text/HTML;Charset=\"utf-8\""], Some("Text/HTML")),
            (&["text/html; charset=\"utf-8\""], Some("text/html")),
            (
                &[" application/vnd.api+json ;x=\"é\""],
                Some("application/vnd.api+json"),
            ),
            (&["text"], None),
            (&["text/"], None),
            (&["/html"], None),
            (&["text/html, text/plain"], None),
            (&["text/html/x"], None),
            (&["text /html"], None),
            (&[""], None),
            (&["text/html", "text/html"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    CONTENT_TYPE,
                    HeaderValue::from_bytes(line.as_bytes()).unwrap(),
                );
            }
            assert_eq!(essence(&headers), expected, "{lines:?}");
        }
    }

    #[test]
    fn patterns_match_by_type_by_suffix_and_exactly() {
        for (pattern, essence, expected) in [
            ("text/*", "text/html", true),
            ("Text/*", "TEXT/html", true),
            ("text/*", "textual/html", false),
            ("text/*", "application/text", false),
            ("application/json", "Application/JSON", true),
            ("application/json", "application/json-seq", false),
            ("*+json", "application/vnd.api+json", true),
            ("*+json", "application/json", false),
            ("application/*+xml", "application/rss+xml", true),
            ("application/*+xml", "image/svg+xml", false),
            ("*/*", "font/woff2", true),
            ("*", "font/woff2", true),
            ("text/x*xt", "text/xt", false),
            ("", "text/html", false),
        ] {
            assert_eq!(is_match(pattern, essence), expected, "{pattern} {essence}");
        }
        let patterns: [Box<str>; 2] = ["text/*".into(), "*+json".into()];
        assert!(matches(&patterns, "application/ld+json"));
        assert!(!matches(&patterns, "image/png"));
        assert!(!matches(&[], "image/png"));
    }
}
