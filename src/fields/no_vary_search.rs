//! `No-Vary-Search` (draft-ietf-httpbis-no-vary-search-05): which parameters of the query make no
//! other resource.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

pub const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// The draft's URL variation config (§4), where it is not the default one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoVarySearch {
    pub params: Params,
    /// Whether the order of different names counts ("vary on key order").
    pub varies_by_order: bool,
}

/// Sorted names, each once, as the parser of application/x-www-form-urlencoded gives them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Params {
    /// These do not count ("no-vary params").
    Ignored(Vec<String>),
    /// Only these count ("vary params").
    Counting(Vec<String>),
}

/// Names in one field; with more of them it counts for nothing.
const NAMES_MAX: usize = 128;

impl NoVarySearch {
    /// What the response says, or nothing: there is no such field, it is malformed, or it says what
    /// holds without it. §5.1: "this algorithm is strict and tends to return the default URL variation
    /// config whenever it sees something it doesn't recognize".
    pub fn of(response: &HeaderMap) -> Option<Self> {
        if !response.contains_key(NO_VARY_SEARCH) {
            return None;
        }
        let mut members = Dictionary::new();
        for line in response.get_all(NO_VARY_SEARCH) {
            // RFC 9651 §4.2 joins the lines; of a key that comes twice the last value stays.
            members = Parser::new(line.as_bytes())
                .parse_dictionary_with_visitor(members)
                .ok()?;
        }
        let is_order_ignored = match members.get("key-order") {
            Some(value) => boolean(value)?,
            None => false,
        };
        let params = match (members.get("params"), members.get("except")) {
            (Some(_), Some(_)) => return None,
            (Some(params), None) => Params::Ignored(names(params)?),
            (None, Some(except)) => Params::Counting(names(except)?),
            // §5.1 as it is written returns the default here, too; §5.1.2 and §6.1 have `key-order`
            // alone among what is valid and counts.
            (None, None) => Params::Ignored(Vec::new()),
        };
        let says_nothing = !is_order_ignored && params == Params::Ignored(Vec::new());
        (!says_nothing).then_some(Self {
            params,
            varies_by_order: !is_order_ignored,
        })
    }

    /// Whether parameters of this name, decoded, count.
    pub fn counts(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.binary_search_by(|own| (**own).cmp(name)).is_ok();
        match &self.params {
            Params::Ignored(names) => !is_in(names),
            Params::Counting(names) => is_in(names),
        }
    }
}

/// Names and values of a query, as the parser of application/x-www-form-urlencoded (URL Standard §5.1)
/// gives them.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
}

/// §5.3, "parse a key": `+` is a space, then percent-decoding, then UTF-8.
fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decoded(&spaced).into_owned());
    }
    percent_decoded(text)
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

fn boolean(value: &ListEntry) -> Option<bool> {
    match value {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::Boolean(value) => Some(value),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    }
}

