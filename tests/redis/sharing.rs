//! What is put is found, by whom it is for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::exchange::Generation;
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::store::redis::Write;

use crate::bench::{Bench, Made, plain, varied};
use crate::support::redis_server::{Server, eventually};

#[tokio::test]
async fn what_one_instance_puts_another_finds_in_one_round_trip() {
    let server = Server::start(&[]).await;
    let (one, other) = (Bench::before(&server).await, Bench::before(&server).await);
    let entry = plain("/a", "hello").response();
    assert_eq!(other.find("/a", "any").await, None);
    assert!(one.put(&entry).await);
    let found = other.ask("/a", "any").await.unwrap().entry.unwrap();
    assert_eq!(found.entry_key(), entry.entry_key());
    assert_eq!(found.content().original(), "hello");
    assert_eq!(found.fence(), entry.fence());
    assert_eq!(found.terms(), entry.terms());
    assert_eq!(found.tags(), entry.tags());
    assert_eq!((other.lookups("miss"), other.lookups("hit")), (1, 1));
    assert_eq!(other.metric("redis_round_trips_total"), 2);
    assert_eq!(other.metric("redis_second_round_trips_total"), 0);
}

#[tokio::test]
async fn a_wrong_guess_of_vary_costs_a_second_round_trip_once() {
    let server = Server::start(&[]).await;
    let (one, other) = (Bench::before(&server).await, Bench::before(&server).await);
    for accept in ["a", "b"] {
        assert!(one.put(&varied("/a", accept, accept).response()).await);
    }
    assert_eq!(other.find("/a", "a").await.unwrap(), "a");
    assert_eq!(other.metric("redis_second_round_trips_total"), 1);
    for accept in ["b", "a", "b"] {
        assert_eq!(other.find("/a", accept).await.unwrap(), accept);
    }
    assert_eq!(other.metric("redis_round_trips_total"), 5);
    // Who has put it knows.
    assert_eq!(one.find("/a", "b").await.unwrap(), "b");
    assert_eq!(one.metric("redis_second_round_trips_total"), 0);
    // Nor does it take two to learn that there is nothing for somebody.
    let nothing = other.ask("/a", "c").await.unwrap();
    assert!(nothing.entry.is_none() && nothing.others.is_some());
    assert_eq!(other.metric("redis_round_trips_total"), 6);
}

#[tokio::test]
async fn an_older_fence_never_replaces_a_newer_one() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let at = |position: u64, body: &'static str| {
        let made = Made {
            position,
            ..plain("/a", body)
        };
        made.response()
    };
    assert!(bench.put(&at(u64::MAX / 2, "new")).await);
    assert!(!bench.put(&at(u64::MAX / 2 - 1, "old")).await);
    assert!(!bench.put(&at(9, "older")).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "new");
    assert!(bench.put(&at(u64::MAX / 2, "same")).await);
    assert!(bench.put(&at(u64::MAX, "newest")).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "newest");
    assert_eq!(bench.writes("outdated"), 2);
}

/// RFC 9111 §4: the most recent one, as determined by Date. Two instances have asked, and the answer that
/// left the origin first is written last.
#[tokio::test]
async fn between_two_purges_an_older_date_replaces_only_what_is_stale() {
    let server = Server::start(&[]).await;
    let (one, other) = (Bench::before(&server).await, Bench::before(&server).await);
    let of_age = |age: u64, body: &'static str| Made {
        age,
        ..plain("/a", body)
    };
    assert!(one.put(&of_age(1, "new").response()).await);
    assert!(!other.put(&of_age(2, "old").response()).await);
    assert_eq!(one.find("/a", "").await.unwrap(), "new");
    assert_eq!(other.writes("outdated"), 1);
    // Equal Dates: the later word counts. A newer fence counts more than any Date.
    assert!(other.put(&of_age(1, "as new").response()).await);
    assert!(one.put(&of_age(0, "newest").response()).await);
    let behind = Made {
        position: 1,
        ..of_age(30, "behind a purge")
    };
    assert!(other.put(&behind.response()).await);
    assert_eq!(one.find("/a", "").await.unwrap(), "behind a purge");
    // A clock that is behind must not keep what is stale in place.
    let stale = Made {
        path: "/b",
        ttl: Duration::from_millis(1),
        ..of_age(0, "stale")
    };
    assert!(one.put(&stale.response()).await);
    eventually("it is stale", || async {
        let slow = Made {
            path: "/b",
            ..of_age(9, "fresh, by a slow clock")
        };
        other.put(&slow.response()).await
    })
    .await;
}

#[tokio::test]
async fn of_several_that_match_the_most_recent_by_date_is_found() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let for_all = plain("/a", "for all");
    assert!(bench.put(&for_all.response()).await);
    let for_some = Made {
        age: 5,
        ..varied("/a", "x", "for some")
    };
    assert!(bench.put(&for_some.response()).await);
    assert_eq!(bench.find("/a", "x").await.unwrap(), "for all");
    let newer = Made {
        path: "/b",
        ..for_some
    };
    let older = Made {
        path: "/b",
        age: 9,
        ..for_all
    };
    assert!(bench.put(&newer.response()).await);
    assert!(bench.put(&older.response()).await);
    assert_eq!(bench.find("/b", "x").await.unwrap(), "for some");
    assert_eq!(bench.find("/b", "y").await.unwrap(), "for all");
}

