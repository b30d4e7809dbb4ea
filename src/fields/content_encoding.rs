//! `Content-Encoding` (RFC 9110 §8.4).

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::accept_encoding::Coding;
use super::list;

/// What a response says of its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentEncoding {
    Identity,
    One(Coding),
    /// Several codings, or one this cache does not make.
    Other,
    /// A value that means "none" and is no coding, as `None` from origins that print a variable.
    Junk,
}

impl ContentEncoding {
    pub fn of(response: &HeaderMap) -> Self {
        if !response.contains_key(CONTENT_ENCODING) {
            return Self::Identity;
        }
        let mut codings = list::lines(response, &CONTENT_ENCODING);
        let (first, second) = (codings.next(), codings.next());
        let is = |wanted: &str| first.is_some_and(|f| f.eq_ignore_ascii_case(wanted.as_bytes()));
        match (first, second) {
            (None, _) => Self::Junk,
            (_, Some(_)) => Self::Other,
            _ if is("gzip") || is("x-gzip") => Self::One(Coding::Gzip),
            _ if is("br") => Self::One(Coding::Brotli),
            _ if is("none") || is("identity") || is("null") => Self::Junk,
            _ => Self::Other,
        }
    }

    pub const fn is_junk(self) -> bool {
        matches!(self, Self::Junk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_and_junk_are_told_apart() {
        for (value, coding) in [
            ("gzip", ContentEncoding::One(Coding::Gzip)),
            ("BR", ContentEncoding::One(Coding::Brotli)),
            ("zstd", ContentEncoding::Other),
            ("gzip, br", ContentEncoding::Other),
            // Wagtail's document view.
            ("None", ContentEncoding::Junk),
            ("identity", ContentEncoding::Junk),
            ("", ContentEncoding::Junk),
        ] {
            let mut response = HeaderMap::new();
            response.insert(CONTENT_ENCODING, value.parse().unwrap());
            assert_eq!(ContentEncoding::of(&response), coding, "{value}");
        }
    }
}
