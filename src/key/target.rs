//! The target URI (RFC 9110 §7.1) as the client addressed it, normalised and free of ambiguity.

use thiserror::Error;

/// The target URI. What is not ambiguous to every party on the way is refused; see
/// [`TargetUri::parse`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetUri {
    scheme: &'static str,
    authority: Box<str>,
    host_len: usize,
    path: Box<str>,
    query: Option<Box<str>>,
    cacheable: bool,
}

/// Why a target was refused: the request is answered 400.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    #[error("the host is missing or malformed")]
    Host,
    #[error("the path is not absolute")]
    Path,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path or query has a malformed percent-encoding")]
    PercentEncoding,
    #[error("the path has an encoded control character")]
    Control,
    #[error("the target is longer than 8,192 bytes")]
    Length,
}

impl Refused {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "bad-host",
            Self::Path => "bad-path",
            Self::DotSegment => "dot-segment",
            Self::PercentEncoding => "bad-percent-encoding",
            Self::Control => "encoded-control",
            Self::Length => "target-too-long",
        }
    }
}

/// Bytes of path and query together (RFC 9110 §4.1 recommends at least 8,000).
pub const TARGET_BYTES_MAX: usize = 8192;

impl TargetUri {
    /// Normalises by RFC 3986 §6.2.2: host in lower case without the scheme's default port,
    /// escapes in upper case, unreserved characters unescaped. The normalised path is what routes
    /// match, what the key has and what the origin receives, so that the three cannot disagree.
    ///
    /// # Errors
    /// Dot segments (escaped or not, with parameters or not), encoded control characters and broken
    /// escapes are refused: parties on the way resolve them differently.
    pub fn parse(
        scheme: &'static str,
        authority: &str,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, Refused> {
        if path.len() + query.map_or(0, str::len) > TARGET_BYTES_MAX {
            return Err(Refused::Length);
        }
        if !path.starts_with('/') {
            return Err(Refused::Path);
        }
        let (authority, host_len) = normal_authority(scheme, authority)?;
        let path = normal_path(path)?;
        if path.split('/').any(is_dot_segment) {
            return Err(Refused::DotSegment);
        }
        let cacheable = !is_ambiguous(&path);
        Ok(Self {
            scheme,
            authority,
            host_len,
            path,
            query: query.filter(|query| !query.is_empty()).map(Into::into),
            cacheable,
        })
    }

    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Host and, unless it is the scheme's default, port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn host(&self) -> &str {
        self.authority.get(..self.host_len).unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as the client wrote it.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// False where origins are known to disagree about what the path means (encoded slash or
    /// backslash, empty segments, separators and dots that are escaped twice or as overlong UTF-8):
    /// such a request is forwarded, and never answered from the cache.
    pub const fn is_cacheable(&self) -> bool {
        self.cacheable
    }
}

fn normal_authority(scheme: &str, authority: &str) -> Result<(Box<str>, usize), Refused> {
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => authority.split_at(colon),
        _ => (authority, ""),
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let well_formed = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.bytes().all(is_host),
    };
    let port = port.strip_prefix(':').unwrap_or_default();
    if !well_formed || !port.bytes().all(|b| b.is_ascii_digit()) || port.len() > 5 {
        return Err(Refused::Host);
    }
    // One trailing dot is the same host (RFC 1034 §3.1).
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // RFC 1034 §3.1: only the root has an empty label. Parties on the way drop other dots, or do not.
    if literal.is_none() && host.split('.').any(str::is_empty) {
        return Err(Refused::Host);
    }
    let host_len = host.len();
    let default = if scheme == "https" { "443" } else { "80" };
    if port.is_empty() || port == default {
        return Ok((host.into(), host_len));
    }
    Ok((format!("{host}:{port}").into(), host_len))
}

/// Of ASCII what no path may have (RFC 3986 §3.3) and parsers of the request line tolerate;
/// [`percent_encoding`] escapes all that is not ASCII in any case.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::AsciiSet::EMPTY
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Also used for paths that purges name, so that they meet what is stored.
pub fn normal_path(path: &str) -> Result<Box<str>, Refused> {
    let is_escaped = |byte: u8| match byte {
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => true,
        other => !other.is_ascii(),
    };
    if path.bytes().any(is_escaped) {
        // Escaped it is what every other spelling of the path becomes, and what purges name.
        return normal_path(&percent_encoding::utf8_percent_encode(path, ESCAPED).to_string());
    }
    if !path.contains('%') {
        return Ok(path.into());
    }
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (plain, escape) = rest.split_at(at);
        normal.push_str(plain);
        let digits = escape.get(1..3).ok_or(Refused::PercentEncoding)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Refused::PercentEncoding);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Refused::PercentEncoding)?;
        match byte {
            0..=0x1f | 0x7f => return Err(Refused::Control),
            b'-' | b'.' | b'_' | b'~' => normal.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => normal.push(char::from(byte)),
            _ => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = escape.get(3..).unwrap_or_default();
    }
    normal.push_str(rest);
    Ok(normal.into())
}

