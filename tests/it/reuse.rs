//! How long what is stored answers, and what a client is told about it.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, reply, route, with};
use crate::support::stage::{Answer, Stage};

const START_DATE: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

/// An origin whose path `/n` answers with the n-th set of fields.
async fn table(rows: &'static [&'static [Field]]) -> Origin {
    Origin::start(move |request| async move {
        let row: usize = request.target.trim_start_matches('/').parse().unwrap();
        reply("content", rows[row])
    })
    .await
}

/// Seconds of freshness left, as a hit says; nothing if it is none.
fn ttl(answer: &Answer) -> Option<i64> {
    let status = answer.cache_status();
    status.strip_prefix("cms-edge; hit; ttl=")?.parse().ok()
}

#[tokio::test]
async fn freshness_comes_from_the_most_specific_field() {
    const ROWS: &[&[Field]] = &[
        &[("expires", "Sat, 21 Nov 2026 12:00:10 GMT")],
        &[
            ("expires", "Sat, 21 Nov 2026 12:00:10 GMT"),
            ("cache-control", "max-age=20"),
        ],
        &[("cache-control", "max-age=20, s-maxage=30")],
        &[
            ("cache-control", "s-maxage=30"),
            ("cdn-cache-control", "max-age=40"),
        ],
        &[
            ("cdn-cache-control", "max-age=40"),
            ("cms-edge-cache-control", "max-age=50"),
        ],
    ];
    let origin = table(ROWS).await;
    let stage = Stage::start(&origin, &route("ttl = \"5s\"")).await;
    for (row, seconds) in [10, 20, 30, 40, 50].into_iter().enumerate() {
        let path = format!("/{row}");
        stage.get(&path, &[]).await;
        let hit = stage.get(&path, &[]).await;
        assert_eq!(ttl(&hit), Some(seconds), "{:?}", ROWS[row]);
    }
    // Our own targeted field is consumed; the one for all CDNs goes on to the next.
    let hit = stage.get("/4", &[]).await;
    assert_eq!(hit.field("cms-edge-cache-control"), "");
    assert_eq!(hit.field("cdn-cache-control"), "max-age=40");
}

