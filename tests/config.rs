//! The configuration as an operator meets it: `proxy.toml` is the code's own, every mistake is
//! named with its line, and nothing is applied by halves.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cms_edge::config::{self, Config, MISTAKES_MAX};
use cms_edge::policy::{CacheRule, StatusTtl};
use cms_edge::server::HttpMode;
use cms_edge::server::tls::Pem;

/// The least that is a configuration: six lines, and what follows belongs to its route.
const LEAST: &str = "\
[upstream.cms]
servers = [\"http://127.0.0.1:8000\"]
[[route]]
name = \"all\"
path = \"/*\"
upstream = \"cms\"
";

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse(text, "proxy.toml", Path::new(""), environment)
        .map_err(|mistakes| mistakes.to_string().lines().map(str::to_owned).collect())
}

fn cache(config: &Config) -> &CacheRule {
    config.routes[0].cache.as_ref().unwrap()
}

/// The mistakes of what follows the least configuration; its first line is line 7.
fn after_least(text: &str) -> Vec<String> {
    read(&format!("{LEAST}{text}"), &[])
        .err()
        .unwrap_or_default()
}

#[track_caller]
fn one_mistake(text: &str, expected: &str) {
    assert_eq!(after_least(text), [expected], "in:\n{text}");
}

#[track_caller]
fn no_mistake(text: &str) {
    assert_eq!(after_least(text), [""; 0], "in:\n{text}");
}

// ---- the reference -------------------------------------------------------------------------

#[test]
fn proxy_toml_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let written = fs::read_to_string(path).unwrap();
    assert!(
        written == config::reference(),
        "write it anew: cargo test --test config -- --ignored write_proxy_toml"
    );
}

#[test]
#[ignore = "writes proxy.toml"]
fn write_proxy_toml() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    fs::write(&path, config::reference()).unwrap();
    assert!(path.exists());
}

#[test]
fn proxy_toml_is_right_as_it_stands_and_holds_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let from_reference = config::load(&path, []).unwrap();
    let mut least = read(LEAST, &[]).unwrap();
    least.routes[0].name = "everything".into();
    assert_eq!(format!("{from_reference:#?}"), format!("{least:#?}"));
}

