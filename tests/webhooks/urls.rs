//! Which URLs of a purge meet what is stored.

use std::sync::Arc;

use cms_edge::entry::purges::Mode;
use cms_edge::key::{KeyRule, QueryRule, TargetUri};
use cms_edge::purge::target::{self, SortedQuery, Targets};
use cms_edge::purge::{Cause, Purge};
use http::HeaderMap;

use crate::support::{stage, targets};

#[test]
fn a_url_meets_what_is_stored_whichever_way_it_is_written() {
    let wide = targets();
    let stored = "https://example.org:8443/de/%C3%BCber-uns?b=2&a=1";
    for url in [
        "https://example.org/de/über-uns",
        "http://EXAMPLE.org:80/de/%c3%bcber-uns/",
        "https://example.org./de/%C3%BCber%2Duns?other",
        "/de/über-uns#top",
        "/de/*",
        "https://example.org/*",
    ] {
        assert!(meets(&wide, url, stored), "{url}");
    }
    for url in [
        "https://www.example.org/de/über-uns",
        "/de/über",
        "/de",
        "/de/über-uns/a",
        "/d/*",
    ] {
        assert!(!meets(&wide, url, stored), "{url}");
    }
    let narrow = target::Settings {
        any_query: false,
        slash_variants: false,
    };
    let narrow = Targets::new(narrow, Arc::new(SortedQuery));
    assert!(meets(&narrow, "/de/über-uns?a=1&b=2", stored));
    for url in ["/de/über-uns", "/de/über-uns?a=1", "/de/über-uns/?a=1&b=2"] {
        assert!(!meets(&narrow, url, stored), "{url}");
    }
}

/// Whether a purge of `url` ends what is stored under `target`.
fn meets(targets: &Targets, url: &str, target: &str) -> bool {
    let stage = stage();
    let uri: http::Uri = target.parse().unwrap();
    let authority = uri.authority().unwrap().as_str();
    let target = TargetUri::parse("https", authority, uri.path(), uri.query()).unwrap();
    let key = KeyRule {
        query: QueryRule {
            sort: true,
            ..QueryRule::default()
        },
        ..KeyRule::default()
    }
    .key(&target, &HeaderMap::new())
    .key;
    let fence = stage.purges.fence();
    let scopes = targets.url_or_prefix(url).unwrap();
    let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
    stage.log.record(&purge);
    !stage.purges.still_open(fence, &key)
}
