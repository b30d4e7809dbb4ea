//! `Cache-Control` in requests (RFC 9111 §5.2.1) and its ancestor `Pragma` (§5.4).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

use super::{Argument, Directive, NAME_LENGTH_MAX};
use crate::fields::list;

/// What the client asks of a cache. The directives are advisory: whether a route listens to them
/// is decided elsewhere. Numbers are seconds, at most [`DELTA_MAX`](crate::fields::DELTA_MAX).
///
/// A directive with an argument that it may not have is ignored: nothing was asked that could be
/// understood, and a stranger's typing error is no reason to bother the origin. Of one that is
/// repeated the most restrictive counts (§4.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    pub no_cache: bool,
    pub no_store: bool,
    pub no_transform: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub max_stale: Option<MaxStale>,
    pub min_fresh: Option<u64>,
    /// RFC 5861 §4.
    pub stale_if_error: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// "If no value is assigned to max-stale, then the client will accept a stale response of any
    /// age" (RFC 9111 §5.2.1.2).
    Any,
    Seconds(u64),
}

impl RequestControl {
    /// Reads all lines of `Cache-Control`; only without any does `Pragma: no-cache` count.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        if headers.contains_key(CACHE_CONTROL) {
            for element in list::lines(headers, &CACHE_CONTROL) {
                control.add(&Directive::parse(element));
            }
        } else if headers.contains_key(PRAGMA) {
            control.no_cache = list::lines(headers, &PRAGMA)
                .any(|element| element.eq_ignore_ascii_case(b"no-cache"));
        }
        control
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let argument = directive.argument;
        match directive.name(&mut [0; NAME_LENGTH_MAX]) {
            b"max-age" => least(&mut self.max_age, argument.delta_seconds()),
            b"no-cache" => self.no_cache = true,
            b"no-store" => self.no_store = true,
            b"max-stale" => self.add_max_stale(argument),
            b"min-fresh" => {
                self.min_fresh = self.min_fresh.max(argument.delta_seconds());
            }
            b"no-transform" => self.no_transform = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"stale-if-error" => {
                least(&mut self.stale_if_error, argument.delta_seconds());
            }
            _ => {}
        }
    }

    fn add_max_stale(&mut self, argument: Argument<'_>) {
        let asked = if argument.is_none() {
            Some(MaxStale::Any)
        } else {
            argument.delta_seconds().map(MaxStale::Seconds)
        };
        self.max_stale = match (self.max_stale, asked) {
            (Some(MaxStale::Seconds(one)), Some(MaxStale::Seconds(other))) => {
                Some(MaxStale::Seconds(one.min(other)))
            }
            (Some(MaxStale::Any) | None, Some(asked)) => Some(asked),
            (kept, _) => kept,
        };
    }
}

fn least(kept: &mut Option<u64>, seconds: Option<u64>) {
    *kept = match (*kept, seconds) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::DELTA_MAX;

    fn parsed(lines: &[(&'static str, &str)]) -> RequestControl {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        RequestControl::parse(&headers)
    }

    fn control(value: &str) -> RequestControl {
        parsed(&[("cache-control", value)])
    }

    #[test]
    fn every_directive_is_read_whatever_its_case() {
        // RFC 9111 §5.2: "Cache directives are identified by a token, to be compared
        // case-insensitively".
        let everything = RequestControl {
            no_cache: true,
            no_store: true,
            no_transform: true,
            only_if_cached: true,
            max_age: Some(1),
            max_stale: Some(MaxStale::Seconds(2)),
            min_fresh: Some(3),
            stale_if_error: Some(4),
        };
        let text = "no-cache, no-store, no-transform, only-if-cached, max-age=1, max-stale=2, \
                    min-fresh=3, stale-if-error=4";
        assert_eq!(control(text), everything);
        assert_eq!(control(&text.to_uppercase()), everything);
        assert_eq!(control(&format!("foo=\"a, b\", {text}")), everything);
    }

    #[test]
    fn max_stale_without_a_value_accepts_any_age() {
        for (text, expected) in [
            ("max-stale", Some(MaxStale::Any)),
            ("max-stale=60", Some(MaxStale::Seconds(60))),
            ("max-stale=\"60\"", Some(MaxStale::Seconds(60))),
            ("max-stale, max-stale=60", Some(MaxStale::Seconds(60))),
            ("max-stale=60, max-stale", Some(MaxStale::Seconds(60))),
            ("max-stale=60, max-stale=5", Some(MaxStale::Seconds(5))),
            ("max-stale=", None),
            ("max-stale=abc", None),
            ("max-stale=60, max-stale=abc", Some(MaxStale::Seconds(60))),
        ] {
            assert_eq!(control(text).max_stale, expected, "{text}");
        }
    }

    #[test]
    fn the_most_restrictive_of_several_counts() {
        // RFC 9111 §4.2.1: "If directives conflict [...], the most restrictive directive should be
        // honored."
        let control = control(
            "max-age=9, max-age=5, max-age=7, min-fresh=1, min-fresh=3, min-fresh=2, \
             stale-if-error=3, stale-if-error=2",
        );
        assert_eq!(control.max_age, Some(5));
        assert_eq!(control.min_fresh, Some(3));
        assert_eq!(control.stale_if_error, Some(2));
    }

    #[test]
    fn what_is_malformed_is_not_asked() {
        for text in [
            "max-age",
            "max-age=x",
            "max-age=-1",
            "max-age= 1",
            "min-fresh=1.5",
            "max",
        ] {
            assert_eq!(control(text), RequestControl::default(), "{text}");
        }
        assert_eq!(
            control("max-age=99999999999").max_age,
            Some(DELTA_MAX),
            "RFC 9111 §1.2.2"
        );
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        // RFC 9111 §5.4: "The "Pragma" request header field was defined for HTTP/1.0 caches, so
        // that clients could specify a "no-cache" request (as Cache-Control was not defined until
        // HTTP/1.1)."
        assert!(parsed(&[("pragma", "no-cache")]).no_cache);
        assert!(parsed(&[("pragma", "foo, No-Cache")]).no_cache);
        assert!(!parsed(&[("pragma", "no-cache"), ("cache-control", "max-age=60")]).no_cache);
        assert!(!parsed(&[("pragma", "no-cache"), ("cache-control", "")]).no_cache);
        assert_eq!(parsed(&[("pragma", "foo")]), RequestControl::default());
        assert_eq!(parsed(&[]), RequestControl::default());
    }
}