#[tokio::test]
async fn what_is_under_an_older_fence_never_hides_what_is_under_a_newer_one() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let for_all = Made {
        position: 2,
        ..plain("/a", "for all")
    };
    assert!(bench.put(&for_all.response()).await);
    // It left the origin's side earlier, and comes later, with another Vary.
    let for_some = Made {
        position: 1,
        ..varied("/a", "x", "for some")
    };
    assert!(bench.put(&for_some.response()).await);
    assert_eq!(bench.find("/a", "x").await.unwrap(), "for all");
}

#[tokio::test]
async fn another_generation_is_replaced_and_not_seen() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let lost = Made {
        generation: Generation::new(7),
        position: 1000,
        ..plain("/a", "lost")
    };
    assert!(bench.put(&lost.response()).await);
    assert_eq!(bench.find("/a", "").await, None);
    assert!(bench.put(&plain("/a", "current").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "current");
}

#[tokio::test]
async fn a_key_lives_as_long_as_it_answers_and_has_few_variants() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    for (accept, ttl) in [("a", 3600), ("b", 60), ("c", 60), ("d", 60)] {
        let made = Made {
            ttl: Duration::from_secs(ttl),
            ..varied("/a", accept, accept)
        };
        assert!(bench.put(&made.response()).await);
    }
    let names: Vec<String> = server.ask(&["KEYS", "{test:*}*"]).await;
    assert_eq!(names.len(), 1);
    let fields: u64 = server.ask(&["HLEN", &names[0]]).await;
    assert_eq!(fields, 4, "three variants and the index");
    assert_eq!(bench.find("/a", "a").await, None);
    assert_eq!(bench.find("/a", "d").await.unwrap(), "d");
    let left: i64 = server.ask(&["TTL", &names[0]]).await;
    assert!((3600..=2 * 3600).contains(&left), "{left}");
    let year = Made {
        ttl: Duration::from_secs(365 * 24 * 3600),
        ..plain("/year", "year")
    };
    assert!(bench.put(&year.response()).await);
    let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
    for name in names {
        let left: i64 = server.ask(&["TTL", &name]).await;
        assert!((0..=30 * 24 * 3600).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn variants_whose_time_is_over_give_way() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&varied("/a", "a", "a").response()).await);
    let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
    // Its line says that it ended long ago.
    let index: String = server.ask(&["HGET", &names[0], "i"]).await;
    let mut words: Vec<&str> = index.split(' ').collect();
    words[4] = "1000";
    let over = words.join(" ");
    let _: u64 = server.ask(&["HSET", &names[0], "i", &over]).await;
    assert!(bench.put(&varied("/a", "b", "b").response()).await);
    let fields: u64 = server.ask(&["HLEN", &names[0]]).await;
    assert_eq!(fields, 2);
}

#[tokio::test]
async fn exactly_the_response_that_is_meant_is_removed() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let (a, b) = (varied("/a", "a", "a"), varied("/a", "b", "b"));
    assert!(bench.put(&a.response()).await);
    assert!(bench.put(&b.response()).await);
    let older = Made { position: 0, ..a };
    let newer = Made {
        position: 5,
        ..varied("/a", "a", "newer")
    };
    assert!(bench.put(&newer.response()).await);
    bench.redis.remove(&older.response()).await;
    assert_eq!(bench.find("/a", "a").await.unwrap(), "newer");
    bench.redis.remove(&newer.response()).await;
    assert_eq!(bench.find("/a", "a").await, None);
    assert_eq!(bench.find("/a", "b").await.unwrap(), "b");
    bench.redis.remove(&b.response()).await;
    let left: u64 = server.ask(&["DBSIZE"]).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_representation_that_was_derived_is_shared() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let entry = plain("/a", "hello").response();
    // Nobody puts what is not there by growing it.
    assert!(!bench.write(&entry, Write::Grow).await);
    assert!(bench.put(&entry).await);
    let brotli = Bytes::from_static(b"brotli");
    entry.content().derived(Coding::Brotli, brotli.clone());
    assert!(bench.write(&entry, Write::Grow).await);
    let found = bench.ask("/a", "").await.unwrap().entry.unwrap();
    assert_eq!(found.content().get(Coding::Brotli), Some(&brotli));
    // Nor does it replace another one.
    let newer = Made {
        position: 1,
        ..plain("/a", "newer")
    };
    assert!(bench.put(&newer.response()).await);
    assert!(!bench.write(&entry, Write::Grow).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "newer");
}

#[tokio::test]
async fn sites_that_share_a_redis_do_not_see_each_other() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let mut settings = crate::bench::settings(crate::bench::servers(&server.url()));
    settings.namespace = "other".to_owned();
    let other = Bench::with(settings).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    assert_eq!(other.find("/a", "").await, None);
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
}

#[tokio::test]
async fn what_is_too_large_is_not_written() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    let large = "x".repeat(2 << 20);
    assert!(!bench.put(&plain("/a", &large).response()).await);
    assert_eq!(bench.writes("too_large"), 1);
    let left: u64 = server.ask(&["DBSIZE"]).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_script_that_redis_has_forgotten_is_brought_again() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&plain("/a", "1").response()).await);
    let _: String = server.ask(&["SCRIPT", "FLUSH"]).await;
    assert!(bench.put(&plain("/b", "2").response()).await);
    let entry = Arc::clone(&plain("/b", "2").response());
    bench.redis.remove(&entry).await;
    assert_eq!(bench.find("/b", "").await, None);
}
