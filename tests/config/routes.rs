//! What a route takes, and what its keys, tags and parameters may be.

use crate::support::{LEAST, cache, no_mistake, one_mistake, read};

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
