//! Servers of an upstream with tables of their own, health checks, the breaker.

use std::time::Duration;

use cms_edge::fetch::{Choice, Settings, Share};

use crate::support::{one_mistake, read};

const ROUTE: &str = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"cms\"\n";

fn upstream(text: &str) -> Settings {
    let config = read(&format!("[upstream.cms]\n{text}\n{ROUTE}"), &[]).unwrap();
    config.upstreams[0].settings.clone()
}

#[test]
fn servers_may_be_texts_tables_or_both() {
    let both = upstream(
        "servers = [\"http://a\"]\nmax_fails = 1\n\
         server = [{ url = \"http://b\", weight = 3, fail_timeout = \"1m\" },\n\
         { url = \"http://c\", backup = true, max_fails = 0 }]",
    );
    let names = both.servers.iter().map(ToString::to_string);
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["http://a/", "http://b/", "http://c/"]
    );
    let plain = Share {
        max_fails: 1,
        ..Share::default()
    };
    let [a, b, c] = both.care.shares.try_into().unwrap();
    assert_eq!(a, plain);
    let fail_timeout = Duration::from_secs(60);
    assert_eq!(
        b,
        Share {
            weight: 3,
            fail_timeout,
            ..plain.clone()
        }
    );
    assert_eq!(
        c,
        Share {
            backup: true,
            max_fails: 0,
            ..plain
        }
    );
    let tables = upstream("[[upstream.cms.server]]\nurl = \"https://a\"");
    assert_eq!(tables.servers.len(), 1);
}

#[test]
fn by_default_servers_share_by_load_and_nothing_is_asked_on_the_side() {
    let settings = upstream("servers = [\"http://a\"]");
    assert_eq!(settings.care.choice, Choice::PowerOfTwo);
    assert_eq!(settings.care.breaker, cms_edge::fetch::Breaker::default());
    assert_eq!(settings.care.share, Share::default());
    assert!(settings.care.check.is_none());
    assert_eq!(settings.stale_wait, Duration::from_secs(5));
}

#[test]
fn mistakes_in_the_care_of_an_upstream_are_named() {
    let server = |text: &str| format!("[[upstream.cms.server]]\nurl = \"http://b\"\n{text}");
    for (text, expected) in [
        (
            "[[upstream.cms.server]]\nurl = \"http://127.0.0.1:8000\"\n".to_owned(),
            "proxy.toml:8: upstream.cms.server[0].url: found one server twice; allowed: each server once",
        ),
        (
            "[[upstream.cms.server]]\nweight = 1\n".to_owned(),
            "proxy.toml:7: upstream.cms.server[0].url: found nothing; allowed: a URL of scheme, host and port like \"http://127.0.0.1:8000\", or \"unix:/run/cms.sock\"",
        ),
        (
            server("weight = 101\n"),
            "proxy.toml:9: upstream.cms.server[0].weight: found 101; allowed: a whole number from 1 to 100",
        ),
        (
            server("fail_time = \"1s\"\n"),
            "proxy.toml:9: upstream.cms.server[0].fail_time: found an unknown key; allowed: url, weight, backup, max_fails, fail_timeout; did you mean \"fail_timeout\"?",
        ),
        (
            "[upstream.cms.health_check]\npath = \"healthz\"\n".to_owned(),
            "proxy.toml:8: upstream.cms.health_check.path: found \"healthz\"; allowed: a path like \"/healthz\"",
        ),
        (
            "[upstream.cms.health_check]\npath = \"/\"\nstatus = [\"ok\"]\n".to_owned(),
            "proxy.toml:9: upstream.cms.health_check.status[0]: found \"ok\"; allowed: a status like \"503\" or a class like \"2xx\"",
        ),
        (
            "[upstream.cms.breaker]\nopen_for = \"0s\"\n".to_owned(),
            "proxy.toml:8: upstream.cms.breaker.open_for: found \"0s\"; allowed: a duration from \"10ms\" to \"10m\"",
        ),
    ] {
        one_mistake(&text, expected);
    }
    let none = format!("[upstream.cms]\nserver = []\n{ROUTE}");
    assert_eq!(
        read(&none, &[]).unwrap_err(),
        ["proxy.toml:2: upstream.cms.server: found no server; allowed: at least one server"]
    );
    let wrong = format!(
        "[upstream.cms]\nservers = [\"http://a\"]\nfail_statuses = [\"200\"]\n\
         balance = \"roundrobin\"\n{ROUTE}"
    );
    assert_eq!(
        read(&wrong, &[]).unwrap_err(),
        [
            "proxy.toml:3: upstream.cms.fail_statuses[0]: found \"200\" (below 400 nothing has failed); allowed: a status like \"503\" or a class like \"2xx\"",
            "proxy.toml:4: upstream.cms.balance: found \"roundrobin\"; allowed: \"power_of_two\", \"least_connections\" or \"round_robin\"; did you mean \"round_robin\"?",
        ]
    );
}
