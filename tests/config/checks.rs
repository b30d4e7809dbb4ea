//! One test for each check that compares settings with each other.

use cms_edge::store::redis::connect::Mode;

use super::*;

#[test]
fn https_needs_a_certificate_and_a_certificate_needs_https() {
    one_mistake(
        "[server]\nhttps = [\"127.0.0.1:8443\"]\n",
        "proxy.toml:8: server.https: found https listeners without a certificate; allowed: no address, or at least one [[certificate]]",
    );
    one_mistake(
        "[[certificate]]\ncert = \"c\"\nkey = \"k\"\n",
        "proxy.toml:7: certificate[0]: found a certificate without https listeners; allowed: no [[certificate]], or an address in server.https",
    );
}

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
fn a_redirect_needs_https() {
    one_mistake(
        "[server]\nhttp_mode = \"redirect\"\n",
        "proxy.toml:8: server.http_mode: found \"redirect\" without https listeners; allowed: \"serve\", or an address in server.https",
    );
}

#[test]
fn two_listeners_on_one_address_collide() {
    one_mistake(
        "[server]\nhttp = [\"127.0.0.1:81\",\n\"0.0.0.0:81\"]\n",
        "proxy.toml:9: server.http[1]: found 0.0.0.0:81, which collides with 127.0.0.1:81 of server.http[0]; allowed: an address that no other listener has",
    );
    one_mistake(
        "[admin]\nlisten = \"127.0.0.1:8080\"\n",
        "proxy.toml:8: admin.listen: found 127.0.0.1:8080, which collides with 127.0.0.1:8080 of server.http[0]; allowed: an address that no other listener has",
    );
    no_mistake(
        "[server]\nhttp = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"[::1]:80\", \"127.0.0.1:80\"]\n",
    );
}

#[test]
fn a_proxy_listens_somewhere() {
    one_mistake(
        "[server]\nhttp = []\n",
        "proxy.toml:8: server.http: found no address to listen on; allowed: at least one address in server.http or server.https",
    );
}

#[test]
fn an_admin_listener_that_others_reach_needs_a_token() {
    one_mistake(
        "[admin]\nlisten = \"0.0.0.0:9090\"\n",
        "proxy.toml:8: admin.listen: found 0.0.0.0:9090, which others reach, without a token; allowed: a loopback address like \"127.0.0.1:9090\", an admin.token, or an admin.client_ca",
    );
    no_mistake("[admin]\nlisten = \"0.0.0.0:9090\"\ntoken = \"0123456789abcdef\"\n");
    no_mistake(
        "[admin]\nlisten = \"0.0.0.0:9090\"\ntls_cert = \"c\"\ntls_key = \"k\"\nclient_ca = \"a\"\n",
    );
}

#[test]
fn tls_of_the_admin_listener_is_whole_or_not_there() {
    one_mistake(
        "[admin]\ntls_cert = \"c\"\n",
        "proxy.toml:8: admin.tls_cert: found a certificate without its key; allowed: \"\", or also an admin.tls_key",
    );
    one_mistake(
        "[admin]\ntls_key = \"k\"\n",
        "proxy.toml:8: admin.tls_key: found a key without its certificate; allowed: \"\", or also an admin.tls_cert",
    );
    one_mistake(
        "[admin]\nclient_ca = \"a\"\n",
        "proxy.toml:8: admin.client_ca: found client certificates without TLS; allowed: \"\", or also an admin.tls_cert and an admin.tls_key",
    );
}

#[test]
fn the_preload_list_has_its_terms() {
    one_mistake(
        "[tls]\nhsts = \"364d\"\nhsts_include_subdomains = true\nhsts_preload = true\n",
        "proxy.toml:10: tls.hsts_preload: found true, without what the list asks for; allowed: false, or tls.hsts of at least \"365d\" and hsts_include_subdomains",
    );
    no_mistake("[tls]\nhsts = \"365d\"\nhsts_include_subdomains = true\nhsts_preload = true\n");
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

#[test]
fn a_route_that_an_earlier_one_covers_never_matches() {
    one_mistake(
        "[[route]]\nname = \"late\"\npath = \"/api/{id}\"\nupstream = \"cms\"\nmethods = [\"GET\"]\n",
        "proxy.toml:7: route[1]: found a route that never matches: route[0] \"all\" takes its requests; allowed: a route before the wider one, or for other requests",
    );
    let narrow_first = LEAST.replace("path = \"/*\"", "path = \"/api/*\"\nmethods = [\"GET\"]");
    let second = "[[route]]\nname = \"late\"\npath = \"/*\"\nupstream = \"cms\"\n";
    assert!(read(&format!("{narrow_first}{second}"), &[]).is_ok());
    let third = second.replace("late", "post").replace("/*", "/api/{id}");
    assert_eq!(
        read(
            &format!("{narrow_first}{third}methods = [\"POST\"]\n{second}"),
            &[]
        )
        .map(|config| config.routes.len()),
        Ok(3)
    );
}

#[test]
fn a_rest_takes_the_bare_path_too() {
    let first = LEAST.replace("/*", "/media/*");
    let bare = "[[route]]\nname = \"bare\"\npath = \"/media\"\nupstream = \"cms\"\n";
    let found = read(&format!("{first}{bare}"), &[]).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("proxy.toml:7: route[1]: found a route that never matches: "));
}

