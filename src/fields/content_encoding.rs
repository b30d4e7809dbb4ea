//! `Content-Encoding` (RFC 9110 §8.4).

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::accept_encoding::Coding;
use super::list;

/// How a representation is coded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentEncoding {
    /// Not at all.
    Identity,
    /// By one coding that we can undo; never [`Coding::Identity`].
    One(Coding),
    /// By one that we do not know, or by several.
    Other,
}

impl ContentEncoding {
    /// Reads all lines. `identity`, `none` and nothing are no coding: the first "SHOULD NOT be
    /// included" (§8.4), the second is what some CMSs send instead of leaving the field away.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut found = Self::Identity;
        for token in list::lines(headers, &CONTENT_ENCODING) {
            found = match (found, Coding::from_token(token)) {
                (found, Some(Coding::Identity)) => found,
                (Self::Identity, Some(coding)) => Self::One(coding),
                (found, None) if token.eq_ignore_ascii_case(b"none") => found,
                _ => return Self::Other,
            };
        }
        found
    }

    /// Whether the field is there and says nothing: it can be removed, and should be, since a client
    /// may take `none` for the name of a coding.
    pub fn is_junk(headers: &HeaderMap) -> bool {
        headers.contains_key(CONTENT_ENCODING) && Self::parse(headers) == Self::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::ContentEncoding::{Identity, One, Other};
    use super::*;

    #[test]
    fn codings_and_junk_are_told_apart() {
        for (lines, expected, is_junk) in [
            (&[][..], Identity, false),
            (&[""], Identity, true),
            (&["None"], Identity, true),
            (&["none"], Identity, true),
            (&["identity"], Identity, true),
            (&["identity", "none"], Identity, true),
            (&["gzip"], One(Coding::Gzip), false),
            (&["x-gzip"], One(Coding::Gzip), false),
            (&["BR"], One(Coding::Brotli), false),
            (&["identity, gzip"], One(Coding::Gzip), false),
            (&["gzip, br"], Other, false),
            (&["gzip, gzip"], Other, false),
            (&["gzip", "br"], Other, false),
            (&["zstd"], Other, false),
            (&["deflate, none"], Other, false),
            (&["utf-8"], Other, false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_ENCODING, line.parse().unwrap());
            }
            assert_eq!(ContentEncoding::parse(&headers), expected, "{lines:?}");
            assert_eq!(ContentEncoding::is_junk(&headers), is_junk, "{lines:?}");
        }
    }
}
