//! Tiers and lifetimes, by status and when stale.

use std::time::Duration;

use cms_edge::policy::StatusTtl;

use crate::support::{LEAST, after_least, cache, no_mistake, one_mistake, read};

#[test]
fn a_tier_of_ones_own_is_a_tier() {
    let config = read(
        &format!("{LEAST}ttl = \"news\"\n[ttl]\nnews = \"90s\"\n"),
        &[],
    )
    .unwrap();
    assert_eq!(cache(&config).ttl, Duration::from_secs(90));
    let tiers = "long, medium, news, short, very_long, year";
    one_mistake(
        "ttl = \"nwes\"\n[ttl]\nnews = \"90s\"\n",
        &format!(
            "proxy.toml:7: route[0].ttl: found \"nwes\"; allowed: a tier ({tiers}) or a duration like \"5m\"; did you mean \"news\"?"
        ),
    );
    one_mistake(
        "ttl = \"news\"\n[ttl]\nnews = 90\n",
        "proxy.toml:9: ttl.news: found 90; allowed: a duration from \"0s\" to \"3650d\"",
    );
}

#[test]
fn no_lifetime_is_longer_than_ttl_max() {
    one_mistake(
        "ttl = \"year\"\n",
        "proxy.toml:7: route[0].ttl: found a lifetime of 31536000s; allowed: at most ttl_max, 86400s",
    );
    one_mistake(
        "ttl_max = \"1h\"\n",
        "proxy.toml:7: route[0].ttl_max: found 3600s, less than ttl; allowed: at least ttl, 7200s",
    );
    one_mistake(
        "ttl_by_status = { 404 = \"30s\", 4xx = \"2d\" }\n",
        "proxy.toml:7: route[0].ttl_by_status.4xx: found a lifetime of 172800s; allowed: at most ttl_max, 86400s",
    );
    no_mistake("ttl = \"year\"\nttl_max = \"year\"\n");
    // What is wrong with one of them says nothing about the other.
    assert_eq!(
        after_least("ttl = \"year\"\nttl_max = \"1 day\"\n").len(),
        1
    );
}

#[test]
fn statuses_are_codes_and_classes() {
    let text = format!("{LEAST}ttl_by_status = {{ 404 = \"short\", 5xx = \"0s\" }}\n");
    let config = read(&text, &[]).unwrap();
    let five_minutes = Duration::from_secs(300);
    assert_eq!(
        cache(&config).ttl_by_status,
        [(404, five_minutes), (5, Duration::ZERO)].map(|(status, ttl)| StatusTtl { status, ttl })
    );
    one_mistake(
        "ttl_by_status = { 1xx = \"0s\" }\n",
        "proxy.toml:7: route[0].ttl_by_status.1xx: found the status \"1xx\"; allowed: 200 to 599, or a class from \"2xx\" to \"5xx\"",
    );
}

#[test]
fn stale_windows_have_an_end() {
    one_mistake(
        "stale_if_error = \"366d\"\n",
        "proxy.toml:7: route[0].stale_if_error: found \"366d\"; allowed: a duration from \"0s\" to \"365d\"",
    );
    one_mistake(
        "stale_while_revalidate = \"-1s\"\n",
        "proxy.toml:7: route[0].stale_while_revalidate: found \"-1s\"; allowed: \"\", or a duration from \"0s\" to \"365d\"",
    );
}
