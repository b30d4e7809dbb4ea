//! Patterns for hosts and paths.

use std::fmt;

use thiserror::Error;

use crate::key::target::{Refused, normal_path};

/// A host as routes name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `www.example.org`
    Exact(Box<str>),
    /// `*.example.org`: every host below it, at any depth. Holds `.example.org`.
    Below(Box<str>),
}

/// A path as routes name it: literal segments, `{name}` for one segment that is not empty,
/// `{*rest}` or `*` at the end for all the rest, the empty rest included. Literals are normalised
/// as the paths of requests are, or they would never meet. The default matches nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    /// The name of the capture of the rest, empty for `*`; nothing if the pattern ends here.
    rest: Option<Box<str>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    Literal(Box<str>),
    Capture(Box<str>),
}

/// What a path's captures hold.
#[derive(Clone, Debug, Default)]
pub struct Captures<'a>(Vec<(&'a str, &'a str)>);

/// What is wrong with a pattern.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadPattern {
    #[error("a path begins with `/`")]
    NotAbsolute,
    #[error("it has an empty segment")]
    EmptySegment,
    #[error("`{0}` stands for all the rest, and so only at the end")]
    RestNotLast(Box<str>),
    #[error("`{0}` has a brace that is not closed")]
    Unclosed(Box<str>),
    #[error("`{0}` is neither literal text nor one whole `{{name}}`")]
    Segment(Box<str>),
    #[error("`{0}` is not a name of letters, digits and _ that begins with no digit")]
    Name(Box<str>),
    #[error("`{{{0}}}` has another meaning in templates")]
    Reserved(Box<str>),
    #[error("`{{{0}}}` is there twice")]
    Twice(Box<str>),
    #[error("it has more than {SEGMENTS_MAX} segments")]
    TooLong,
    #[error("a path has no query and no fragment")]
    Query,
    #[error("`{0}` has a character that must be percent-encoded")]
    Unescaped(Box<str>),
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("`{0}` is not a host name, `*.` and a host name, or `*`")]
    Host(Box<str>),
}

/// Segments in a pattern.
const SEGMENTS_MAX: usize = 32;

/// What templates replace, so that no capture can be called so.
const RESERVED: [&str; 2] = ["host", "query"];

impl HostPattern {
    /// # Errors
    /// The text is no host pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let lower = text.to_ascii_lowercase();
        if lower == "*" {
            return Ok(Self::Any);
        }
        let below = lower.strip_prefix('*');
        let name = below.map_or(Some(&*lower), |below| below.strip_prefix('.'));
        let is_literal = |name: &str| name.starts_with('[');
        if !name.is_some_and(|name| is_host(name) && !(below.is_some() && is_literal(name))) {
            return Err(BadPattern::Host(text.into()));
        }
        Ok(match below {
            Some(below) => Self::Below(below.into()),
            None => Self::Exact(lower.into()),
        })
    }

    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// Whether `text` is a host name (RFC 1123 §2.1, underscores allowed) or an address, IPv6 in
/// brackets, without a port.
pub fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        let address = address.strip_suffix(']');
        return address.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

impl PathPattern {
    /// # Errors
    /// The text is no path pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let inner = text.strip_prefix('/').ok_or(BadPattern::NotAbsolute)?;
        let mut pattern = Self::default();
        let mut pieces = inner.split('/').peekable();
        while let Some(text) = pieces.next() {
            let is_last = pieces.peek().is_none();
            match piece(text)? {
                Piece::Rest(name) if is_last => pattern.rest = Some(name),
                Piece::Rest(_) => return Err(BadPattern::RestNotLast(text.into())),
                Piece::One(_) if text.is_empty() && !is_last => {
                    return Err(BadPattern::EmptySegment);
                }
                Piece::One(segment) => pattern.segments.push(segment),
            }
        }
        if pattern.segments.len() > SEGMENTS_MAX {
            return Err(BadPattern::TooLong);
        }
        let names: Vec<&str> = pattern.names().collect();
        for (at, name) in names.iter().enumerate() {
            if names.iter().skip(at + 1).any(|other| other == name) {
                return Err(BadPattern::Twice((*name).into()));
            }
        }
        Ok(pattern)
    }

    /// The names of the captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(&**name),
            Segment::Literal(_) => None,
        });
        named.chain(self.rest.as_deref().filter(|name| !name.is_empty()))
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the pattern goes on with anything.
    pub const fn is_open(&self) -> bool {
        self.rest.is_some()
    }

    pub fn matches(&self, path: &str) -> bool {
        self.walk(path, |_, _| {})
    }

    pub fn captures<'a>(&'a self, path: &'a str) -> Captures<'a> {
        let mut captures = Captures::default();
        self.walk(path, |name, value| captures.0.push((name, value)));
        captures
    }

    fn walk<'a>(&'a self, path: &'a str, mut capture: impl FnMut(&'a str, &'a str)) -> bool {
        let mut left = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(text) = left else { return false };
            let (value, after) = match text.split_once('/') {
                Some((value, after)) => (value, Some(after)),
                None => (text, None),
            };
            match segment {
                Segment::Literal(literal) if **literal != *value => return false,
                Segment::Literal(_) => {}
                Segment::Capture(_) if value.is_empty() => return false,
                Segment::Capture(name) => capture(name, value),
            }
            left = after;
        }
        match &self.rest {
            None => left.is_none(),
            Some(name) => {
                if !name.is_empty() {
                    capture(name, left.unwrap_or_default());
                }
                true
            }
        }
    }
}

