//! What clients are told about how the cache handled their request.

use super::section::Section;

pub(super) fn cache_status_key(s: &Section<'_>) -> bool {
    s.boolean(
        "cache_status_key",
        false,
        "true: Cache-Status says the cache key (RFC 9211 §2.6), for finding out why one copy becomes \
         two. It has the request fields and cookies that count in it: not for the public.",
    )
}
