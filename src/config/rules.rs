//! The rules inside a route: `query`, `cookies`, `bypass`, `compress`.

use super::describe::{Presence, Sample};
use super::getters::{HEADER_NAME, header_name};
use super::profile;
use super::section::{Section, Wrong};
use super::server::bounded;
use crate::key::query::Pattern;
use crate::key::{CookieRule, QueryRule};
use crate::policy::Profile;
use crate::route::compress::TYPES;
use crate::route::{BypassRule, CompressRule};

const PARAMETER: &str = "a parameter's name like \"page\" or \"utm_*\"";

/// The rule, and whether the parameters that do not count are forwarded all the same.
pub(super) fn query(parent: &Section<'_>, profile: Profile) -> (QueryRule, bool) {
    let s = parent.section("query", "Which part of the query makes another page.");
    let keep = s.list(
        "keep",
        Presence::Default(Sample::List(&[])),
        PARAMETER,
        "Only these parameters count; then `drop` is left out. Empty: all but those of `drop`. \
         Too few: different pages are taken for one.",
        parameter,
    );
    let drop = s.list(
        "drop",
        Presence::Default(Sample::List(&["utm_*", "gclid", "fbclid"])),
        PARAMETER,
        "Parameters that make no difference. Too few: each click of a campaign is a page of its \
         own.",
        parameter,
    );
    if !keep.is_empty() && !drop.is_empty() && s.is_given("drop") {
        let allowed = "`keep` or `drop`: what is not kept is dropped";
        s.object("drop", "parameters in `keep` and in `drop`", allowed);
    }
    let sort = s.boolean(
        "sort",
        true,
        "a=1&b=2 and b=2&a=1 are one page. false: for a CMS that minds the order of names; the \
         order of one name's values always counts.",
    );
    let sort = profile::or(profile, &s, "sort", sort, false);
    let drop = profile::or_nothing(profile, &s, "drop", drop);
    let no_vary_search = s.boolean(
        "no_vary_search",
        false,
        "Hear No-Vary-Search (draft-ietf-httpbis-no-vary-search-05), by which the CMS says with a \
         response which parameters make no difference. A purge of one URL then ends all that is \
         stored for several URLs of its path. false: each of them is a page of its own.",
    );
    let no_vary_search = profile::or(profile, &s, "no_vary_search", no_vary_search, true);
    let rule = QueryRule {
        no_vary_search,
        drop: if keep.is_empty() { drop } else { Vec::new() },
        keep,
        sort,
    };
    let forward_dropped = s.boolean(
        "forward_dropped",
        false,
        "The CMS sees the parameters that do not count. true: what it makes of them is given to \
         everybody.",
    );
    (rule, forward_dropped)
}

fn parameter(text: &str) -> Result<Pattern, Wrong> {
    plain(text)?;
    pattern(text)
}

fn pattern(text: &str) -> Result<Pattern, Wrong> {
    Pattern::parse(text).map_err(|error| Wrong::because(error.to_string()))
}

/// What may stand in a query as it is.
fn plain(text: &str) -> Result<&str, Wrong> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "&=#?".contains(c);
    if text.is_empty() || text.contains(bad) {
        return Err(Wrong::default());
    }
    Ok(text)
}

const COOKIE: &str = "a cookie's name like \"sessionid\" or \"wordpress_logged_in_*\"";

/// What people have who are signed in to, or preview with, Wagtail and Django, Directus, Payload,
/// WordPress, Next.js and Prismic. Anonymous visitors have none of them.
const SESSIONS: &[&str] = &[
    "sessionid",
    "directus_session_token",
    "payload-token",
    "wordpress_logged_in_*",
    "__prerender_bypass",
    "__next_preview_data",
    "io.prismic.preview",
];