impl<'a> Captures<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(captured, _)| *captured == name)
            .map(|(_, value)| *value)
    }
}

/// What stands between two slashes of a pattern.
enum Piece {
    One(Segment),
    /// The name of the rest, empty for `*`.
    Rest(Box<str>),
}

fn piece(text: &str) -> Result<Piece, BadPattern> {
    if text == "*" {
        return Ok(Piece::Rest("".into()));
    }
    let Some(inner) = text.strip_prefix('{') else {
        return literal(text).map(|literal| Piece::One(Segment::Literal(literal)));
    };
    let name = match inner.split_once('}') {
        None => return Err(BadPattern::Unclosed(text.into())),
        Some((name, "")) => name,
        Some(_) => return Err(BadPattern::Segment(text.into())),
    };
    match name.strip_prefix('*') {
        Some(name) => Ok(Piece::Rest(checked_name(name)?.into())),
        None => Ok(Piece::One(Segment::Capture(checked_name(name)?.into()))),
    }
}

fn checked_name(name: &str) -> Result<&str, BadPattern> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_good)
    {
        return Err(BadPattern::Name(name.into()));
    }
    if RESERVED.contains(&name) {
        return Err(BadPattern::Reserved(name.into()));
    }
    Ok(name)
}

fn literal(text: &str) -> Result<Box<str>, BadPattern> {
    if text.contains(['{', '}', '*']) {
        return Err(BadPattern::Segment(text.into()));
    }
    if text.contains(['?', '#']) {
        return Err(BadPattern::Query);
    }
    let needs_escape = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '|')
    };
    if text.contains(needs_escape) {
        return Err(BadPattern::Unescaped(text.into()));
    }
    let normal = normal_path(text)?;
    if matches!(&*normal, "." | "..") {
        return Err(Refused::DotSegment.into());
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_by_segments() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/api/articles", "/api/articles", true),
            ("/api/articles", "/api/articles/", false),
            ("/api/articles/{id}", "/api/articles/7", true),
            ("/api/articles/{id}", "/api/articles/", false),
            ("/api/articles/{id}", "/api/articles/7/x", false),
            ("/media/*", "/media/a/b", true),
            ("/media/*", "/media/", true),
            ("/media/*", "/media", true),
            ("/media/*", "/mediax", false),
            ("/*", "/", true),
            ("/{lang}/{*rest}", "/de/a/b", true),
        ] {
            let pattern = PathPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(path), matches, "{pattern:?} {path}");
        }
    }

    #[test]
    fn captures_have_names() {
        let pattern = PathPattern::parse("/{lang}/articles/{*rest}").unwrap();
        let captures = pattern.captures("/de/articles/7/comments");
        assert_eq!(captures.get("lang"), Some("de"));
        assert_eq!(captures.get("rest"), Some("7/comments"));
        assert_eq!(captures.get("id"), None);
    }

    #[test]
    fn bad_patterns_are_named() {
        for (text, error) in [
            ("api", BadPattern::NotAbsolute),
            ("/*/x", BadPattern::RestNotLast("*".into())),
            ("/{*rest}/x", BadPattern::RestNotLast("{*rest}".into())),
            ("/a{id}", BadPattern::Segment("a{id}".into())),
            ("/{id}a", BadPattern::Segment("{id}a".into())),
            ("/a*", BadPattern::Segment("a*".into())),
            ("/{a}/{a}", BadPattern::Twice("a".into())),
            ("/a//b", BadPattern::EmptySegment),
            ("/{id", BadPattern::Unclosed("{id".into())),
            ("/{}", BadPattern::Name("".into())),
            ("/{1st}", BadPattern::Name("1st".into())),
            ("/{host}", BadPattern::Reserved("host".into())),
            ("/a?b=c", BadPattern::Query),
            ("/a b", BadPattern::Unescaped("a b".into())),
            ("/%4", BadPattern::Refused(Refused::PercentEncoding)),
            ("/a/..", BadPattern::Refused(Refused::DotSegment)),
            ("/a/%2e", BadPattern::Refused(Refused::DotSegment)),
        ] {
            assert_eq!(PathPattern::parse(text), Err(error), "{text}");
        }
        let long = "/a".repeat(SEGMENTS_MAX + 1);
        assert_eq!(PathPattern::parse(&long), Err(BadPattern::TooLong));
    }

    #[test]
    fn literals_are_normalised_as_paths_of_requests_are() {
        for text in ["/%7euser/a%c3%bc", "/~user/a\u{fc}"] {
            let pattern = PathPattern::parse(text).unwrap();
            assert!(pattern.matches("/~user/a%C3%BC"), "{text}");
        }
        assert!(!PathPattern::default().matches("/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "a",
            "A_b.example.org",
            "[::1]",
            "127.0.0.1",
            "*.example.org",
        ] {
            let pattern = HostPattern::parse(text).unwrap();
            assert_eq!(pattern.to_string(), text.to_ascii_lowercase());
        }
        for text in [
            "",
            "a b",
            "a:80",
            "*example.org",
            "a.*",
            "a..b",
            "-a",
            "[1]",
            "*.[::1]",
            "*.",
        ] {
            let error = BadPattern::Host(text.into());
            assert_eq!(HostPattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn hosts_match_exactly_or_below() {
        let below = HostPattern::parse("*.Example.org").unwrap();
        assert!(below.matches("www.example.org") && below.matches("a.b.example.org"));
        assert!(!below.matches("example.org") && !below.matches("badexample.org"));
        assert!(
            HostPattern::parse("Example.org")
                .unwrap()
                .matches("example.org")
        );
    }
}
