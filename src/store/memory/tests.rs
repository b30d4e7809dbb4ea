//! Bounds, eviction, and compare-and-set.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, Method, StatusCode};

use super::*;
use crate::clock::Timestamp;
use crate::entry::head::Head;
use crate::entry::{Content, Tags};
use crate::exchange::{Fence, Forwarded, Position};
use crate::fields::accept_encoding::Coding;
use crate::fields::vary::Vary;
use crate::key::{Folding, KeyRule, TargetUri};
use crate::policy::CacheRule;
use crate::policy::storability::{Asked, assess};

const GENERATION: Generation = Generation::new(1);

/// A response for `path` of `bytes` bytes, fetched behind the purge at `position`, for a client
/// that sent `accept`.
fn entry(path: &str, accept: &str, bytes: usize, position: u64) -> Arc<StoredResponse> {
    let vary = Vary::from_names([ACCEPT]);
    sealed(path, accept, bytes, position, vary, HeaderMap::new())
}

fn sealed(
    path: &str,
    accept: &str,
    bytes: usize,
    position: u64,
    vary: Vary,
    response: HeaderMap,
) -> Arc<StoredResponse> {
    let target = TargetUri::parse("https", "a.example", path, None).unwrap();
    let presented: HeaderMap = [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
    let fence = Fence {
        generation: GENERATION,
        position: Position::new(position),
    };
    let now = Timestamp::from_secs(1000);
    let rule = CacheRule {
        ttl: std::time::Duration::from_secs(60),
        ..CacheRule::default()
    };
    let asked = Asked {
        method: &Method::GET,
        headers: &presented,
        no_store: false,
    };
    let exchange = Forwarded::begin(now, fence).received(now);
    let storable = assess(asked, StatusCode::OK, response, exchange, &rule).unwrap();
    let key = KeyRule::default().key(&target, &presented).key;
    Arc::new(StoredResponse::seal(
        key.select(&vary, &presented, Folding::Careful),
        vary,
        &storable,
        Head::new(&HeaderMap::new(), &HeaderMap::new()),
        Tags::default(),
        Content::new(Bytes::from(vec![b'x'; bytes]), Coding::Identity, true),
    ))
}

fn memory(bytes_max: usize) -> Memory {
    Memory::new(Settings {
        bytes_max,
        variants_max: 3,
    })
}

async fn put(memory: &Memory, entry: &Arc<StoredResponse>) -> Put {
    memory.put(Arc::clone(entry), GENERATION).await.unwrap()
}

#[tokio::test]
async fn what_is_stored_never_weighs_more_than_it_may() {
    let memory = memory(1 << 20);
    for at in 0..2000 {
        put(&memory, &entry(&format!("/{at}"), "a", 4000, 0)).await;
        assert!(memory.bytes() <= 1 << 20);
    }
    assert!(memory.keys() > 100, "{memory:?}");
}

#[tokio::test]
async fn what_is_asked_for_again_outlives_what_was_asked_for_once() {
    let memory = memory(1 << 20);
    let hot: Vec<_> = (0..20)
        .map(|at| entry(&format!("/hot/{at}"), "a", 4000, 0))
        .collect();
    for entry in &hot {
        put(&memory, entry).await;
    }
    for at in 0..5000 {
        put(&memory, &entry(&format!("/scan/{at}"), "a", 4000, 0)).await;
        for entry in &hot {
            memory.get(entry.key());
        }
    }
    let left = hot
        .iter()
        .filter(|entry| !memory.get(entry.key()).is_empty());
    assert_eq!(left.count(), hot.len());
}

#[tokio::test]
async fn a_response_that_finds_no_room_is_refused_and_drops_nothing() {
    let memory = memory(1 << 20);
    let small = entry("/small", "a", 1000, 0);
    put(&memory, &small).await;
    let large = memory
        .put(entry("/large", "a", 2 << 20, 0), GENERATION)
        .await;
    assert_eq!(large, Err(StoreError::TooLarge));
    assert!(!memory.get(small.key()).is_empty());
}

#[tokio::test]
async fn an_older_fence_never_replaces_a_newer_one() {
    let memory = memory(1 << 20);
    let (old, new) = (entry("/a", "a", 1, 1), entry("/a", "a", 2, 2));
    assert_eq!(put(&memory, &new).await, Put::Stored);
    assert_eq!(put(&memory, &old).await, Put::Outdated);
    let variants = memory.get(new.key());
    assert!(variants.iter().all(|entry| Arc::ptr_eq(entry, &new)));
    assert_eq!(variants.iter().count(), 1);
}

#[tokio::test]
async fn of_several_that_match_the_most_recent_by_date_is_selected() {
    // RFC 9111 §4: "When more than one suitable response is stored, a cache MUST use the most recent one
    // (as determined by the Date header field)."
    let response = |seconds: u64, position, vary| {
        let date = crate::fields::date::format(seconds);
        let response = [(http::header::DATE, date)].into_iter().collect();
        sealed("/a", "a", 10, position, vary, response)
    };
    let varying = || Vary::from_names([ACCEPT]);
    let presented = [(ACCEPT, "a".parse().unwrap())].into_iter().collect();
    for (first, second, expected) in [
        // The one that came last was generated first.
        (
            response(995, 1, varying()),
            response(990, 1, Vary::default()),
            0,
        ),
        (
            response(990, 1, varying()),
            response(995, 1, Vary::default()),
            1,
        ),
        (
            response(995, 1, varying()),
            response(995, 1, Vary::default()),
            1,
        ),
        // What says that it comes from the future comes from now.
        (
            response(5000, 1, varying()),
            response(1000, 1, Vary::default()),
            1,
        ),
        // What was asked for behind a purge hides what was not, whatever it says.
        (
            response(995, 1, varying()),
            response(990, 2, Vary::default()),
            1,
        ),
    ] {
        let memory = memory(1 << 20);
        let both = [first, second];
        for entry in &both {
            assert_eq!(put(&memory, entry).await, Put::Stored);
        }
        let variants = memory.get(both[0].key());
        let selected = variants.select(&presented, Folding::Careful).unwrap();
        assert!(Arc::ptr_eq(selected, &both[expected]));
    }
}

#[tokio::test]
async fn one_key_has_at_most_so_many_variants() {
    let memory = memory(1 << 20);
    for accept in ["a", "b", "c", "d", "d", "e"] {
        put(&memory, &entry("/a", accept, 10, 0)).await;
    }
    let any = entry("/a", "a", 10, 0);
    let variants = memory.get(any.key());
    let kept = |accept: &str| {
        let presented = [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
        variants.select(&presented, Folding::Careful).is_some()
    };
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(kept),
        [false, false, true, true, true]
    );
}

#[tokio::test]
async fn variants_that_together_find_no_room_give_way_to_the_newest() {
    let memory = memory(1 << 20);
    for accept in ["a", "b", "c"] {
        assert_eq!(
            put(&memory, &entry("/a", accept, 400 << 10, 0)).await,
            Put::Stored
        );
    }
    let any = entry("/a", "a", 10, 0);
    let stored = |accept: &str| {
        let presented = [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
        memory
            .get(any.key())
            .select(&presented, Folding::Careful)
            .cloned()
    };
    assert!(stored("a").is_none() && stored("b").is_some() && stored("c").is_some());
    // And those that have grown since.
    let newest = stored("c").unwrap();
    let derived = Bytes::from(vec![b'y'; 300 << 10]);
    newest.content().derived(Coding::Brotli, derived);
    memory.grown(&newest).await;
    assert!(stored("b").is_none() && stored("c").is_some());
}

#[tokio::test]
async fn what_is_said_to_be_stored_is_there() {
    let memory = memory(1 << 20);
    for bytes in (900..1024).map(|kib| kib << 10) {
        let entry = entry("/a", "a", bytes, 0);
        if memory.put(Arc::clone(&entry), GENERATION).await.is_ok() {
            assert!(!memory.get(entry.key()).is_empty(), "{bytes} bytes");
        }
    }
}

#[tokio::test]
async fn a_derived_representation_is_weighed_and_taken_off_again() {
    let memory = memory(1 << 20);
    let entry = entry("/a", "a", 1000, 0);
    put(&memory, &entry).await;
    let before = memory.bytes();
    entry
        .content()
        .derived(Coding::Brotli, Bytes::from(vec![b'y'; 500]));
    memory.grown(&entry).await;
    assert_eq!(memory.bytes(), before + 500);
    memory.remove(&entry).await;
    assert_eq!((memory.bytes(), memory.keys()), (0, 0));
}

#[tokio::test]
async fn only_the_response_that_is_meant_is_removed() {
    let memory = memory(1 << 20);
    let (old, new) = (entry("/a", "a", 1, 1), entry("/a", "a", 2, 2));
    put(&memory, &old).await;
    put(&memory, &new).await;
    memory.remove(&old).await;
    assert_eq!(memory.get(new.key()).iter().count(), 1);
}

#[test]
fn shards_are_many_or_large() {
    assert_eq!(shards(1 << 20), 1);
    assert_eq!(shards(256 << 20), 8);
    assert_eq!(shards(3 << 30), 32);
}