#[test]
fn a_route_names_its_hosts_and_methods_well() {
    let at = |key: &str, found: &str, allowed: &str| {
        format!("proxy.toml:7: route[0].{key}: found {found}; allowed: {allowed}")
    };
    one_mistake(
        "hosts = [\"a.example.org:80\"]\n",
        &at(
            "hosts[0]",
            "\"a.example.org:80\"",
            "a host without a port like \"www.example.org\", \"*.example.org\" or \"*\"",
        ),
    );
    one_mistake(
        "hosts = []\n",
        &at("hosts", "an empty list", "at least one host, or \"*\""),
    );
    one_mistake(
        "methods = [\"get\"]\n",
        &at("methods[0]", "\"get\"", "a method like \"GET\""),
    );
}

#[test]
fn templates_name_what_the_route_has() {
    let text = LEAST.replace("/*", "/{kind}/{id}");
    let tags = |tags: &str| {
        read(&format!("{text}tags = [\"{tags}\"]\n"), &[])
            .err()
            .unwrap_or_default()
    };
    assert_eq!(tags("a:{id}:{query.page}:{host}"), [""; 0]);
    assert_eq!(
        tags("a:{slug}"),
        [
            "proxy.toml:7: route[0].tags[0]: found \"a:{slug}\" (`{slug}` is not a capture of the path, `{language}`, `{host}` or `{query.NAME}`); allowed: {kind}, {id}, {query.NAME}, {host}"
        ]
    );
    assert_eq!(
        tags("a:{knid}"),
        [
            "proxy.toml:7: route[0].tags[0]: found \"a:{knid}\" (`{knid}` is not a capture of the path, `{language}`, `{host}` or `{query.NAME}`); allowed: {kind}, {id}, {query.NAME}, {host}; did you mean {kind}?"
        ]
    );
    assert_eq!(
        tags("a:{language}"),
        [
            "proxy.toml:7: route[0].tags[0]: found \"a:{language}\" (`{language}` in a route that has no languages); allowed: a [route.language] table beside it, or {language} in the path"
        ]
    );
    let language =
        "tags = [\"a:{language}\"]\n[route.language]\nsupported = [\"en\"]\ndefault = \"en\"\n";
    no_mistake(language);
    let wrong = tags("a:{id");
    assert!(
        wrong[0].contains("found \"a:{id\" (it has a brace without its partner); allowed: a tag; "),
        "{wrong:?}"
    );
    // What a path has that is wrong itself is not known.
    let text = LEAST.replace("/*", "/{id");
    let found = read(&format!("{text}tags = [\"a:{{id}}\", \"a b\"]\n"), &[]).unwrap_err();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[1].contains("tags[1]: found \"a b\" (it has a space or a comma, "));
    one_mistake(
        "collections = [\"lists:{kind}\"]\n",
        "proxy.toml:7: route[0].collections[0]: found \"lists:{kind}\" (`{kind}` is not a capture of the path, `{language}`, `{host}` or `{query.NAME}`); allowed: {query.NAME}, {host}",
    );
}

#[test]
fn the_language_of_a_route_fits_together() {
    let language = "[route.language]\nsupported = [\"en\", \"pt-BR\"]\n";
    let one = |text: &str, end: &str| {
        one_mistake(&format!("{language}{text}"), &format!("proxy.toml:{end}"));
    };
    let allowed = "allowed: one of `supported` (\"en\", \"pt-BR\")";
    one(
        "default = \"de\"\n",
        &format!("9: route[0].language.default: found \"de\"; {allowed}"),
    );
    one(
        "default = \"EN\"\n",
        &format!("9: route[0].language.default: found \"EN\"; {allowed}; did you mean \"en\"?"),
    );
    one(
        "default = \"en\"\naliases = { no = \"nb\" }\n",
        &format!("10: route[0].language.aliases.no: found \"nb\"; {allowed}"),
    );
    one(
        "default = \"en\"\naliases = { EN = \"pt-BR\" }\n",
        "10: route[0].language.aliases.EN: found an alias for \"EN\", which is supported itself; allowed: names that are not in `supported`",
    );
    one(
        "default = \"en\"\n[route.language.fallback]\npt-BR = [\"pt\"]\n",
        &format!("11: route[0].language.fallback.pt-BR[0]: found \"pt\"; {allowed}"),
    );
    one(
        "default = \"en\"\nfallback = { de = [\"en\"] }\n",
        &format!("10: route[0].language.fallback.de: found \"de\"; {allowed}"),
    );
    one(
        "default = \"en\"\nfallback = { en = [\"en\"] }\n",
        "10: route[0].language.fallback.en[0]: found the language itself; allowed: other languages",
    );
    one(
        "default = \"en\"\nsources = [\"host\"]\nhosts = { \"de.example.org\" = \"de\" }\n",
        &format!("11: route[0].language.hosts.\"de.example.org\": found \"de\"; {allowed}"),
    );
    no_mistake(&format!(
        "{language}default = \"en\"\nsources = [\"path\"]\n"
    ));
}