#[test]
fn proxy_toml_is_right_with_every_setting_that_is_commented_out() {
    let active: Vec<String> = config::reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    // Settings of another dialect, and a certificate without an https address, are mistakes.
    let text = active
        .join("\n")
        .replace("https = []", "https = [\"127.0.0.1:8443\"]")
        .replace("token_header = ", "# ");
    let (before, hmac) = text.split_once("[webhook.hmac]").unwrap();
    let (_, rule) = hmac.split_once("[[webhook.rule]]").unwrap();
    let text = format!("{before}[[webhook.rule]]{rule}");
    let secret = (
        "DEMO_WEBHOOK_SECRET",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    let config = read(&text, &[secret]).unwrap();
    assert_eq!(config.certificates.len(), 1);
    assert_eq!(config.webhooks[0].rules[0].tags.len(), 2);
    let language = config.routes[0].key.language.as_ref().unwrap();
    assert_eq!(language.supported().len(), 4);
}

#[test]
fn the_defaults_are_those_that_the_code_holds() {
    let config = read(LEAST, &[]).unwrap();
    assert_eq!(config.cache.memory.bytes_max, 256 << 20);
    assert_eq!(config.server.limits.drain, Duration::from_secs(30));
    assert_eq!(config.server.http_mode, HttpMode::Serve);
    assert_eq!(config.purge.allow_from.len(), 2);
    assert_eq!(cache(&config).ttl, Duration::from_secs(7200));
    let by_status = cache(&config).ttl_by_status.iter().map(|by| by.status);
    assert_eq!(by_status.collect::<Vec<_>>(), [301, 308, 404, 410]);
    assert!(cache(&config).request_directives);
    assert_eq!(config.routes[0].tags.fields.len(), 7);
    assert_eq!(config.routes[0].compress.types.len(), 15);
    assert!(config.routes[0].key.fields.is_empty());
    let cookies = &config.routes[0].key.cookies;
    for cookie in [
        "sessionid",
        "directus_session_token",
        "wordpress_logged_in_5c01",
    ] {
        let marks = cookies.bypass.iter().any(|pattern| pattern.matches(cookie));
        assert!(marks, "{cookie}");
    }
}

#[test]
fn every_key_says_what_it_is_for_and_what_is_allowed() {
    let record = config::describe();
    let keys: Vec<_> = record
        .sections
        .iter()
        .flat_map(|section| &section.keys)
        .collect();
    assert!(keys.len() > 90, "{}", keys.len());
    for key in keys {
        assert!(
            key.doc.ends_with('.') && !key.kind.allowed().is_empty(),
            "{}",
            key.name
        );
    }
}

#[test]
fn whatever_stands_at_a_key_is_one_mistake_at_its_line() {
    let text = config::reference();
    let lines: Vec<&str> = text.lines().collect();
    let is_setting =
        |line: &str| line.contains(" = ") && !line.starts_with('#') && !line.ends_with('[');
    let mut tried = 0;
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_setting(line))
    {
        let (key, _) = line.split_once(" = ").unwrap();
        let mut changed = lines.clone();
        let nonsense = format!("{key} = nan");
        changed[at] = &nonsense;
        let found = read(&changed.join("\n"), &[]).unwrap_err();
        assert_eq!(found.len(), 1, "{nonsense}: {found:#?}");
        let place = format!("proxy.toml:{}: ", at + 1);
        assert!(
            found[0].starts_with(&place) && found[0].contains(key),
            "{found:?}"
        );
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
}

// ---- all at once ---------------------------------------------------------------------------

const WRONG: &str = r#"namespace = "my site"
colour = "red"
[server]
http = ["127.0.0.1:8080", "localhost:80"]
http_mod = "serve"
drain = "5 parsecs"
workers = -1
connections_max = "many"
[admin]
listen = "0.0.0.0:9090"
token = "hunter2"
[log]
access = "stdot"
[cache]
memory = "256MB"
variants_max = 0
[purge]
allow_from = ["10.0.0.1/8"]
protocols = "yes"
[ttl]
short = 300
[upstream.cms]
servers = ["http://127.0.0.1:8000/api"]
conect_timeout = "2s"
concurrency = 0
[[route]]
name = "article"
path = "/api/{id"
upstream = "cms"
ttl = "5 parsecs"
ttl_by_status = { "600" = "1s", "404" = "lng" }
vary_ignore = ["X Token"]
tags_from_body = ["$.data["]
[route.compress]
gzip = 10
[[route]]
name = "article"
path = "/*"
upstream = "csm"
[route.language]
supported = ["en", "de_DE"]
sources = ["heder"]
"#;

const RIGHT: &str = r#"proxy.toml:1: namespace: found "my site"; allowed: a name of 1 to 64 letters, digits, "-", "_" and "."
proxy.toml:2: colour: found an unknown key; allowed: namespace, server, certificate, tls, admin, log, trace, cache, redis, purge, purge_log, ttl, upstream, route, webhook
proxy.toml:4: server.http[1]: found "localhost:80"; allowed: an address with a port like "127.0.0.1:8080" or "[::]:443"
proxy.toml:5: server.http_mod: found an unknown key; allowed: https, http, http_mode, redirect_port, proxy_protocol_from, trusted_proxies, trusted_header, drain, tls_handshake_timeout, header_timeout, idle_timeout, connections_max, connections_per_address, connections_per_address_exempt, resets_per_second, control_frames_per_second, empty_frames_per_second, refused_per_second, streams_max, headers_max, header_bytes_max, target_bytes_max, connection_header_bytes_max, send_rate_min, request_body_max, work_memory, upgrades_max, upgrade_idle_timeout, workers, watch, drain_delay, upgrade_timeout; did you mean "http_mode"?
proxy.toml:6: server.drain: found "5 parsecs"; allowed: a duration from "0s" to "10m"
proxy.toml:7: server.workers: found -1; allowed: a whole number from 0 to 1024
proxy.toml:8: server.connections_max: found "many"; allowed: a whole number from 1 to 1000000
proxy.toml:11: admin.token: found a text of 7 characters; allowed: "", a text of at least 16 characters, "env:NAME" or "file:/path"
proxy.toml:13: log.access: found "stdot"; allowed: "stdout", "off" or the path of a file, with a "/" in it; did you mean "stdout"?
proxy.toml:15: cache.memory: found "256MB"; allowed: a size from "0B" to "1TiB"
proxy.toml:16: cache.variants_max: found 0; allowed: a whole number from 1 to 1000
proxy.toml:18: purge.allow_from[0]: found "10.0.0.1/8" (it has bits behind its prefix); allowed: an address or network like "10.0.0.0/8" or "::1"; did you mean "10.0.0.0/8"?
proxy.toml:19: purge.protocols: found "yes"; allowed: true or false
proxy.toml:21: ttl.short: found 300; allowed: a duration from "0s" to "3650d"
proxy.toml:23: upstream.cms.servers[0]: found "http://127.0.0.1:8000/api" (nothing may stand behind the port); allowed: a URL of scheme, host and port like "http://127.0.0.1:8000", or "unix:/run/cms.sock"
proxy.toml:24: upstream.cms.conect_timeout: found an unknown key; allowed: servers, host, connect_timeout, first_byte_timeout, idle_timeout, keepalive, queue_timeout, pool_idle_max, concurrency, queue, retries, stale_wait, ca, protocol, streams_max, connection_age_max, dns_interval, server_name, client_cert, client_key, balance, max_fails, fail_timeout, fail_statuses, slow_start, retry_budget, slow_threshold, server, health_check, breaker; did you mean "connect_timeout"?
proxy.toml:25: upstream.cms.concurrency: found 0; allowed: a whole number from 1 to 100000
proxy.toml:28: route[0].path: found "/api/{id" (`{id` has a brace that is not closed); allowed: a path like "/api/articles/{id}", "/files/{*rest}" or "/static/*"
proxy.toml:30: route[0].ttl: found "5 parsecs"; allowed: a tier (long, medium, short, very_long, year) or a duration like "5m"
proxy.toml:31: route[0].ttl_by_status.404: found "lng"; allowed: a tier (long, medium, short, very_long, year) or a duration like "5m"; did you mean "long"?
proxy.toml:31: route[0].ttl_by_status.600: found the status "600"; allowed: 200 to 599, or a class from "2xx" to "5xx"
proxy.toml:32: route[0].vary_ignore[0]: found "X Token"; allowed: a header name like "X-Token"
proxy.toml:33: route[0].tags_from_body[0]: found "$.data[" (REASON); allowed: a JSONPath (RFC 9535) like "$.data[*].documentId"
proxy.toml:35: route[0].compress.gzip: found 10; allowed: a whole number from 1 to 9
proxy.toml:37: route[1].name: found "article", as in route[0]; allowed: a text that no other has
proxy.toml:39: route[1].upstream: found "csm"; allowed: the name of an upstream (cms); did you mean "cms"?
proxy.toml:40: route[1].language.default: found nothing; allowed: one of `supported`
proxy.toml:41: route[1].language.supported[1]: found "de_DE" (not a language tag); allowed: a language tag (BCP 47) like "de" or "pt-BR"
proxy.toml:42: route[1].language.sources[0]: found "heder"; allowed: "path", "query:NAME", "cookie:NAME", "host" or "header"; did you mean "header"?"#;

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let mut found = read(WRONG, &[]).unwrap_err();
    // The reason is the JSONPath parser's own.
    for line in &mut found {
        if let Some((before, after)) = line.split_once("\"$.data[\" (") {
            let (_, after) = after.rsplit_once("); allowed").unwrap();
            *line = format!("{before}\"$.data[\" (REASON); allowed{after}");
        }
    }
    let expected: Vec<&str> = RIGHT.lines().collect();
    assert_eq!(found, expected);
}

