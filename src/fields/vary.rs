//! `Vary` (RFC 9110 §12.5.5).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, VARY};

use super::list;

/// The request fields a response nominates, sorted, each once. `*` is not a value of this type.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vary(Box<[HeaderName]>);

/// `Vary: *` was present: no later request matches the response (RFC 9111 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VaryStar;

impl Vary {
    /// # Errors
    /// `*` is among the members, or a member that is no field name: nobody can know what it means.
    pub fn parse(response: &HeaderMap) -> Result<Self, VaryStar> {
        let mut names = Vec::new();
        for member in list::lines(response, &VARY) {
            if member == b"*" {
                return Err(VaryStar);
            }
            names.push(HeaderName::from_bytes(member).map_err(|_| VaryStar)?);
        }
        Ok(Self::from_names(names))
    }

    pub fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut names: Vec<HeaderName> = names.into_iter().collect();
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Self(names.into())
    }

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
        let left = self.0.iter().filter(|name| !names.contains(name));
        Self(left.cloned().collect())
    }

    #[must_use]
    pub fn with(&self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::from_names(self.0.iter().cloned().chain(names))
    }

    /// The field's value; nothing where nothing is nominated.
    pub fn to_value(&self) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.0.iter().map(HeaderName::as_str).collect();
        HeaderValue::from_str(&names.join(", ")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> Result<Vary, VaryStar> {
        let headers = lines
            .iter()
            .map(|line| (VARY, HeaderValue::from_static(line)))
            .collect();
        Vary::parse(&headers)
    }

    #[test]
    fn order_case_and_lines_do_not_count() {
        assert_eq!(of(&["Accept, Cookie"]), of(&["cookie", "ACCEPT,accept"]));
        assert_eq!(
            of(&["Cookie, Accept"]).unwrap().to_value().unwrap(),
            "accept, cookie"
        );
        assert!(of(&[""]).unwrap().is_empty());
    }

    #[test]
    fn a_star_anywhere_is_a_star() {
        assert_eq!(of(&["accept, *"]), Err(VaryStar));
        assert_eq!(of(&["accept", "*"]), Err(VaryStar));
        assert_eq!(of(&["not a name"]), Err(VaryStar));
    }
}
