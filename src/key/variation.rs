//! The query by what a response said of it in `No-Vary-Search`
//! (draft-ietf-httpbis-no-vary-search-05).

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_64;

use super::PART;
use crate::fields::no_vary_search::{NoVarySearch, pairs};

/// Parameters of a query that is normalised; a longer one is keyed as if nothing had been said.
const PARAMETERS_MAX: usize = 128;

/// Begins the part of the key that names what was said.
const NAME: &str = "no-vary-search=";

/// What a response said, and the name under which keys have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variation {
    said: NoVarySearch,
    part: Box<str>,
}

impl Variation {
    pub fn new(said: NoVarySearch) -> Self {
        let hash = xxh3_64(format!("{said:?}").as_bytes());
        Self {
            said,
            part: format!("{PART}{NAME}{hash:016x}").into(),
        }
    }

    /// Appends `?` and one text for all queries that are equivalent (§6), then what was said. False,
    /// and nothing is appended, if `query` has too many parameters.
    pub(super) fn write(&self, query: &str, text: &mut String) -> bool {
        let mut counting: Vec<(Cow<'_, str>, Cow<'_, str>)> = pairs(query)
            .filter(|(name, _)| self.said.counts(name))
            .take(PARAMETERS_MAX + 1)
            .collect();
        if counting.len() > PARAMETERS_MAX {
            return false;
        }
        if !self.said.varies_by_order {
            // Stable. The draft compares code units of UTF-16; any order serves.
            counting.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        for (at, (name, value)) in counting.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            let [name, value] =
                [name, value].map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
            // Writing to a String does not fail.
            let _ = write!(text, "{mark}{name}={value}");
        }
        true
    }

    pub(super) fn part(&self) -> &str {
        &self.part
    }
}