#[test]
fn text_that_is_not_toml_is_one_mistake_with_line_and_column() {
    let found = read("namespace = \"a\"\n[server\n", &[]).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("proxy.toml:2:8: not TOML: "),
        "{found:?}"
    );
    let twice = read("namespace = \"a\"\nnamespace = \"b\"\n", &[]).unwrap_err();
    assert!(twice[0].starts_with("proxy.toml:2:"), "{twice:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let found = config::load(&path, []).unwrap_err().to_string();
    let expected = format!("cannot read {}: No such file or directory", path.display());
    assert_eq!(found, expected);
    fs::write(&path, "#".repeat(2 << 20)).unwrap();
    let found = config::load(&path, []).unwrap_err().to_string();
    assert!(
        found.ends_with("it is larger than 1048576 bytes"),
        "{found}"
    );
}

#[test]
fn an_empty_file_lacks_an_upstream_and_a_route() {
    assert_eq!(
        read("", &[]).unwrap_err(),
        [
            "proxy.toml: upstream: found no upstream; allowed: at least one [upstream.NAME]",
            "proxy.toml: route: found no route; allowed: at least one [[route]]",
        ]
    );
}

#[test]
fn what_is_required_is_missed_at_the_line_of_its_table() {
    let found = read("[upstream.cms]\n\n[[route]]\n", &[]).unwrap_err();
    let begins = |line: &str, begin: &str| assert!(line.starts_with(begin), "{line}");
    assert_eq!(found.len(), 4, "{found:?}");
    begins(
        &found[0],
        "proxy.toml:1: upstream.cms.servers: found nothing; ",
    );
    begins(&found[1], "proxy.toml:3: route[0].name: found nothing; ");
    begins(&found[2], "proxy.toml:3: route[0].path: found nothing; ");
    begins(
        &found[3],
        "proxy.toml:3: route[0].upstream: found nothing; ",
    );
}

