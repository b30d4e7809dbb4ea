//! RFC 9111 §4.3: validating a stored response, and freshening it with the answer.

use http::HeaderMap;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};

use super::rule::Profile;
use crate::fields::content_length;
use crate::fields::entity_tag::EntityTag;

/// Whether a response can be validated at all (§4.3.1). An `ETag: ""` is junk that some origins
/// send for "unknown": it is no validator.
pub fn has_validator(response: &HeaderMap) -> bool {
    etag(response).is_some() || response.contains_key(LAST_MODIFIED)
}

/// The origin's entity tag, if it is of use.
pub fn etag(response: &HeaderMap) -> Option<EntityTag> {
    EntityTag::of(response).filter(|etag| !etag.is_empty())
}

/// Makes `request` conditional on what `stored` (the fields as the origin sent them) holds
/// (§4.3.1). False if it has no validator.
pub fn make_conditional(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    if let Some(etag) = etag(stored) {
        request.insert(IF_NONE_MATCH, etag.to_value());
    }
    if let Some(modified) = stored.get(LAST_MODIFIED) {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    has_validator(stored)
}

/// Whether a 304 speaks of the stored response (§4.3.3, §4.3.4): its strong validator, if it has
/// one, is the same. A weak comparison is enough for what we asked with, because a single stored
/// response was nominated by the request.
pub fn selects(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    match (EntityTag::of(not_modified), etag(stored)) {
        (Some(theirs), Some(ours)) => theirs.weak_eq(&ours),
        (Some(theirs), None) => theirs.is_empty(),
        (None, _) => true,
    }
}

/// Whether a 200 to a HEAD speaks of the stored response, whose content has `length` bytes (§4.3.5):
/// "if the stored response and HEAD response have matching values for any received validator fields
/// (ETag and Last-Modified) and, if the HEAD response has a Content-Length header field, the value of
/// Content-Length matches that of the stored response".
pub fn is_described(stored: &HeaderMap, length: u64, head: &HeaderMap) -> bool {
    let matches = |name: &HeaderName| match head.get(name) {
        None => true,
        received => received == stored.get(name),
    };
    matches(&ETAG)
        && matches(&LAST_MODIFIED)
        && content_length::of(head).is_none_or(|received| received == length)
}

/// Fields of a 304 that must not replace the stored ones: they describe the content that is kept
/// (§3.2 names Content-Length and Content-Encoding among those a cache may exempt). `Vary` is kept
/// because origins send another one with a 304 than with the 200, and it names the stored
/// response.
const KEPT: [HeaderName; 5] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, VARY];

/// §3.2: the stored response's fields with those of the answer in their place.
///
/// In profile `cms` the `Content-Type` stays, too: origins put the default type of their pages on a
/// 304, also where the 200 was JSON, and what was done with the content went by its type.
///
/// `Age` is "the time since the response was generated or successfully validated at the origin
/// server" (§5.1): that of an earlier exchange says nothing any more.
pub fn freshened(stored: &HeaderMap, not_modified: &HeaderMap, profile: Profile) -> HeaderMap {
    let mut fields = stored.clone();
    fields.remove(AGE);
    let is_kept =
        |name: &HeaderName| KEPT.contains(name) || *name == CONTENT_TYPE && profile == Profile::Cms;
    for name in not_modified.keys().filter(|name| !is_kept(name)) {
        fields.remove(name);
        for value in not_modified.get_all(name) {
            fields.append(name, value.clone());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn an_empty_entity_tag_is_no_validator() {
        assert!(!has_validator(&headers(&[("etag", "\"\"")])));
        assert!(has_validator(&headers(&[("etag", "W/\"a\"")])));
    }

    #[test]
    fn a_304_updates_all_fields_but_those_of_the_content() {
        let stored = headers(&[
            ("etag", "W/\"a\""),
            ("vary", "accept"),
            ("x-old", "1"),
            ("date", "d1"),
        ]);
        // Wagtail with gzip: the 304 has a strong tag and another Vary.
        let answer = headers(&[
            ("etag", "\"a\""),
            ("vary", "cookie"),
            ("x-old", "2"),
            ("date", "d2"),
        ]);
        assert!(selects(&stored, &answer));
        assert_eq!(
            freshened(&stored, &answer, Profile::Cms),
            headers(&[
                ("etag", "W/\"a\""),
                ("vary", "accept"),
                ("x-old", "2"),
                ("date", "d2")
            ])
        );
    }

    #[test]
    fn the_type_of_a_304_replaces_that_of_the_200_where_the_rfc_alone_counts() {
        let stored = headers(&[("content-type", "application/json"), ("etag", "\"a\"")]);
        let answer = headers(&[("content-type", "text/html")]);
        for (profile, expected) in [
            (Profile::Cms, "application/json"),
            (Profile::Rfc, "text/html"),
        ] {
            let fields = freshened(&stored, &answer, profile);
            assert_eq!(fields[CONTENT_TYPE], expected);
        }
    }

    #[test]
    fn the_age_before_the_validation_is_gone() {
        let stored = headers(&[("etag", "\"a\""), ("age", "50")]);
        let fresh = |answer| freshened(&stored, &headers(answer), Profile::Rfc);
        assert_eq!(fresh(&[]), headers(&[("etag", "\"a\"")]));
        assert_eq!(fresh(&[("age", "3")])[AGE], "3");
    }

    #[test]
    fn a_head_describes_what_has_its_validators_and_its_length() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        let tagged = headers(&[("etag", "\"a\""), ("last-modified", DATE)]);
        let bare = headers(&[]);
        for (stored, head, expected) in [
            (&tagged, &[][..], true),
            (&tagged, &[("etag", "\"a\"")], true),
            (&tagged, &[("etag", "\"a\""), ("last-modified", DATE)], true),
            (&tagged, &[("etag", "\"a\""), ("content-length", "5")], true),
            (&tagged, &[("content-length", "6")], false),
            (&tagged, &[("etag", "\"b\"")], false),
            (&tagged, &[("etag", "W/\"a\"")], false),
            (
                &tagged,
                &[("etag", "\"a\""), ("last-modified", LATER)],
                false,
            ),
            (&bare, &[("cache-control", "max-age=1")], true),
            (&bare, &[("etag", "\"a\"")], false),
            (&bare, &[("last-modified", DATE)], false),
        ] {
            assert_eq!(
                is_described(stored, 5, &headers(head)),
                expected,
                "{head:?}"
            );
        }
    }

    #[test]
    fn a_304_for_something_else_does_not_freshen() {
        let stored = headers(&[("etag", "\"a\"")]);
        assert!(!selects(&stored, &headers(&[("etag", "\"b\"")])));
        assert!(selects(&stored, &headers(&[])));
    }
}
