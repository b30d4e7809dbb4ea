//! `Cache-Control` (RFC 9111 §5.2), in responses and in requests, and its targeted forms
//! (RFC 9213).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{DELTA_MAX, list};

/// Directives of a response (§5.2.2), in seconds where they have an argument.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseControl {
    pub no_store: bool,
    /// Without field names.
    pub no_cache: bool,
    pub no_cache_fields: Vec<HeaderName>,
    /// Without field names.
    pub private: bool,
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

/// Directives of a request (§5.2.1), in seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestControl {
    pub no_cache: bool,
    pub no_store: bool,
    pub no_transform: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub max_stale: Option<MaxStale>,
    pub min_fresh: Option<u64>,
    pub stale_if_error: Option<u64>,
}

/// The argument of `max-stale` (§5.2.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MaxStale {
    Any,
    Seconds(u64),
}

impl ResponseControl {
    /// `Cache-Control`, all lines of it.
    pub fn parse(response: &HeaderMap) -> Self {
        let mut control = Self::default();
        for element in list::lines(response, &CACHE_CONTROL) {
            let (name, argument) = directive(element);
            let fields = || field_names(argument.unwrap_or_default());
            if name.eq_ignore_ascii_case(b"no-cache") {
                match argument {
                    None => control.no_cache = true,
                    Some(_) => control.no_cache_fields.extend(fields()),
                }
            } else if name.eq_ignore_ascii_case(b"private") {
                match argument {
                    None => control.private = true,
                    Some(_) => control.private_fields.extend(fields()),
                }
            } else {
                control.set(name, argument.map(delta_seconds));
            }
        }
        control
    }

    /// The first of `names` that is present with a valid, non-empty value (RFC 9213 §2.2), and
    /// which one it is. A field that is no valid dictionary counts as absent (§2.1).
    pub fn targeted(response: &HeaderMap, names: &[HeaderName]) -> Option<(usize, Self)> {
        names.iter().enumerate().find_map(|(at, name)| {
            let control = Self::of_dictionary(response, name)?;
            Some((at, control))
        })
    }

    fn of_dictionary(response: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut lines = response.get_all(name).iter().peekable();
        lines.peek()?;
        let text = lines.map(HeaderValue::as_bytes).collect::<Vec<_>>();
        let dictionary: Dictionary = Parser::new(&text.join(&b", "[..])).parse().ok()?;
        if dictionary.is_empty() {
            return None;
        }
        let mut control = Self::default();
        for (key, entry) in &dictionary {
            let ListEntry::Item(item) = entry else {
                continue;
            };
            let name = key.as_str().as_bytes();
            match &item.bare_item {
                BareItem::Boolean(false) => {}
                BareItem::Integer(seconds) => {
                    let seconds = u64::try_from(i64::from(*seconds)).unwrap_or(0);
                    control.set(name, Some(Some(seconds.min(DELTA_MAX))));
                }
                _ => control.set_flag(name),
            }
        }
        Some(control)
    }

    fn set_flag(&mut self, name: &[u8]) {
        if name.eq_ignore_ascii_case(b"no-cache") {
            self.no_cache = true;
        } else if name.eq_ignore_ascii_case(b"private") {
            self.private = true;
        } else {
            self.set(name, None);
        }
    }

    /// `seconds`: nothing without an argument, and nothing inside for one that is no number.
    fn set(&mut self, name: &[u8], seconds: Option<Option<u64>>) {
        // §4.2.1: "caches are encouraged to consider responses that have invalid freshness
        // information … to be stale"; of several values the shortest is safe.
        let freshness = |before: Option<u64>| {
            let now = seconds.flatten().unwrap_or(0);
            Some(before.map_or(now, |before| before.min(now)))
        };
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("max-age") {
            self.max_age = freshness(self.max_age);
        } else if is("s-maxage") {
            self.s_maxage = freshness(self.s_maxage);
        } else if is("stale-while-revalidate") {
            self.stale_while_revalidate = seconds.flatten();
        } else if is("stale-if-error") {
            self.stale_if_error = seconds.flatten();
        } else {
            let flag = match name.to_ascii_lowercase().as_slice() {
                b"no-store" => &mut self.no_store,
                b"no-cache" => &mut self.no_cache,
                b"private" => &mut self.private,
                b"public" => &mut self.public,
                b"must-revalidate" => &mut self.must_revalidate,
                b"proxy-revalidate" => &mut self.proxy_revalidate,
                b"must-understand" => &mut self.must_understand,
                b"no-transform" => &mut self.no_transform,
                b"immutable" => &mut self.immutable,
                _ => return,
            };
            *flag = true;
        }
    }
}