#[test]
fn a_value_in_the_place_of_a_table_is_one_mistake() {
    let text = format!("server = 5\nwebhook = \"x\"\n{LEAST}query = 1\n");
    assert_eq!(
        read(&text, &[]).unwrap_err(),
        [
            "proxy.toml:1: server: found a number; allowed: a table",
            "proxy.toml:2: webhook: found a text of 1 character; allowed: tables that begin with [[webhook]]",
            "proxy.toml:9: route[0].query: found a number; allowed: a table",
        ]
    );
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let keys: String = (0..MISTAKES_MAX + 3)
        .map(|n| format!("k{n} = 1\n"))
        .collect();
    let found = read(&format!("{keys}{LEAST}"), &[]).unwrap_err();
    assert_eq!(found.len(), MISTAKES_MAX + 1);
    assert_eq!(found.last().unwrap(), "and 3 more");
}

#[test]
fn check_counts_the_mistakes_and_exits_with_64() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_cms-edge"))
            .args(["check", "--config"])
            .arg(&path)
            .env_clear()
            .output()
            .unwrap()
    };
    let right = check(LEAST);
    assert!(right.status.success(), "{right:?}");
    let summary = format!("No mistakes in {}.\n", path.display());
    assert_eq!(String::from_utf8_lossy(&right.stdout), summary);
    for (text, summary) in [
        (format!("{LEAST}tll = 1\n"), "1 mistake"),
        (
            format!("{LEAST}tll = 1\nmethods = [\"get\"]\n"),
            "2 mistakes",
        ),
    ] {
        let wrong = check(&text);
        assert_eq!(wrong.status.code(), Some(64));
        let errors = String::from_utf8_lossy(&wrong.stderr);
        let last = format!("{summary} in {}.", path.display());
        assert_eq!(errors.lines().last(), Some(&*last), "{errors}");
    }
}

// ---- variables -----------------------------------------------------------------------------

