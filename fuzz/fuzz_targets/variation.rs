//! `No-Vary-Search` and two queries, a line each: the keys are equal where the draft says that the URLs
//! are equivalent, and neither the field nor a query is taken for what it is not.

#![no_main]

use cms_edge::fields::no_vary_search::{NO_VARY_SEARCH, NoVarySearch, Params, pairs};
use cms_edge::key::{KeyRule, TargetUri, Variation};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let Ok(field) = HeaderValue::from_bytes(line()) else {
        return;
    };
    let headers = HeaderMap::from_iter([(NO_VARY_SEARCH, field)]);
    let Some(said) = NoVarySearch::of(&headers) else {
        return;
    };
    let (Params::Ignored(names) | Params::Counting(names)) = &said.params;
    assert!(names.is_sorted_by(|one, next| one < next));
    let [Ok(one), Ok(other)] = [line(), line()].map(str::from_utf8) else {
        return;
    };
    let variation = Variation::new(said.clone());
    let keyed = |query: &str, variation: Option<&Variation>| {
        let target = TargetUri::parse("https", "a.example", "/a", Some(query)).ok()?;
        Some(
            KeyRule::default()
                .key_by(&target, &HeaderMap::new(), variation)
                .key,
        )
    };
    let [Some(key), Some(another)] = [one, other].map(|query| keyed(query, Some(&variation)))
    else {
        return;
    };
    assert_ne!(
        Some(&key),
        keyed(one, None).as_ref().filter(|_| key.is_varied())
    );
    if key.is_varied() && another.is_varied() {
        assert_eq!(key == another, are_equivalent(&said, one, other));
    }
});

/// The draft, §6.
fn are_equivalent(said: &NoVarySearch, one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|query| {
        let mut list: Vec<_> = pairs(query).filter(|(name, _)| said.counts(name)).collect();
        if !said.varies_by_order {
            list.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
        }
        list
    });
    one == other
}
