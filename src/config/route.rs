//! `[[route]]`: which requests, to which CMS, kept for how long, under which tags.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json_path::JsonPath;

use super::describe::{Presence, Sample, Style};
use super::language::Language;
use super::operation::{LIFETIME_MAX, LIFETIME_MIN, Tiers};
use super::pattern::{HostPattern, PathPattern, Template};
use super::rules::{BypassRule, Compress, CookieRule, QueryRule};
use super::section::{Section, Wrong, default, required};

#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub name: String,
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Empty: all.
    pub methods: Vec<Method>,
    pub upstream: String,
    pub cache: bool,
    pub lifetime: Lifetime,
    /// Bytes.
    pub max_object_size: usize,
    pub strict_private: bool,
    pub query: QueryRule,
    pub cookies: CookieRule,
    pub bypass: BypassRule,
    pub vary_ignore: Vec<HeaderName>,
    /// Empty: all but the known poisoning vectors.
    pub forward_headers: Vec<HeaderName>,
    pub language: Option<Language>,
    pub tags: RouteTags,
    pub compress: Compress,
}

/// How long what a route stores is fresh, and usable when it is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lifetime {
    pub ttl: Duration,
    pub ttl_mode: TtlMode,
    pub ttl_max: Duration,
    pub ttl_by_status: Vec<(StatusPattern, Duration)>,
    /// `None`: `max-age=0, must-revalidate` where the lifetime came from the rule.
    pub browser_ttl: Option<Duration>,
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    pub hit_for_miss: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TtlMode {
    Default,
    Cap,
    Floor,
    Override,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum StatusPattern {
    Code(u16),
    /// The first digit: 5 is 500 to 599.
    Class(u8),
}

/// Where the tags of a stored response come from.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTags {
    pub tags: Vec<Template>,
    pub collections: Vec<Template>,
    pub from_body: Vec<JsonPath>,
    pub from_body_prefix: String,
    pub from_headers: Vec<HeaderName>,
}

const ROUTE: &str = "A route takes the requests that match its hosts, path and methods; the first \
    in the order of the file wins. This one takes everything.";

/// In the order of the file.
pub(super) fn routes(parent: &Section<'_>, tiers: &Tiers) -> Vec<Route> {
    let sections = parent.array("route", Style::Array, ROUTE);
    sections.iter().map(|s| read(s, tiers)).collect()
}

fn read(s: &Section<'_>, tiers: &Tiers) -> Route {
    let name = name(s);
    let (hosts, path, methods) = reach(s);
    let (upstream, cache) = destination(s);
    let lifetime = lifetime(s, tiers);
    let (max_object_size, strict_private) = limits(s);
    let (vary_ignore, forward_headers) = headers(s);
    let tags = tags(s);
    let query = QueryRule::read(s);
    let cookies = CookieRule::read(s);
    let bypass = BypassRule::read(s);
    let compress = Compress::read(s);
    let language = Language::read(s);
    let route = Route {
        name,
        hosts,
        path,
        methods,
        upstream,
        cache,
        lifetime,
        max_object_size,
        strict_private,
        query,
        cookies,
        bypass,
        vary_ignore,
        forward_headers,
        language,
        tags,
        compress,
    };
    check_templates(s, &route);
    route
}

fn name(s: &Section<'_>) -> String {
    let name = s.text(
        "name",
        required("everything"),
        super::NAME,
        "What logs, metrics and `explain` call the route. Unique.",
        super::name,
    );
    name.unwrap_or_default()
}

