//! The target URI: normalising twice is normalising once, keys say what they are made of, and
//! purges by URL meet the key of the same URL.

#![no_main]

use std::sync::Arc;

use cms_edge::key::query::Pattern;
use cms_edge::key::target::TARGET_BYTES_MAX;
use cms_edge::key::{KeyRule, QueryRule, TargetUri};
use cms_edge::purge::target::{Settings, SortedQuery, Targets};
use http::{HeaderMap, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(uri) = Uri::try_from(data) else { return };
    let authority = uri
        .authority()
        .map_or("a.example", |authority| authority.as_str());
    let Ok(target) = TargetUri::parse("https", authority, uri.path(), uri.query()) else {
        return;
    };
    if target.path().len() + target.query().map_or(0, str::len) <= TARGET_BYTES_MAX {
        let again = TargetUri::parse("https", target.authority(), target.path(), target.query());
        assert_eq!(again.as_ref(), Ok(&target));
    }
    assert!(target.path().starts_with('/') && target.path().is_ascii());
    assert!(target.authority().starts_with(target.host()));
    for query in [plain(), sorted()] {
        let rule = KeyRule {
            query,
            ..KeyRule::default()
        };
        let key = rule.key(&target, &HeaderMap::new()).key;
        assert_eq!((key.host(), key.path()), (target.host(), target.path()));
        // Keying what is in a key already changes nothing.
        let query = Some(key.query()).filter(|query| !query.is_empty());
        let again = TargetUri::parse("https", target.authority(), target.path(), query);
        if let Ok(again) = again {
            assert_eq!(rule.key(&again, &HeaderMap::new()).key, key);
        }
    }
    let targets = Targets::new(Settings::default(), Arc::new(SortedQuery));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = targets.url_or_prefix(text);
    }
});

fn plain() -> QueryRule {
    QueryRule::default()
}

fn sorted() -> QueryRule {
    QueryRule {
        drop: vec![Pattern::new("utm_*")],
        sort: true,
        ..QueryRule::default()
    }
}
