//! The languages of a route, and where they are looked for.

use crate::support::{no_mistake, one_mistake};

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
