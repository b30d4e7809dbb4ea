//! Secrets in memory: compared in constant time, and never shown.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, Digest};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

/// The key of a message authentication code.
///
/// ```compile_fail,E0369
/// // Comparing with `==` would take longer the more is right.
/// use cms_edge::purge::secret::Secret;
/// fn same(a: &Secret, b: &Secret) -> bool {
///     a == b
/// }
/// ```
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

/// A token that the sender presents as it is. Only its digest is kept.
///
/// ```compile_fail,E0369
/// use cms_edge::purge::secret::Token;
/// fn same(a: &Token, b: &Token) -> bool {
///     a == b
/// }
/// ```
#[derive(Clone)]
pub struct Token(Digest);

impl Secret {
    /// `None` for an empty one, with which anybody could sign.
    pub fn new(key: impl Into<Box<[u8]>>) -> Option<Self> {
        let key = key.into();
        (!key.is_empty()).then_some(Self(key))
    }

    pub(super) const fn key(&self) -> &[u8] {
        &self.0
    }
}

impl Token {
    /// `None` for an empty one, which anybody could present.
    pub fn new(token: &str) -> Option<Self> {
        (!token.is_empty()).then(|| Self(digest_of(token.as_bytes())))
    }

    /// Takes the same time whatever is presented and wherever it differs: digests are compared,
    /// which have one length.
    pub fn is(&self, presented: &[u8]) -> bool {
        equal(self.0.as_ref(), digest_of(presented).as_ref())
    }

    /// Whether the request presents this token in `Authorization` (with the scheme `Bearer`,
    /// RFC 6750 §2.1) or in the field `other`.
    pub fn is_presented(&self, headers: &HeaderMap, other: Option<&HeaderName>) -> bool {
        let in_other = other.and_then(|name| headers.get(name));
        let in_bearer = bearer(headers);
        in_bearer.is_some_and(|token| self.is(token))
            || in_other.is_some_and(|token| self.is(token.as_bytes()))
    }
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    without_scheme(headers.get(AUTHORIZATION)?.as_bytes())
}

/// What follows the scheme `Bearer`, which has no case (RFC 9110 §11.1).
pub(super) fn without_scheme(credentials: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = credentials.split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| token.trim_ascii())
}

/// Whether both are the same, in a time that depends on their lengths alone.
pub(super) fn equal(expected: &[u8], presented: &[u8]) -> bool {
    verify_slices_are_equal(expected, presented).is_ok()
}

fn digest_of(text: &[u8]) -> Digest {
    digest::digest(&digest::SHA256, text)
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new(*b"hunter2").unwrap();
        let token = Token::new("hunter2").unwrap();
        assert_eq!(format!("{secret:?} {token:?}"), "… …");
    }

    #[test]
    fn nothing_is_no_secret() {
        assert!(Secret::new(*b"").is_none());
        assert!(Token::new("").is_none());
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::new("a-token").unwrap();
        assert!(token.is(b"a-token"));
        for other in ["", "a", "a-toke", "a-token2", "A-token"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_token_is_presented_as_bearer_or_in_its_own_field() {
        let token = Token::new("a-token").unwrap();
        let own = HeaderName::from_static("x-purge-token");
        let presented = |name, value| token.is_presented(&headers(name, value), Some(&own));
        assert!(presented("authorization", "Bearer a-token"));
        assert!(presented("authorization", "bearer   a-token"));
        assert!(presented("x-purge-token", "a-token"));
        assert!(!presented("authorization", "a-token"));
        assert!(!presented("authorization", "Basic a-token"));
        assert!(!presented("x-purge-token", "Bearer a-token"));
        assert!(!token.is_presented(&headers("x-purge-token", "a-token"), None));
    }
}
