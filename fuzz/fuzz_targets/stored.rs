//! The bytes of a stored response outside this process: whatever is found there, with the right
//! length, checksum and key in front, is a miss or a response that is written as it was read.
//!
//! The first byte says whether the prefix is put right (as of a program with a mistake, or somebody
//! with access to the store) or the bytes are taken as they are.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use cms_edge::clock::Timestamp;
use cms_edge::entry::format::{VERSION, decode, encode};
use cms_edge::entry::purges::Purges;
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::fields::cache_control::RequestControl;
use cms_edge::fields::vary::Vary;
use cms_edge::key::select::Folding;
use cms_edge::key::{EntryKey, KeyRule, TargetUri};
use cms_edge::policy::reuse::{self, Found};
use cms_edge_fuzz::selected;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

static KEY: LazyLock<EntryKey> = LazyLock::new(|| {
    let target = TargetUri::parse("https", "a.example", "/a", None).unwrap();
    let headers = HeaderMap::new();
    let key = KeyRule::default().key(&target, &headers).key;
    key.select(&Vary::default(), &headers, Folding::default())
});

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = selected(data) else {
        return;
    };
    let bytes = if which & 1 == 0 {
        Bytes::copy_from_slice(data)
    } else {
        prefixed(data)
    };
    let Ok(entry) = decode(&bytes, &KEY) else {
        return;
    };
    assert_eq!(*entry.entry_key(), *KEY);
    let again = Bytes::from(encode(&entry).unwrap());
    let entry = decode(&again, &KEY).unwrap();
    assert_eq!(
        Bytes::from(encode(&entry).unwrap()),
        again,
        "written as it was read"
    );
    for coding in [Coding::Identity, Coding::Gzip, Coding::Brotli] {
        entry.content().get(coding);
    }
    entry.weight();
    // The clock may stand anywhere.
    let purges = Purges::new(entry.fence().generation);
    let entry = Arc::new(entry);
    for now in [0, 1_700_000_000, u64::MAX] {
        let Some(live) = purges.admit(Arc::clone(&entry)) else {
            return;
        };
        let now = Timestamp::from_secs(now);
        let request = RequestControl::default();
        reuse::current_age(&live, now);
        reuse::may_stand_in(&live, &request, now);
        reuse::decide(Found::Entry(live), &request, now);
    }
});

/// A value whose length, checksum and key are right, and the rest is `data`.
fn prefixed(data: &[u8]) -> Bytes {
    let mut rest = Vec::new();
    for text in [KEY.primary().as_str(), KEY.secondary().as_str()] {
        rest.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        rest.extend(text.as_bytes());
    }
    rest.extend(data);
    let mut value = b"cmse".to_vec();
    value.extend(VERSION.to_be_bytes());
    value.extend(u32::try_from(18 + rest.len()).unwrap().to_be_bytes());
    value.extend(xxh3_64(&rest).to_be_bytes());
    value.extend(rest);
    value.into()
}
