//! From the URLs, hosts and tags that people and CMSs write to the scopes that meet what is stored.
//!
//! Pure. A text is normalised as the target of a request is, because that is what it must meet;
//! what no request could have is refused, because a scope made of it would purge nothing.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

use crate::entry::scope::Scope;
use crate::key::query::QueryRule;
use crate::key::target::{Refused, TargetUri};

/// How wide a URL is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// A URL covers its path with every query.
    pub any_query: bool,
    /// A URL covers its path with and without trailing slash.
    pub slash_variants: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            any_query: true,
            slash_variants: true,
        }
    }
}

/// What the routes make of a query.
pub trait NormalQuery: Send + Sync + 'static {
    /// The forms, without question mark, in which `query` is in the keys of the routes that may
    /// answer `path` on `host`; an empty host is any host. None: no route says.
    fn normal_query(&self, host: &str, path: &str, query: &str) -> Vec<String>;
}

/// A query sorted by name, for paths that no route says otherwise of.
#[derive(Clone, Copy, Debug, Default)]
pub struct SortedQuery;

impl NormalQuery for SortedQuery {
    fn normal_query(&self, _host: &str, _path: &str, query: &str) -> Vec<String> {
        let rule = QueryRule {
            sort: true,
            ..QueryRule::default()
        };
        let mut text = String::new();
        rule.write(Some(query), &mut text);
        vec![text.strip_prefix('?').unwrap_or_default().to_owned()]
    }
}

/// Why a text names no scope.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TargetError {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("it has a control character")]
    Control,
    #[error("it begins neither with `https://` or `http://` nor with a single `/`")]
    NotAUrl,
    #[error("it ends in `*` without `/`: a prefix is aligned to segments and ends in `/*`")]
    Wildcard,
    #[error("a prefix has no query")]
    PrefixQuery,
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// Bytes of a URL or a tag.
pub const TEXT_BYTES_MAX: usize = 8192;

/// What browsers escape in a path (URL Standard, path percent-encode set), escapes aside.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Turns texts into scopes.
#[derive(Clone)]
pub struct Targets {
    settings: Settings,
    queries: Arc<dyn NormalQuery>,
}

/// A URL taken apart and normalised; an empty host is any host.
struct Address {
    host: Box<str>,
    path: Box<str>,
    query: Option<Box<str>>,
}

impl Targets {
    pub fn new(settings: Settings, queries: Arc<dyn NormalQuery>) -> Self {
        Self { settings, queries }
    }

    /// The scopes of a URL, or of a prefix when the text ends in `/*`.
    ///
    /// # Errors
    /// What is not a URL, and what no request can have as its target.
    pub fn url_or_prefix(&self, text: &str) -> Result<Vec<Scope>, TargetError> {
        match text.strip_suffix("/*") {
            Some(above) => Ok(vec![self.prefix(&format!("{above}/"))?]),
            None if text.ends_with('*') => Err(TargetError::Wildcard),
            None => self.url(text),
        }
    }

    /// The scopes of `https://host/path?query`, or of `/path?query` on any host. A `*` stands for
    /// itself. Scheme, port and fragment do not count.
    ///
    /// # Errors
    /// See [`Targets::url_or_prefix`].
    pub fn url(&self, text: &str) -> Result<Vec<Scope>, TargetError> {
        Ok(self.scopes(&address(text)?))
    }

    /// The scope of `https://host/path` or `/path` and all below, aligned to segments. A `*`
    /// stands for itself.
    ///
    /// # Errors
    /// See [`Targets::url_or_prefix`], and for a query.
    pub fn prefix(&self, text: &str) -> Result<Scope, TargetError> {
        let Address { host, path, query } = address(text)?;
        if query.is_some() {
            return Err(TargetError::PrefixQuery);
        }
        let path = path.trim_end_matches('/');
        Ok(match (&*host, path) {
            ("", "") => Scope::Everything,
            (_, "") => Scope::Host(host),
            _ => Scope::Prefix {
                host,
                path: path.into(),
            },
        })
    }

    /// The scopes of the target of a request.
    ///
    /// # Errors
    /// What could not be the target of a request that is answered from the cache.
    pub fn request(
        &self,
        authority: &str,
        path: &str,
        query: Option<&str>,
    ) -> Result<Vec<Scope>, TargetError> {
        if let Some(prefix) = path.strip_suffix("/*") {
            if query.is_some() {
                return Err(TargetError::PrefixQuery);
            }
            return Ok(vec![self.prefix(&format!("https://{authority}{prefix}/"))?]);
        }
        Ok(self.scopes(&normal(Some(authority), path, query)?))
    }

