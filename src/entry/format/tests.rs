//! What is written comes back; whatever else is read is refused.

use std::sync::Arc;

use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::entry::purges::{Mode, Purges};
use crate::entry::scope::Scope;
use crate::exchange::Forwarded;
use crate::key::{Folding, KeyRule, TargetUri};
use crate::policy::CacheRule;
use crate::policy::storability::{Asked, assess};

fn key(path: &str, language: &str) -> EntryKey {
    let target = TargetUri::parse("https", "www.example.org:8443", path, Some("page=2")).unwrap();
    let value = HeaderValue::from_str(language).unwrap();
    let presented: HeaderMap = [(ACCEPT_LANGUAGE, value)].into_iter().collect();
    let key = KeyRule::default().key(&target, &presented).key;
    let vary = Vary::from_names([ACCEPT_LANGUAGE]);
    key.select(&vary, &presented, Folding::Careful)
}

/// A response with all that a response can have.
fn stored(body: &[u8], cache_control: &str, tags: &[String], coding: Coding) -> StoredResponse {
    let fence = Fence {
        generation: Generation::new(u64::MAX - 1),
        position: Position::new(17),
    };
    let now = Timestamp::from_millis(1_795_262_400_123);
    let mut origin = HeaderMap::new();
    origin.insert("cache-control", cache_control.parse().unwrap());
    origin.insert("x-of-the-origin", "kept apart".parse().unwrap());
    origin.insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    let mut client = origin.clone();
    client.remove("x-of-the-origin");
    let asked = Asked {
        method: &Method::GET,
        headers: &HeaderMap::new(),
        no_store: false,
    };
    let exchange = Forwarded::begin(now, fence).received(now);
    let rule = CacheRule::default();
    let head = Head::new(&client, &origin);
    let storable = assess(asked, StatusCode::NOT_FOUND, origin, exchange, &rule).unwrap();
    let content = Content::new(Bytes::copy_from_slice(body), coding, true);
    content.derived(Coding::Brotli, Bytes::from_static(b"brotli"));
    StoredResponse::seal(
        key("/a", "de"),
        Vary::from_names([ACCEPT_LANGUAGE]),
        &storable,
        head,
        Tags::new(tags.iter().map(String::as_str)),
        content,
    )
}

fn any_stored() -> impl Strategy<Value = StoredResponse> {
    let coding = prop_oneof![
        Just(Coding::Identity),
        Just(Coding::Gzip),
        Just(Coding::Brotli)
    ];
    let control = prop_oneof![
        Just("max-age=60"),
        Just("max-age=5, stale-while-revalidate=7, immutable"),
        Just("max-age=1, must-revalidate, no-transform, stale-if-error=9"),
    ];
    let body = proptest::collection::vec(any::<u8>(), 0..2000);
    let tags = proptest::collection::vec("[a-z:]{1,8}", 0..12);
    (body, control, tags, coding)
        .prop_map(|(body, control, tags, coding)| stored(&body, control, &tags, coding))
}

fn one() -> Vec<u8> {
    encode(&stored(
        b"hello",
        "max-age=60",
        &["a".to_owned()],
        Coding::Gzip,
    ))
    .unwrap()
}

/// With a prefix that fits whatever is behind it.
fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap();
    let checksum = xxh3_64(&bytes[PREFIX_BYTES..]);
    bytes[6..10].copy_from_slice(&length.to_be_bytes());
    bytes[10..18].copy_from_slice(&checksum.to_be_bytes());
    bytes.into()
}