impl RequestControl {
    /// `Cache-Control`, or without one `Pragma: no-cache` (§5.4).
    pub fn parse(request: &HeaderMap) -> Self {
        let mut control = Self::default();
        if !request.contains_key(CACHE_CONTROL) {
            control.no_cache = request.contains_key(PRAGMA)
                && list::lines(request, &PRAGMA).any(|e| e.eq_ignore_ascii_case(b"no-cache"));
            return control;
        }
        for element in list::lines(request, &CACHE_CONTROL) {
            let (name, argument) = directive(element);
            let seconds = argument.and_then(delta_seconds);
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            if is("no-cache") {
                control.no_cache = true;
            } else if is("no-store") {
                control.no_store = true;
            } else if is("no-transform") {
                control.no_transform = true;
            } else if is("only-if-cached") {
                control.only_if_cached = true;
            } else if is("max-age") {
                control.max_age = Some(seconds.unwrap_or(0));
            } else if is("min-fresh") {
                control.min_fresh = seconds;
            } else if is("stale-if-error") {
                control.stale_if_error = seconds;
            } else if is("max-stale") {
                control.max_stale = match argument {
                    None => Some(MaxStale::Any),
                    Some(_) => seconds.map(MaxStale::Seconds),
                };
            }
        }
        control
    }
}

fn directive(element: &[u8]) -> (&[u8], Option<&[u8]>) {
    match element.iter().position(|byte| *byte == b'=') {
        None => (element, None),
        Some(at) => {
            let (name, argument) = element.split_at(at);
            (name, argument.get(1..))
        }
    }
}

/// §1.2.2: non-negative, and at most 2^31. The quoted form is accepted (§5.2).
fn delta_seconds(argument: &[u8]) -> Option<u64> {
    let digits = list::unquote(argument);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(&digits).ok()?;
    Some(text.parse::<u64>().unwrap_or(DELTA_MAX).min(DELTA_MAX))
}

fn field_names(argument: &[u8]) -> Vec<HeaderName> {
    list::elements(&list::unquote(argument))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[&'static str]) -> ResponseControl {
        let headers = lines
            .iter()
            .map(|line| (CACHE_CONTROL, HeaderValue::from_static(line)))
            .collect();
        ResponseControl::parse(&headers)
    }

    #[test]
    fn directives_are_found_in_any_case_and_line() {
        let control = response(&["Public, MAX-AGE=\"60\"", "s-maxage=10,,stale-if-error=5"]);
        assert!(control.public);
        assert_eq!(control.max_age, Some(60));
        assert_eq!(control.s_maxage, Some(10));
        assert_eq!(control.stale_if_error, Some(5));
    }

    #[test]
    fn invalid_freshness_is_stale_and_large_numbers_are_capped() {
        for junk in [
            "max-age=-1",
            "max-age=1.5",
            "max-age",
            "max-age=x",
            "max-age=",
        ] {
            let line: &'static str = junk;
            assert_eq!(response(&[line]).max_age, Some(0), "{junk}");
        }
        assert_eq!(
            response(&["max-age=99999999999999999999"]).max_age,
            Some(DELTA_MAX)
        );
        assert_eq!(response(&["max-age=60, max-age=10"]).max_age, Some(10));
    }

    #[test]
    fn field_names_make_a_directive_qualified() {
        let control = response(&["private=\"X-A, x-b\", no-cache"]);
        assert!(!control.private && control.no_cache);
        assert_eq!(control.private_fields, ["x-a", "x-b"]);
        assert!(!response(&["x=\"private, no-store\""]).no_store);
    }

    #[test]
    fn a_targeted_field_must_be_a_valid_dictionary() {
        let names = [
            HeaderName::from_static("cms-edge-cache-control"),
            HeaderName::from_static("cdn-cache-control"),
        ];
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(&names[1], HeaderValue::from_static(value));
            ResponseControl::targeted(&headers, &names)
        };
        let (which, control) = of("max-age=60, private=?0, must-revalidate").unwrap();
        assert_eq!(
            (which, control.max_age, control.private),
            (1, Some(60), false)
        );
        assert!(control.must_revalidate);
        for invalid in ["", "max-age=60,", "MAX-AGE=60", "max-age: 60"] {
            let value: &'static str = invalid;
            assert_eq!(of(value), None, "{invalid}");
        }
    }

    #[test]
    fn request_directives_and_pragma() {
        let of = |name: HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            RequestControl::parse(&headers)
        };
        assert!(of(PRAGMA, "no-cache").no_cache);
        assert_eq!(
            of(CACHE_CONTROL, "max-stale").max_stale,
            Some(MaxStale::Any)
        );
        assert_eq!(
            of(CACHE_CONTROL, "max-stale=5").max_stale,
            Some(MaxStale::Seconds(5))
        );
        assert_eq!(of(CACHE_CONTROL, "max-age=0").max_age, Some(0));
    }
}