pub(super) fn cookies(parent: &Section<'_>, profile: Profile) -> CookieRule {
    let s = parent.section("cookies", "What cookies mean.");
    let rule = CookieRule {
        bypass: s.list(
            "bypass",
            Presence::Default(Sample::List(SESSIONS)),
            COOKIE,
            "A request with one of these is neither answered from the cache nor stored, and the \
             CMS sees all its cookies: those of people who are signed in or preview. One too few: \
             they get what everybody gets. One that every visitor has turns the cache off.",
            cookie,
        ),
        keep: s.list(
            "keep",
            Presence::Default(Sample::List(&[])),
            COOKIE,
            "Cookies that the CMS sees although the route is cached, e.g. that of a currency. \
             Each of their values has copies of its own.",
            cookie,
        ),
        forward: s.boolean(
            "forward",
            false,
            "The CMS sees all cookies. true: it may answer by them, and unless it says so in \
             Vary, one visitor's page is given to all.",
        ),
    };
    CookieRule {
        bypass: profile::or_nothing(profile, &s, "bypass", rule.bypass),
        forward: profile::or(profile, &s, "forward", rule.forward, true),
        ..rule
    }
}

/// RFC 6265 §4.1.1: a token, as the name of a field.
fn cookie(text: &str) -> Result<Pattern, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(Wrong::default());
    }
    pattern(text)
}

/// Parameters with which CMSs show what is not published, or show more to those who may see it.
const PREVIEWS: &[&str] = &[
    "preview",
    "draft",
    "access_token",
    "status=draft",
    "publicationState=preview",
];

pub(super) fn bypass(parent: &Section<'_>, profile: Profile) -> BypassRule {
    let doc = "Marks of a preview, or of a request with rights of its own: it is never looked up \
        nor stored, and is answered private, no-store.";
    let s = parent.section("bypass", doc);
    let rule = BypassRule {
        query: s.list(
            "query",
            Presence::Default(Sample::List(PREVIEWS)),
            "a parameter like \"preview\" or \"status=draft\"",
            "Parameters, whatever their value, or a parameter with one value. They count before \
             `drop`. One too few: a draft may be stored, and shown to everybody.",
            marker,
        ),
        headers: s.list(
            "header",
            Presence::Default(Sample::List(&["Authorization"])),
            HEADER_NAME,
            "Request fields, whatever their value. Without \"Authorization\" here, a response to a \
             request with it is stored only where the CMS allows that in so many words (RFC 9111 \
             §3.5).",
            header_name,
        ),
    };
    BypassRule {
        query: profile::or_nothing(profile, &s, "query", rule.query),
        headers: profile::or_nothing(profile, &s, "header", rule.headers),
    }
}

fn marker(text: &str) -> Result<(Box<str>, Option<Box<str>>), Wrong> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if value.is_some_and(|value| value.contains(['&', '#'])) {
        return Err(Wrong::default());
    }
    Ok((plain(name)?.into(), value.map(Into::into)))
}

pub(super) fn compress(parent: &Section<'_>) -> CompressRule {
    let s = parent.section("compress", "Compression of what the CMS sends without it.");
    let rule = CompressRule {
        enabled: s.boolean("enabled", true, "false: bodies pass as the CMS sent them."),
        types: s.list(
            "types",
            Presence::Default(Sample::List(&TYPES)),
            "a media type like \"text/html\", \"text/*\" or \"*+json\"",
            "The media types that are worth it. Pictures and films are compressed already.",
            media_type,
        ),
        size_min: s.size(
            "min_size",
            "1KiB",
            "0B"..="1GiB",
            "Bytes below which a body is left alone: it would hardly shrink.",
        ),
        gzip: bounded(s.integer(
            "gzip",
            5,
            1..=9,
            "Effort, from fast to small. Above 6 costs much for little.",
        )),
        brotli: bounded(s.integer(
            "brotli",
            4,
            0..=11,
            "Effort, from fast to small. Above 6 is for what is stored for days.",
        )),
    };
    let Some(levels) = s.reader.operator.compression else {
        return rule;
    };
    let unless_given = |key, given: u32, level| {
        if s.is_given(key) {
            given
        } else {
            bounded(level)
        }
    };
    CompressRule {
        gzip: unless_given("gzip", rule.gzip, levels.gzip),
        brotli: unless_given("brotli", rule.brotli, levels.brotli),
        ..rule
    }
}

fn media_type(text: &str) -> Result<Box<str>, Wrong> {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let is_good = match (text.split_once('/'), text.strip_prefix("*+")) {
        (None, Some(suffix)) => is_token(suffix),
        (Some((kind, subtype)), _) => is_token(kind) && (subtype == "*" || is_token(subtype)),
        (None, None) => false,
    };
    if !is_good {
        return Err(Wrong::default());
    }
    Ok(text.to_ascii_lowercase().into())
}