/// Nothing: "not an array", or one with an item that "is not a string".
fn names(value: &ListEntry) -> Option<Vec<String>> {
    let ListEntry::InnerList(list) = value else {
        return None;
    };
    if list.items.len() > NAMES_MAX {
        return None;
    }
    let name = |item: &sfv::Item| match &item.bare_item {
        BareItem::String(name) => Some(decoded(name.as_str()).into_owned()),
        _ => None,
    };
    let mut names: Vec<String> = list.items.iter().map(name).collect::<Option<_>>()?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<NoVarySearch> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(NO_VARY_SEARCH, line.parse().unwrap());
        }
        NoVarySearch::of(&headers)
    }

    fn ignored(names: &[&str]) -> Params {
        Params::Ignored(names.iter().copied().map(Into::into).collect())
    }

    fn counting(names: &[&str]) -> Params {
        Params::Counting(names.iter().copied().map(Into::into).collect())
    }

    fn config(params: Params, varies_by_order: bool) -> Option<NoVarySearch> {
        Some(NoVarySearch {
            params,
            varies_by_order,
        })
    }

    #[test]
    fn valid_values_say_what_counts() {
        // §5.2.1, and the introduction.
        for (value, expected) in [
            ("params=(\"a\")", config(ignored(&["a"]), true)),
            ("except=(\"x\")", config(counting(&["x"]), true)),
            ("except=()", config(counting(&[]), true)),
            ("key-order", config(ignored(&[]), false)),
            ("key-order=?1", config(ignored(&[]), false)),
            ("except=(\"x\"), key-order", config(counting(&["x"]), false)),
            ("key-order, except=(\"x\")", config(counting(&["x"]), false)),
            (
                "params=(\"utm_source\" \"utm_medium\" \"utm_campaign\")",
                config(ignored(&["utm_campaign", "utm_medium", "utm_source"]), true),
            ),
            (
                "except=(\"productId\")",
                config(counting(&["productId"]), true),
            ),
            // Unknown keys are ignored (§3), and so are parameters.
            (
                "params=(\"a\";b \"a\");c, more=1",
                config(ignored(&["a"]), true),
            ),
        ] {
            assert_eq!(of(&[value]), expected, "{value}");
        }
        assert_eq!(
            of(&["params=(\"a\")", "key-order"]),
            config(ignored(&["a"]), false),
            "RFC 9651 §4.2: the lines of a field are one"
        );
    }

    #[test]
    fn invalid_values_and_those_that_say_nothing_count_as_none() {
        // §5.2.1: "The following inputs are all invalid and will cause the default URL variation config
        // to be returned"; and those whose conventional form is to omit the field.
        for value in [
            "key-order=\"not a boolean\"",
            "params=\"not an inner list\"",
            "params=(not-a-string)",
            "params=?0",
            "params=?1",
            "params",
            "params=?1, except=(\"x\")",
            "params=(\"a\"), except=(\"x\")",
            "params=(), except=()",
            "except=\"not an inner list\"",
            "except=(not-a-string)",
            "except=?1",
            "params=()",
            "key-order=?0",
            "unknown-key",
            "",
            "params=(\"a\"",
            "params=(\"a\"), key-order=(1)",
            "Params=(\"a\")",
        ] {
            assert_eq!(of(&[value]), None, "{value}");
        }
        assert_eq!(of(&["params=(\"a\")", "&&&"]), None);
        assert_eq!(of(&[]), None);
        let many = format!("params=({})", "\"a\" ".repeat(NAMES_MAX + 1));
        assert_eq!(of(&[&many]), None);
    }

    #[test]
    fn names_are_decoded_as_those_of_a_form() {
        // §5.3.1.
        assert_eq!(
            of(&["params=(\"%C3%A9+%E6%B0%97\")"]),
            config(ignored(&["é 気"]), true)
        );
    }

    #[test]
    fn a_name_counts_as_the_config_says() {
        let ignoring = of(&["params=(\"b\" \"a\")"]).unwrap();
        assert!(!ignoring.counts("a") && !ignoring.counts("b") && ignoring.counts("c"));
        let counting = of(&["except=(\"b\" \"a\")"]).unwrap();
        assert!(counting.counts("a") && counting.counts("b") && !counting.counts("c"));
    }

    #[test]
    fn queries_are_taken_apart_as_forms_are() {
        let parsed = |query: &str| -> Vec<(String, String)> {
            pairs(query)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (query, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a=x&&&", vec![pair("a", "x")]),
            ("a", vec![pair("a", "")]),
            ("a==b=", vec![pair("a", "=b=")]),
            ("%61=%78", vec![pair("a", "x")]),
            ("a+b=%2B+", vec![pair("a b", "+ ")]),
            ("a=%f6", vec![pair("a", "\u{fffd}")]),
            ("a=%", vec![pair("a", "%")]),
        ] {
            assert_eq!(parsed(query), expected, "{query}");
        }
    }
}
