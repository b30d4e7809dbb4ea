//! One test for each check that compares settings of caches, Redis, purges and upstreams.

use cms_edge::store::redis::connect::Mode;

use crate::support::{LEAST, no_mistake, one_mistake, read};

#[test]
fn a_cache_has_memory_or_redis() {
    one_mistake(
        "[cache]\nmemory = \"0B\"\n",
        "proxy.toml:8: cache.memory: found no memory and no Redis; allowed: at least \"1MiB\", or a redis.url",
    );
    one_mistake(
        "[cache]\nmemory = \"512KiB\"\n",
        "proxy.toml:8: cache.memory: found less than \"1MiB\"; allowed: \"0B\", or at least \"1MiB\"",
    );
    no_mistake("[cache]\nmemory = \"0B\"\n[redis]\nurl = \"redis://127.0.0.1:1\"\n");
}

#[test]
fn redis_is_one_server_sentinels_or_a_cluster() {
    one_mistake(
        "[redis]\nurl = \"redis://a\"\nservers = [\"b:1\"]\n",
        "proxy.toml:9: redis.servers: found further servers of a standalone one; allowed: none, or another redis.mode",
    );
    one_mistake(
        "[redis]\nurl = \"redis+unix:///a\"\nmode = \"cluster\"\n",
        "proxy.toml:8: redis.url: found a socket with another redis.mode than \"standalone\"; allowed: a URL with host and port",
    );
    one_mistake(
        "[redis]\nurl = \"redis://a/1\"\nmode = \"cluster\"\n",
        "proxy.toml:8: redis.url: found a database of a cluster, which has but one; allowed: a URL without a path",
    );
    no_mistake(
        "[redis]\nurl = \"rediss://user:password@a:1/2\"\nmode = \"sentinel\"\nservers = [\"b:1\", \"[::1]:2\"]\n",
    );
}

#[test]
fn purge_protocols_need_somebody_who_may() {
    one_mistake(
        "[purge]\nprotocols = true\nallow_from = []\n",
        "proxy.toml:8: purge.protocols: found true, with nobody in allow_from and no token; allowed: false, or a network in purge.allow_from, or a purge.token",
    );
    no_mistake("[purge]\nprotocols = true\n");
    no_mistake("[purge]\nprotocols = true\nallow_from = []\ntoken = \"0123456789abcdef\"\n");
}

#[test]
fn an_address_alone_is_a_network_of_one() {
    no_mistake("[purge]\nallow_from = [\"10.1.2.3\", \"::1\"]\n");
}

#[test]
fn the_same_server_twice_is_a_mistake() {
    one_mistake(
        "[upstream.b]\nservers = [\"http://a:1\", \"http://a:1/\"]\n",
        "proxy.toml:8: upstream.b.servers: found one server twice; allowed: each server once",
    );
    one_mistake(
        "[upstream.b]\nservers = []\n",
        "proxy.toml:8: upstream.b.servers: found an empty list; allowed: at least one server",
    );
}

#[test]
fn names_are_fit_for_keys_and_labels() {
    one_mistake(
        "[upstream.\"a b\"]\nservers = [\"http://a:1\"]\n",
        "proxy.toml:7: upstream.\"a b\": found an upstream called \"a b\"; allowed: a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
    );
    one_mistake(
        "[ttl]\n5m = \"5m\"\n",
        "proxy.toml:8: ttl.5m: found a tier called \"5m\"; allowed: a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
    );
}

#[test]
fn a_lease_ends_before_its_instance_counts_as_gone() {
    one_mistake(
        "[purge_log]\ngone = \"5100ms\"\n",
        "proxy.toml:8: purge_log.gone: found a time that is not longer than purge_log.lease by 2 %; allowed: a longer one, or a shorter purge_log.lease",
    );
    no_mistake("[purge_log]\ngone = \"5102ms\"\n");
    one_mistake(
        "[purge_log]\nrenew = \"2500ms\"\n",
        "proxy.toml:8: purge_log.renew: found half of purge_log.lease or more; allowed: less, or a longer purge_log.lease",
    );
}

#[test]
fn a_url_of_redis_says_nothing_of_its_password() {
    one_mistake(
        "[purge_log]\nurl = \"http://edge:hunter2@redis\"\n",
        "proxy.toml:8: purge_log.url: found a text of 25 characters (it begins with \"http\" and not with redis://, rediss://, redis+unix:// or unix://); allowed: \"\", a URL like \"redis://user:password@host:6379/0\", \"rediss://…\" (TLS), \"redis+unix:///path\", \"env:NAME\" or \"file:/path\"",
    );
}

#[test]
fn the_purge_log_is_where_redis_is_unless_it_has_a_place_of_its_own() {
    let log = |text: &str| {
        let config = read(&format!("{LEAST}{text}"), &[]).unwrap();
        let log = config.shared_log("edge").unwrap();
        let log = log.map(|log| (log.servers, log.split.as_secs()));
        (config.notices, log)
    };
    assert!(log("").1.is_none());
    let sentinels = "[redis]\nurl = \"redis://:secret@a\"\nmode = \"sentinel\"\n\
        sentinel_master = \"main\"\nservers = [\"b:1\"]\n";
    // As the file of defaults has it.
    let defaults = "[purge_log]\nurl = \"\"\nmode = \"standalone\"\nservers = []\n";
    for more in ["", defaults] {
        let (notices, shared) = log(&format!("{sentinels}{more}"));
        let (servers, split) = shared.unwrap();
        assert_eq!((servers.mode, split), (Mode::Sentinel, 11));
        assert_eq!((servers.master.as_str(), servers.others.len()), ("main", 1));
        assert!(notices.is_empty());
    }
    let own = format!("{sentinels}[purge_log]\nurl = \"redis://c\"\nmode = \"cluster\"\n");
    let (servers, split) = log(&own).1.unwrap();
    assert_eq!((servers.mode, split), (Mode::Cluster, 16));
    assert!(servers.others.is_empty());
    let one = log("[redis]\nurl = \"redis://a\"\n").1.unwrap();
    assert_eq!(one.1, 0);
    let (notices, off) = log(&format!("{sentinels}[purge_log]\nenabled = false\n"));
    assert!(off.is_none());
    assert!(
        notices[0].starts_with("purge_log.enabled is false"),
        "{notices:?}"
    );
}

#[test]
fn a_way_without_a_place_and_a_split_too_short_are_mistakes() {
    one_mistake(
        "[redis]\nurl = \"redis://a\"\n[purge_log]\nmode = \"cluster\"\n",
        "proxy.toml:10: purge_log.mode: found a way to reach Redis without a purge_log.url; allowed: what it is by default, or also a purge_log.url",
    );
    one_mistake(
        "[redis]\nurl = \"redis://a\"\nmode = \"cluster\"\n[purge_log]\nsplit = \"0s\"\n",
        "proxy.toml:11: purge_log.split: found less than a second where another master may be promoted; allowed: \"\", or at least \"1s\"",
    );
    no_mistake("[redis]\nurl = \"redis://a\"\nmode = \"cluster\"\n[purge_log]\nsplit = \"1s\"\n");
}
