//! `[[route]]`: which requests, to which CMS, kept for how long, under which tags.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json_path::JsonPath;

use super::describe::{Presence, Sample, Style};
use super::getters::near;
use super::mistake::nearest;
use super::operation::{LIFETIME_MAX, LIFETIME_MIN, Tiers};
use super::operator::CACHE_TTL;
use super::section::{Section, Wrong, default, required};
use super::upstream::Upstream;
use super::{language, profile, rules, told, units};
use crate::key::{Fingerprint, Folding, KeyRule, VaryRule};
use crate::policy::{CacheRule, Profile, StatusTtl, TtlMode};
use crate::respond::head::handled_fields;
use crate::route::tags::{BadTemplate, Template};
use crate::route::{HostPattern, PathPattern, Route, TagRule};
use crate::switches::RouteSwitch;

/// The most that a route may allow, in bytes.
const REQUEST_BODY_MAX: u64 = 64 << 30;

const ROUTE: &str = "A route takes the requests that match its hosts, path and methods; the first \
    in the order of the file wins. This one takes everything.";

/// In the order of the file.
pub(super) fn routes(parent: &Section<'_>, tiers: &Tiers, upstreams: &[Upstream]) -> Vec<Route> {
    let sections = parent.array("route", Style::Array, ROUTE);
    sections.iter().map(|s| read(s, tiers, upstreams)).collect()
}

fn read(s: &Section<'_>, tiers: &Tiers, upstreams: &[Upstream]) -> Route {
    let name = name(s);
    let (hosts, path, methods) = reach(s);
    let upstream = upstream(s, upstreams);
    let is_cached = s.boolean(
        "cache",
        true,
        "false: everything is passed to the CMS, and nothing is stored.",
    );
    let profile = profile::read(s);
    let upgrades = upgrades(s);
    let cache = cache_rule(s, tiers, profile);
    let (mut ignored, forward_headers, key_headers) = headers(s);
    let tags = tags(s, &path);
    let (query, forward_dropped) = rules::query(s, profile);
    let cookies = rules::cookies(s, profile);
    let bypass = rules::bypass(s, profile);
    let compress = rules::compress(s);
    let request_body_max = request_body_max(s);
    let cache_status_key = told::cache_status_key(s);
    let language = language::read(s);
    let folding = match profile {
        Profile::Cms => Folding::Careful,
        Profile::Rfc => Folding::Full,
    };
    ignored.extend(handled_fields(language.is_some(), cookies.forward));
    Route {
        name: name.into(),
        index: 0,
        hosts,
        path,
        methods,
        upstream,
        cache: is_cached.then_some(cache),
        key: KeyRule {
            // `Config::routes` sets it, which knows the names of upstreams.
            rules: Fingerprint::default(),
            query,
            language,
            cookies,
            fields: key_headers,
        },
        vary: VaryRule { ignored, folding },
        bypass,
        forward_headers,
        forward_dropped,
        tags,
        compress,
        request_body_max,
        cache_status_key,
        switch: RouteSwitch::default(),
        upgrades,
    }
}