/// Whether what follows the query in a key begins with a variation.
pub(super) fn begins(parts: &str) -> bool {
    parts
        .strip_prefix(PART)
        .is_some_and(|rest| rest.starts_with(NAME))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::fields::no_vary_search::{NO_VARY_SEARCH, Params};
    use crate::key::{CacheKey, KeyRule, QueryRule, TargetUri};

    fn variation(value: &str) -> Variation {
        let headers = HeaderMap::from_iter([(NO_VARY_SEARCH, value.parse().unwrap())]);
        Variation::new(NoVarySearch::of(&headers).unwrap())
    }

    fn keyed(rule: &KeyRule, query: Option<&str>, variation: Option<&Variation>) -> CacheKey {
        let target = TargetUri::parse("https", "a.example", "/search", query).unwrap();
        rule.key_by(&target, &HeaderMap::new(), variation).key
    }

    fn are_equivalent(value: &str, one: Option<&str>, other: Option<&str>) -> bool {
        let rule = KeyRule::default();
        let variation = variation(value);
        let [one, other] = [one, other].map(|query| keyed(&rule, query, Some(&variation)));
        one == other
    }

    #[test]
    fn any_config_makes_queries_one_that_are_parsed_alike() {
        // §6.1: "given any non-default value for No-Vary-Search, such as No-Vary-Search: key-order, we
        // will have the following equivalences".
        for (one, other) in [
            (None, Some("")),
            (Some("a=x"), Some("%61=%78")),
            (Some("a=é"), Some("a=%C3%A9")),
            (Some("a=%f6"), Some("a=%ef%bf%bd")),
            (Some("a=x&&&&"), Some("a=x")),
            (Some("a="), Some("a")),
            (Some("a=%20"), Some("a= &")),
            (Some("a=+"), Some("a= &")),
            // §5.3.1.
            (Some("é 気=1"), Some("%C3%A9+%E6%B0%97=1")),
        ] {
            assert!(are_equivalent("key-order", one, other), "{one:?} {other:?}");
            assert!(
                are_equivalent("params=(\"z\")", one, other),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn what_does_not_count_is_left_out_and_the_rest_is_compared_in_order() {
        for (value, one, other, expected) in [
            ("params=(\"a\")", "a=1&b=2", "b=2&a=3&a=4", true),
            ("params=(\"a\")", "a=1&b=2", "a=1&b=3", false),
            ("params=(\"a\")", "b=1&c=2", "c=2&b=1", false),
            ("params=(\"a\")", "A=1", "A=2", false),
            ("params=(\"%C3%A9\")", "é=1", "%c3%a9=2", true),
            ("except=(\"id\")", "id=1&x=2", "y=3&id=1", true),
            ("except=(\"id\")", "id=1", "id=2", false),
            ("except=()", "a=1", "b=2&c", true),
            ("key-order", "a=1&b=2", "b=2&a=1", true),
            ("key-order", "a=1&a=2", "a=2&a=1", false),
            ("key-order", "a=1&b=2", "a=1", false),
            (
                "key-order, except=(\"a\" \"b\")",
                "b=1&c=1&a=2",
                "a=2&b=1",
                true,
            ),
            // What means something to the parser does not when it is escaped.
            ("key-order", "a=1%26b=2", "a=1&b=2", false),
            ("key-order", "a%3D1", "a=1", false),
            ("key-order", "a=%2B", "a=+", false),
            ("key-order", "a=%2561", "a=a", false),
        ] {
            assert_eq!(
                are_equivalent(value, Some(one), Some(other)),
                expected,
                "{value} {one} {other}"
            );
        }
    }

    /// §6 as it is written, for a config that is not the default one.
    fn model(said: &NoVarySearch, one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|query| {
            let mut list: Vec<_> = pairs(query).collect();
            match &said.params {
                Params::Ignored(names) => {
                    list.retain(|(name, _)| !names.contains(&name.to_string()))
                }
                Params::Counting(names) => {
                    list.retain(|(name, _)| names.contains(&name.to_string()))
                }
            }
            if !said.varies_by_order {
                list.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            }
            list
        });
        one == other
    }

    proptest! {
        #[test]
        fn keys_are_equal_where_the_draft_says_that_urls_are_equivalent(
            config in prop::sample::select(&[
                "key-order", "params=(\"a\")", "params=(\"a\" \"+\"), key-order", "except=(\"a\" \"%25\")",
                "except=()", "except=(\"b\" \"a\"), key-order", "params=(\"\")",
            ][..]),
            queries in prop::array::uniform2("(a|b|c|=|&|&|%|%25|%26|%3D|%3d|[+]|%2B|%20|é|%C3%A9){0,8}"),
        ) {
            let said = variation(config).said;
            let [one, other] = queries.each_ref().map(|query| Some(query.as_str()));
            prop_assert_eq!(are_equivalent(config, one, other), model(&said, &queries[0], &queries[1]));
        }
    }

    #[test]
    fn what_was_said_is_in_the_key() {
        let rule = KeyRule::default();
        let all = [variation("params=(\"a\")"), variation("params=(\"b\")")];
        let keys = all
            .each_ref()
            .map(|said| keyed(&rule, Some("c=1"), Some(said)));
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], keyed(&rule, Some("c=1"), None));
        assert!(keys[0].is_varied() && !keyed(&rule, Some("c=1"), None).is_varied());
        assert_eq!((keys[0].path(), keys[0].query()), ("/search", "c=1"));
    }

    #[test]
    fn the_routes_own_rule_comes_first() {
        let rule = KeyRule {
            query: QueryRule {
                sort: true,
                ..QueryRule::default()
            },
            ..KeyRule::default()
        };
        let said = variation("params=(\"a\")");
        assert_eq!(
            keyed(&rule, Some("c=1&b=2"), Some(&said)).query(),
            "b=2&c=1"
        );
    }

    #[test]
    fn a_long_query_is_keyed_as_if_nothing_had_been_said() {
        let rule = KeyRule::default();
        let long = vec!["b=1"; PARAMETERS_MAX + 1].join("&");
        let said = variation("params=(\"a\")");
        let key = keyed(&rule, Some(&long), Some(&said));
        assert_eq!(key, keyed(&rule, Some(&long), None));
        assert!(!key.is_varied());
    }
}
