//! `Cache-Control` in responses (RFC 9111 §5.2.2, with the directives of RFC 5861 and RFC 8246).

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};

use super::{Argument, Directive, NAME_LENGTH_MAX};
use crate::fields::list;

/// What the origin says about storing and reusing a response. Numbers are seconds, at most
/// [`DELTA_MAX`](crate::fields::DELTA_MAX).
///
/// - A number that is none counts as 0: "Caches are encouraged to consider responses that have
///   invalid freshness information (e.g., a max-age directive with non-integer content) to be
///   stale" (§4.2.1). A stale window that cannot be read is likewise no window.
/// - Of repeated numbers the smallest counts. §4.2.1 lets a cache use the first occurrence or
///   consider the response stale. Until the smallest has passed, the first has not passed either,
///   and from then on the response is considered stale: at every age this is one of the two.
/// - A directive that forbids counts whatever argument it has; one that permits (`public`,
///   `must-understand`, `immutable`) counts only without one, as it is defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseControl {
    pub no_store: bool,
    /// The unqualified form, or a qualified one that names no field.
    pub no_cache: bool,
    /// §5.2.2.4: fields that may not be sent again without validation. Lower case, as listed.
    pub no_cache_fields: Vec<HeaderName>,
    /// The unqualified form, or a qualified one that names no field.
    pub private: bool,
    /// §5.2.2.7: fields that a shared cache may not store. Lower case, as listed.
    pub private_fields: Vec<HeaderName>,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub no_transform: bool,
    /// RFC 8246.
    pub immutable: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    /// RFC 5861 §3.
    pub stale_while_revalidate: Option<u64>,
    /// RFC 5861 §4.
    pub stale_if_error: Option<u64>,
}

impl ResponseControl {
    /// Reads all lines of `Cache-Control`.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for element in list::lines(headers, &CACHE_CONTROL) {
            control.add(&Directive::parse(element));
        }
        control
    }

    /// Whether no directive known here was given: the origin is silent.
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a freshness lifetime for a shared cache was given (§4.2.1). `Expires` is not in here.
    pub const fn says_freshness(&self) -> bool {
        self.s_maxage.is_some() || self.max_age.is_some()
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let argument = directive.argument;
        match directive.name(&mut [0; NAME_LENGTH_MAX]) {
            b"public" => self.public |= argument.is_none(),
            b"private" => {
                self.private |= add_fields(argument, &mut self.private_fields);
            }
            b"max-age" => least(&mut self.max_age, argument),
            b"no-cache" => {
                self.no_cache |= add_fields(argument, &mut self.no_cache_fields);
            }
            b"no-store" => self.no_store = true,
            b"s-maxage" => least(&mut self.s_maxage, argument),
            b"immutable" => self.immutable |= argument.is_none(),
            b"no-transform" => self.no_transform = true,
            b"stale-if-error" => least(&mut self.stale_if_error, argument),
            b"must-revalidate" => self.must_revalidate = true,
            b"must-understand" => self.must_understand |= argument.is_none(),
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"stale-while-revalidate" => {
                least(&mut self.stale_while_revalidate, argument);
            }
            _ => {}
        }
    }
}

fn least(kept: &mut Option<u64>, argument: Argument<'_>) {
    let seconds = argument.delta_seconds().unwrap_or(0);
    *kept = Some(kept.map_or(seconds, |kept| kept.min(seconds)));
}

/// Adds the fields of a qualified directive. True if it is to be taken as the unqualified one.
fn add_fields(argument: Argument<'_>, fields: &mut Vec<HeaderName>) -> bool {
    argument
        .unquoted()
        .is_none_or(|names| add_field_names(&names, fields))
}

/// True if the list of names has none, or one that is no field name: what was to be kept back is
/// then unknown, and the directive holds for the whole response.
pub(super) fn add_field_names(names: &[u8], fields: &mut Vec<HeaderName>) -> bool {
    let mut unqualified = true;
    for name in list::elements(names) {
        let Ok(name) = HeaderName::from_bytes(name) else {
            return true;
        };
        unqualified = false;
        if !fields.contains(&name) {
            fields.push(name);
        }
        if fields.len() > FIELDS_MAX {
            return true;
        }
    }
    unqualified
}