/// `.` and `..`, also with the parameters of RFC 3986 §3.3: servlet containers drop these before they
/// resolve the path.
fn is_dot_segment(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('.') else {
        return false;
    };
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    rest.is_empty() || rest.starts_with(';') || rest.starts_with("%3B")
}

/// Of a normal path: escapes are in upper case, but for what is escaped twice.
fn is_ambiguous(path: &str) -> bool {
    if path.contains("//") || path.contains('\\') {
        return true;
    }
    // Most paths have no escape.
    path.contains('%')
        && path
            .match_indices('%')
            .any(|(at, _)| is_ambiguous_escape(path, at))
}

/// Whether the escape at `at` may be read as a separator or a dot.
fn is_ambiguous_escape(path: &str, at: usize) -> bool {
    let rest = path.get(at..).unwrap_or_default();
    match rest.get(..3) {
        Some("%2F" | "%5C") => true,
        // Escaped twice (or more), for those who unescape twice.
        Some("%25") => rest.get(3..5).is_some_and(|digits| {
            ["2e", "2f", "5c", "3b", "25"]
                .iter()
                .any(|twice| digits.eq_ignore_ascii_case(twice))
        }),
        // Overlong UTF-8 (RFC 3629 §3), which some decode all the same.
        Some("%C0" | "%C1") => rest.get(3..4) == Some("%"),
        Some("%E0") => rest.get(3..6) == Some("%80"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(authority: &str, path: &str) -> Result<TargetUri, Refused> {
        TargetUri::parse("https", authority, path, None)
    }

    #[test]
    fn equivalent_targets_become_the_same() {
        let plain = parse("example.org", "/~a/%C3%BC").unwrap();
        for authority in ["EXAMPLE.org", "example.org:443", "example.org."] {
            assert_eq!(
                parse(authority, "/%7Ea/\u{fc}").unwrap(),
                plain,
                "{authority}"
            );
            assert_eq!(
                parse(authority, "/%7Ea/%c3%bc").unwrap(),
                plain,
                "{authority}"
            );
        }
        let braces = parse("example.org", "/{a}\"").unwrap();
        assert_eq!(braces, parse("example.org", "/%7Ba%7d%22").unwrap());
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        for (path, why) in [
            ("/a/../b", Refused::DotSegment),
            ("/a/%2e%2E/b", Refused::DotSegment),
            ("/a/.", Refused::DotSegment),
            ("/a/..;/b", Refused::DotSegment),
            ("/a/..;x=y/b", Refused::DotSegment),
            ("/a/.%3b/b", Refused::DotSegment),
            ("/a%00.css", Refused::Control),
            ("/a%0d%0ab", Refused::Control),
            ("/a%zz", Refused::PercentEncoding),
            ("/a%4", Refused::PercentEncoding),
            ("*", Refused::Path),
        ] {
            assert_eq!(parse("a.example", path), Err(why), "{path}");
        }
        for host in [
            "",
            "a b",
            "a/b",
            "user@host",
            "a:x",
            "[::1",
            "[zz]",
            "a:123456",
            ".",
            "a..",
            "a..b",
            ".a",
        ] {
            assert_eq!(parse(host, "/"), Err(Refused::Host), "{host}");
        }
    }

    #[test]
    fn paths_on_which_origins_disagree_are_not_cacheable() {
        for path in [
            "/static/..%2faccount",
            "//account",
            "/a%5cb",
            "/a\\b",
            "/static/%252e%252E/account",
            "/static/..%252faccount",
            "/static/..%25252faccount",
            "/static/%c0%ae%c0%ae/account",
            "/static/..%c0%afaccount",
            "/static/..%e0%80%afaccount",
        ] {
            assert!(!parse("a.example", path).unwrap().is_cacheable(), "{path}");
        }
        for path in [
            "/a;b=c",
            "/.well-known",
            "/...",
            "/..a;b",
            "/100%25",
            "/%C3%A0%E0%A4%B9",
        ] {
            assert!(parse("[::1]:8443", path).unwrap().is_cacheable(), "{path}");
        }
    }

    /// Found by fuzzing: `a..` became `a.`, and that `a`.
    #[test]
    fn what_is_normal_stays_as_it_is() {
        for authority in ["A.example.:443", "a.example:8443", "[::1]", "a"] {
            let normal = parse(authority, "/%7e%2f").unwrap();
            assert_eq!(parse(normal.authority(), normal.path()), Ok(normal));
        }
    }

    #[test]
    fn the_host_has_no_port() {
        assert_eq!(parse("[::1]:8443", "/").unwrap().host(), "[::1]");
        assert_eq!(parse("a.example:8443", "/").unwrap().host(), "a.example");
    }
}
