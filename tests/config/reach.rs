//! Every key reaches a room: whatever is changed in the reference changes what a room is given.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cms_edge::config;

/// A key and another value for it than that of [`everything`]. `given` is set in both.
struct Change {
    section: &'static str,
    key: &'static str,
    value: &'static str,
    given: &'static [(&'static str, &'static str, &'static str)],
}

const fn change(section: &'static str, key: &'static str, value: &'static str) -> Change {
    Change {
        section,
        key,
        value,
        given: &[],
    }
}

impl Change {
    const fn given(self, given: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { given, ..self }
    }
}

const HMAC: &[(&str, &str, &str)] = &[("webhook", "dialect", "\"hmac\"")];
const REDIS: &[(&str, &str, &str)] = &[("redis", "url", "\"redis://127.0.0.1:1\"")];
const SENTINEL: &[(&str, &str, &str)] = &[
    ("redis", "url", "\"redis://127.0.0.1:1\""),
    ("redis", "mode", "\"sentinel\""),
];
const TOKEN: &[(&str, &str, &str)] = &[("webhook", "dialect", "\"token\"")];
const PROTOCOLS: &[(&str, &str, &str)] = &[("purge", "protocols", "true")];
const LOG: &[(&str, &str, &str)] = &[("purge_log", "url", "\"redis://127.0.0.1:6379\"")];
const LOG_SENTINEL: &[(&str, &str, &str)] = &[
    ("purge_log", "url", "\"redis://127.0.0.1:6379\""),
    ("purge_log", "mode", "\"sentinel\""),
];
const REDIRECT: &[(&str, &str, &str)] = &[("server", "http_mode", "\"redirect\"")];
const CLIENT: &[(&str, &str, &str)] = &[
    ("upstream.cms", "client_cert", "\"ca.pem\""),
    ("upstream.cms", "client_key", "\"key.pem\""),
];
const YEAR: &[(&str, &str, &str)] = &[("route", "ttl_max", "\"year\"")];
const HSTS: &[(&str, &str, &str)] = &[("tls", "hsts", "\"1d\"")];
const ADMIN_TLS: &[(&str, &str, &str)] = &[
    ("admin", "tls_cert", "\"admin.pem\""),
    ("admin", "tls_key", "\"admin.key\""),
];
const HOSTS: &[(&str, &str, &str)] = &[
    ("route.language", "sources", "[\"host\"]"),
    ("route.language", "hosts", "{ \"a.example.org\" = \"de\" }"),
];