proptest! {
    #[test]
    fn what_is_written_comes_back(entry in any_stored()) {
        let bytes = Bytes::from(encode(&entry).unwrap());
        let back = decode(&bytes, entry.entry_key()).unwrap();
        prop_assert_eq!(back.entry_key(), entry.entry_key());
        prop_assert_eq!(back.vary(), entry.vary());
        prop_assert_eq!(back.status(), entry.status());
        prop_assert_eq!(back.terms(), entry.terms());
        prop_assert_eq!(back.tags(), entry.tags());
        prop_assert_eq!(back.response_time(), entry.response_time());
        prop_assert_eq!(back.fence(), entry.fence());
        prop_assert_eq!(back.head().client(), entry.head().client());
        prop_assert_eq!(back.head().origin(), entry.head().origin());
        let (back, entry) = (back.content(), entry.content());
        prop_assert_eq!(back.original_coding(), entry.original_coding());
        prop_assert_eq!(back.is_transformable(), entry.is_transformable());
        for coding in CODINGS {
            prop_assert_eq!(back.get(coding), entry.get(coding));
        }
    }

    #[test]
    fn anything_else_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&Bytes::from(bytes), &key("/a", "de")).is_err());
    }

    /// As above, where only what is behind the checksum is wrong.
    #[test]
    fn garbage_with_a_good_checksum_does_not_panic(
        at in 0_usize..300,
        garbage in proptest::collection::vec(any::<u8>(), 1..12),
        cut in 0_usize..40,
    ) {
        let mut bytes = one();
        let at = PREFIX_BYTES + at % (bytes.len() - PREFIX_BYTES);
        for (byte, other) in bytes[at..].iter_mut().zip(&garbage) {
            *byte = *other;
        }
        bytes.truncate((bytes.len() - cut).max(PREFIX_BYTES));
        if let Ok(back) = decode(&sealed(bytes), &key("/a", "de")) {
            // It is whole: whatever it says can be read.
            let fields = back.head().client().len() + back.head().origin().len();
            prop_assert!(fields <= 2 * back.head().raw().0.len());
        }
    }
}

#[test]
fn what_comes_back_is_looked_at_whatever_number_its_fence_has() {
    let entry = stored(b"hello", "max-age=60", &[], Coding::Identity);
    let bytes = Bytes::from(encode(&entry).unwrap());
    let fence = entry.fence();
    // An instance that joins late: few changes of its own, and positions as high as anybody's.
    let purges = Purges::new(fence.generation);
    let mut position = fence.position;
    for change in 0..2 * fence.position.ordinal() {
        position = position.next();
        if change == 0 {
            purges.apply(position, Mode::Hard, [&Scope::Everything]);
        } else {
            purges.apply(position, Mode::Hard, [&Scope::tag("another")]);
        }
        let back = decode(&bytes, entry.entry_key()).unwrap();
        assert!(
            purges.admit_fetched(Arc::new(back)).is_none(),
            "after {change} more changes"
        );
    }
}

#[test]
fn every_bit_counts() {
    let whole = one();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes.into(), &key("/a", "de")).is_err(), "{bit}");
    }
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    let whole = Bytes::from(one());
    for end in 0..whole.len() {
        assert!(decode(&whole.slice(..end), &key("/a", "de")).is_err());
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    let longer = decode(&longer.into(), &key("/a", "de"));
    assert_eq!(longer.unwrap_err(), Corrupt::Length);
}

#[test]
fn another_key_is_refused() {
    let whole = Bytes::from(one());
    assert!(decode(&whole, &key("/a", "de")).is_ok());
    for other in [key("/b", "de"), key("/a", "fr")] {
        assert_eq!(decode(&whole, &other).unwrap_err(), Corrupt::Key);
    }
}

#[test]
fn more_fields_than_a_head_can_have_are_refused() {
    // A map with room for so many would panic.
    let block = Bytes::from_static(&[0; 5]);
    assert!(Head::from_raw(block.clone(), 5, 1).is_some());
    assert!(Head::from_raw(block.clone(), 5, u16::MAX).is_none());
    assert!(Head::from_raw(block.clone(), 6, 1).is_none());
    assert!(Head::from_raw(block, 4, 1).is_none());
}

/// Added to the time since, it would overflow (RFC 9111 §4.2.3: `current_age`).
#[test]
fn spans_that_nobody_can_have_given_are_refused() {
    let bytes = encode(&stored(b"x", "max-age=77", &[], Coding::Gzip)).unwrap();
    let span = [&77_u64.to_be_bytes()[..], &[0; 4]].concat();
    let at = bytes.windows(span.len()).position(|part| part == span);
    for (seconds, is_right) in [(78, true), (SPAN_SECONDS_MAX + 1, false), (u64::MAX, false)] {
        let mut bytes = bytes.clone();
        bytes[at.unwrap()..][..8].copy_from_slice(&seconds.to_be_bytes());
        let back = decode(&sealed(bytes), &key("/a", "de"));
        assert_eq!(back.is_ok(), is_right, "{seconds}");
    }
}
