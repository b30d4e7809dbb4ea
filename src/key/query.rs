//! Which part of the query is in the key, and in which order.

use std::borrow::Cow;

use percent_encoding::AsciiSet;
use thiserror::Error;

/// One route's rule. Names are compared after percent-decoding, so that `%5B` and `[` are one;
/// values keep their case and the order within one name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueryRule {
    /// Only these parameters count; empty: all but the dropped ones.
    pub keep: Vec<Pattern>,
    /// These do not count.
    pub drop: Vec<Pattern>,
    /// Whether the order of different names counts.
    pub sort: bool,
    /// Whether responses may say in `No-Vary-Search` which parameters count, besides.
    pub no_vary_search: bool,
}

/// A parameter name, or its beginning followed by `*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: Box<str>,
    is_prefix: bool,
}

/// What is no pattern.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BadPattern {
    #[error("it is empty")]
    Empty,
    #[error("`*` stands only at its end")]
    Star,
}

/// Parameters that are sorted; a longer query is keyed as it came.
const SORTED_PARAMETERS_MAX: usize = 128;

impl Pattern {
    /// # Errors
    /// An empty text, and a `*` that would be taken for itself.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let pattern = Self::new(text);
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        if pattern.text.contains('*') {
            return Err(BadPattern::Star);
        }
        Ok(pattern)
    }

    pub fn new(pattern: &str) -> Self {
        let (text, is_prefix) = pattern
            .strip_suffix('*')
            .map_or((pattern, false), |prefix| (prefix, true));
        Self {
            text: text.into(),
            is_prefix,
        }
    }

    pub fn matches(&self, name: &str) -> bool {
        if self.is_prefix {
            name.starts_with(&*self.text)
        } else {
            name == &*self.text
        }
    }
}

impl QueryRule {
    /// Appends `?` and what counts of `query`, or nothing.
    pub fn write(&self, query: Option<&str>, text: &mut String) {
        let Some(query) = query else { return };
        let start = text.len();
        text.push('?');
        if self.sort && query.contains('&') {
            let mut parameters: Vec<(Cow<'_, str>, &str)> = self
                .counting(query)
                .take(SORTED_PARAMETERS_MAX + 1)
                .map(|pair| (decoded(name_of(pair)), pair))
                .collect();
            if parameters.len() <= SORTED_PARAMETERS_MAX {
                // Stable: the order of the values of one name keeps its meaning.
                parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
                join(parameters.iter().map(|(_, pair)| *pair), text);
                return finish(text, start);
            }
        }
        join(self.counting(query), text);
        finish(text, start);
    }

    /// The query that is forwarded: the parameters that do not count are left out, the rest is as
    /// the client wrote it.
    pub fn forwarded<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if self.keep.is_empty() && !query.split('&').any(|pair| self.ignores(pair)) {
            return Cow::Borrowed(query);
        }
        let kept: Vec<&str> = self.counting(query).collect();
        Cow::Owned(kept.join("&"))
    }

    fn counting<'q>(&self, query: &'q str) -> impl Iterator<Item = &'q str> {
        query
            .split('&')
            .filter(|pair| !pair.is_empty() && !self.ignores(pair))
    }

    fn ignores(&self, pair: &str) -> bool {
        if self.keep.is_empty() && self.drop.is_empty() {
            return false;
        }
        let name = decoded(name_of(pair));
        let named = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&name));
        (!self.keep.is_empty() && !named(&self.keep)) || named(&self.drop)
    }
}

/// The value of the first parameter called `name`, decoded.
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<Cow<'q, str>> {
    parameters(query, name).next()
}

/// The values of all parameters called `name`, decoded.
pub fn parameters<'q>(query: Option<&'q str>, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
    let pairs = query.unwrap_or_default().split('&');
    pairs.filter_map(move |pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(found) == name).then(|| decoded(value))
    })
}

fn join<'q>(pairs: impl Iterator<Item = &'q str>, text: &mut String) {
    let mut first = true;
    for pair in pairs {
        if !first {
            text.push('&');
        }
        first = false;
        push_normal(pair, text);
    }
}

