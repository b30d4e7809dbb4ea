//! The names of variables that operators know from other programs.

use std::path::Path;
use std::time::Duration;

use cms_edge::config;

use crate::support::{LEAST, cache, read};

#[test]
fn they_say_what_routes_and_sections_leave_open() {
    let environment = [
        ("CACHE_TTL", "90"),
        ("COMPRESSION_LEVEL", "9"),
        ("METRICS_PORT", "9100"),
        ("ENABLE_CACHING", "false"),
        ("ENABLE_COMPRESSION", "0"),
    ];
    let config = read(LEAST, &environment).unwrap();
    assert_eq!(cache(&config).ttl, Duration::from_secs(90));
    let compress = &config.routes[0].compress;
    assert_eq!((compress.gzip, compress.brotli), (9, 9));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9100");
    assert!(!config.switches.caching && !config.switches.compression);
    assert!(config.notices.is_empty());
    let same = read(LEAST, &[("COMPRESSION_LEVEL", "5")]).unwrap();
    let compress = &same.routes[0].compress;
    assert_eq!((compress.gzip, compress.brotli), (5, 4), "the defaults");
    assert!(same.switches.caching && same.switches.compression);
}

#[test]
fn what_is_set_for_us_wins_over_them() {
    let text = format!(
        "{LEAST}ttl = \"10s\"\n[route.compress]\ngzip = 2\n[admin]\nlisten = \"[::1]:1\"\n"
    );
    let environment = [
        ("CACHE_TTL", "5m"),
        ("COMPRESSION_LEVEL", "1"),
        ("METRICS_PORT", "9100"),
    ];
    let config = read(&text, &environment).unwrap();
    assert_eq!(cache(&config).ttl, Duration::from_secs(10));
    let compress = &config.routes[0].compress;
    assert_eq!((compress.gzip, compress.brotli), (2, 1));
    assert_eq!(config.admin.listen.to_string(), "[::1]:9100");
    let ours = ("CMS_EDGE_ADMIN__LISTEN", "127.0.0.1:7");
    let config = read(LEAST, &[ours, ("METRICS_PORT", "9100")]).unwrap();
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:7");
}

#[test]
fn a_mistake_in_one_names_it_and_what_is_allowed() {
    for (name, value, expected) in [
        (
            "CACHE_TTL",
            "soon",
            "CACHE_TTL: found \"soon\"; allowed: seconds like \"3600\", or a duration from \"0s\" to \"3650d\"",
        ),
        (
            "CACHE_TTL",
            "2d",
            "CACHE_TTL: found a lifetime of 172800s; allowed: at most ttl_max, 86400s of route[0]",
        ),
        (
            "COMPRESSION_LEVEL",
            "10",
            "COMPRESSION_LEVEL: found \"10\"; allowed: a whole number from 1 to 9",
        ),
        (
            "METRICS_PORT",
            "0",
            "METRICS_PORT: found \"0\"; allowed: a whole number from 1 to 65535",
        ),
        (
            "ENABLE_CACHING",
            "maybe",
            "ENABLE_CACHING: found \"maybe\"; allowed: true or false (1, 0, yes, no, on and off are the same)",
        ),
        (
            "REDIS_URL",
            "secret@host",
            "REDIS_URL: found a text of 11 characters; allowed: a URL like \"redis://127.0.0.1:6379/0\"",
        ),
    ] {
        assert_eq!(read(LEAST, &[(name, value)]).unwrap_err(), [expected]);
        assert!(read(LEAST, &[(name, " ")]).is_ok(), "{name}: empty is none");
    }
}

#[test]
fn redis_url_is_the_url_of_redis_unless_the_file_has_one() {
    let url = "redis://:password@127.0.0.1:6399/0";
    let of_variable = read(LEAST, &[("REDIS_URL", url)]).unwrap().redis;
    assert!(format!("{:?}", of_variable.url().unwrap().addr()).contains("6399"));
    let text = format!("{LEAST}[redis]\nurl = \"redis://127.0.0.1:6400\"\n");
    let of_file = read(&text, &[("REDIS_URL", url)]).unwrap().redis;
    assert!(format!("{:?}", of_file.url().unwrap().addr()).contains("6400"));
    assert!(read(LEAST, &[]).unwrap().redis.url().is_none());
}

#[cfg(not(feature = "otlp"))]
#[test]
fn an_endpoint_that_this_build_cannot_send_to_is_told() {
    let text = format!("{LEAST}[trace]\nendpoint = \"http://127.0.0.1:4318\"\n");
    let config = read(&text, &[]).unwrap();
    assert_eq!(
        config.notices,
        ["trace.endpoint has no effect: this build is without the feature otlp"]
    );
}

#[test]
fn the_log_goes_to_a_file_whose_path_has_a_slash() {
    let log = |access: &str| {
        let text = format!("{LEAST}[log]\naccess = \"{access}\"\n");
        config::parse(&text, "proxy.toml", Path::new("/etc/edge"), [])
    };
    let file = |path: &str| config::file::AccessLog::File(path.into());
    assert_eq!(log("/var/log/a").unwrap().log.access, file("/var/log/a"));
    assert_eq!(log("./a").unwrap().log.access, file("/etc/edge/./a"));
    for wrong in ["stdou", "", "logs/"] {
        assert!(log(wrong).is_err(), "{wrong}");
    }
}