#[rustfmt::skip]
const CHANGES: &[Change] = &[
    change("", "namespace", "\"other\""),
    change("server", "https", "[\"127.0.0.1:1\"]"),
    change("server", "http", "[\"127.0.0.1:1\"]"),
    change("server", "http_mode", "\"redirect\""),
    change("server", "redirect_port", "8443").given(REDIRECT),
    change("server", "proxy_protocol_from", "[\"192.0.2.1\"]"),
    change("server", "trusted_proxies", "[\"192.0.2.0/24\"]"),
    change("server", "trusted_header", "\"forwarded\""),
    change("server", "drain", "\"1s\""),
    change("server", "tls_handshake_timeout", "\"1s\""),
    change("server", "header_timeout", "\"1s\""),
    change("server", "idle_timeout", "\"1s\""),
    change("server", "connections_max", "1"),
    change("server", "streams_max", "1"),
    change("server", "headers_max", "10"),
    change("server", "header_bytes_max", "\"8KiB\""),
    change("server", "connections_per_address", "1"),
    change("server", "connections_per_address_exempt", "[]"),
    change("server", "target_bytes_max", "\"1KiB\""),
    change("server", "connection_header_bytes_max", "\"64KiB\""),
    change("server", "send_rate_min", "0"),
    change("server", "resets_per_second", "1"),
    change("server", "refused_per_second", "1"),
    change("server", "control_frames_per_second", "10"),
    change("server", "empty_frames_per_second", "1"),
    change("server", "request_body_max", "\"1KiB\""),
    change("server", "work_memory", "\"16MiB\""),
    change("server", "upgrades_max", "1"),
    change("server", "upgrade_idle_timeout", "\"1s\""),
    change("server", "workers", "1"),
    change("server", "watch", "true"),
    change("server", "drain_delay", "\"1s\""),
    change("server", "upgrade_timeout", "\"1s\""),
    change("certificate", "cert", "\"other.pem\""),
    change("certificate", "key", "\"other.pem\""),
    change("certificate", "hosts", "[\"*.example.org\"]"),
    change("tls", "min_version", "\"1.3\""),
    change("tls", "reload_interval", "\"1h\""),
    change("tls", "hsts", "\"1d\""),
    change("tls", "hsts_include_subdomains", "true").given(HSTS),
    change("tls", "hsts_preload", "true").given(&[
        ("tls", "hsts", "\"730d\""), ("tls", "hsts_include_subdomains", "true"),
    ]),
    change("admin", "listen", "\"127.0.0.1:1\""),
    change("admin", "token", "\"0123456789abcdef\""),
    change("admin", "tls_cert", "\"other.pem\"").given(ADMIN_TLS),
    change("admin", "tls_key", "\"other.pem\"").given(ADMIN_TLS),
    change("admin", "client_ca", "\"ca.pem\"").given(ADMIN_TLS),
    change("log", "access", "\"off\""),
    change("log", "query", "\"redacted\""),
    change("log", "level", "\"warn\""),
    change("trace", "endpoint", "\"http://127.0.0.1:4318\""),
    change("trace", "sample_percent", "1"),
    change("cache", "memory", "\"1MiB\""),
    change("cache", "variants_max", "1"),
    change("cache", "fills_max", "1"),
    change("redis", "url", "\"redis://127.0.0.1:1\""),
    change("redis", "mode", "\"cluster\"").given(REDIS),
    change("redis", "servers", "[\"a.example:1\"]").given(SENTINEL),
    change("redis", "sentinel_master", "\"other\"").given(SENTINEL),
    change("redis", "sentinel_auth", "true").given(SENTINEL),
    change("redis", "ca", "\"ca.pem\"").given(REDIS),
    change("redis", "timeout", "\"1s\"").given(REDIS),
    change("redis", "connect_timeout", "\"2s\"").given(REDIS),
    change("redis", "connections", "1").given(REDIS),
    change("redis", "collapse_wait", "\"0s\"").given(REDIS),
    change("redis", "max_object_size", "\"1KiB\"").given(REDIS),
    change("purge", "allow_from", "[]").given(&[
        ("purge", "protocols", "true"), ("purge", "token", "\"0123456789abcdef\""),
    ]),
    change("purge", "token", "\"0123456789abcdef\"").given(PROTOCOLS),
    change("purge", "protocols", "true"),
    change("purge", "slash_variants", "false"),
    change("purge", "any_query", "false"),
    change("purge_log", "url", "\"redis://127.0.0.1:6379\""),
    change("purge_log", "enabled", "false").given(LOG),
    change("purge_log", "mode", "\"cluster\"").given(LOG),
    change("purge_log", "servers", "[\"a.example:1\"]").given(LOG_SENTINEL),
    change("purge_log", "sentinel_master", "\"other\"").given(LOG_SENTINEL),
    change("purge_log", "sentinel_auth", "true").given(LOG_SENTINEL),
    change("purge_log", "ca", "\"ca.pem\"").given(LOG),
    change("purge_log", "lease", "\"4s\"").given(LOG),
    change("purge_log", "renew", "\"500ms\"").given(LOG),
    change("purge_log", "gone", "\"7s\"").given(LOG),
    change("purge_log", "split", "\"11s\"").given(LOG),
    change("purge_log", "timeout", "\"500ms\"").given(LOG),
    change("purge_log", "records", "1000").given(LOG),
    change("purge_log", "size_max", "\"2MiB\"").given(LOG),
    change("purge_log", "instance", "\"edge-9\"").given(LOG),
    change("purge_log", "spool", "\"spool\"").given(LOG),
    change("purge_log", "serve_when_lost", "true").given(LOG),
    change("ttl", "short", "\"1s\"").given(&[("route", "ttl", "\"short\"")]),
    change("ttl", "medium", "\"1s\"").given(&[("route", "ttl", "\"medium\"")]),
    change("ttl", "long", "\"1s\""),
    change("ttl", "very_long", "\"300d\"").given(&[("route", "ttl_max", "\"very_long\"")]),
    change("ttl", "year", "\"300d\"").given(YEAR),
    change("upstream.cms", "servers", "[\"http://127.0.0.1:1\"]"),
    change("upstream.cms", "host", "\"upstream\""),
    change("upstream.cms", "connect_timeout", "\"1s\""),
    change("upstream.cms", "first_byte_timeout", "\"1s\""),
    change("upstream.cms", "idle_timeout", "\"1s\""),
    change("upstream.cms", "keepalive", "\"1s\""),
    change("upstream.cms", "queue_timeout", "\"1s\""),
    change("upstream.cms", "pool_idle_max", "1"),
    change("upstream.cms", "concurrency", "1"),
    change("upstream.cms", "queue", "1"),
    change("upstream.cms", "retries", "2"),
    change("upstream.cms", "ca", "\"ca.pem\""),
    change("upstream.cms", "protocol", "\"auto\""),
    change("upstream.cms", "streams_max", "1"),
    change("upstream.cms", "connection_age_max", "\"1s\""),
    change("upstream.cms", "dns_interval", "\"1s\""),
    change("upstream.cms", "server_name", "\"cms.example.org\""),
    change("upstream.cms", "client_cert", "\"other.pem\"").given(CLIENT),
    change("upstream.cms", "client_key", "\"other-key.pem\"").given(CLIENT),
    change("upstream.cms", "stale_wait", "\"1s\""),
    change("upstream.cms", "balance", "\"round_robin\""),
    change("upstream.cms", "max_fails", "1"),
    change("upstream.cms", "fail_timeout", "\"1s\""),
    change("upstream.cms", "fail_statuses", "[\"503\"]"),
    change("upstream.cms", "slow_start", "\"1s\""),
    change("upstream.cms", "retry_budget", "1"),
    change("upstream.cms", "slow_threshold", "\"1s\""),
    change("upstream.cms.server", "url", "\"http://127.0.0.1:2\""),
    change("upstream.cms.server", "weight", "2"),
    change("upstream.cms.server", "backup", "true"),
    change("upstream.cms.server", "max_fails", "1"),
    change("upstream.cms.server", "fail_timeout", "\"1s\""),
    change("upstream.cms.health_check", "path", "\"/up\""),
    change("upstream.cms.health_check", "host", "\"cms.example.org\""),
    change("upstream.cms.health_check", "interval", "\"1s\""),
    change("upstream.cms.health_check", "timeout", "\"1s\""),
    change("upstream.cms.health_check", "healthy", "1"),
    change("upstream.cms.health_check", "unhealthy", "1"),
    change("upstream.cms.health_check", "status", "[\"204\"]"),
    change("upstream.cms.breaker", "failures", "1"),
    change("upstream.cms.breaker", "open_for", "\"1s\""),
    change("route", "name", "\"other\""),
    change("route", "hosts", "[\"*.example.org\"]"),
    change("route", "path", "\"/api/{id}\""),
    change("route", "methods", "[\"GET\"]"),
    change("route", "upstream", "\"other\""),
    change("route", "upgrades", "[\"websocket\"]"),
    change("route", "cache", "false"),
    change("route", "profile", "\"rfc\""),
    change("route", "ttl", "\"1s\""),
    change("route", "ttl_mode", "\"override\""),
    change("route", "ttl_max", "\"3h\""),
    change("route", "ttl_by_status", "{ 404 = \"1s\" }"),
    change("route", "browser_ttl", "\"1s\""),
    change("route", "stale_while_revalidate", "\"1s\""),
    change("route", "stale_if_error", "\"1s\""),
    change("route", "hit_for_miss", "\"1s\""),
    change("route", "max_object_size", "\"1KiB\""),
    change("route", "strict_private", "false"),
    change("route", "surrogate_control", "true"),
    change("route", "request_directives", "false"),
    change("route", "request_body_max", "\"1KiB\""),
    change("route", "cache_status_key", "true"),
    change("route", "vary_ignore", "[\"X-A\"]"),
    change("route", "forward_headers", "[\"X-A\"]"),
    change("route", "key_headers", "[\"X-A\"]"),
    change("route", "tags", "[\"a:{language}\"]"),
    change("route", "collections", "[\"b:{query.page}:{host}\"]"),
    change("route", "tags_from_body", "[\"$.id\"]"),
    change("route", "tags_from_body_prefix", "\"a:\""),
    change("route", "tags_from_headers", "[\"X-A\"]"),
    change("route.query", "keep", "[\"page\"]").given(&[("route.query", "drop", "[]")]),
    change("route.query", "drop", "[\"page\"]"),
    change("route.query", "sort", "false"),
    change("route.query", "forward_dropped", "true"),
    change("route.query", "no_vary_search", "true"),
    change("route.cookies", "bypass", "[\"a\"]"),
    change("route.cookies", "keep", "[\"a\"]"),
    change("route.cookies", "forward", "true"),
    change("route.bypass", "query", "[\"a=b\"]"),
    change("route.bypass", "header", "[\"X-A\"]"),
    change("route.compress", "enabled", "false"),
    change("route.compress", "types", "[\"*+json\"]"),
    change("route.compress", "min_size", "\"2KiB\""),
    change("route.compress", "gzip", "1"),
    change("route.compress", "brotli", "1"),
    change("route.language", "supported", "[\"en\", \"nb\"]"),
    change("route.language", "default", "\"de\""),
    change("route.language", "sources", "[\"query:locale\", \"cookie:lang\"]"),
    change("route.language", "aliases", "{ no = \"en\" }"),
    change("route.language", "fallback", "{ pt-BR = [\"en\"] }"),
    change("route.language", "hosts", "{ \"a.example.org\" = \"fr\" }").given(HOSTS),
    change("route.language", "drift_guard", "false"),
    change("webhook", "name", "\"other\""),
    change("webhook", "path", "\"/other\""),
    change("webhook", "dialect", "\"strapi\""),
    change("webhook", "secrets", "[\"env:DEMO_WEBHOOK_SECRET\", \"env:DEMO_WEBHOOK_SECRET\"]"),
    change("webhook", "tolerance", "\"1s\""),
    change("webhook", "body_max", "\"1KiB\""),
    change("webhook", "token_header", "\"X-A\"").given(TOKEN),
    change("webhook", "event_path", "\"data.event\""),
    change("webhook", "event_header", "\"X-A\""),
    change("webhook", "delivery_header", "\"X-A\"").given(HMAC),
    change("webhook.hmac", "header", "\"X-A\"").given(HMAC),
    change("webhook.hmac", "prefix", "\"\"").given(HMAC),
    change("webhook.hmac", "encoding", "\"base64url\"").given(HMAC),
    change("webhook.hmac", "algorithm", "\"sha512\"").given(HMAC),
    change("webhook.hmac", "timestamp_header", "\"X-A\"").given(HMAC),
    change("webhook.hmac", "timestamp_unit", "\"ms\"").given(HMAC),
    change("webhook.hmac", "signed", "\"body+timestamp\"").given(HMAC),
    change("webhook.rule", "events", "[\"*\"]"),
    change("webhook.rule", "mode", "\"soft\""),
    change("webhook.rule", "tags", "[\"a:{b}\"]"),
    change("webhook.rule", "urls", "[\"/{data.slug}\"]"),
    change("webhook.rule", "prefixes", "[\"https://www.example.org/\"]"),
    change("webhook.rule", "hosts", "[\"{data.host}\"]"),
    change("webhook.rule", "everything", "true"),
    change("webhook.rule", "collections", "[\"{model}\"]"),
    change("webhook.rule", "when", "{ \"entry.publishedAt\" = \"!null\" }"),
];

