//! The fence and the slot table.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::purges::{Mode, Purges};
use super::scope::Scope;
use super::slots::SlotName;
use super::*;
use crate::exchange::{Fence, Forwarded, Generation, Position};
use crate::key::Folding;
use crate::key::{KeyRule, TargetUri};
use crate::policy::CacheRule;
use crate::policy::storability::{Asked, assess};

fn purges() -> Purges {
    Purges::new(Generation::new(7))
}

/// A response for `path` on `www.example.org`, fetched behind `purges` as they stand.
fn stored(purges: &Purges, path: &str, tags: &[&str]) -> Arc<StoredResponse> {
    let target = TargetUri::parse("https", "www.example.org:8443", path, Some("page=2")).unwrap();
    let now = Timestamp::from_secs(1000);
    let exchange = Forwarded::begin(now, purges.fence()).received(now);
    let asked = Asked {
        method: &Method::GET,
        headers: &HeaderMap::new(),
        no_store: false,
    };
    let rule = CacheRule {
        ttl: Duration::from_secs(60),
        ..CacheRule::default()
    };
    let storable = assess(asked, StatusCode::OK, HeaderMap::new(), exchange, &rule).unwrap();
    let key = KeyRule::default().key(&target, &HeaderMap::new()).key;
    let vary = Vary::default();
    Arc::new(StoredResponse::seal(
        key.select(&vary, &HeaderMap::new(), Folding::Careful),
        vary,
        &storable,
        Head::new(&HeaderMap::new(), &HeaderMap::new()),
        Tags::new(tags.iter().copied()),
        Content::new(Bytes::from_static(b"x"), Coding::Identity, true),
    ))
}

fn host() -> Box<str> {
    "www.example.org".into()
}

#[test]
fn each_scope_covers_what_it_names_and_no_more() {
    let cases: [(Scope, bool); 13] = [
        (Scope::Everything, true),
        (Scope::Host(host()), true),
        (Scope::Host("example.org".into()), false),
        (
            Scope::Prefix {
                host: host(),
                path: "/news".into(),
            },
            true,
        ),
        (
            Scope::Prefix {
                host: host(),
                path: "/news/".into(),
            },
            true,
        ),
        (
            Scope::Prefix {
                host: "".into(),
                path: "/news".into(),
            },
            true,
        ),
        (
            Scope::Prefix {
                host: host(),
                path: "/new".into(),
            },
            false,
        ),
        (
            Scope::Path {
                host: host(),
                path: "/news/a".into(),
            },
            true,
        ),
        (
            Scope::Path {
                host: host(),
                path: "/news/a/".into(),
            },
            false,
        ),
        (
            Scope::Url {
                host: host(),
                path: "/news/a".into(),
                query: "page=2".into(),
            },
            true,
        ),
        (
            Scope::Url {
                host: host(),
                path: "/news/a".into(),
                query: "".into(),
            },
            false,
        ),
        (Scope::tag("article:1"), true),
        (Scope::tag("article:10"), false),
    ];
    for (at, (scope, covered)) in cases.into_iter().enumerate() {
        let purges = purges();
        let entry = stored(&purges, "/news/a", &["article:1"]);
        assert!(purges.admit(Arc::clone(&entry)).is_some());
        purges.apply(Position::new(1), Mode::Hard, [&scope]);
        assert_eq!(purges.admit(entry).is_none(), covered, "{at}: {scope}");
    }
}

#[test]
fn what_was_fetched_behind_the_purge_is_served() {
    let purges = purges();
    purges.apply(Position::new(1), Mode::Hard, [&Scope::Everything]);
    assert!(purges.admit(stored(&purges, "/a", &[])).is_some());
}

#[test]
fn a_soft_purge_leaves_a_response_that_is_stale() {
    let purges = purges();
    let entry = stored(&purges, "/a", &["t"]);
    purges.apply(Position::new(1), Mode::Soft, [&Scope::tag("t")]);
    assert!(purges.admit(Arc::clone(&entry)).unwrap().is_softly_purged());
    purges.apply(Position::new(2), Mode::Hard, [&Scope::tag("other")]);
    assert!(
        purges.admit(entry).unwrap().is_softly_purged(),
        "also later"
    );
}

#[test]
fn another_generation_is_not_admitted() {
    let before = purges();
    let entry = stored(&before, "/a", &[]);
    assert!(Purges::new(Generation::new(8)).admit(entry).is_none());
}

#[test]
fn a_flight_stays_open_until_a_purge_could_cover_its_answer() {
    let key = |purges: &Purges| stored(purges, "/news/a", &[]).key().clone();
    let cases: [(Mode, Scope, bool); 6] = [
        (Mode::Hard, Scope::Host("other.example".into()), true),
        (
            Mode::Hard,
            Scope::Prefix {
                host: host(),
                path: "/sport".into(),
            },
            true,
        ),
        (Mode::Soft, Scope::tag("any"), true),
        (Mode::Hard, Scope::tag("any"), false),
        (
            Mode::Hard,
            Scope::Path {
                host: host(),
                path: "/news/a".into(),
            },
            false,
        ),
        (Mode::Hard, Scope::Everything, false),
    ];
    for (mode, scope, open) in cases {
        let purges = purges();
        let fence = purges.fence();
        purges.apply(Position::new(1), mode, [&scope]);
        assert_eq!(purges.still_open(fence, &key(&purges)), open, "{scope}");
    }
}

#[test]
fn content_keeps_each_coding_once_and_weighs_them() {
    let content = Content::new(Bytes::from_static(b"identity"), Coding::Identity, true);
    assert!(content.get(Coding::Brotli).is_none());
    content.derived(Coding::Brotli, Bytes::from_static(b"br"));
    content.derived(Coding::Identity, Bytes::from_static(b"ignored"));
    assert_eq!(content.get(Coding::Brotli).unwrap(), "br");
    assert_eq!(content.get(Coding::Identity).unwrap(), "identity");
    assert_eq!(content.clone().weight(), 10);
}

#[test]
fn a_purge_whose_place_is_known_covers_what_is_fetched_before_that() {
    let everything = || SlotName::of(&Scope::Everything);
    let (purges, late) = (purges(), purges());
    let at = Fence {
        generation: purges.generation(),
        position: Position::new(4),
    };
    purges.apply_slots_early(at, Mode::Hard, everything());
    late.apply_slots_ahead(Mode::Hard, everything());
    for position in 1..4 {
        for behind in [&purges, &late] {
            behind.apply(Position::new(position), Mode::Hard, &[Scope::tag("other")]);
        }
        // Others had the record before when they fetched it, but not the purge.
        let entry = stored(&purges, "/x", &[]);
        assert!(purges.admit(Arc::clone(&entry)).is_none());
        assert!(late.admit(entry).is_some());
        assert_eq!(purges.fence().position, Position::new(position));
    }
    purges.apply_slots(Position::new(4), Mode::Hard, everything());
    assert!(purges.admit(stored(&purges, "/x", &[])).is_some());
}

#[test]
fn a_place_in_another_log_is_none_here() {
    let purges = purges();
    let before = stored(&purges, "/x", &[]);
    let elsewhere = Fence {
        generation: Generation::new(8),
        position: Position::new(400),
    };
    purges.apply_slots_early(elsewhere, Mode::Hard, SlotName::of(&Scope::Everything));
    assert!(purges.admit(before).is_none());
    purges.apply(Position::new(1), Mode::Soft, &[]);
    assert!(purges.admit(stored(&purges, "/x", &[])).is_some());
}
