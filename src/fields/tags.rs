//! Tags that a response declares, in the dialects that CMSs speak.

use http::HeaderMap;
use http::header::HeaderName;

/// Tags of one response, and bytes of one tag; with more, the response is not taken for tagged.
const TAGS_MAX: usize = 1024;
const TAG_BYTES_MAX: usize = 1024;

/// The tags that were found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Declared<'h> {
    pub tags: Vec<&'h str>,
    /// There were more, or longer ones, or some that are no text: what is purged by them cannot be
    /// known.
    pub overflow: bool,
}

/// All tags in the named fields. Dialects separate them by commas or by white space; no CMS has
/// either inside a tag.
pub fn declared<'h>(headers: &'h HeaderMap, names: &[HeaderName]) -> Declared<'h> {
    let mut declared = Declared::default();
    for line in names.iter().flat_map(|name| headers.get_all(name)) {
        let Ok(text) = std::str::from_utf8(line.as_bytes()) else {
            declared.overflow = true;
            continue;
        };
        let separated = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        for tag in separated.filter(|tag| !tag.is_empty()) {
            if declared.tags.len() == TAGS_MAX || tag.len() > TAG_BYTES_MAX {
                declared.overflow = true;
                return declared;
            }
            declared.tags.push(tag);
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HeaderName = HeaderName::from_static("surrogate-key");
    const TAG: HeaderName = HeaderName::from_static("cache-tag");

    #[test]
    fn both_separators_and_all_lines_count() {
        let mut headers = HeaderMap::new();
        headers.append(KEY, "a b".parse().unwrap());
        headers.append(KEY, "c".parse().unwrap());
        headers.append(TAG, "d, e".parse().unwrap());
        assert_eq!(
            declared(&headers, &[KEY, TAG]).tags,
            ["a", "b", "c", "d", "e"]
        );
    }

    #[test]
    fn too_many_tags_are_noticed() {
        let mut headers = HeaderMap::new();
        headers.append(KEY, "t ".repeat(TAGS_MAX + 1).parse().unwrap());
        assert!(declared(&headers, &[KEY]).overflow);
    }
}