#[test]
fn a_variable_overrides_the_file() {
    let text = format!("[admin]\nlisten = \"127.0.0.1:1\"\n{LEAST}");
    let config = read(
        &text,
        &[
            ("CMS_EDGE_ADMIN__LISTEN", "127.0.0.1:9191"),
            ("CMS_EDGE_ADMIN__TOKEN", "0012345678901234"),
            ("CMS_EDGE_NAMESPACE", "007"),
            ("CMS_EDGE_SERVER__HTTP", "127.0.0.1:81, [::1]:81"),
            ("CMS_EDGE_SERVER__WORKERS", "3"),
            ("CMS_EDGE_PURGE__PROTOCOLS", "true"),
            ("CMS_EDGE_PURGE__ALLOW_FROM", "[\"10.0.0.0/8\"]"),
            ("CMS_EDGE_UPSTREAM__CMS__SERVERS", "http://[::1]:8000"),
            ("CMS_EDGE_UPSTREAM__CMS__RETRIES", "0"),
            ("CMS_EDGE_TTL__NEWS", "90s"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.admin.listen.port(), 9191);
    assert!(config.admin.token.unwrap().is(b"0012345678901234"));
    assert_eq!(config.namespace, "007");
    assert_eq!(config.server.http.len(), 2);
    assert_eq!(config.server.workers, 3);
    assert!(config.purge.protocols);
    assert_eq!(config.purge.allow_from.len(), 1);
    assert_eq!(
        config.upstreams[0].settings.servers[0].to_string(),
        "http://[::1]:8000/"
    );
    assert_eq!(config.upstreams[0].settings.retries, 0);
    assert_eq!(config.tiers.lifetime("news"), Some(Duration::from_secs(90)));
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let found = read(
        LEAST,
        &[
            ("CMS_EDGE_ADMIN__LISTEN", "9191"),
            ("CMS_EDGE_SERVER__HTTP", "127.0.0.1:80,nowhere"),
            ("CMS_EDGE_UPSTREAM__B__HOST", "preserve"),
        ],
    );
    assert_eq!(
        found.unwrap_err(),
        [
            "CMS_EDGE_ADMIN__LISTEN: admin.listen: found \"9191\"; allowed: an address with a port like \"127.0.0.1:8080\" or \"[::]:443\"",
            "CMS_EDGE_SERVER__HTTP: server.http[1]: found \"nowhere\"; allowed: an address with a port like \"127.0.0.1:8080\" or \"[::]:443\"",
            "CMS_EDGE_UPSTREAM__B__HOST: upstream.b.servers: found nothing; allowed: a list, each a URL of scheme, host and port like \"http://127.0.0.1:8000\", or \"unix:/run/cms.sock\"",
        ]
    );
}

#[test]
fn a_variable_that_names_no_key_is_a_mistake() {
    let found = read(
        LEAST,
        &[
            ("CMS_EDGE_HOME", "/srv"),
            ("CMS_EDGE_LOG__LEVL", "info"),
            ("CMS_EDGE_SERVICE_HOST", "10.0.0.1"),
        ],
    )
    .unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("CMS_EDGE_HOME: home: found an unknown key; "));
    assert_eq!(
        found[1],
        "CMS_EDGE_LOG__LEVL: log.levl: found an unknown key; allowed: access, query, level; did you mean CMS_EDGE_LOG__LEVEL?"
    );
}

#[test]
fn a_variable_does_not_reach_into_lists_of_tables() {
    let variables = [
        ("CMS_EDGE_NAMESPACE__X", "1"),
        ("CMS_EDGE_ROUTE", "[]"),
        ("CMS_EDGE_ROUTE__NAME", "x"),
    ];
    let allowed = "allowed: CMS_EDGE_TABLE__KEY for keys outside [[…]] tables";
    let route = "route: found a variable that";
    assert_eq!(
        read(&format!("namespace = \"n\"\n{LEAST}"), &variables).unwrap_err(),
        [
            format!(
                "CMS_EDGE_NAMESPACE__X: namespace: found a variable that reaches into a single value; {allowed}"
            ),
            format!("CMS_EDGE_ROUTE: {route} replaces a list of tables; {allowed}"),
            format!("CMS_EDGE_ROUTE__NAME: {route} reaches into a list; {allowed}"),
        ]
    );
}

// ---- secrets and files ---------------------------------------------------------------------

const WEBHOOK: &str = r#"[[webhook]]
name = "w"
path = "/_cms-edge/w"
dialect = "hmac"
secrets = ["0123456789abcdef"]
[[webhook.rule]]
events = ["*"]
everything = true
"#;

#[test]
fn secrets_come_from_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-a-file-0123456\n").unwrap();
    let text = format!("[admin]\ntoken = \"env:TOKEN\"\n[purge]\ntoken = \"file:token\"\n{LEAST}");
    let environment = [("TOKEN".to_owned(), "from-a-variable-0123".to_owned())];
    let config = config::parse(&text, "proxy.toml", folder.path(), environment).unwrap();
    assert!(config.admin.token.unwrap().is(b"from-a-variable-0123"));
    assert!(config.purge.token.unwrap().is(b"from-a-file-0123456"));
}

