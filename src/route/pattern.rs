//! Patterns for hosts and paths.

use thiserror::Error;

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
/// `{*rest}` or `*` at the end for all the rest, the empty rest included.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    #[error("a path pattern begins with `/`")]
    NotAbsolute,
    #[error("`{0}` stands for all the rest, and so only at the end")]
    RestNotLast(Box<str>),
    #[error("`{0}` is neither literal text nor one whole `{{name}}`")]
    Segment(Box<str>),
    #[error("`{{{0}}}` is there twice")]
    Twice(Box<str>),
    #[error("`{0}` is not a host name, `*.` and a host name, or `*`")]
    Host(Box<str>),
}

/// Segments in a pattern.
const SEGMENTS_MAX: usize = 32;

impl HostPattern {
    /// # Errors
    /// The text is no host pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let lower = text.to_ascii_lowercase();
        if lower == "*" {
            return Ok(Self::Any);
        }
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let is_literal = name.starts_with('[') && name.ends_with(']');
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !(is_name || is_literal) {
            return Err(BadPattern::Host(text.into()));
        }
        Ok(match lower.strip_prefix('*') {
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

impl PathPattern {
    /// # Errors
    /// The text is no path pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let inner = text.strip_prefix('/').ok_or(BadPattern::NotAbsolute)?;
        let mut segments = Vec::new();
        let mut rest = None;
        for segment in inner.split('/') {
            if let Some(before) = rest {
                return Err(BadPattern::RestNotLast(before));
            }
            let capture = segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'));
            match capture {
                _ if segment == "*" => rest = Some("".into()),
                Some(name) if name.starts_with('*') && is_name(name.get(1..).unwrap_or("")) => {
                    rest = Some(name.get(1..).unwrap_or("").into());
                }
                Some(name) if is_name(name) => segments.push(Segment::Capture(name.into())),
                None if !segment.contains(['{', '}', '*', '?', '#']) => {
                    segments.push(Segment::Literal(segment.into()));
                }
                _ => return Err(BadPattern::Segment(segment.into())),
            }
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(BadPattern::Segment("more than 32 segments".into()));
        }
        let pattern = Self { segments, rest };
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

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
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
            ("/*/x", BadPattern::RestNotLast("".into())),
            ("/a{id}", BadPattern::Segment("a{id}".into())),
            ("/{a}/{a}", BadPattern::Twice("a".into())),
        ] {
            assert_eq!(PathPattern::parse(text), Err(error), "{text}");
        }
        assert!(HostPattern::parse("a b").is_err());
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