fn reach(s: &Section<'_>) -> (Vec<HostPattern>, PathPattern, Vec<Method>) {
    let hosts = s.list(
        "hosts",
        Presence::Default(Sample::List(&["*"])),
        "a host without a port like \"www.example.org\", \"*.example.org\" or \"*\"",
        "The hosts it is for. \"*\" is every host, with every name that a stranger may send: each \
         has its own copies.",
        |text| HostPattern::parse(text).ok_or_else(Wrong::default),
    );
    let path = s.text(
        "path",
        required("/*"),
        "a path like \"/api/articles/{id}\", \"/files/{*rest}\" or \"/static/*\"",
        "{name} is one segment, {*name} or * at the end is all that follows. The names are for \
         templates.",
        |text| PathPattern::parse(text).map_err(Wrong::because),
    );
    let methods = s.list(
        "methods",
        Presence::Default(Sample::List(&[])),
        "a method like \"GET\"",
        "The methods it is for; empty is all. Only GET and HEAD are ever answered from the cache; \
         with these two alone, what the CMS's forms send needs a route of its own.",
        |text| match text.parse::<Method>() {
            Ok(method) if !text.bytes().any(|b| b.is_ascii_lowercase()) => Ok(method),
            _ => Err(Wrong::default()),
        },
    );
    if hosts.is_empty() && s.is_given("hosts") {
        s.object("hosts", "an empty list", "at least one host, or \"*\"");
    }
    (hosts, path.unwrap_or_default(), methods)
}

fn destination(s: &Section<'_>) -> (String, bool) {
    let upstream = s.text(
        "upstream",
        required("cms"),
        "the name of an [upstream.NAME]",
        "Where its requests go.",
        |text| Ok(text.to_owned()),
    );
    let cache = s.boolean(
        "cache",
        true,
        "false: everything is passed to the CMS, and nothing is stored.",
    );
    (upstream.unwrap_or_default(), cache)
}

const TTL: &str = "a tier of [ttl] or a duration like \"5m\"";

fn ttl(
    s: &Section<'_>,
    tiers: &Tiers,
    name: &'static str,
    text: &'static str,
    doc: &'static str,
) -> Duration {
    s.text(name, default(text), TTL, doc, |text| tiers.resolve(text))
        .unwrap_or_default()
}

fn lifetime(s: &Section<'_>, tiers: &Tiers) -> Lifetime {
    let modes = [
        ("default", TtlMode::Default),
        ("cap", TtlMode::Cap),
        ("floor", TtlMode::Floor),
        ("override", TtlMode::Override),
    ];
    let lifetime = Lifetime {
        ttl: ttl(
            s,
            tiers,
            "ttl",
            "long",
            "The freshness lifetime of what it stores. Short: the CMS is asked more often. Long: \
             what no purge reaches stays old for longer.",
        ),
        ttl_mode: s.choice(
            "ttl_mode",
            TtlMode::Default,
            &modes,
            "How `ttl` and the CMS's own freshness combine: `ttl` only where the CMS is silent, \
             as an upper bound, as a lower bound, or instead of it (no-cache included; private, \
             no-store and Set-Cookie always hold).",
        ),
        ttl_max: ttl(
            s,
            tiers,
            "ttl_max",
            "24h",
            "No lifetime is longer, whoever asks for it: the time after which even a lost purge \
             no longer matters.",
        ),
        ttl_by_status: ttl_by_status(s, tiers),
        browser_ttl: s.optional_duration(
            "browser_ttl",
            LIFETIME_MIN..=LIFETIME_MAX,
            "What browsers are told, who cannot be purged. Empty: to ask again each time (which \
             costs a 304) where the lifetime came from this rule; the CMS's own words otherwise.",
        ),
        stale_while_revalidate: s.duration(
            "stale_while_revalidate",
            "30s",
            "0s"..="365d",
            "How long after its lifetime a response may be served while a new one is fetched. 0s: \
             somebody waits for the CMS each time.",
        ),
        stale_if_error: s.duration(
            "stale_if_error",
            "1h",
            "0s"..="365d",
            "How long after its lifetime a response may be served when the CMS fails. 0s: errors \
             are shown at once. Never over a hard purge.",
        ),
        hit_for_miss: s.duration(
            "hit_for_miss",
            "10s",
            "0s"..="1h",
            "How long a URL that turned out not to be storable is remembered as such, so that its \
             requests do not wait for each other. 0s: they do.",
        ),
    };
    check_lifetime(s, &lifetime);
    lifetime
}

