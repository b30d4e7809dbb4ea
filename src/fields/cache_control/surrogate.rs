//! `Surrogate-Control` and `Surrogate-Capability` (Edge Architecture, W3C Note of 4 August 2001): what
//! CMSs and their plugins said to reverse proxies before RFC 9213, and still do.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::ResponseControl;
use crate::fields::{DELTA_MAX, list, text};

pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
pub const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// How directives name this surrogate.
const TOKEN: &[u8] = b"cms-edge";

/// What the origin is told: who we are, and that we know `Surrogate-Control`. No content of its is
/// processed here (no ESI).
pub const CAPABILITY: HeaderValue = HeaderValue::from_static("cms-edge=\"Surrogate/1.0\"");

impl ResponseControl {
    /// The directives for every surrogate, or for this one by its name, which count for more.
    /// Nothing where none of them speaks of storing: `content="ESI/1.0"` leaves the word to
    /// `Cache-Control`.
    ///
    /// `max-age=N+M`: fresh for N seconds, and of use for M more. `no-store-remote` is for surrogates
    /// far from the origin, which this one is not. A number that is none counts for nothing, of
    /// repeated ones the smallest counts, and `no-store` counts whatever its argument.
    pub fn surrogate(headers: &HeaderMap) -> Option<Self> {
        let (mut ours, mut everybodys) = (Words::default(), Words::default());
        for element in list::lines(headers, &SURROGATE_CONTROL) {
            match recipient(element) {
                (directive, None) => everybodys.add(directive),
                (directive, Some(name)) if name.eq_ignore_ascii_case(TOKEN) => ours.add(directive),
                (_, Some(_)) => {}
            }
        }
        ours.control().or_else(|| everybodys.control())
    }
}

#[derive(Default)]
struct Words {
    no_store: bool,
    /// Seconds of freshness, and of use after that.
    max_age: Option<(u64, u64)>,
}

impl Words {
    fn add(&mut self, directive: &[u8]) {
        let (name, value) = split_at(directive, b'=').unwrap_or((directive, b""));
        if list::trim(name).eq_ignore_ascii_case(b"no-store") {
            self.no_store = true;
        } else if name.eq_ignore_ascii_case(b"max-age")
            && let Some(ages) = ages(&list::unquote(value))
        {
            self.max_age = Some(self.max_age.map_or(ages, |kept| kept.min(ages)));
        }
    }

    fn control(&self) -> Option<ResponseControl> {
        if !self.no_store && self.max_age.is_none() {
            return None;
        }
        let stale = self.max_age.map(|(_, stale)| stale);
        let stale = stale.filter(|stale| *stale > 0);
        Some(ResponseControl {
            no_store: self.no_store,
            max_age: self.max_age.map(|(fresh, _)| fresh),
            stale_while_revalidate: stale,
            stale_if_error: stale,
            ..ResponseControl::default()
        })
    }
}

/// A directive, and whom it is for.
fn recipient(element: &[u8]) -> (&[u8], Option<&[u8]>) {
    // A parameter never stands in a quoted string of a directive that is known here.
    match split_at(element, b';') {
        Some((directive, name)) => (list::trim(directive), Some(list::trim(name))),
        None => (element, None),
    }
}

fn ages(value: &[u8]) -> Option<(u64, u64)> {
    let seconds = |digits| text::decimal(digits).map(|seconds: u64| seconds.min(DELTA_MAX));
    match split_at(value, b'+') {
        Some((fresh, stale)) => Some((seconds(fresh)?, seconds(stale)?)),
        None => Some((seconds(value)?, 0)),
    }
}

fn split_at(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surrogate(lines: &[&str]) -> Option<ResponseControl> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SURROGATE_CONTROL, line.parse().unwrap());
        }
        ResponseControl::surrogate(&headers)
    }

    fn fresh(seconds: u64) -> Option<ResponseControl> {
        Some(ResponseControl {
            max_age: Some(seconds),
            ..ResponseControl::default()
        })
    }

    #[test]
    fn it_says_how_long_a_response_is_fresh_and_of_use() {
        for (value, expected) in [
            ("max-age=3600", fresh(3600)),
            ("MaX-aGe=3600", fresh(3600)),
            ("max-age=\"60\"", fresh(60)),
            ("foobar, max-age=3600", fresh(3600)),
            ("max-age=99999999999999999999999", fresh(DELTA_MAX)),
            ("max-age=60, max-age=30", fresh(30)),
            ("no-store-remote, max-age=60", fresh(60)),
        ] {
            assert_eq!(surrogate(&[value]), expected, "{value}");
        }
        let extended = surrogate(&["max-age=3600+600"]).unwrap();
        assert_eq!(extended.max_age, Some(3600));
        assert_eq!(extended.stale_while_revalidate, Some(600));
        assert_eq!(extended.stale_if_error, Some(600));
        for value in ["No-Store", "no-store=x", "no-store =\"x\""] {
            assert!(
                surrogate(&["max-age=60", value]).unwrap().no_store,
                "{value}"
            );
        }
    }

    #[test]
    fn what_does_not_speak_of_storing_here_leaves_the_word_to_others() {
        for value in [
            "",
            "content=\"ESI/1.0\"",
            "max-age =100",
            "max-age= 100",
            "max-age",
            "max-age=-1",
            "max-age=1.5",
            "max-age=60+",
            "max-age=60+x",
            "max-age=3600;another",
            "no-store;another",
        ] {
            assert_eq!(surrogate(&[value]), None, "{value}");
        }
    }

    #[test]
    fn a_directive_for_this_surrogate_counts_for_more_than_one_for_all() {
        assert_eq!(surrogate(&["max-age=3600;cms-edge"]), fresh(3600));
        assert_eq!(surrogate(&["no-store, max-age=60; CMS-Edge"]), fresh(60));
        assert_eq!(
            surrogate(&["max-age=60;another", "max-age=5"]),
            fresh(5),
            "one for another is none"
        );
        assert!(
            surrogate(&["max-age=60, no-store;cms-edge"])
                .unwrap()
                .no_store
        );
    }

    #[test]
    fn the_capability_names_this_surrogate() {
        assert!(CAPABILITY.as_bytes().starts_with(TOKEN));
    }
}
