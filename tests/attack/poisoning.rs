//! Requests that would change a page for everybody: fields that origins obey and keys do not have,
//! and requests that make an origin answer with an error that is then stored.

use std::time::Duration;

use crate::kit::arena::{Arena, Setup};
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, assert_none, play};
use crate::kit::swarm::{get, status};

/// What no honest request has.
const CANARY: &str = "canary.example";

/// Fields that change a page for those who believe in them.
const VECTORS: &[&str] = &[
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-for",
    "x-forwarded-path",
    "x-forwarded",
    "forwarded",
    "x-original-url",
    "x-original-host",
    "x-original-uri",
    "x-rewrite-url",
    "x-override-url",
    "x-request-uri",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-host",
    "x-http-host-override",
    "x-proxy-url",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-url-scheme",
    "x-scheme",
    "front-end-https",
    "proxy",
    "x-accel-redirect",
    "x-sendfile-type",
    "surrogate-capability",
    "x-middleware-subrequest",
    "x-middleware-prefetch",
    "x-nextjs-data",
    "x-now-route-matches",
    "x-matched-path",
    "x-invoke-status",
    "X_Forwarded_Host",
    "x.forwarded.host",
    "x_http_method_override",
];

/// Requests to whose page an origin answers otherwise: what they are called, their field lines, and
/// the status that this origin answers.
#[rustfmt::skip]
const ERRORS: &[(&str, &str, u16)] = &[
    ("a range", "range: bytes=0-3\r\n", 206),
    ("a range that cannot be had", "range: bytes=9999999-\r\n", 416),
    ("if-none-match", "if-none-match: *\r\n", 304),
    ("if-modified-since", "if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 304),
    ("if-match", "if-match: \"nothing\"\r\n", 412),
    ("if-unmodified-since", "if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 412),
    ("expect", "expect: nothing\r\n", 417),
    ("authorization", "authorization: Basic Y2FuYXJ5\r\n", 401),
    ("a session", "cookie: sessionid=canary.example\r\n", 401),
    ("an upgrade", "connection: upgrade\r\nupgrade: nothing\r\n", 400),
    ("a method to override with", "x-http-method-override: DELETE\r\n", 405),
    ("a control character", "x-meta: \x07\r\n", 400),
    ("a head that is too large for the origin", "LONG", 431),
];

/// Bytes of a head that this origin takes; the server takes more.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Shows all it was asked with, as pages do that build links from it; answers as [`ERRORS`] says.
fn answer(seen: &Seen) -> Reply {
    let page = Reply::ok(seen.text()).field("cache-control", "max-age=600");
    let is_error = |(_, lines, _): &&(&str, &str, u16)| {
        let name = lines.split(':').next().unwrap_or_default();
        seen.field(name)
            .is_some_and(|value| lines.contains(value) && name != "connection")
    };
    if seen.raw.len() > HEAD_BYTES_MAX {
        return page.status(431);
    }
    match ERRORS.iter().find(is_error) {
        Some((.., 206)) => page.field("content-range", "bytes 0-3/100").status(206),
        Some((.., status)) => page.status(*status),
        None => page,
    }
}

fn terms(name: &'static str) -> Terms {
    Terms {
        name,
        limits: &[],
        growth: 32,
        connections: 1,
        time: Duration::from_secs(1),
        is_on_origin: false,
    }
}

const SETUP: Setup = Setup {
    server: "",
    upstream: "",
    routes: "",
    needs_origin: true,
};

#[tokio::test]
async fn a_field_that_only_a_proxy_may_set_changes_nothing_for_anybody() {
    let Some(arena) = Arena::enter(SETUP, answer).await else {
        return;
    };
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (number, name) in VECTORS.iter().enumerate() {
            let path = format!("/poison/{number}");
            let lines = format!("{name}: {CANARY}\r\n{name}: https\r\nconnection: {name}\r\n");
            for lines in [format!("{name}: {CANARY}\r\n"), lines] {
                let poisoned = get(arena.target, &arena.host, &path, &lines).await;
                let clean = get(arena.target, &arena.host, &path, "").await;
                let seen: String = arena.origin().take().iter().map(Seen::text).collect();
                let all = [&poisoned, &clean, &seen];
                if all.iter().any(|text| text.contains(CANARY)) || status(&clean) != "200" {
                    wrong.push(format!("{name}: {all:?}"));
                }
            }
        }
    };
    play(&arena, terms("poisoning"), attack).await;
    assert_none(&wrong);
}

#[tokio::test]
async fn an_error_that_a_request_has_provoked_is_for_nobody_else() {
    let Some(arena) = Arena::enter(SETUP, answer).await else {
        return;
    };
    let long = format!("x-long: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (number, (name, lines, _)) in ERRORS.iter().enumerate() {
            let path = format!("/denial/{number}");
            let lines = lines.replace("LONG", &long);
            let provoked = get(arena.target, &arena.host, &path, &lines).await;
            let clean = get(arena.target, &arena.host, &path, "").await;
            if status(&clean) != "200" || !clean.contains(&path) {
                wrong.push(format!("{name}: first {provoked}\nthen {clean}"));
            }
        }
    };
    play(&arena, terms("denial by stored errors"), attack).await;
    assert_none(&wrong);
}