    fn scopes(&self, address: &Address) -> Vec<Scope> {
        let Address { host, path, query } = address;
        let mut scopes = Vec::new();
        for path in self.paths(path) {
            if self.settings.any_query {
                scopes.push(Scope::Path {
                    host: host.clone(),
                    path,
                });
                continue;
            }
            for query in self.queries_of(host, &path, query.as_deref()) {
                scopes.push(Scope::Url {
                    host: host.clone(),
                    path: path.clone(),
                    query: query.into(),
                });
            }
        }
        scopes
    }

    fn paths(&self, path: &str) -> Vec<Box<str>> {
        let mut paths = vec![Box::from(path)];
        if self.settings.slash_variants && path != "/" {
            paths.push(match path.strip_suffix('/') {
                Some(bare) => bare.into(),
                None => format!("{path}/").into(),
            });
        }
        paths
    }

    fn queries_of(&self, host: &str, path: &str, query: Option<&str>) -> Vec<String> {
        let Some(query) = query else {
            return vec![String::new()];
        };
        let queries = self.queries.normal_query(host, path, query);
        if queries.is_empty() {
            return SortedQuery.normal_query(host, path, query);
        }
        queries
    }
}

impl std::fmt::Debug for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Targets")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The scope of a host. Port and case do not count.
///
/// # Errors
/// What is not a host name or address.
pub fn host(text: &str) -> Result<Scope, TargetError> {
    check_text(text)?;
    let target = TargetUri::parse("https", text, "/", None)?;
    Ok(Scope::Host(target.host().into()))
}

/// The scope of a tag, which is taken as it is.
///
/// # Errors
/// When it is empty, too long, or has control characters.
pub fn tag(text: &str) -> Result<Scope, TargetError> {
    check_text(text)?;
    Ok(Scope::tag(text))
}

fn check_text(text: &str) -> Result<(), TargetError> {
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(TargetError::Control);
    }
    Ok(())
}

/// Whether a text can become one of [`Targets::url`] when something is added at its end.
pub(super) fn begins_a_url(text: &str) -> bool {
    after_scheme(text).is_some() || (text.starts_with('/') && !text.starts_with("//"))
}

fn address(text: &str) -> Result<Address, TargetError> {
    check_text(text)?;
    // A fragment is not sent (RFC 9110 §7.1).
    let text = text.split('#').next().unwrap_or_default();
    let (authority, rest) = match after_scheme(text) {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            (Some(authority), rest)
        }
        None if text.starts_with('/') && !text.starts_with("//") => (None, text),
        None => return Err(TargetError::NotAUrl),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // RFC 9110 §4.2.3: an empty path is `/`.
    normal(authority, if path.is_empty() { "/" } else { path }, query)
}

