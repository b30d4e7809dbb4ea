//! Preconditions (RFC 9110 §13) of a request for a selected representation.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};

use super::entity_tag::{self, EntityTag};
use super::{date, list};

/// The fields that make a request conditional (§13.1).
pub const CONDITIONAL: [HeaderName; 5] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
];

/// What the preconditions make of a request that would otherwise be answered with success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// None was given, or all hold: the method is performed.
    None,
    /// 304 (Not Modified).
    NotModified,
    /// 412 (Precondition Failed).
    Failed,
}

/// Evaluates in the order of §13.2.2. `If-Range` is not in it, see [`if_range_matches`].
///
/// `last_modified` is in seconds since the epoch. A cache passes what RFC 9111 §4.3.2 has it
/// compare `If-Modified-Since` with: the stored `Last-Modified`, else `Date`, else the time of
/// reception. `If-Match` and `If-Unmodified-Since` "are not applicable to a cache": one that cannot
/// speak for the origin asks [`is_for_origin`] first and forwards.
pub fn evaluate(
    request: &HeaderMap,
    is_get_or_head: bool,
    etag: Option<&EntityTag>,
    last_modified: Option<u64>,
) -> Precondition {
    let may_proceed = entity_tag::if_match(request, etag)
        .or_else(|| unmodified_since(request, last_modified))
        .unwrap_or(true);
    if !may_proceed {
        return Precondition::Failed;
    }
    match entity_tag::none_match(request, etag) {
        Some(true) => Precondition::None,
        Some(false) if is_get_or_head => Precondition::NotModified,
        Some(false) => Precondition::Failed,
        None if is_get_or_head && modified_since(request, last_modified) == Some(false) => {
            Precondition::NotModified
        }
        None => Precondition::None,
    }
}