/// Requests that differ where the key must differ, or where the origin must not see it.
#[rustfmt::skip]
const OTHERS: &[(&str, &str, &str)] = &[
    ("another host", "GET {path} HTTP/1.1\r\nhost: canary.example\r\n", ""),
    ("a host by an absolute target", "GET http://canary.example{path} HTTP/1.1\r\nhost: {host}\r\n", ""),
    ("a port", "GET {path} HTTP/1.1\r\nhost: {host}:8443\r\nx-unused: canary.example\r\n", "another authority"),
    ("a parameter that does not count", "GET {path}?utm_content=canary.example HTTP/1.1\r\nhost: {host}\r\n", ""),
    ("a parameter behind a semicolon", "GET {path}?utm_content=x;callback=canary.example HTTP/1.1\r\nhost: {host}\r\n", ""),
    ("a parameter", "GET {path}?callback=canary.example HTTP/1.1\r\nhost: {host}\r\n", ""),
    ("a cookie", "GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: theme=canary.example\r\n", ""),
    ("a GET with content", "GET {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 14\r\n", "canary.example"),
    ("a HEAD with content", "HEAD {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 14\r\n", "canary.example"),
    ("a fragment", "GET {path}#canary.example HTTP/1.1\r\nhost: {host}\r\n", ""),
    ("credentials", "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: canary.example\r\n", ""),
    ("a session", "GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: sessionid=canary.example\r\n", ""),
];

#[tokio::test]
async fn what_makes_another_page_makes_no_page_of_the_others() {
    // Shows all it was asked with, and never an error.
    let answer = |seen: &Seen| Reply::ok(seen.text()).field("cache-control", "max-age=600");
    let Some(arena) = Arena::enter(SETUP, answer).await else {
        return;
    };
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (number, (name, head, content)) in OTHERS.iter().enumerate() {
            let path = format!("/other/{number}");
            let head = head.replace("{path}", &path).replace("{host}", &arena.host);
            let (line, lines) = head.split_once("\r\n").unwrap_or_default();
            let other = other(&arena, line, lines, content).await;
            let clean = get(arena.target, &arena.host, &path, "").await;
            if status(&clean) != "200" || clean.contains(CANARY) || clean.contains("8443") {
                wrong.push(format!("{name}: first {other}\nthen {clean}"));
            }
        }
    };
    play(&arena, terms("poisoning by what is not in the key"), attack).await;
    assert_none(&wrong);
}

async fn other(arena: &Arena, line: &str, lines: &str, content: &str) -> String {
    use crate::kit::swarm::{connect, rest};
    use tokio::io::AsyncWriteExt;

    let mut stream = connect(arena.target).await.unwrap();
    let text = format!("{line}\r\n{lines}connection: close\r\n\r\n{content}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    String::from_utf8_lossy(&answer).into_owned()
}
