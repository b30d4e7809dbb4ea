//! `Content-Language` (RFC 9110 §8.5).

use http::HeaderMap;
use http::header::CONTENT_LANGUAGE;

use super::{accept_language, list};

/// The language tags of the representation, as written. What cannot be a tag (RFC 5646 §2.1) is
/// left out.
pub fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list::lines(headers, &CONTENT_LANGUAGE)
        .filter_map(|element| std::str::from_utf8(element).ok())
        .filter(|tag| accept_language::is_tag(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_all_lines_are_listed() {
        // RFC 9110 §8.5: "Multiple languages MAY be listed for content that is intended for
        // multiple audiences." The example "mi, en" is the RFC's.
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_LANGUAGE, "mi, en".parse().unwrap());
        headers.append(CONTENT_LANGUAGE, "de_DE, *, , zh-Hant-TW".parse().unwrap());
        assert_eq!(
            tags(&headers).collect::<Vec<_>>(),
            ["mi", "en", "zh-Hant-TW"]
        );
        assert_eq!(tags(&HeaderMap::new()).count(), 0);
    }
}
