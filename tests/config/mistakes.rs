//! All mistakes are told at once, each with its line, and nothing is applied by halves.

use std::fs;
use std::process::Command;

use cms_edge::config::{self, MISTAKES_MAX};

use crate::support::{LEAST, read};

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
