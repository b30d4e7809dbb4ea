//! The small languages inside settings: host patterns, path patterns, templates. Pure.

/// Which hosts a route or certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `*.example.org`, kept as `.example.org`.
    Below(String),
    /// In lower case, without a port.
    Exact(String),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    /// As written, in the file's percent-encoding.
    Literal(String),
    /// `{name}`: one segment.
    Capture(String),
}

/// What a pattern allows behind its segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rest {
    Nothing,
    /// `/*`
    Any,
    /// `/{*name}`
    Capture(String),
}

/// `/api/articles/{id}`, `/files/{*rest}`, `/static/*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    rest: Rest,
}

/// `article:{id}:{language}`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: String,
    fields: Vec<String>,
}

/// Names in templates that no capture may take.
const RESERVED: [&str; 2] = ["host", "query"];

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(name) => write!(f, "*{name}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

impl HostPattern {
    /// `None` for what is no host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix('*') {
            Some(below) => is_host(below.strip_prefix('.')?).then(|| Self::Below(below.to_owned())),
            None => is_host(&lower).then_some(Self::Exact(lower)),
        }
    }
}

/// A name or address without a port; IPv6 in brackets.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        let address = address.strip_suffix(']');
        return address.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// `/`, which stands in for a pattern that was refused.
impl Default for PathPattern {
    fn default() -> Self {
        Self {
            text: "/".to_owned(),
            segments: vec![Segment::Literal(String::new())],
            rest: Rest::Nothing,
        }
    }
}

impl PathPattern {
    /// The reason where the text is no pattern.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("it does not begin with /")?;
        let pieces: Vec<&str> = path.split('/').collect();
        let (last, above) = pieces.split_last().ok_or("it is empty")?;
        let mut segments = Vec::with_capacity(pieces.len());
        for piece in above {
            if piece.is_empty() {
                return Err("it has an empty segment");
            }
            segments.push(segment(piece)?);
        }
        let rest = if *last == "*" {
            Rest::Any
        } else if let Some(name) = last.strip_prefix("{*") {
            let name = name.strip_suffix('}').ok_or(UNCLOSED)?;
            Rest::Capture(capture(name)?.to_owned())
        } else {
            segments.push(segment(last)?);
            Rest::Nothing
        };
        let pattern = Self {
            text: text.to_owned(),
            segments,
            rest,
        };
        let names: Vec<&str> = pattern.captures().collect();
        let twice = |name: &&str| names.iter().filter(|other| *other == name).count() > 1;
        if names.iter().any(twice) {
            return Err("a name stands in it twice");
        }
        Ok(pattern)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub const fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The names in the pattern, in its order.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        let rest = match &self.rest {
            Rest::Capture(name) => Some(name.as_str()),
            Rest::Nothing | Rest::Any => None,
        };
        let within = self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        within.chain(rest)
    }
}

const UNCLOSED: &str = "a brace is not closed";

fn segment(piece: &str) -> Result<Segment, &'static str> {
    if let Some(name) = piece.strip_prefix('{') {
        let name = name.strip_suffix('}').ok_or(UNCLOSED)?;
        if name.starts_with('*') {
            return Err("{*name} stands only at the end");
        }
        return Ok(Segment::Capture(capture(name)?.to_owned()));
    }
    if piece.contains(['{', '}']) {
        return Err("a name in braces is a whole segment");
    }
    if piece == "*" {
        return Err("* stands only at the end");
    }
    if piece.contains('*') {
        return Err("* is a whole segment");
    }
    literal(piece)
}

fn capture(name: &str) -> Result<&str, &'static str> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(letter) || name.starts_with(|c: char| c.is_numeric()) {
        return Err("a name in braces has letters a-z, digits and _, and begins with a letter");
    }
    if RESERVED.contains(&name) {
        return Err("host and query mean something else in templates");
    }
    Ok(name)
}