/// Whether the request has a precondition that only the origin can evaluate (RFC 9111 §4.3.2).
pub fn is_for_origin(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// §13.1.5: whether `Range` may be honoured. `None` without `If-Range`. Times are in seconds since
/// the epoch; `date` is the `Date` of the representation.
pub fn if_range_matches(
    request: &HeaderMap,
    etag: Option<&EntityTag>,
    last_modified: Option<u64>,
    date: Option<u64>,
) -> Option<bool> {
    if !request.contains_key(IF_RANGE) {
        return None;
    }
    let Some(line) = list::single(request, &IF_RANGE) else {
        return Some(false);
    };
    let validator = list::trim(line.as_bytes());
    // §13.1.5: "A valid entity-tag can be distinguished from a valid HTTP-date by examining the
    // first three characters for a DQUOTE."
    if validator.iter().take(3).any(|byte| *byte == b'"') {
        let given = EntityTag::parse(validator);
        return Some(
            given
                .zip(etag)
                .is_some_and(|(given, etag)| given.strong_eq(etag)),
        );
    }
    let last_modified = last_modified.filter(|modified| is_strong(*modified, date));
    Some(last_modified.is_some() && date::parse(line) == last_modified)
}

/// Removes every precondition. Whoever takes away `If-Range` decides about `Range` as well.
pub fn strip(headers: &mut HeaderMap) {
    for name in &CONDITIONAL {
        headers.remove(name);
    }
}

/// §8.8.2.2: a modification date is strong if the `Date` beside it is late enough. One second will
/// do where both come from the same clock, which a cache cannot know; a minute makes "clock
/// synchronization issues unlikely".
fn is_strong(last_modified: u64, date: Option<u64>) -> bool {
    date.is_some_and(|date| date >= last_modified.saturating_add(STRONG_AFTER_SECONDS))
}

const STRONG_AFTER_SECONDS: u64 = 60;

/// §13.1.3: true if modified. `None` where the field is to be ignored.
fn modified_since(request: &HeaderMap, last_modified: Option<u64>) -> Option<bool> {
    let since = date::of(request, &IF_MODIFIED_SINCE)?;
    Some(last_modified? > since)
}

/// §13.1.4: true if not modified. `None` where the field is to be ignored.
fn unmodified_since(request: &HeaderMap, last_modified: Option<u64>) -> Option<bool> {
    let since = date::of(request, &IF_UNMODIFIED_SINCE)?;
    Some(last_modified? <= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Precondition::{Failed, NotModified};

    const MODIFIED: u64 = 784_111_777;
    const MODIFIED_TEXT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER_TEXT: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER_TEXT: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn request(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn evaluated(is_get_or_head: bool, lines: &[(HeaderName, &str)]) -> Precondition {
        let etag = EntityTag::strong("a");
        evaluate(&request(lines), is_get_or_head, Some(&etag), Some(MODIFIED))
    }

    #[test]
    fn each_precondition_has_its_outcome() {
        for (name, value, get, put) in [
            (IF_MATCH, "\"a\"", Precondition::None, Precondition::None),
            (IF_MATCH, "\"b\"", Failed, Failed),
            (
                IF_UNMODIFIED_SINCE,
                MODIFIED_TEXT,
                Precondition::None,
                Precondition::None,
            ),
            (IF_UNMODIFIED_SINCE, EARLIER_TEXT, Failed, Failed),
            (
                IF_UNMODIFIED_SINCE,
                "junk",
                Precondition::None,
                Precondition::None,
            ),
            (
                IF_NONE_MATCH,
                "\"b\"",
                Precondition::None,
                Precondition::None,
            ),
            (IF_NONE_MATCH, "\"a\"", NotModified, Failed),
            (IF_NONE_MATCH, "*", NotModified, Failed),
            (
                IF_MODIFIED_SINCE,
                EARLIER_TEXT,
                Precondition::None,
                Precondition::None,
            ),
            (
                IF_MODIFIED_SINCE,
                MODIFIED_TEXT,
                NotModified,
                Precondition::None,
            ),
            (
                IF_MODIFIED_SINCE,
                LATER_TEXT,
                NotModified,
                Precondition::None,
            ),
            (
                IF_MODIFIED_SINCE,
                "Sunday, 06-Nov-94 08:49:37 GMT",
                NotModified,
                Precondition::None,
            ),
            (
                IF_MODIFIED_SINCE,
                "0",
                Precondition::None,
                Precondition::None,
            ),
        ] {
            let lines = [(name, value)];
            assert_eq!(evaluated(true, &lines), get, "GET {lines:?}");
            assert_eq!(evaluated(false, &lines), put, "PUT {lines:?}");
        }
        assert_eq!(evaluated(true, &[]), Precondition::None);
    }

    #[test]
    fn the_order_is_that_of_section_13_2_2() {
        for (lines, expected) in [
            // "When If-Match is not present and If-Unmodified-Since is present, evaluate".
            (
                &[(IF_MATCH, "\"a\""), (IF_UNMODIFIED_SINCE, EARLIER_TEXT)][..],
                Precondition::None,
            ),
            (
                &[(IF_MATCH, "\"b\""), (IF_UNMODIFIED_SINCE, LATER_TEXT)],
                Failed,
            ),
            // If-Match comes first, then If-None-Match.
            (
                &[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"a\"")],
                NotModified,
            ),
            (&[(IF_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")], Failed),
            // "When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since
            // is present, evaluate".
            (
                &[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, LATER_TEXT)],
                Precondition::None,
            ),
            (
                &[(IF_NONE_MATCH, "\"a\""), (IF_MODIFIED_SINCE, EARLIER_TEXT)],
                NotModified,
            ),
        ] {
            assert_eq!(evaluated(true, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn dates_are_ignored_without_a_modification_date_and_when_repeated() {
        // RFC 9110 §13.1.3: "A recipient MUST ignore the If-Modified-Since header field if the
        // resource does not have a modification date available."
        for name in [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            let request = request(&[(name.clone(), MODIFIED_TEXT)]);
            assert_eq!(evaluate(&request, true, None, None), Precondition::None);
        }
        let twice = [
            (IF_MODIFIED_SINCE, LATER_TEXT),
            (IF_MODIFIED_SINCE, LATER_TEXT),
        ];
        assert_eq!(evaluated(true, &twice), Precondition::None);
    }

    #[test]
    fn if_range_matches_exactly_and_strongly() {
        // RFC 9110 §13.1.5: "If the HTTP-date validator provided is not a strong validator in the
        // sense defined by Section 8.8.2.2, the condition is false. If the HTTP-date validator
        // provided exactly matches the Last-Modified field value for the selected representation,
        // the condition is true. Otherwise, the condition is false."
        let (long_ago, just_now) = (Some(MODIFIED + 60), Some(MODIFIED + 59));
        for (lines, date, expected) in [
            (&[][..], long_ago, None),
            (&["\"a\""], None, Some(true)),
            (&["\"b\""], long_ago, Some(false)),
            (&["W/\"a\""], long_ago, Some(false)),
            (&["\"a\", \"b\""], long_ago, Some(false)),
            (&["\"a\"", "\"a\""], long_ago, Some(false)),
            (&[MODIFIED_TEXT], long_ago, Some(true)),
            (&[MODIFIED_TEXT], just_now, Some(false)),
            (&[MODIFIED_TEXT], None, Some(false)),
            (&[LATER_TEXT], long_ago, Some(false)),
            (&[EARLIER_TEXT], long_ago, Some(false)),
            (&["junk"], long_ago, Some(false)),
            (&[""], long_ago, Some(false)),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (IF_RANGE, *line)).collect();
            let etag = EntityTag::strong("a");
            let found = if_range_matches(&request(&lines), Some(&etag), Some(MODIFIED), date);
            assert_eq!(found, expected, "{lines:?} {date:?}");
        }
        let by_tag = request(&[(IF_RANGE, "\"a\"")]);
        let weak = EntityTag::strong("a").weakened();
        assert_eq!(
            if_range_matches(&by_tag, Some(&weak), None, None),
            Some(false)
        );
        assert_eq!(if_range_matches(&by_tag, None, None, None), Some(false));
        let by_junk = request(&[(IF_RANGE, "junk")]);
        assert_eq!(
            if_range_matches(&by_junk, None, None, long_ago),
            Some(false)
        );
    }

    #[test]
    fn stripping_leaves_no_precondition() {
        let lines = CONDITIONAL.map(|name| (name, "x"));
        let mut headers = request(&lines);
        assert!(is_for_origin(&headers));
        headers.append("range", "bytes=0-1".parse().unwrap());
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(!is_for_origin(&headers));
    }
}