fn ttl_by_status(s: &Section<'_>, tiers: &Tiers) -> Vec<(StatusPattern, Duration)> {
    let defaults = &[
        ("404", Sample::Text("30s")),
        ("410", Sample::Text("5m")),
        ("301", Sample::Text("1h")),
        ("5xx", Sample::Text("0s")),
    ];
    s.table_of_text(
        "ttl_by_status",
        Presence::Default(Sample::Table(defaults)),
        ("a status like \"404\" or a class like \"5xx\"", TTL),
        "Lifetimes for single statuses, instead of `ttl`. A table here replaces this one as a \
         whole. A long 404 hides a page that is published meanwhile, unless it is purged.",
        |status, text| {
            let pattern = StatusPattern::parse(status).ok_or_else(|| Wrong {
                found: Some(format!("the status {status:?}")),
                allowed: Some("200 to 599, or a class from \"2xx\" to \"5xx\"".to_owned()),
                ..Wrong::default()
            })?;
            Ok((pattern, tiers.resolve(text)?))
        },
    )
}

impl StatusPattern {
    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse().ok()?;
            return (text.len() == 3 && (2..=5).contains(&class)).then_some(Self::Class(class));
        }
        let code = text.parse().ok()?;
        (text.len() == 3 && (200..=599).contains(&code)).then_some(Self::Code(code))
    }
}

