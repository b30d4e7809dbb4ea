//! Variables override what the file says.

use std::time::Duration;

use crate::support::{LEAST, read};

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