/// What follows `https://` or `http://`, which have no case.
fn after_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        let (found, rest) = text.split_at_checked(scheme.len())?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn normal(
    authority: Option<&str>,
    path: &str,
    query: Option<&str>,
) -> Result<Address, TargetError> {
    const ANY: &str = "any";
    let path = utf8_percent_encode(path, ESCAPED).to_string();
    let query = query.map(|query| utf8_percent_encode(query, ESCAPED).to_string());
    let target = TargetUri::parse("https", authority.unwrap_or(ANY), &path, query.as_deref())?;
    Ok(Address {
        host: authority.map_or_else(Box::default, |_| target.host().into()),
        path: target.path().into(),
        query: target.query().map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(any_query: bool, slash_variants: bool) -> Targets {
        let settings = Settings {
            any_query,
            slash_variants,
        };
        Targets::new(settings, Arc::new(SortedQuery))
    }

    fn shown(scopes: Result<Vec<Scope>, TargetError>) -> Vec<String> {
        scopes.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_url_covers_what_the_settings_say() {
        let url = "https://Example.org:8443/news?b=1&a=2#top";
        assert_eq!(
            shown(targets(true, true).url(url)),
            ["path:example.org/news", "path:example.org/news/"]
        );
        assert_eq!(
            shown(targets(true, false).url(url)),
            ["path:example.org/news"]
        );
        assert_eq!(
            shown(targets(false, true).url(url)),
            [
                "url:example.org/news?a=2&b=1",
                "url:example.org/news/?a=2&b=1"
            ]
        );
        assert_eq!(
            shown(targets(false, false).url("http://example.org")),
            ["url:example.org/"]
        );
    }

    #[test]
    fn a_url_without_host_covers_any_host() {
        assert_eq!(
            shown(targets(true, true).url("/de/news/")),
            ["path:*/de/news/", "path:*/de/news"]
        );
        assert_eq!(shown(targets(true, true).url("/")), ["path:*/"]);
    }

    #[test]
    fn a_text_in_any_writing_meets_the_normal_path() {
        let expected = "path:*/%C3%BCber%20uns";
        for text in ["/über uns", "/%c3%bcber%20uns", "/%C3%BCber uns"] {
            assert_eq!(shown(targets(true, false).url(text)), [expected], "{text}");
        }
        assert_eq!(shown(targets(true, false).url("/%7Ea")), ["path:*/~a"]);
    }

    #[test]
    fn a_text_that_ends_in_slash_and_star_is_a_prefix() {
        let targets = targets(false, true);
        for (text, scope) in [
            ("https://example.org/news/*", "prefix:example.org/news"),
            ("/assets/7/*", "prefix:*/assets/7"),
            ("https://example.org/*", "host:example.org"),
            ("/*", "everything"),
        ] {
            assert_eq!(shown(targets.url_or_prefix(text)), [scope], "{text}");
        }
        assert_eq!(targets.url_or_prefix("/news*"), Err(TargetError::Wildcard));
        assert_eq!(shown(targets.url("/a/*"))[0], "url:*/a/*");
    }

    #[test]
    fn what_no_request_can_have_is_refused() {
        let targets = targets(true, true);
        for (text, why) in [
            ("", TargetError::Empty),
            ("news", TargetError::NotAUrl),
            ("example.org/news", TargetError::NotAUrl),
            ("//example.org/news", TargetError::NotAUrl),
            ("ftp://example.org/", TargetError::NotAUrl),
            ("/a\nb", TargetError::Control),
            ("https:///a", TargetError::Refused(Refused::Host)),
            (
                "https://user@example.org/",
                TargetError::Refused(Refused::Host),
            ),
            ("/a/../b", TargetError::Refused(Refused::DotSegment)),
            ("/a%0ab", TargetError::Refused(Refused::Control)),
            ("/a%zz", TargetError::Refused(Refused::PercentEncoding)),
        ] {
            assert_eq!(targets.url(text), Err(why), "{text:?}");
        }
        let long = format!("/{}", "a".repeat(TEXT_BYTES_MAX));
        assert_eq!(targets.url(&long), Err(TargetError::TooLong));
    }

    #[test]
    fn a_prefix_has_no_query() {
        let targets = targets(true, true);
        assert_eq!(targets.prefix("/a?b=c"), Err(TargetError::PrefixQuery));
        assert_eq!(
            targets.request("h", "/a/*", Some("b")),
            Err(TargetError::PrefixQuery)
        );
        assert_eq!(targets.prefix("/a/").unwrap().to_string(), "prefix:*/a");
    }

    #[test]
    fn the_routes_say_how_a_query_is_keyed() {
        struct Routes;
        impl NormalQuery for Routes {
            fn normal_query(&self, host: &str, path: &str, query: &str) -> Vec<String> {
                assert_eq!((host, query), ("h", "x=1&page=2"));
                match path {
                    "/a" => vec!["page=2".to_owned(), "x=1&page=2".to_owned()],
                    _ => Vec::new(),
                }
            }
        }
        let settings = Settings {
            any_query: false,
            slash_variants: true,
        };
        let targets = Targets::new(settings, Arc::new(Routes));
        assert_eq!(
            shown(targets.request("h:80", "/a", Some("x=1&page=2"))),
            [
                "url:h/a?page=2",
                "url:h/a?x=1&page=2",
                "url:h/a/?page=2&x=1"
            ]
        );
    }

    #[test]
    fn hosts_and_tags_are_checked() {
        assert_eq!(
            host("Example.ORG:443").unwrap().to_string(),
            "host:example.org"
        );
        assert_eq!(
            host("*.example.org"),
            Err(TargetError::Refused(Refused::Host))
        );
        assert_eq!(host(""), Err(TargetError::Empty));
        assert_eq!(tag("article:1").unwrap(), Scope::tag("article:1"));
        assert_eq!(tag("a\u{7f}b"), Err(TargetError::Control));
    }
}
