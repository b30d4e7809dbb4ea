//! The rules inside a route: `query`, `cookies`, `bypass`, `compress`.

use http::HeaderName;

use super::describe::{Presence, Sample};
use super::getters::{HEADER_NAME, header_name};
use super::section::{Section, Wrong};

/// Which query parameters are part of the key. `keep` and `drop` are never both set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryRule {
    /// Names or globs; not empty: only these.
    pub keep: Vec<String>,
    /// Names or globs: all but these.
    pub drop: Vec<String>,
    pub sort: bool,
    pub forward_dropped: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieRule {
    pub bypass: Vec<String>,
    pub keep: Vec<String>,
    pub forward: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BypassRule {
    pub query: Vec<QueryMarker>,
    pub header: Vec<HeaderName>,
}

/// `preview`, or `status=draft`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryMarker {
    pub name: String,
    /// `None`: any.
    pub value: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compress {
    pub enabled: bool,
    /// `type/subtype` or `type/*`, in lower case.
    pub types: Vec<String>,
    /// Bytes.
    pub min_size: usize,
    pub gzip: u8,
    pub brotli: u8,
}

const PARAMETER: &str = "a parameter's name like \"page\" or \"utm_*\"";

impl QueryRule {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("query", "Which part of the query makes another page.");
        let keep = s.list(
            "keep",
            Presence::Default(Sample::List(&[])),
            PARAMETER,
            "Only these parameters count; then `drop` is left out. Empty: all but those of \
             `drop`. Too few: different pages are taken for one.",
            parameter,
        );
        let drop = s.list(
            "drop",
            Presence::Default(Sample::List(&["utm_*", "gclid", "fbclid"])),
            PARAMETER,
            "Parameters that make no difference. Too few: each click of a campaign is a page of \
             its own.",
            parameter,
        );
        if !keep.is_empty() && !drop.is_empty() && s.is_given("drop") {
            let allowed = "`keep` or `drop`: what is not kept is dropped";
            s.object("drop", "parameters in `keep` and in `drop`", allowed);
        }
        let drop = if keep.is_empty() { drop } else { Vec::new() };
        Self {
            keep,
            drop,
            sort: s.boolean(
                "sort",
                true,
                "a=1&b=2 and b=2&a=1 are one page. false: for a CMS that minds the order of \
                 names; the order of one name's values always counts.",
            ),
            forward_dropped: s.boolean(
                "forward_dropped",
                false,
                "The CMS sees the parameters that do not count. true: what it makes of them is \
                 given to everybody.",
            ),
        }
    }
}

fn parameter(text: &str) -> Result<String, Wrong> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "&=#?".contains(c);
    if text.is_empty() || text.contains(bad) {
        return Err(Wrong::default());
    }
    Ok(text.to_owned())
}

const COOKIE: &str = "a cookie's name like \"sessionid\"";

impl CookieRule {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("cookies", "What cookies mean.");
        Self {
            bypass: s.list(
                "bypass",
                Presence::Default(Sample::List(&["sessionid"])),
                COOKIE,
                "A request with one of these is neither answered from the cache nor stored: those \
                 of people who are signed in. One that every visitor has turns the cache off.",
                cookie,
            ),
            keep: s.list(
                "keep",
                Presence::Default(Sample::List(&[])),
                COOKIE,
                "Cookies that the CMS sees although the route is cached, e.g. that of the \
                 language.",
                cookie,
            ),
            forward: s.boolean(
                "forward",
                false,
                "The CMS sees all cookies. true: it may answer by them, and unless it says so in \
                 Vary, one visitor's page is given to all.",
            ),
        }
    }
}

/// RFC 6265 §4.1.1: a token, as the name of a field.
fn cookie(text: &str) -> Result<String, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(Wrong::default());
    }
    Ok(text.to_owned())
}

impl BypassRule {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let doc = "Marks of a preview, or of a request with rights of its own: it is never looked \
            up nor stored, and is answered private, no-store.";
        let s = parent.section("bypass", doc);
        Self {
            query: s.list(
                "query",
                Presence::Default(Sample::List(&["preview", "access_token", "status=draft"])),
                "a parameter like \"preview\" or \"status=draft\"",
                "Parameters, or a parameter with one value. One too few: a draft may be stored.",
                marker,
            ),
            header: s.list(
                "header",
                Presence::Default(Sample::List(&["Authorization"])),
                HEADER_NAME,
                "Request fields, whatever their value.",
                header_name,
            ),
        }
    }
}

fn marker(text: &str) -> Result<QueryMarker, Wrong> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if value
        .as_ref()
        .is_some_and(|value| value.contains(['&', '#']))
    {
        return Err(Wrong::default());
    }
    let name = parameter(name)?;
    Ok(QueryMarker { name, value })
}

const TYPES: &[&str] = &[
    "text/html",
    "text/css",
    "text/plain",
    "text/xml",
    "text/javascript",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/xml",
    "application/rss+xml",
    "application/atom+xml",
    "image/svg+xml",
];

impl Compress {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("compress", "Compression of what the CMS sends without it.");
        Self {
            enabled: s.boolean("enabled", true, "false: bodies pass as the CMS sent them."),
            types: s.list(
                "types",
                Presence::Default(Sample::List(TYPES)),
                "a media type like \"text/html\" or \"text/*\"",
                "The media types that are worth it. Pictures and films are compressed already.",
                media_type,
            ),
            min_size: s.size(
                "min_size",
                "1KiB",
                "0B"..="1GiB",
                "Bytes below which a body is left alone: it would hardly shrink.",
            ),
            gzip: super::server::bounded(s.integer(
                "gzip",
                5,
                1..=9,
                "Effort, from fast to small. Above 6 costs much for little.",
            )),
            brotli: super::server::bounded(s.integer(
                "brotli",
                4,
                0..=11,
                "Effort, from fast to small. Above 6 is for what is stored for days.",
            )),
        }
    }
}

fn media_type(text: &str) -> Result<String, Wrong> {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    match text.split_once('/') {
        Some((kind, subtype)) if token(kind) && (subtype == "*" || token(subtype)) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(Wrong::default()),
    }
}
