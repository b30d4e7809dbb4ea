//! `profile`: other defaults for the keys of a route.

use super::section::Section;
use crate::policy::Profile;

const DOC: &str = "What holds where keys below are left out. \"cms\": what is safe before a CMS, as \
    it stands in this file. \"rfc\": a shared cache as RFC 9111 describes it, for an origin that \
    says itself what may be kept: ttl and stale_while_revalidate are 0s, without ttl_by_status but with \
    heuristic freshness (a tenth of the time since Last-Modified, at most 24h), ttl_max is 365d, \
    strict_private is false, nothing bypasses the cache, cookies are forwarded, all parameters \
    count in their order unless No-Vary-Search says otherwise, and what sets cookies, answers errors or requests with Authorization is \
    stored where the RFC permits it; languages in Accept-Language that count the same may stand in \
    any order, and a 304 may change the stored Content-Type.";

/// The profile of a route.
pub(super) fn read(s: &Section<'_>) -> Profile {
    let profiles = [("cms", Profile::Cms), ("rfc", Profile::Rfc)];
    s.choice("profile", Profile::Cms, &profiles, DOC)
}

/// What `key` holds; `rfc` where the profile is that and the file does not name the key.
pub(super) fn or<T>(profile: Profile, s: &Section<'_>, key: &str, own: T, rfc: T) -> T {
    match profile {
        Profile::Rfc if !s.is_given(key) => rfc,
        Profile::Cms | Profile::Rfc => own,
    }
}

pub(super) fn or_nothing<T: Default>(profile: Profile, s: &Section<'_>, key: &str, own: T) -> T {
    or(profile, s, key, own, T::default())
}
