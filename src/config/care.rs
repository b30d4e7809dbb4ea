//! `[upstream.NAME]`: whom of the servers to ask, and when to stop asking.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};

use super::describe::{Presence, Sample, Style};
use super::section::{Section, Wrong, default};
use super::server::bounded;
use super::upstream::{SERVER_FORM, filled_server};
use crate::fetch::{Address, Breaker, Care, Check, Choice, Share, Statuses, WEIGHT_MAX};
use crate::route::pattern::is_host;

const SERVER: &str = "A server of its own weight or patience, in addition to `servers`.";

const CHECK: &str = "Asks each server how it is, whether or not visitors come. Without it servers are \
    judged by their answers to visitors alone.";

const BREAKER: &str = "Stops asking a CMS that fails again and again: visitors have stale copies, or a \
    503, at once instead of waiting. After `open_for` one request finds out whether it answers again.";

const STATUSES: &str = "a status like \"503\" or a class like \"2xx\"";

/// Adds the servers that have tables of their own to `servers`.
pub(super) fn care(s: &Section<'_>, servers: &mut Vec<Address>) -> Care {
    let choice = s.choice(
        "balance",
        Choice::default(),
        &[
            ("power_of_two", Choice::PowerOfTwo),
            ("least_connections", Choice::LeastConnections),
            ("round_robin", Choice::RoundRobin),
        ],
        "Which server is next: of two at random the one with less to do (many edges do not choose \
         the same), the one with the least to do of all, or each in turn. All by weight.",
    );
    let share = Share {
        max_fails: max_fails(s, Share::default().max_fails),
        fail_timeout: s.duration(
            "fail_timeout",
            "10s",
            "10ms"..="1h",
            "How long a failing server is left out; then one request tries it. It is also the time \
             within which `max_fails` are counted. Short: a dead server is tried often.",
        ),
        ..Share::default()
    };
    let fail_statuses = s.list(
        "fail_statuses",
        Presence::Default(Sample::List(&[])),
        STATUSES,
        "Statuses that count as failures of a server, like refused connections do, for `max_fails` \
         and the breaker. They are passed on all the same. A page that always fails can take its \
         server out.",
        failure,
    );
    let slow_start = s.duration(
        "slow_start",
        "0s",
        "0s"..="1h",
        "How long a server that has come back takes to get its full share, so that its caches can \
         warm up. 0s: all at once.",
    );
    let retry_budget = bounded(s.integer(
        "retry_budget",
        20,
        0..=100,
        "Repeated requests, in percent of the requests of the last ten seconds, on top of ten a \
         second. Low: a dead server is felt sooner. High: a CMS in trouble gets more load by it.",
    ));
    let slow_threshold = s.duration(
        "slow_threshold",
        "0s",
        "0s"..="1h",
        "Answers that begin later than this are counted and logged, at most five a second. 0s: \
         none are.",
    );
    let shares = shares(s, servers, &share);
    Care {
        choice,
        shares,
        share,
        fail_statuses: Statuses(fail_statuses),
        slow_start,
        check: check(s),
        retry_budget,
        breaker: breaker(s),
        slow_threshold,
    }
}

fn max_fails(s: &Section<'_>, default: u32) -> u32 {
    bounded(s.integer(
        "max_fails",
        default.into(),
        0..=1_000_000,
        "Failures of a server in a row (no connection, no answer in time, a closed connection) \
         after which it is left out. The last server never is. 0: never. 1: one slow page is \
         enough.",
    ))
}

/// By the place of the server in `servers`.
fn shares(s: &Section<'_>, servers: &mut Vec<Address>, share: &Share) -> Vec<Share> {
    let mut shares = vec![share.clone(); servers.len()];
    for table in s.array("server", Style::OptionalArray, SERVER) {
        let url = table.text(
            "url",
            Presence::Required(Sample::Text("http://127.0.0.1:8001")),
            SERVER_FORM,
            "Where it is. ${NAME} is the value of a variable.",
            |text| filled_server(&table, text),
        );
        let own = own_share(&table, share);
        let Some(url) = url else { continue };
        if servers.contains(&url) {
            table.object("url", "one server twice", "each server once");
        }
        servers.push(url);
        shares.push(own);
    }
    if servers.is_empty() && s.is_given("server") {
        s.object("server", "no server", "at least one server");
    }
    shares
}