fn check_lifetime(s: &Section<'_>, lifetime: &Lifetime) {
    let max = s.path.key("ttl_max");
    if !s.reader.is_sound(&max) {
        return;
    }
    let longest = format!("at most ttl_max, {}", seconds(lifetime.ttl_max));
    if lifetime.ttl > lifetime.ttl_max {
        let found = format!("a lifetime of {}", seconds(lifetime.ttl));
        // The key that the file gives is the one to change.
        if s.is_given("ttl") || !s.is_given("ttl_max") {
            s.object("ttl", &found, &longest);
        } else {
            let found = format!("{}, less than ttl", seconds(lifetime.ttl_max));
            let allowed = format!("at least ttl, {}", seconds(lifetime.ttl));
            s.object("ttl_max", &found, &allowed);
        }
    }
    if !s.is_given("ttl_by_status") {
        return;
    }
    for (status, ttl) in &lifetime.ttl_by_status {
        if *ttl > lifetime.ttl_max {
            let status = match status {
                StatusPattern::Code(code) => code.to_string(),
                StatusPattern::Class(class) => format!("{class}xx"),
            };
            let path = s.path.key("ttl_by_status").key(&status);
            let found = format!("a lifetime of {}", seconds(*ttl));
            s.reader.object(&path, &found, &longest);
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

fn limits(s: &Section<'_>) -> (usize, bool) {
    let max_object_size = s.size(
        "max_object_size",
        "8MiB",
        "1KiB"..="1GiB",
        "Bytes of a body that is stored; larger ones stream through. High: one film pushes a \
         thousand pages out.",
    );
    let strict_private = s.boolean(
        "strict_private",
        true,
        "private and no-store in Cache-Control hold even where a targeted field (RFC 9213) allows \
         storing. false: the targeted field wins.",
    );
    (max_object_size, strict_private)
}

fn headers(s: &Section<'_>) -> (Vec<HeaderName>, Vec<HeaderName>) {
    let vary_ignore = s.header_names(
        "vary_ignore",
        &[],
        "Fields that Vary may name without a copy for each of their values. Wrong: one client's \
         form of a page is given to another.",
    );
    let forward_headers = s.header_names(
        "forward_headers",
        &[],
        "The only request fields that the CMS sees. Empty: all but those that are known to poison \
         caches. What the CMS answers by and the key does not know is given to the wrong client.",
    );
    (vary_ignore, forward_headers)
}

const TEMPLATE: &str =
    "a tag; {name} of the path, {language}, {query.NAME} and {host} are replaced";
const TAG_HEADERS: &[&str] = &[
    "Surrogate-Key",
    "Cache-Tag",
    "Cache-Tags",
    "X-Cache-Tags",
    "xkey",
    "Purge-Cache-Tags",
    "X-Magento-Tags",
];

fn tags(s: &Section<'_>) -> RouteTags {
    let templates = |name, doc| {
        s.list(
            name,
            Presence::Default(Sample::List(&[])),
            TEMPLATE,
            doc,
            |text| Template::parse(text).map_err(Wrong::because),
        )
    };
    RouteTags {
        tags: templates(
            "tags",
            "Tags that what it stores gets, e.g. \"article:{id}:{language}\". Without tags only \
             its URL, or everything, can be purged.",
        ),
        collections: templates(
            "collections",
            "Tags of lists, e.g. \"articles:{language}\": an entry that enters a list is in no \
             stored body, so that only such a tag reaches the list.",
        ),
        from_body: s.list(
            "tags_from_body",
            Presence::Default(Sample::List(&[])),
            "a JSONPath (RFC 9535) like \"$.data[*].documentId\"",
            "What in a JSON body becomes tags. A body in which that fails is not stored.",
            |text| JsonPath::parse(text).map_err(|error| Wrong::because(error.to_string())),
        ),
        from_body_prefix: s
            .text(
                "tags_from_body_prefix",
                default(""),
                "\"\", or the beginning of a tag without spaces, commas and braces",
                "What stands before each tag from the body, e.g. \"article:\".",
                |text| {
                    let bad = |c: char| c.is_whitespace() || c.is_control() || ",{}".contains(c);
                    if text.contains(bad) {
                        return Err(Wrong::default());
                    }
                    Ok(text.to_owned())
                },
            )
            .unwrap_or_default(),
        from_headers: s.header_names(
            "tags_from_headers",
            TAG_HEADERS,
            "Response fields in which the CMS names tags. They never reach the client.",
        ),
    }
}

/// A template names what the route has, or the mistake would show only when nothing is purged.
fn check_templates(s: &Section<'_>, route: &Route) {
    if !s.reader.is_sound(&s.path.key("path")) {
        return;
    }
    let has_language =
        route.language.is_some() || route.path.captures().any(|name| name == "language");
    let lists = [
        ("tags", &route.tags.tags),
        ("collections", &route.tags.collections),
    ];
    for (key, templates) in lists {
        // Elements that were refused are missing: the rest has other indices than in the file.
        if !s.reader.is_sound(&s.path.key(key)) {
            continue;
        }
        for (index, template) in templates.iter().enumerate() {
            let path = s.path.key(key).index(index);
            for field in template.fields() {
                check_field(s, &path, route, field, has_language);
            }
        }
    }
}

fn check_field(
    s: &Section<'_>,
    path: &super::key_path::KeyPath,
    route: &Route,
    field: &str,
    has_language: bool,
) {
    let is_query = field
        .strip_prefix("query.")
        .is_some_and(|name| !name.is_empty());
    let is_known = is_query || field == "host" || route.path.captures().any(|name| name == field);
    if is_known || (field == "language" && has_language) {
        return;
    }
    if field == "language" {
        let allowed = "a [route.language] table beside it, or {language} in the path";
        s.reader
            .object(path, "{language} in a route without languages", allowed);
        return;
    }
    let mut allowed: Vec<String> = route
        .path
        .captures()
        .chain(has_language.then_some("language"))
        .map(|name| format!("{{{name}}}"))
        .collect();
    allowed.dedup();
    allowed.extend(["{query.NAME}".to_owned(), "{host}".to_owned()]);
    let found = format!("{{{field}}}, which the path does not have");
    s.reader.object(path, &found, &allowed.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_code_or_a_class() {
        assert_eq!(StatusPattern::parse("404"), Some(StatusPattern::Code(404)));
        assert_eq!(StatusPattern::parse("5xx"), Some(StatusPattern::Class(5)));
        for text in [
            "", "99", "100", "600", "1xx", "6xx", "xx", "+40", "4x", "0404", "5XX",
        ] {
            assert_eq!(StatusPattern::parse(text), None, "{text}");
        }
    }
}