fn literal(piece: &str) -> Result<Segment, &'static str> {
    if piece == "." || piece == ".." {
        return Err("no request has a segment of dots");
    }
    let mut bytes = piece.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'?' || byte == b'#' {
            return Err("a path has no query and no fragment");
        }
        if byte == b'%' {
            let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
            if !hex(bytes.next()) || !hex(bytes.next()) {
                return Err("after % two hexadecimal digits are missing");
            }
        } else if !byte.is_ascii_graphic() || b"\"<>\\^`|".contains(&byte) {
            return Err("a character in it must be percent-encoded");
        }
    }
    Ok(Segment::Literal(piece.to_owned()))
}

impl Template {
    /// The reason where the text is no template.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
            return Err("it has a space or comma, which separate tags");
        }
        let mut fields = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let behind = rest.get(at..).and_then(|it| it.strip_prefix('{'));
            let behind = behind.ok_or("a brace is closed that was not opened")?;
            let (field, after) = behind.split_once('}').ok_or(UNCLOSED)?;
            if field.contains('{') {
                return Err("braces stand in braces");
            }
            if field.split('.').any(str::is_empty) {
                return Err("a name in braces, or a piece of it, is empty");
            }
            fields.push(field.to_owned());
            rest = after;
        }
        Ok(Self {
            text: text.to_owned(),
            fields,
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands in braces, in its order.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_patterns_are_read() {
        let pattern = PathPattern::parse("/api/{kind}/{id}").unwrap();
        assert_eq!(pattern.captures().collect::<Vec<_>>(), ["kind", "id"]);
        assert_eq!(pattern.rest(), &Rest::Nothing);
        let pattern = PathPattern::parse("/{language}/{*rest}").unwrap();
        assert_eq!(pattern.captures().collect::<Vec<_>>(), ["language", "rest"]);
        assert_eq!(PathPattern::parse("/*").unwrap().segments(), &[]);
        let slash = PathPattern::parse("/a%20b/").unwrap();
        assert_eq!(slash.segments().len(), 2);
    }

    #[test]
    fn what_is_no_path_pattern_is_refused_with_its_reason() {
        for (text, reason) in [
            ("api", "it does not begin with /"),
            ("/a//b", "it has an empty segment"),
            ("/{id", "a brace is not closed"),
            ("/{*rest}/x", "{*name} stands only at the end"),
            ("/*/x", "* stands only at the end"),
            ("/a*", "* is a whole segment"),
            ("/x-{id}", "a name in braces is a whole segment"),
            ("/{a}/{a}", "a name stands in it twice"),
            ("/{host}", "host and query mean something else in templates"),
            ("/a?b=c", "a path has no query and no fragment"),
            ("/%4", "after % two hexadecimal digits are missing"),
            ("/ä", "a character in it must be percent-encoded"),
            ("/a/..", "no request has a segment of dots"),
        ] {
            assert_eq!(PathPattern::parse(text).unwrap_err(), reason, "{text}");
        }
        assert!(PathPattern::parse("/{}").is_err());
        assert!(PathPattern::parse("/{1}").is_err());
    }

    #[test]
    fn hosts_are_exact_wild_or_any() {
        let exact = |text: &str| Some(HostPattern::Exact(text.to_owned()));
        assert_eq!(HostPattern::parse("*"), Some(HostPattern::Any));
        assert_eq!(
            HostPattern::parse("WWW.example.org"),
            exact("www.example.org")
        );
        assert_eq!(HostPattern::parse("[::1]"), exact("[::1]"));
        let below = Some(HostPattern::Below(".example.org".to_owned()));
        assert_eq!(HostPattern::parse("*.example.org"), below);
        for text in [
            "",
            "a b",
            "a:80",
            "*example.org",
            "a.*",
            "a..b",
            "-a",
            "[1]",
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn templates_name_their_fields() {
        let template = Template::parse("article:{id}:{query.locale}").unwrap();
        assert_eq!(template.fields(), ["id", "query.locale"]);
        for text in ["", "a b", "a,b", "{a", "a}", "{}", "{a.}", "{{a}}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