/// Qualified names; with more of them the directive counts as unqualified.
const FIELDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::DELTA_MAX;
    use http::header::{SET_COOKIE, VIA};

    fn lines(lines: &[&str]) -> ResponseControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, line.parse().unwrap());
        }
        ResponseControl::parse(&headers)
    }

    fn control(value: &str) -> ResponseControl {
        lines(&[value])
    }

    #[test]
    fn every_directive_is_read_whatever_its_case() {
        let everything = ResponseControl {
            no_store: true,
            no_cache: true,
            no_cache_fields: vec![SET_COOKIE],
            private: true,
            private_fields: vec![VIA],
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            no_transform: true,
            immutable: true,
            max_age: Some(1),
            s_maxage: Some(2),
            stale_while_revalidate: Some(3),
            stale_if_error: Some(4),
        };
        let text = "no-store, no-cache, no-cache=\"set-cookie\", private, private=\"via\", public, \
                    must-revalidate, proxy-revalidate, must-understand, no-transform, immutable, \
                    max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4";
        assert_eq!(control(text), everything);
        assert_eq!(control(&text.to_uppercase()), everything);
        assert!(!everything.is_absent());
    }

    #[test]
    fn silence_is_recognised() {
        for text in [
            "",
            ",",
            "foo",
            "foo=bar",
            "extension=\"max-age=3600\"",
            "maxage=5",
        ] {
            assert!(control(text).is_absent(), "{text}");
        }
        assert!(lines(&[]).is_absent());
        assert!(!control("private").says_freshness());
        assert!(control("s-maxage=0").says_freshness());
        assert!(control("max-age=x").says_freshness());
    }

    #[test]
    fn a_max_age_that_is_no_number_is_zero() {
        for (text, expected) in [
            ("max-age=3600", Some(3600)),
            ("MaX-aGe=3600", Some(3600)),
            ("max-age=003600", Some(3600)),
            ("max-age=\"3600\"", Some(3600)),
            ("foobar, max-age=3600", Some(3600)),
            ("max-age=2147483647", Some(DELTA_MAX - 1)),
            ("max-age=2147483649", Some(DELTA_MAX)),
            ("max-age=99999999999999999999999", Some(DELTA_MAX)),
            ("max-age", Some(0)),
            ("max-age=", Some(0)),
            ("max-age=\"\"", Some(0)),
            ("max-age=-3600", Some(0)),
            ("max-age='3600'", Some(0)),
            ("max-age=3600.0", Some(0)),
            ("max-age=a3600", Some(0)),
            ("max-age=3600a", Some(0)),
            ("max-age =3600", Some(0)),
            ("max-age= 3600", Some(0)),
            ("extension=\"max-age=3600\", max-age=1", Some(1)),
            ("max-age=1, extension=\"max-age=3600\"", Some(1)),
        ] {
            assert_eq!(control(text).max_age, expected, "{text}");
        }
    }

    #[test]
    fn the_smallest_of_several_counts() {
        // RFC 9111 §4.2.1: "When there is more than one value present for a given directive (e.g.,
        // two Expires header field lines or multiple Cache-Control: max-age directives), either the
        // first occurrence should be used or the response should be considered stale."
        assert_eq!(control("max-age=1800, max-age=1").max_age, Some(1));
        assert_eq!(control("max-age=1, max-age=1800").max_age, Some(1));
        assert_eq!(lines(&["max-age=1800", "max-age=1"]).max_age, Some(1));
        assert_eq!(lines(&["s-maxage=1800", "s-maxage=x"]).s_maxage, Some(0));
        let both = lines(&["max-age=3600", "s-maxage=1"]);
        assert_eq!((both.max_age, both.s_maxage), (Some(3600), Some(1)));
    }

    #[test]
    fn a_stale_window_that_cannot_be_read_is_no_window() {
        let control = control("stale-while-revalidate, stale-if-error=forever");
        assert_eq!(control.stale_while_revalidate, Some(0));
        assert_eq!(control.stale_if_error, Some(0));
    }

    #[test]
    fn qualified_directives_name_fields() {
        // RFC 9111 §5.2.2.4: "This directive uses the quoted-string form of the argument syntax. A
        // sender SHOULD NOT generate the token form (even if quoting appears not to be needed for
        // single-entry lists)."
        for (text, unqualified, fields) in [
            ("private", true, vec![]),
            ("private=\"set-cookie\"", false, vec![SET_COOKIE]),
            ("private=\"Set-Cookie, via\"", false, vec![SET_COOKIE, VIA]),
            ("private=\"via\", private=\"via, via\"", false, vec![VIA]),
            ("private=Set-Cookie", false, vec![SET_COOKIE]),
            ("private, private=\"via\"", true, vec![VIA]),
            ("private=\"\"", true, vec![]),
            ("private=", true, vec![]),
            ("private=\"via, not a name\"", true, vec![VIA]),
            ("private =\"via\"", true, vec![]),
            ("private= via", true, vec![]),
            ("private=\"via", true, vec![]),
        ] {
            let control = control(text);
            assert_eq!(control.private, unqualified, "{text}");
            assert_eq!(control.private_fields, fields, "{text}");
        }
        let names: Vec<_> = (0..100).map(|n| format!("x-{n}")).collect();
        let flood = control(&format!("no-cache=\"{}\"", names.join(",")));
        assert!(flood.no_cache);
        assert!(flood.no_cache_fields.len() <= FIELDS_MAX + 1);
    }

    #[test]
    fn what_forbids_counts_with_any_argument_and_what_permits_with_none() {
        // RFC 9111 §5.2: "For the cache directives defined below, no argument is defined (nor
        // allowed) unless stated otherwise."
        let odd = control(
            "no-store=1, must-revalidate=x, proxy-revalidate=\"\", no-transform=0, public=1, \
             immutable=1, must-understand=x",
        );
        assert!(odd.no_store && odd.must_revalidate && odd.proxy_revalidate && odd.no_transform);
        assert!(!odd.public && !odd.immutable && !odd.must_understand);
    }

    #[test]
    fn a_directive_behind_a_broken_quote_is_still_seen() {
        assert!(control("ext=\"oops, no-store, max-age=60").no_store);
    }
}
