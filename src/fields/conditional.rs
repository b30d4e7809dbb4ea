//! Conditional requests (RFC 9110 §13).

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

use super::date;
use super::entity_tag::{self, EntityTag};

/// The fields that make a request conditional.
pub const CONDITIONAL: [HeaderName; 5] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
];

/// What the preconditions make of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// They hold, or there are none.
    None,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

pub fn strip(headers: &mut HeaderMap) {
    for name in &CONDITIONAL {
        headers.remove(name);
    }
}

/// §13.2.2, in its order. `modified` is Last-Modified in seconds since the epoch.
pub fn evaluate(
    request: &HeaderMap,
    is_get_or_head: bool,
    etag: Option<&EntityTag>,
    modified: Option<u64>,
) -> Precondition {
    if !CONDITIONAL.iter().any(|name| request.contains_key(name)) {
        return Precondition::None;
    }
    match entity_tag::matches(request, &IF_MATCH, etag, EntityTag::strong_eq) {
        Some(false) => return Precondition::Failed,
        Some(true) => {}
        None => {
            let since = date::of(request, &IF_UNMODIFIED_SINCE);
            if since
                .zip(modified)
                .is_some_and(|(since, modified)| modified > since)
            {
                return Precondition::Failed;
            }
        }
    }
    match entity_tag::matches(request, &IF_NONE_MATCH, etag, EntityTag::weak_eq) {
        Some(true) if is_get_or_head => Precondition::NotModified,
        Some(true) => Precondition::Failed,
        Some(false) => Precondition::None,
        None if is_get_or_head => {
            let since = date::of(request, &IF_MODIFIED_SINCE);
            if since
                .zip(modified)
                .is_some_and(|(since, modified)| modified <= since)
            {
                Precondition::NotModified
            } else {
                Precondition::None
            }
        }
        None => Precondition::None,
    }
}

/// Whether `If-Range` lets a range be answered (§13.1.5); nothing without the field. A date must
/// match exactly, and be a strong validator: at least a second older than the response (§8.8.2.2).
pub fn if_range_matches(
    request: &HeaderMap,
    etag: Option<&EntityTag>,
    modified: Option<u64>,
    date: Option<u64>,
) -> Option<bool> {
    let value = request.get(IF_RANGE)?;
    if let Some(theirs) = EntityTag::parse(value.as_bytes().trim_ascii()) {
        return Some(etag.is_some_and(|ours| theirs.strong_eq(ours)));
    }
    let is_strong = modified
        .zip(date)
        .is_some_and(|(modified, date)| date > modified);
    let theirs = date::parse(value);
    Some(is_strong && theirs.is_some() && theirs == modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    const MODIFIED: u64 = 784_111_777;

    fn of(fields: &[(HeaderName, &str)]) -> Precondition {
        let request = fields
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let etag = EntityTag::strong("a");
        evaluate(&request, true, Some(&etag), Some(MODIFIED))
    }

    #[test]
    fn preconditions_are_evaluated_in_the_order_of_the_rfc() {
        assert_eq!(of(&[]), Precondition::None);
        assert_eq!(
            of(&[(IF_NONE_MATCH, "\"b\", W/\"a\"")]),
            Precondition::NotModified
        );
        assert_eq!(of(&[(IF_NONE_MATCH, "*")]), Precondition::NotModified);
        assert_eq!(of(&[(IF_MODIFIED_SINCE, EARLY)]), Precondition::NotModified);
        assert_eq!(of(&[(IF_MATCH, "\"b\"")]), Precondition::Failed);
        assert_eq!(of(&[(IF_MATCH, "W/\"a\"")]), Precondition::Failed);
        // "A recipient MUST ignore If-Modified-Since if the request contains If-None-Match".
        assert_eq!(
            of(&[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, LATE)]),
            Precondition::None
        );
        assert_eq!(of(&[(IF_MODIFIED_SINCE, "junk")]), Precondition::None);
    }

    #[test]
    fn if_range_needs_a_strong_validator() {
        let of = |value: &str, date: u64| {
            let mut request = HeaderMap::new();
            request.insert(IF_RANGE, value.parse().unwrap());
            let etag = EntityTag::strong("a");
            if_range_matches(&request, Some(&etag), Some(MODIFIED), Some(date))
        };
        assert_eq!(of("\"a\"", MODIFIED), Some(true));
        assert_eq!(of("W/\"a\"", MODIFIED), Some(false));
        assert_eq!(of(EARLY, MODIFIED + 60), Some(true));
        assert_eq!(of(EARLY, MODIFIED), Some(false));
        assert_eq!(of(LATE, MODIFIED + 60), Some(false));
    }
}