fn request_body_max(s: &Section<'_>) -> Option<u64> {
    let form = "\"\", or bytes like \"64KiB\", at most 64GiB";
    let doc = "Bytes of a request's body on this route, where it is not server.request_body_max: \
        more for uploads of media, less for forms.";
    let taken = s.text(
        "request_body_max",
        default(""),
        form,
        doc,
        |text| match text {
            "" => Ok(None),
            text => units::size(text)
                .filter(|size| *size <= REQUEST_BODY_MAX)
                .map(Some)
                .ok_or_else(Wrong::default),
        },
    );
    taken.flatten()
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
        |text| HostPattern::parse(text).map_err(|_| Wrong::default()),
    );
    let path = s.text(
        "path",
        required("/*"),
        "a path like \"/api/articles/{id}\", \"/files/{*rest}\" or \"/static/*\"",
        "{name} is one segment, {*name} or * at the end is all that follows. The names are for \
         templates.",
        |text| PathPattern::parse(text).map_err(|error| Wrong::because(error.to_string())),
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

/// Its place among the upstreams.
fn upstream(s: &Section<'_>, upstreams: &[Upstream]) -> usize {
    let names = || upstreams.iter().map(|upstream| upstream.name.as_str());
    let index = s.text(
        "upstream",
        required("cms"),
        "the name of an [upstream.NAME]",
        "Where its requests go.",
        |text| match names().position(|name| name == text) {
            Some(index) => Ok(index),
            // That there is none is told once.
            None if upstreams.is_empty() => Ok(0),
            None => Err(Wrong {
                allowed: Some(format!(
                    "the name of an upstream ({})",
                    names().collect::<Vec<_>>().join(", ")
                )),
                meant: near(text, names()),
                ..Wrong::default()
            }),
        },
    );
    index.unwrap_or_default()
}

/// Protocols that may be switched to, in lower case.
fn upgrades(s: &Section<'_>) -> Vec<Box<str>> {
    s.list(
        "upgrades",
        Presence::Default(Sample::List(&[])),
        "a protocol of the Upgrade field like \"websocket\"",
        "Protocols that clients may switch to over HTTP/1.1, e.g. [\"websocket\"]: such a GET goes \
         to the CMS past the cache, and its connection becomes a tunnel that nothing looks into. \
         Empty: the Upgrade field is dropped.",
        |text| {
            let protocol = text.to_ascii_lowercase();
            let is_token = |part: &str| HeaderName::from_bytes(part.as_bytes()).is_ok();
            let is_http = ["h2c", "h2", "http", "tls"];
            let name = protocol.split('/').next().unwrap_or_default();
            if is_http.contains(&name) {
                // What the edge decides for each request would be decided for none of them.
                return Err(Wrong::because(
                    "requests would pass unseen through such a tunnel",
                ));
            }
            if protocol.split('/').count() > 2 || !protocol.split('/').all(is_token) {
                return Err(Wrong::default());
            }
            Ok(protocol.into())
        },
    )
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

fn cache_rule(s: &Section<'_>, tiers: &Tiers, profile: Profile) -> CacheRule {
    let (ttl, mode, ttl_max) = freshness(s, tiers);
    let rule = CacheRule {
        ttl,
        mode,
        ttl_max,
        ttl_by_status: ttl_by_status(s, tiers),
        browser_ttl: s.optional_duration(
            "browser_ttl",
            LIFETIME_MIN..=LIFETIME_MAX,
            "What browsers are told, who cannot be purged. Empty: to ask again each time (which \
             costs a 304) where the lifetime came from this rule; the CMS's own words otherwise.",
        ),
        stale_while_revalidate: s.optional_duration(
            "stale_while_revalidate",
            "0s"..="365d",
            "How long after its lifetime a response may be served while a new one is fetched. \
             Empty: 30s where the lifetime came from this rule, and what the CMS says otherwise. \
             0s: somebody waits for the CMS each time.",
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
        object_size_max: s.size(
            "max_object_size",
            "8MiB",
            "1KiB"..="1GiB",
            "Bytes of a body that is stored; larger ones stream through. High: one film pushes a \
             thousand pages out.",
        ),
        strict_private: s.boolean(
            "strict_private",
            true,
            "private and no-store in Cache-Control hold even where a targeted field (RFC 9213) \
             allows storing. false: the targeted field wins.",
        ),
        surrogate_control: s.boolean(
            "surrogate_control",
            false,
            "Hear Surrogate-Control, as plugins for Varnish and Fastly send it: max-age=N, N+M for M \
             seconds stale, and no-store count before Cache-Control, and clients do not see it. The \
             CMS is told with Surrogate-Capability. false: it is passed on unread.",
        ),
        request_directives: s.boolean(
            "request_directives",
            true,
            "Clients may ask for another answer than the stored one with no-cache, no-store, \
             max-age, min-fresh, max-stale and only-if-cached (RFC 9111 §5.2.1); browsers do when \
             they reload. false: strangers cannot make the CMS work.",
        ),
        profile,
    };
    let rule = profiled(s, rule);
    check_lifetime(s, &rule);
    rule
}

/// With the defaults of its profile.
fn profiled(s: &Section<'_>, rule: CacheRule) -> CacheRule {
    let profile = rule.profile;
    let zero = Duration::ZERO;
    let stale_window = rule.stale_while_revalidate;
    CacheRule {
        ttl: profile::or(profile, s, "ttl", rule.ttl, zero),
        ttl_max: profile::or(profile, s, "ttl_max", rule.ttl_max, YEAR),
        ttl_by_status: profile::or_nothing(profile, s, "ttl_by_status", rule.ttl_by_status),
        stale_while_revalidate: profile::or(
            profile,
            s,
            "stale_while_revalidate",
            stale_window,
            Some(zero),
        ),
        strict_private: profile::or(profile, s, "strict_private", rule.strict_private, false),
        ..rule
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn freshness(s: &Section<'_>, tiers: &Tiers) -> (Duration, TtlMode, Duration) {
    let modes = [
        ("default", TtlMode::Default),
        ("cap", TtlMode::Cap),
        ("floor", TtlMode::Floor),
        ("override", TtlMode::Override),
    ];
    let lifetime = ttl(
        s,
        tiers,
        "ttl",
        "long",
        "The freshness lifetime of what it stores with status 200 or 203; for others see \
         `ttl_by_status`. Short: the CMS is asked more often. Long: what no purge reaches stays \
         old for longer.",
    );
    let lifetime = match s.reader.operator.ttl {
        Some(ttl) if !s.is_given("ttl") => ttl,
        _ => lifetime,
    };
    let mode = s.choice(
        "ttl_mode",
        TtlMode::Default,
        &modes,
        "How `ttl` and the CMS's own freshness combine: `ttl` only where the CMS is silent, as an \
         upper bound, as a lower bound, or instead of it (no-cache included; private, no-store \
         and Set-Cookie always hold).",
    );
    let max = ttl(
        s,
        tiers,
        "ttl_max",
        "24h",
        "No lifetime is longer, whoever asks for it: the time after which even a lost purge no \
         longer matters.",
    );
    (lifetime, mode, max)
}

fn ttl_by_status(s: &Section<'_>, tiers: &Tiers) -> Vec<StatusTtl> {
    let defaults = &[
        ("301", Sample::Text("1h")),
        ("308", Sample::Text("1h")),
        ("404", Sample::Text("30s")),
        ("410", Sample::Text("5m")),
    ];
    s.table_of_text(
        "ttl_by_status",
        Presence::Default(Sample::Table(defaults)),
        ("a status like \"404\" or a class like \"5xx\"", TTL),
        "Lifetimes of statuses, instead of `ttl`. Any other than 200 and 203 that stands neither \
         here nor by its class has \"0s\": it is stored only where the CMS itself gives it a \
         lifetime. A table here replaces this one as a whole. A long 404 hides a page that is \
         published meanwhile, unless it is purged.",
        |text, lifetime| {
            let status = status(text).ok_or_else(|| Wrong {
                found: Some(format!("the status {text:?}")),
                allowed: Some("200 to 599, or a class from \"2xx\" to \"5xx\"".to_owned()),
                ..Wrong::default()
            })?;
            let ttl = tiers.resolve(lifetime)?;
            Ok(StatusTtl { status, ttl })
        },
    )
}

/// 200 to 599, or 2 to 5 for `2xx` to `5xx`.
fn status(text: &str) -> Option<u16> {
    let (text, range) = match text.strip_suffix("xx") {
        Some(class) => (class, 2..=5),
        None => (text, 200..=599),
    };
    let is_number = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let status = text.parse().ok().filter(|_| is_number)?;
    range.contains(&status).then_some(status)
}

fn check_lifetime(s: &Section<'_>, lifetime: &CacheRule) {
    let max = s.path.key("ttl_max");
    if !s.reader.is_sound(&max) {
        return;
    }
    let longest = format!("at most ttl_max, {}", seconds(lifetime.ttl_max));
    if lifetime.ttl > lifetime.ttl_max {
        let found = format!("a lifetime of {}", seconds(lifetime.ttl));
        // What is given is what has to be changed.
        let is_theirs = s.reader.operator.ttl.is_some() && !s.is_given("ttl");
        if is_theirs {
            let longest = format!("{longest} of {}", s.path);
            s.reader.report_variable(CACHE_TTL, found, &longest);
        } else if s.is_given("ttl") || !s.is_given("ttl_max") {
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
    for StatusTtl { status, ttl } in &lifetime.ttl_by_status {
        if *ttl > lifetime.ttl_max {
            let class = if *status < 10 { "xx" } else { "" };
            let path = s.path.key("ttl_by_status").key(&format!("{status}{class}"));
            let found = format!("a lifetime of {}", seconds(*ttl));
            s.reader.object(&path, &found, &longest);
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

fn headers(s: &Section<'_>) -> (Vec<HeaderName>, Vec<HeaderName>, Vec<HeaderName>) {
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
    let key_headers = s.header_names(
        "key_headers",
        &[],
        "Request fields of which each value has copies of its own, whatever Vary says, e.g. \
         X-Country. One with many values fills the cache with one page.",
    );
    (vary_ignore, forward_headers, key_headers)
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

fn tags(s: &Section<'_>, path: &PathPattern) -> TagRule {
    let mut tags = templates(
        s,
        path,
        "tags",
        "Tags that what it stores gets, e.g. \"article:{id}:{language}\". Without tags only its \
         URL, or everything, can be purged.",
    );
    tags.extend(templates(
        s,
        path,
        "collections",
        "Tags of lists, e.g. \"articles:{language}\": an entry that enters a list is in no stored \
         body, so that only such a tag reaches the list.",
    ));
    TagRule {
        templates: tags,
        body: s.list(
            "tags_from_body",
            Presence::Default(Sample::List(&[])),
            "a JSONPath (RFC 9535) like \"$.data[*].documentId\"",
            "What in a JSON body becomes tags. A body in which that fails is not stored.",
            |text| JsonPath::parse(text).map_err(|error| Wrong::because(error.to_string())),
        ),
        body_prefix: s
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
                    Ok(text.into())
                },
            )
            .unwrap_or_default(),
        fields: s.header_names(
            "tags_from_headers",
            TAG_HEADERS,
            "Response fields in which the CMS names tags. They never reach the client.",
        ),
    }
}

/// A template names what the route has, or the mistake would show only when nothing is purged.
fn templates(
    s: &Section<'_>,
    path: &PathPattern,
    name: &'static str,
    doc: &'static str,
) -> Vec<Template> {
    let knows_path = s.reader.is_sound(&s.path.key("path"));
    let has_language = s.is_given("language");
    let captures: Vec<&str> = path.names().collect();
    let none = Presence::Default(Sample::List(&[]));
    let found = s.list(name, none, TEMPLATE, doc, |text| {
        match Template::parse(text, &captures, has_language) {
            Ok(template) => Ok(Some(template)),
            // What is wrong is the path.
            Err(BadTemplate::Placeholder(_) | BadTemplate::NoLanguage) if !knows_path => Ok(None),
            Err(error) => Err(bad_template(&error, &captures, has_language)),
        }
    });
    found.into_iter().flatten().collect()
}

fn bad_template(error: &BadTemplate, captures: &[&str], has_language: bool) -> Wrong {
    let (meant, allowed) = match error {
        BadTemplate::Placeholder(name) => {
            let language = has_language.then_some("language");
            let names = captures.iter().copied().chain(language);
            let mut allowed: Vec<String> = names.map(|name| format!("{{{name}}}")).collect();
            allowed.dedup();
            allowed.extend(["{query.NAME}".to_owned(), "{host}".to_owned()]);
            let known = captures.iter().copied().chain(language).chain(["host"]);
            let meant = nearest(name, known).map(|near| format!("{{{near}}}"));
            (meant, Some(allowed.join(", ")))
        }
        BadTemplate::NoLanguage => {
            let allowed = "a [route.language] table beside it, or {language} in the path";
            (None, Some(allowed.to_owned()))
        }
        BadTemplate::Empty | BadTemplate::Separator | BadTemplate::Braces => (None, None),
    };
    Wrong {
        because: Some(error.to_string()),
        allowed,
        meant,
        ..Wrong::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_code_or_a_class() {
        assert_eq!(status("404"), Some(404));
        assert_eq!(status("5xx"), Some(5));
        for text in [
            "", "99", "100", "600", "1xx", "6xx", "xx", "+404", "4x", "0404", "5XX", "5", "05xx",
        ] {
            assert_eq!(status(text), None, "{text}");
        }
    }
}