#[tokio::test]
async fn what_is_fresh_answers_until_its_last_second_and_no_longer() {
    let origin = Origin::start(|_| async { reply("a", &[("cache-control", "max-age=60")]) }).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(59));
    assert!(stage.get("/a", &[]).await.is_hit());
    stage.clock.advance(Duration::from_secs(1));
    assert!(!stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn the_routes_ttl_and_the_origins_words_combine_as_ttl_mode_says() {
    const ROWS: &[&[Field]] = &[
        &[],
        &[("cache-control", "max-age=10")],
        &[("cache-control", "max-age=500")],
        &[("cache-control", "no-cache")],
        &[("cache-control", "private, max-age=10")],
        &[("cache-control", "no-store")],
        &[("set-cookie", "a=b")],
    ];
    let not_stored = [None, None, None];
    for (mode, expected) in [
        ("default", [Some(100), Some(10), Some(500), None]),
        ("cap", [Some(100), Some(10), Some(100), None]),
        ("floor", [Some(100), Some(100), Some(500), Some(100)]),
        ("override", [Some(100), Some(100), Some(100), Some(100)]),
    ] {
        let origin = table(ROWS).await;
        let keys = format!("ttl = \"100s\"\nttl_mode = \"{mode}\"");
        let stage = Stage::start(&origin, &route(&keys)).await;
        for (row, seconds) in expected.into_iter().chain(not_stored).enumerate() {
            let path = format!("/{row}");
            stage.get(&path, &[]).await;
            let second = stage.get(&path, &[]).await;
            assert_eq!(ttl(&second), seconds, "{mode}: {:?}", ROWS[row]);
        }
    }
}

#[tokio::test]
async fn no_lifetime_is_longer_than_ttl_max() {
    let origin =
        Origin::start(|_| async { reply("a", &[("cache-control", "max-age=31536000")]) }).await;
    let stage = Stage::start(&origin, &route("ttl = \"60s\"\nttl_max = \"90s\"")).await;
    stage.get("/a", &[]).await;
    assert_eq!(ttl(&stage.get("/a", &[]).await), Some(90));
}

#[tokio::test]
async fn statuses_have_lifetimes_of_their_own() {
    let origin = Origin::start(|request| async move {
        Reply::new(request.target.trim_start_matches('/').parse().unwrap()).content("x")
    })
    .await;
    let keys = "ttl = \"100s\"\nttl_by_status = { 404 = \"7s\", 5xx = \"3s\", 301 = \"9s\" }";
    let stage = Stage::start(&origin, &route(keys)).await;
    for (status, seconds) in [
        (200, Some(100)),
        (301, Some(9)),
        (302, None),
        (404, Some(7)),
        (410, None),
        (503, Some(3)),
    ] {
        let path = format!("/{status}");
        assert_eq!(stage.get(&path, &[]).await.status, status);
        let second = stage.get(&path, &[]).await;
        assert_eq!((second.status.as_u16(), ttl(&second)), (status, seconds));
    }
}

#[tokio::test]
async fn age_counts_what_earlier_caches_and_the_way_took() {
    const ROWS: &[&[Field]] = &[
        &[("cache-control", "max-age=60"), ("age", "15")],
        &[
            ("cache-control", "max-age=60"),
            ("date", "Sat, 21 Nov 2026 11:59:50 GMT"),
        ],
        &[("cache-control", "max-age=60")],
    ];
    let origin = table(ROWS).await;
    let stage = Stage::start(&origin, "").await;
    for (row, age) in [15, 10, 0].into_iter().enumerate() {
        let miss = stage.get(&format!("/{row}"), &[]).await;
        assert_eq!(miss.field("age"), age.to_string(), "{row}");
    }
    stage.clock.advance(Duration::from_secs(20));
    for (row, age) in [35, 30, 20].into_iter().enumerate() {
        let hit = stage.get(&format!("/{row}"), &[]).await;
        assert_eq!(hit.field("age"), age.to_string());
        assert_eq!(ttl(&hit), Some(60 - age));
    }
}

#[tokio::test]
async fn a_requests_own_directives_are_honoured() {
    let origin = Origin::start(|_| async { reply("a", &[("cache-control", "max-age=60")]) }).await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    // Each with what it meets: a response 20 s old that is fresh for 40 s more.
    let fresh = [
        ("", true),
        ("no-cache", false),
        ("max-age=19", false),
        ("max-age=20", true),
        ("min-fresh=41", false),
        ("min-fresh=40", true),
        ("only-if-cached", true),
        ("max-stale", true),
    ];
    // And a response that has been stale for 40 s.
    let stale = [
        ("", false),
        ("max-stale=39", false),
        ("max-stale=40", true),
        ("max-stale", true),
        ("max-stale, max-age=50", false),
    ];
    for (advance, cases) in [(20, &fresh[..]), (100, &stale[..])] {
        for case in 0..cases.len() {
            stage.get(&format!("/{advance}/{case}"), &[]).await;
        }
        stage.clock.advance(Duration::from_secs(advance));
        for (case, (directives, is_hit)) in cases.iter().enumerate() {
            let path = format!("/{advance}/{case}");
            let before = origin.hits();
            let answer = stage.get(&path, &[("cache-control", directives)]).await;
            assert_eq!(answer.is_hit(), *is_hit, "{directives} after {advance} s");
            assert_eq!(origin.hits() == before, *is_hit, "{directives}");
        }
    }
}

#[tokio::test]
async fn only_if_cached_never_reaches_the_origin() {
    let origin = Origin::start(|_| async { Reply::ok("a") }).await;
    let stage = Stage::start(&origin, "").await;
    let fields = [("cache-control", "only-if-cached")];
    let answer = stage.get("/a", &fields).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn browsers_are_told_to_ask_each_time_and_the_edge_answers_them_with_304() {
    let origin =
        Origin::start(|_| async { reply("content", &[("expires", "0"), ("pragma", "no-cache")]) })
            .await;
    let keys = "ttl = \"100s\"\nttl_mode = \"override\"";
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/a", &[]).await;
    let hit = stage.get("/a", &[]).await;
    assert_eq!(hit.field("cache-control"), "max-age=0, must-revalidate");
    assert_eq!(hit.field("expires") + &hit.field("pragma"), "");
    let etag = hit.field("etag");
    assert!(etag.starts_with('"') && etag.len() > 10, "{etag}");

    let again = stage.get("/a", &[("if-none-match", &etag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert_eq!(again.field("etag"), etag);
    assert!(again.is_hit() && again.body.is_empty());
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn browser_ttl_is_what_browsers_are_told_whoever_decided_the_lifetime() {
    const ROWS: &[&[Field]] = &[
        &[],
        &[("cache-control", "public, max-age=2592000")],
        &[("expires", "Sun, 22 Nov 2026 12:00:00 GMT")],
    ];
    let origin = table(ROWS).await;
    let stage = Stage::start(&origin, &route("browser_ttl = \"5m\"")).await;
    for row in 0..ROWS.len() {
        let path = format!("/{row}");
        stage.get(&path, &[]).await;
        let hit = stage.get(&path, &[]).await;
        assert!(hit.is_hit());
        assert_eq!(hit.field("cache-control"), "max-age=300", "{row}");
        assert_eq!(hit.field("expires"), "");
    }
}

#[tokio::test]
async fn no_transform_is_told_whoever_decided_the_lifetime() {
    let origin =
        Origin::start(|_| async { reply("a", &[("cache-control", "no-transform")]) }).await;
    let stage = Stage::start(&origin, "").await;
    let told = stage.get("/a", &[]).await.field("cache-control");
    assert_eq!(told, "max-age=0, must-revalidate, no-transform");
}

#[tokio::test]
async fn the_origins_own_words_pass_where_it_decided_the_lifetime() {
    let words = "public, max-age=60, stale-while-revalidate=5";
    let origin =
        Origin::start(move |_| async move { Reply::ok("a").header("cache-control", words) }).await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let answer = stage.get("/a", &[]).await;
        assert_eq!(answer.field("cache-control"), words);
    }
}

#[tokio::test]
async fn a_missing_date_is_added_once() {
    let origin = Origin::start(|_| async { reply("a", &[("cache-control", "max-age=60")]) }).await;
    let stage = Stage::start(&origin, "").await;
    assert_eq!(stage.get("/a", &[]).await.field("date"), START_DATE);
    stage.clock.advance(Duration::from_secs(30));
    assert_eq!(stage.get("/a", &[]).await.field("date"), START_DATE);
}

#[tokio::test]
async fn head_is_answered_from_what_a_get_stored() {
    let origin =
        Origin::start(|_| async { reply("12345", &[("cache-control", "max-age=60")]) }).await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let head = stage.send(Method::HEAD, "/a", &[], "").await;
    assert!(head.is_hit() && head.body.is_empty());
    assert_eq!(head.field("content-length"), "5");
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_head_that_misses_is_forwarded_as_head_and_stores_nothing() {
    let origin =
        Origin::start(|_| async { reply("12345", &[("cache-control", "max-age=60")]) }).await;
    let stage = Stage::start(&origin, "").await;
    let head = stage.send(Method::HEAD, "/a", &[], "").await;
    assert_eq!(head.field("content-length"), "5");
    assert_eq!(origin.requests()[0].method, Method::HEAD);
    let get = stage.get("/a", &[]).await;
    assert!(!get.is_hit());
    assert_eq!(get.text(), "12345");
    assert_eq!(origin.requests()[1].method, Method::GET);
}

#[tokio::test]
async fn a_head_is_asked_as_a_get_of_the_same_client_would_be() {
    let origin = Origin::start(|_| async { Reply::ok("a") }).await;
    let keys =
        "[route.language]\nsupported = [\"en\", \"de\"]\ndefault = \"en\"\nsources = [\"header\"]";
    let stage = Stage::start(&origin, &route(keys)).await;
    let fields = [("accept-language", "de-AT, fr;q=0.3"), ("cookie", "_ga=1")];
    stage.send(Method::HEAD, "/a", &fields, "").await;
    let asked = &origin.requests()[0];
    assert_eq!(asked.header("accept-language"), Some("de"));
    assert_eq!(asked.header("cookie"), None);
}

#[tokio::test]
async fn the_edges_own_etag_is_that_of_the_content() {
    let origin = Origin::start(|request| async move {
        with(
            Reply::ok(request.target),
            &[("cache-control", "max-age=60")],
        )
    })
    .await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    let mut etags = Vec::new();
    for path in ["/a", "/a", "/b"] {
        stage.get(path, &[]).await;
        etags.push(stage.get(path, &[]).await.field("etag"));
        stage.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(origin.hits(), 3);
    assert_eq!(etags[0], etags[1]);
    assert_ne!(etags[0], etags[2]);
}