#[test]
fn the_sources_of_a_language_are_of_use() {
    let text = "[route.language]\nsupported = [\"en\"]\ndefault = \"en\"\n";
    let one = |more: &str, end: &str| {
        one_mistake(&format!("{text}{more}"), &format!("proxy.toml:{end}"));
    };
    one(
        "sources = []\n",
        "10: route[0].language.sources: found an empty list; allowed: at least one source",
    );
    one(
        "sources = [\"path\", \"path\"]\n",
        "10: route[0].language.sources[1]: found a source twice; allowed: each source once",
    );
    one(
        "sources = [\"host\"]\n",
        "7: route[0].language.hosts: found no host; allowed: at least one host, since `sources` has \"host\"",
    );
    one(
        "hosts = { \"a.example.org\" = \"en\" }\n",
        "10: route[0].language.hosts: found hosts that no source consults; allowed: \"host\" in `sources`, or no `hosts`",
    );
    let twice = text.replace("[\"en\"]", "[\"en\", \"EN\"]");
    one_mistake(
        &twice,
        "proxy.toml:8: route[0].language.supported[1]: found \"EN\" beside \"en\"; allowed: each language once",
    );
}

#[test]
fn parameters_are_kept_or_dropped() {
    one_mistake(
        "query = { keep = [\"page\"], drop = [\"x\"] }\n",
        "proxy.toml:7: route[0].query.drop: found parameters in `keep` and in `drop`; allowed: `keep` or `drop`: what is not kept is dropped",
    );
    let config = read(&format!("{LEAST}query = {{ keep = [\"page\"] }}\n"), &[]).unwrap();
    assert!(config.routes[0].key.query.drop.is_empty());
    one_mistake(
        "query = { keep = [\"a*b\"] }\n",
        "proxy.toml:7: route[0].query.keep[0]: found \"a*b\" (`*` stands only at its end); allowed: a parameter's name like \"page\" or \"utm_*\"",
    );
    one_mistake(
        "query = { drop = [\"a=b\"] }\n",
        "proxy.toml:7: route[0].query.drop[0]: found \"a=b\"; allowed: a parameter's name like \"page\" or \"utm_*\"",
    );
}

#[test]
fn clients_directives_and_fields_of_the_key_are_up_to_the_route() {
    let text = "request_directives = false\nkey_headers = [\"X-Country\"]\n";
    let config = read(&format!("{LEAST}{text}"), &[]).unwrap();
    assert!(!cache(&config).request_directives);
    assert_eq!(config.routes[0].key.fields, ["x-country"]);
    one_mistake(
        "key_headers = [\"X Country\"]\n",
        "proxy.toml:7: route[0].key_headers[0]: found \"X Country\"; allowed: a header name like \"X-Token\"",
    );
}

#[test]
fn cookies_headers_types_and_efforts_are_of_their_form() {
    let one = |text: &str, expected: &str| {
        one_mistake(text, &format!("proxy.toml:7: route[0].{expected}"));
    };
    one(
        "cookies = { keep = [\"a b\"] }\n",
        "cookies.keep[0]: found \"a b\"; allowed: a cookie's name like \"sessionid\" or \"wordpress_logged_in_*\"",
    );
    one(
        "bypass = { header = [\"\"] }\n",
        "bypass.header[0]: found \"\"; allowed: a header name like \"X-Token\"",
    );
    one(
        "bypass = { query = [\"=draft\"] }\n",
        "bypass.query[0]: found \"=draft\"; allowed: a parameter like \"preview\" or \"status=draft\"",
    );
    one(
        "compress = { types = [\"text\"] }\n",
        "compress.types[0]: found \"text\"; allowed: a media type like \"text/html\", \"text/*\" or \"*+json\"",
    );
    one(
        "upgrades = [\"web socket\"]\n",
        "upgrades[0]: found \"web socket\"; allowed: a protocol of the Upgrade field like \"websocket\"",
    );
    one(
        "upgrades = [\"h2c\"]\n",
        "upgrades[0]: found \"h2c\" (requests would pass unseen through such a tunnel); allowed: a protocol of the Upgrade field like \"websocket\"",
    );
    one(
        "compress = { brotli = 12 }\n",
        "compress.brotli: found 12; allowed: a whole number from 0 to 11",
    );
    one(
        "tags_from_body_prefix = \"a b\"\n",
        "tags_from_body_prefix: found \"a b\"; allowed: \"\", or the beginning of a tag without spaces, commas and braces",
    );
    one_mistake(
        "[upstream.b]\nservers = [\"http://a:1\"]\nhost = \"a b\\r\\n\"\n",
        "proxy.toml:9: upstream.b.host: found \"a b\\r\\n\"; allowed: \"preserve\", \"upstream\" or a host like \"cms.example.org\"",
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
        "proxy.toml:8: purge_log.url: found a text of 25 characters (it is no such URL); allowed: \"\", a URL like \"redis://user:password@host:6379/0\", \"rediss://…\" (TLS), \"redis+unix:///path\", \"env:NAME\" or \"file:/path\"",
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
