//! `Content-Type` (RFC 9110 §8.3).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Type and subtype, without parameters.
pub fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?.trim();
    (!essence.is_empty()).then_some(essence)
}

/// Patterns are `type/subtype`, `type/*`, or `*+suffix`.
pub fn matches(patterns: &[Box<str>], essence: &str) -> bool {
    patterns.iter().any(|pattern| {
        if let Some(family) = pattern.strip_suffix('*') {
            starts_with(essence, family)
        } else if let Some(suffix) = pattern.strip_prefix('*') {
            let at = essence.len().saturating_sub(suffix.len());
            essence
                .get(at..)
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        } else {
            essence.eq_ignore_ascii_case(pattern)
        }
    })
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_families_and_suffixes() {
        let patterns = ["text/*", "application/json", "*+json"].map(Into::into);
        for (essence, expected) in [
            ("text/html", true),
            ("TEXT/plain", true),
            ("application/JSON", true),
            ("application/vnd.api+json", true),
            ("image/png", false),
            ("application/jsonp", false),
        ] {
            assert_eq!(matches(&patterns, essence), expected, "{essence}");
        }
    }

    #[test]
    fn parameters_are_no_part_of_the_essence() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/html ; charset=utf-8".parse().unwrap());
        assert_eq!(essence(&headers), Some("text/html"));
    }
}