/// Brackets are written in either form by clients that mean the same, and so is what no query may
/// have but escaped. What is no escape stays as it is: nobody knows what an origin makes of it.
fn push_normal(pair: &str, text: &mut String) {
    if pair.contains(is_escaped) {
        let escaped = percent_encoding::utf8_percent_encode(pair, ESCAPED);
        return push_normal(&escaped.to_string(), text);
    }
    if !pair.contains('%') {
        text.push_str(pair);
        return;
    }
    let mut rest = pair;
    while let Some(at) = rest.find('%') {
        let (plain, escape) = rest.split_at(at);
        text.push_str(plain);
        match escape.get(..3) {
            Some("%5B" | "%5b") => text.push('['),
            Some("%5D" | "%5d") => text.push(']'),
            Some(other) if other.bytes().skip(1).all(|b| b.is_ascii_hexdigit()) => {
                text.push_str(&other.to_ascii_uppercase());
            }
            _ => {
                text.push('%');
                rest = escape.get(1..).unwrap_or_default();
                continue;
            }
        }
        rest = escape.get(3..).unwrap_or_default();
    }
    text.push_str(rest);
}

/// Not in the grammar of a query (RFC 3986 §3.4), yet sent by clients; browsers escape some.
const ESCAPED: &AsciiSet = &AsciiSet::EMPTY
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'^')
    .add(b'\\');

const fn is_escaped(c: char) -> bool {
    matches!(c, '"' | '<' | '>' | '`' | '{' | '}' | '|' | '^' | '\\') || !c.is_ascii()
}

fn finish(text: &mut String, start: usize) {
    if text.len() == start + 1 {
        text.truncate(start);
    }
}

fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(keep: &[&str], drop: &[&str]) -> QueryRule {
        QueryRule {
            keep: keep.iter().map(|p| Pattern::new(p)).collect(),
            drop: drop.iter().map(|p| Pattern::new(p)).collect(),
            sort: true,
            no_vary_search: false,
        }
    }

    fn keyed(rule: &QueryRule, query: &str) -> String {
        let mut text = String::new();
        rule.write(Some(query), &mut text);
        text
    }

    #[test]
    fn a_star_stands_at_the_end() {
        assert!(Pattern::parse("utm_*").unwrap().matches("utm_source"));
        assert!(Pattern::parse("*").unwrap().matches("any"));
        assert_eq!(Pattern::parse(""), Err(BadPattern::Empty));
        for text in ["*_id", "a*b", "a**"] {
            assert_eq!(Pattern::parse(text), Err(BadPattern::Star), "{text}");
        }
    }

    #[test]
    fn order_across_names_does_not_count_and_within_one_name_does() {
        let rule = rule(&[], &[]);
        assert_eq!(keyed(&rule, "b=1&a=2"), keyed(&rule, "a=2&b=1"));
        assert_ne!(keyed(&rule, "a=1&a=2"), keyed(&rule, "a=2&a=1"));
        assert_ne!(keyed(&rule, "locale=pt-BR"), keyed(&rule, "locale=pt-br"));
    }

    #[test]
    fn escaped_and_plain_brackets_are_one() {
        let rule = rule(&[], &[]);
        assert_eq!(
            keyed(&rule, "sort%5B0%5D=title&populate=%2a"),
            keyed(&rule, "populate=%2A&sort[0]=title")
        );
    }

    #[test]
    fn what_is_no_escape_is_not_taken_for_another() {
        let rule = rule(&[], &[]);
        assert_ne!(keyed(&rule, "q=100%of"), keyed(&rule, "q=100%OF"));
        assert_ne!(keyed(&rule, "q=%%5B"), keyed(&rule, "q=%%5b["));
        assert_eq!(keyed(&rule, "q=%%5B"), "?q=%[");
        assert_eq!(keyed(&rule, "q=%"), "?q=%");
    }

    #[test]
    fn what_a_query_has_only_escaped_is_one_in_either_form() {
        let rule = rule(&[], &[]);
        let escaped = keyed(&rule, "filter=%7B%22a%22:%22%C3%BC%22%7D");
        assert_eq!(escaped, keyed(&rule, "filter={%22a%22:%22\u{fc}%22}"));
        assert_eq!(escaped, keyed(&rule, "filter={\"a\":\"\u{fc}\"}"));
    }

    #[test]
    fn dropped_parameters_leave_the_key_and_the_forwarded_query() {
        let rule = rule(&[], &["utm_*", "gclid"]);
        assert_eq!(keyed(&rule, "utm_source=x&id=1&gclid=2"), "?id=1");
        assert_eq!(keyed(&rule, "utm_source=x"), "");
        assert_eq!(rule.forwarded("b=1&utm_source=x&a=2"), "b=1&a=2");
        assert_eq!(rule.forwarded("b=1&a=2"), "b=1&a=2");
    }

    #[test]
    fn with_a_keep_list_only_listed_parameters_count() {
        let rule = rule(&["page", "filter*"], &[]);
        assert_eq!(
            keyed(&rule, "x=1&page=2&filters[a]=3"),
            "?filters[a]=3&page=2"
        );
    }
}
