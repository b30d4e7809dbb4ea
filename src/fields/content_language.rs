//! `Content-Language` (RFC 9110 §8.5).

use http::HeaderMap;
use http::header::CONTENT_LANGUAGE;

use super::list;

pub fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list::lines(headers, &CONTENT_LANGUAGE).filter_map(|tag| std::str::from_utf8(tag).ok())
}