#[test]
fn a_secret_that_cannot_be_had_names_its_key() {
    let text =
        format!("[admin]\ntoken = \"env:NOPE\"\n[purge]\ntoken = \"file:/nowhere/token\"\n{LEAST}");
    let allowed = "allowed: \"\", a text of at least 16 characters, \"env:NAME\" or \"file:/path\"";
    assert_eq!(
        read(&text, &[]).unwrap_err(),
        [
            format!(
                "proxy.toml:2: admin.token: found \"env:NOPE\" (there is no such variable); {allowed}"
            ),
            format!(
                "proxy.toml:4: purge.token: found \"file:/nowhere/token\" (No such file or directory); {allowed}"
            ),
        ]
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = [
        "hunter2-a",
        "hunter2-b",
        "whsec_hunter2",
        "hunter2-hunter2-hunter2",
    ];
    let [token, from_variable, standard, in_url] = secrets;
    let text = format!(
        "[admin]\ntoken = \"{token}\"\n[purge]\ntoken = \"env:T\"\n{}{WEBHOOK}",
        LEAST.replace("http://", &format!("http://root:{in_url}@"))
    );
    let text = text
        .replace("\"hmac\"", "\"standard\"")
        .replace("0123456789abcdef", &format!("{standard}\", \"{in_url}"));
    let mistakes = read(&text, &[("T", from_variable)]).unwrap_err();
    assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
    assert!(!mistakes.concat().contains("hunter2"), "{mistakes:#?}");
    let alone = WEBHOOK.replace("[\"0123456789abcdef\"]", "\"hunter2-hunter2-hunter2\"");
    let mistakes = after_least(&alone);
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].contains("found a text of 23 characters; "),
        "{mistakes:?}"
    );
    let redis = format!("[redis]\nurl = \"rediss://edge:{in_url}@a#insecure\"\n{LEAST}");
    let mistakes = read(&redis, &[]).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(!mistakes[0].contains("hunter2"), "{mistakes:?}");
    let good = format!(
        "[admin]\ntoken = \"{in_url}\"\n[redis]\nurl = \"redis://edge:{in_url}@a\"\n{LEAST}"
    );
    let good = read(&good, &[]).unwrap();
    let shown = format!("{good:?} {:?}", good.redis().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn certificates_and_keys_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let pair = rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).unwrap();
    write("cert.pem", &pair.cert.pem());
    write("key.pem", &pair.signing_key.serialize_pem());
    let with = |cert: &str, key: &str| {
        let text = format!(
            "[server]\nhttps = [\"127.0.0.1:8443\"]\n[[certificate]]\ncert = \"{cert}\"\nkey = \"{key}\"\n{LEAST}"
        );
        write("proxy.toml", &text);
        config::load(&folder.path().join("proxy.toml"), [])
    };
    let config = with("cert.pem", "key.pem").unwrap();
    let key = Pem::File(folder.path().join("key.pem"));
    assert_eq!(config.certificates[0].key_pem, key);
    let found = with("none.pem", "cert.pem").unwrap_err().to_string();
    let (first, second) = found.split_once('\n').unwrap();
    let line = |end: &str| format!("{}{end}", folder.path().join("proxy.toml").display());
    assert_eq!(
        first,
        line(
            ":4: certificate[0].cert: found \"none.pem\" (No such file or directory); allowed: the path of a PEM file"
        )
    );
    assert_eq!(
        second,
        line(
            ":5: certificate[0].key: found \"cert.pem\" (there is no private key in it); allowed: the path of a PEM file"
        )
    );
}

#[path = "config/checks.rs"]
mod checks;
#[path = "config/connecting.rs"]
mod connecting;
#[path = "config/operator.rs"]
mod operator;
#[path = "config/reach.rs"]
mod reach;
#[path = "config/servers.rs"]
mod servers;
#[path = "config/webhooks.rs"]
mod webhooks;
