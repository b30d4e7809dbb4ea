//! `Vary` (RFC 9110 §12.5.5).

use bytes::{BufMut, BytesMut};
use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{list, text};

/// The request fields a response nominates (RFC 9111 §4.1): sorted, each once. `*` is not a value
/// of this type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vary(Box<[HeaderName]>);

/// No later request can be known to match: `*` was nominated, or something that is no field name,
/// or more than [`NAMES_MAX`] fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaryStar;

/// Fields that one response may nominate.
pub const NAMES_MAX: usize = 32;

impl Vary {
    /// All lines of the field.
    pub fn parse(headers: &HeaderMap) -> Result<Self, VaryStar> {
        let mut names = Vec::new();
        for element in list::lines(headers, &VARY) {
            // `*` is a token, so it would pass for a field name.
            if element == b"*" || names.len() == NAMES_MAX {
                return Err(VaryStar);
            }
            names.push(HeaderName::from_bytes(element).map_err(|_| VaryStar)?);
        }
        Ok(Self::from_names(names))
    }

    pub fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        Self(names.into_boxed_slice())
    }

    /// In alphabetical order.
    pub const fn names(&self) -> &[HeaderName] {
        &self.0
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }

    #[must_use]
    pub fn without(&self, names: &[HeaderName]) -> Self {
        let kept = self.0.iter().filter(|name| !names.contains(name));
        Self(kept.cloned().collect())
    }

    #[must_use]
    pub fn with(&self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::from_names(self.0.iter().cloned().chain(names))
    }

    /// `None` if nothing is nominated.
    pub fn to_value(&self) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let length: usize = self.0.iter().map(|name| name.as_str().len() + 2).sum();
        let mut out = BytesMut::with_capacity(length.saturating_sub(2));
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                out.put_slice(b", ");
            }
            out.put_slice(name.as_str().as_bytes());
        }
        Some(text::into_value(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE};

    fn parsed(lines: &[&str]) -> Result<Vary, VaryStar> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(VARY, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Vary::parse(&headers)
    }

    #[test]
    fn names_are_sorted_and_each_stands_once() {
        let expected = Vary::from_names([ACCEPT_LANGUAGE, ACCEPT_ENCODING]);
        for lines in [
            &["Accept-Encoding, Accept-Language"][..],
            &["accept-language,ACCEPT-ENCODING,, Accept-Language"],
            &["Accept-Language", "", "Accept-Encoding"],
        ] {
            assert_eq!(parsed(lines), Ok(expected.clone()), "{lines:?}");
        }
        assert_eq!(expected.names(), [ACCEPT_ENCODING, ACCEPT_LANGUAGE]);
        for lines in [&[][..], &[""], &[" , "]] {
            assert_eq!(parsed(lines), Ok(Vary::default()), "{lines:?}");
        }
    }

    #[test]
    fn a_star_anywhere_makes_the_whole_a_star() {
        // RFC 9111 §4.1: "A stored response with a Vary header field value containing a member "*"
        // always fails to match."
        for lines in [
            &["*"][..],
            &["*, *"],
            &["*", "*"],
            &[", *"],
            &["", "*"],
            &["*, Foo"],
            &["Foo, *"],
        ] {
            assert_eq!(parsed(lines), Err(VaryStar), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_matched_counts_as_a_star() {
        for line in [
            "Accept Encoding",
            "Accept-Encoding; Cookie",
            "\"Cookie\"",
            "Sprachgröße",
        ] {
            assert_eq!(parsed(&[line]), Err(VaryStar), "{line}");
        }
        let flood = |count: usize| (0..count).map(|n| format!("x-{n}, ")).collect::<String>();
        assert!(parsed(&[&flood(NAMES_MAX)]).is_ok());
        assert_eq!(parsed(&[&flood(NAMES_MAX + 1)]), Err(VaryStar));
    }

    #[test]
    fn names_can_be_added_taken_away_and_written() {
        let vary = Vary::from_names([COOKIE, ACCEPT_ENCODING]);
        assert!(vary.contains(&COOKIE));
        assert!(!vary.without(&[COOKIE]).contains(&COOKIE));
        assert_eq!(
            vary.with([ACCEPT_LANGUAGE, COOKIE]).to_value().unwrap(),
            "accept-encoding, accept-language, cookie"
        );
        let none = vary.without(&[COOKIE, ACCEPT_ENCODING]);
        assert!(none.is_empty());
        assert_eq!(none.to_value(), None);
    }
}