#[test]
fn every_key_is_tried() {
    let tried: Vec<String> = CHANGES
        .iter()
        .map(|change| format!("{}/{}", change.section, change.key))
        .collect();
    let record = config::describe();
    let known = record.sections.iter().flat_map(|section| {
        let path = section.path.join(".");
        let keys = section.keys.iter();
        keys.map(move |key| format!("{path}/{}", key.name))
    });
    let known: BTreeSet<String> = known.collect();
    assert_eq!(tried.len(), known.len(), "each once");
    assert_eq!(tried.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_key_reaches_a_room() {
    let folder = tempfile::tempdir().unwrap();
    for (cert, key) in [("ca.pem", "key.pem"), ("other.pem", "other-key.pem")] {
        let pair = rcgen::generate_simple_self_signed([cert.to_owned()]).unwrap();
        fs::write(folder.path().join(cert), pair.cert.pem()).unwrap();
        fs::write(folder.path().join(key), pair.signing_key.serialize_pem()).unwrap();
    }
    let everything = everything();
    for change in CHANGES {
        let mut before = everything.clone();
        if !change.given.contains(&HMAC[0]) {
            before = without_hmac(&before);
        }
        for (section, key, value) in change.given {
            before = set(&before, section, key, value);
        }
        let after = set(&before, change.section, change.key, change.value);
        let name = format!("[{}] {} = {}", change.section, change.key, change.value);
        let before = rooms(&before, folder.path()).unwrap_or_else(|why| panic!("{name}: {why}"));
        let after = rooms(&after, folder.path()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_ne!(before, after, "{name}");
    }
}

/// The reference with all that is commented out, as far as it goes together.
fn everything() -> String {
    let text = config::reference();
    let active = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
        _ => line,
    });
    let active: Vec<&str> = active
        .filter(|line| !line.starts_with("token_header = "))
        .collect();
    let text = set(
        &active.join("\n"),
        "server",
        "https",
        "[\"127.0.0.1:8443\"]",
    );
    format!("{text}\n[upstream.other]\nservers = [\"http://127.0.0.1:9\"]\n")
}

/// Settings of another dialect than the webhook's are a mistake.
fn without_hmac(text: &str) -> String {
    let (before, hmac) = text.split_once("[webhook.hmac]").unwrap();
    let (_, rule) = hmac.split_once("[[webhook.rule]]").unwrap();
    format!("{before}[[webhook.rule]]{rule}")
}

/// Puts `value` in the place of the key's, or first in its section where it is not there.
fn set(text: &str, section: &str, key: &str, value: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let start = if section.is_empty() {
        0
    } else {
        let is_header =
            |line: &String| line.trim_matches(['[', ']']) == section && line.starts_with('[');
        lines.iter().position(is_header).unwrap() + 1
    };
    let end = lines
        .iter()
        .skip(start)
        .position(|line| line.starts_with('['));
    let end = end.map_or(lines.len(), |end| start + end);
    let setting = format!("{key} = {value}");
    let prefix = format!("{key} = ");
    let found = (start..end).find(|at| lines[*at].starts_with(&prefix));
    match found {
        Some(at) => {
            if lines[at].ends_with('[') {
                let length = lines[at..].iter().position(|line| line == "]").unwrap();
                lines.drain(at + 1..=at + length);
            }
            lines[at] = setting;
        }
        None => lines.insert(start, setting),
    }
    lines.join("\n")
}

/// All that the rooms are given, as text.
fn rooms(text: &str, folder: &Path) -> Result<String, String> {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let environment = [("DEMO_WEBHOOK_SECRET".to_owned(), secret)];
    let config = config::parse(text, "proxy.toml", folder, environment)
        .map_err(|mistakes| mistakes.to_string())?;
    let log = (&config.log, config.tracing());
    let of_the_process = (
        &config.namespace,
        config.server.workers,
        config.server.lifecycle,
        log,
        config.work_memory(),
    );
    let of_the_process = (of_the_process, config.certificates_every());
    let listeners = (config.server(), config.admin_server(), config.admin());
    let upstreams = config.upstreams().map_err(|error| error.to_string())?;
    let log = config.shared_log("edge");
    let log = log.map_err(|error| error.to_string())?;
    let log = (log, config.purge_log.serve_when_lost);
    let redis = config.redis().map_err(|error| error.to_string())?;
    let cache = (config.memory(), redis, config.limits(4), config.routes());
    let purge = (config.purge_targets(), config.protocol(), config.webhooks());
    let purge = (purge, log);
    Ok(format!(
        "{of_the_process:?} {listeners:?} {upstreams:?} {cache:?} {purge:?}"
    ))
}