fn own_share(table: &Section<'_>, share: &Share) -> Share {
    Share {
        weight: bounded(table.integer(
            "weight",
            1,
            1..=WEIGHT_MAX.into(),
            "Its part of the requests: a server of weight 2 gets twice what one of weight 1 gets.",
        )),
        backup: table.boolean(
            "backup",
            false,
            "Whether it is asked only while no other server can be.",
        ),
        max_fails: max_fails(table, share.max_fails),
        fail_timeout: table
            .optional_duration(
                "fail_timeout",
                "10ms"..="1h",
                "How long it is left out. Empty: as the others.",
            )
            .unwrap_or(share.fail_timeout),
    }
}

fn check(s: &Section<'_>) -> Option<Check> {
    let s = s.optional_section("health_check", CHECK)?;
    let path = s.text(
        "path",
        Presence::Required(Sample::Text("/healthz")),
        "a path like \"/healthz\"",
        "What is asked for. It must be cheap, and tell whether the server can answer visitors.",
        |text| match text.parse::<PathAndQuery>() {
            Ok(path) if text.starts_with('/') => Ok(path),
            _ => Err(Wrong::default()),
        },
    );
    let host = s.text(
        "host",
        default(""),
        "\"\" or a host like \"cms.example.org\"",
        "The Host that it is asked with. Empty: as `host` of the upstream says, or the server's \
         own name where that is the visitor's.",
        |text| match text.parse::<Authority>() {
            _ if text.is_empty() => Ok(None),
            Ok(authority) if is_host(authority.host()) && !text.contains('@') => {
                let value = HeaderValue::from_str(text).map_err(|_| Wrong::default())?;
                Ok(Some(value))
            }
            _ => Err(Wrong::default()),
        },
    );
    let [interval, timeout] = rhythm(&s);
    let [healthy, unhealthy] = thresholds(&s);
    let statuses = s.list(
        "status",
        Presence::Default(Sample::List(&["2xx"])),
        STATUSES,
        "What a good answer has. Empty: no answer is good.",
        |text| statuses(text).ok_or_else(Wrong::default),
    );
    Some(Check {
        path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
        host: host.flatten(),
        interval,
        timeout,
        healthy,
        unhealthy,
        statuses: Statuses(statuses),
    })
}

fn rhythm(s: &Section<'_>) -> [Duration; 2] {
    [
        s.duration(
            "interval",
            "5s",
            "10ms"..="1h",
            "How often. Short: load on the CMS from every edge. Long: a dead server is found late.",
        ),
        s.duration(
            "timeout",
            "2s",
            "10ms"..="10m",
            "How long a check may take, connecting included.",
        ),
    ]
}

fn thresholds(s: &Section<'_>) -> [u32; 2] {
    [
        bounded(s.integer(
            "healthy",
            2,
            1..=1000,
            "Good checks in a row that bring a server back.",
        )),
        bounded(s.integer(
            "unhealthy",
            3,
            1..=1000,
            "Bad checks in a row that take a server out. 1: one lost packet is enough. With every \
             server out all are asked.",
        )),
    ]
}

fn breaker(s: &Section<'_>) -> Breaker {
    let s = s.section("breaker", BREAKER);
    Breaker {
        failures: bounded(s.integer(
            "failures",
            Breaker::default().failures.into(),
            0..=1_000_000,
            "Requests that fail in a row, all servers together. Low: a few bad pages in a row \
             stop everything. High: many visitors wait in vain first. 0: off.",
        )),
        open_for: s.duration(
            "open_for",
            "5s",
            "10ms"..="10m",
            "How long nothing is asked then. Long: a CMS that is back stands idle.",
        ),
    }
}

/// A status that can mean trouble.
fn failure(text: &str) -> Result<RangeInclusive<u16>, Wrong> {
    let statuses = statuses(text).ok_or_else(Wrong::default)?;
    if *statuses.start() < 400 {
        return Err(Wrong::because("below 400 nothing has failed"));
    }
    Ok(statuses)
}

fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, rest) = text.split_at_checked(1)?;
    let class = first.parse::<u16>().ok().filter(|n| (1..=5).contains(n))? * 100;
    if rest == "xx" {
        return Some(class..=class + 99);
    }
    let is_number = rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let status = class + rest.parse::<u16>().ok().filter(|_| is_number)?;
    Some(status..=status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_or_a_class() {
        assert_eq!(statuses("2xx"), Some(200..=299));
        assert_eq!(statuses("503"), Some(503..=503));
        for text in [
            "", "2", "xx", "6xx", "2xX", "99", "099", "2000", "+03", "5+3", "ü03",
        ] {
            assert_eq!(statuses(text), None, "{text}");
        }
    }

    #[test]
    fn a_good_status_is_no_failure() {
        assert!(failure("200").is_err());
        assert_eq!(failure("5xx").unwrap(), 500..=599);
    }
}
