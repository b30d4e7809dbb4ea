//! The fence: a purge cannot lose to a fetch. Whoever sends a first byte after the receipt never
//! gets what was purged, whatever was on its way meanwhile.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::task::JoinHandle;

use crate::support::origin::{Origin, Reply};
use crate::support::script::{Script, script, until};
use crate::support::stage::{Answer, Stage, whole};

/// Every way to name `/de/articles/1`, which carries the tag `article:1`.
const SCOPES: [&str; 6] = [
    r#"{"tags":["article:1"]}"#,
    r#"{"urls":["http://www.example.test/de/articles/1"]}"#,
    r#"{"urls":["/de/articles/1"]}"#,
    r#"{"prefixes":["http://www.example.test/de"]}"#,
    r#"{"hosts":["www.example.test"]}"#,
    r#"{"everything":true}"#,
];
const PATH: &str = "/de/articles/1";
const TAG: &str = r#"{"tags":["article:1"]}"#;
const SOFT: &str = r#"{"tags":["article:1"],"mode":"soft"}"#;

async fn stage() -> (Arc<Stage>, Script, Origin) {
    let (origin, script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    (stage, script, origin)
}

fn article(text: &str) -> Reply {
    tagged(text).header("cache-control", "max-age=60")
}

fn tagged(text: &str) -> Reply {
    Reply::ok(text.to_owned())
        .header("surrogate-key", "article:1")
        .header("etag", &format!("\"{text}\""))
}

/// A client of its own, under way.
fn client(stage: &Arc<Stage>) -> JoinHandle<Answer> {
    let stage = Arc::clone(stage);
    tokio::spawn(async move { stage.get(PATH, &[]).await })
}

/// Fills the cache with `reply`.
async fn fill(stage: &Arc<Stage>, script: &mut Script, reply: Reply) -> Answer {
    let client = client(stage);
    script.asked().await.answer(reply);
    client.await.unwrap()
}

/// Asks until the stored answer is `text`.
async fn until_stored(stage: &Stage, text: &str) {
    until("the new content", async || {
        stage.get(PATH, &[]).await.text() == text
    })
    .await;
}

#[tokio::test]
async fn what_was_fetched_while_it_was_purged_is_for_its_own_client_only() {
    for purge in SCOPES {
        let (stage, mut script, _origin) = stage().await;
        let before = client(&stage);
        let asked = script.asked().await;
        stage.purge(purge).await;
        asked.answer(article("old"));
        let before = before.await.unwrap();
        assert_eq!(before.text(), "old", "{purge}");
        assert_eq!(
            before.cache_status(),
            "cms-edge; fwd=uri-miss; detail=purged-in-flight",
            "{purge}"
        );

        let after = client(&stage);
        let asked = script.asked().await;
        assert!(!asked.is_conditional(), "{purge}");
        asked.answer(article("new"));
        assert_eq!(after.await.unwrap().text(), "new", "{purge}");
        let hit = stage.get(PATH, &[]).await;
        assert!(hit.is_hit() && hit.text() == "new", "{purge}");
        script.is_quiet();
        let dropped = "cms_edge_purged_in_flight_total";
        assert_eq!(stage.metric(dropped).await, 1, "{purge}");
    }
}

#[tokio::test]
async fn what_was_purged_while_its_content_was_coming_is_not_stored_either() {
    let (stage, mut script, _origin) = stage().await;
    let (pieces, reply) = Reply::pieces();
    let asked = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.begin(Method::GET, PATH, &[], "").await })
    };
    let fields = reply
        .header("surrogate-key", "article:1")
        .header("cache-control", "max-age=60");
    script.asked().await.answer(fields);
    pieces.send("old ".into()).await.unwrap();
    let before = asked.await.unwrap();
    // Its client has the head, and the rest is still at the origin.
    stage.purge(TAG).await;
    let after = client(&stage);
    script.asked().await.answer(article("new"));
    assert_eq!(after.await.unwrap().text(), "new");
    pieces.send("end".into()).await.unwrap();
    drop(pieces);
    assert_eq!(whole(before).await.text(), "old end");
    let hit = stage.get(PATH, &[]).await;
    assert!(hit.is_hit() && hit.text() == "new");
    script.is_quiet();
}

#[tokio::test]
async fn a_tag_that_came_with_a_304_purges_as_well_as_those_from_before() {
    for purge in [TAG, r#"{"tags":["menu"]}"#] {
        let (stage, mut script, _origin) = stage().await;
        fill(&stage, &mut script, with_window("old")).await;
        stage.clock.advance(Duration::from_secs(100));
        let validating = client(&stage);
        let asked = script.asked().await;
        assert!(asked.is_conditional());
        asked.answer(
            Reply::new(304)
                .header("etag", "\"old\"")
                .header("surrogate-key", "menu"),
        );
        assert_eq!(validating.await.unwrap().text(), "old");
        assert!(stage.get(PATH, &[]).await.is_hit());
        stage.purge(purge).await;
        let after = client(&stage);
        script.asked().await.answer(article("new"));
        assert_eq!(after.await.unwrap().text(), "new", "{purge}");
    }
}

#[tokio::test]
async fn a_purge_of_something_else_costs_a_fetch_on_its_way_nothing() {
    for purge in [
        r#"{"tags":["article:2"]}"#,
        r#"{"urls":["/de/articles/2"]}"#,
        r#"{"prefixes":["/de/article"]}"#,
        r#"{"hosts":["de.example.test"]}"#,
    ] {
        let (stage, mut script, _origin) = stage().await;
        let before = client(&stage);
        let asked = script.asked().await;
        stage.purge(purge).await;
        asked.answer(article("good"));
        assert_eq!(before.await.unwrap().text(), "good");
        assert!(stage.get(PATH, &[]).await.is_hit(), "{purge}");
    }
}

#[tokio::test]
async fn a_client_after_the_purge_does_not_join_the_flight_before_it() {
    for purge in SCOPES {
        let (stage, mut script, origin) = stage().await;
        let first = client(&stage);
        let old_flight = script.asked().await;
        stage.purge(purge).await;

        let second = client(&stage);
        let new_flight = script.asked().await;
        new_flight.answer(article("new"));
        assert_eq!(second.await.unwrap().text(), "new", "{purge}");
        // The first flight is still open, and does not hold up those who come now either.
        let third = stage.get(PATH, &[]).await;
        assert!(third.is_hit() && third.text() == "new", "{purge}");

        old_flight.answer(article("old"));
        assert_eq!(first.await.unwrap().text(), "old", "{purge}");
        let last = stage.get(PATH, &[]).await;
        assert!(last.is_hit() && last.text() == "new", "{purge}");
        assert_eq!(origin.hits(), 2, "{purge}");
    }
}

#[tokio::test]
async fn clients_of_one_flight_share_it_and_those_after_a_purge_share_the_next() {
    let (stage, mut script, origin) = stage().await;
    let before: Vec<_> = (0..20).map(|_| client(&stage)).collect();
    let old_flight = script.asked().await;
    stage.purge(TAG).await;
    let after: Vec<_> = (0..20).map(|_| client(&stage)).collect();
    let new_flight = script.asked().await;
    new_flight.answer(article("new"));
    for client in after {
        assert_eq!(client.await.unwrap().text(), "new");
    }
    old_flight.answer(article("old"));
    for client in before {
        // Those that followed the old flight look again when it comes to nothing.
        let text = client.await.unwrap().text();
        assert!(text == "old" || text == "new", "{text}");
    }
    assert_eq!(origin.hits(), 2, "40 clients, two flights");
}

#[tokio::test]
async fn a_304_that_was_asked_for_before_the_purge_freshens_nothing() {
    for purge in SCOPES {
        let (stage, mut script, _origin) = stage().await;
        let short = |text| tagged(text).header("cache-control", "max-age=10, must-revalidate");
        fill(&stage, &mut script, short("old")).await;
        stage.clock.advance(Duration::from_secs(11));

        let validating = client(&stage);
        let asked = script.asked().await;
        assert_eq!(asked.request.header("if-none-match"), Some("\"old\""));
        stage.purge(purge).await;
        asked.answer(Reply::new(304).header("etag", "\"old\""));
        // The edge does not take it for an answer, and fetches the whole.
        let asked = script.asked().await;
        assert!(!asked.is_conditional(), "{purge}");
        asked.answer(article("new"));
        assert_eq!(validating.await.unwrap().text(), "new", "{purge}");
        let hit = stage.get(PATH, &[]).await;
        assert!(hit.is_hit() && hit.text() == "new", "{purge}");
    }
}

#[tokio::test]
async fn after_a_hard_purge_the_refetch_is_unconditional() {
    let (stage, mut script, _origin) = stage().await;
    fill(&stage, &mut script, article("old")).await;
    stage.purge(TAG).await;
    let after = client(&stage);
    let asked = script.asked().await;
    assert!(!asked.is_conditional());
    asked.answer(article("new"));
    assert_eq!(after.await.unwrap().text(), "new");
}

#[tokio::test]
async fn a_304_has_the_fence_of_the_exchange_it_came_by() {
    let (stage, mut script, _origin) = stage().await;
    fill(&stage, &mut script, article("same")).await;
    // Soft: it may be validated. The 304 is newer than the purge, so it is fresh again.
    stage.purge(SOFT).await;
    assert_eq!(stage.get(PATH, &[]).await.text(), "same");
    let asked = script.asked().await;
    assert!(asked.is_conditional());
    asked.answer(Reply::new(304).header("etag", "\"same\""));
    let is_fresh = async || stage.get(PATH, &[]).await.cache_status() == "cms-edge; hit; ttl=60";
    until("a fresh hit", is_fresh).await;
    // And a purge after it still hits it.
    stage.purge(TAG).await;
    let after = client(&stage);
    script.asked().await.answer(article("new"));
    assert_eq!(after.await.unwrap().text(), "new");
    script.is_quiet();
}

fn with_window(text: &str) -> Reply {
    tagged(text).header("cache-control", "max-age=10, stale-while-revalidate=60")
}

#[tokio::test]
async fn a_purge_between_a_stale_hit_and_its_background_answer_drops_that_answer() {
    for late in [article("old"), Reply::new(304).header("etag", "\"old\"")] {
        let (stage, mut script, _origin) = stage().await;
        fill(&stage, &mut script, with_window("old")).await;
        stage.clock.advance(Duration::from_secs(20));
        let stale = stage.get(PATH, &[]).await;
        assert!(stale.is_hit() && stale.text() == "old");
        let background = script.asked().await;

        stage.purge(TAG).await;
        let after = client(&stage);
        let asked = script.asked().await;
        assert!(!asked.is_conditional());
        asked.answer(article("new"));
        assert_eq!(after.await.unwrap().text(), "new");

        let is_304 = late.is_not_modified();
        background.answer(late);
        if is_304 {
            // It fetches the whole: what it asked about is purged.
            let asked = script.asked().await;
            assert!(!asked.is_conditional());
            asked.answer(article("newer"));
            until_stored(&stage, "newer").await;
        } else {
            let dropped = "cms_edge_purged_in_flight_total";
            until("a dropped answer", async || {
                stage.metric(dropped).await == 1
            })
            .await;
            assert_eq!(stage.get(PATH, &[]).await.text(), "new");
        }
        script.is_quiet();
    }
}

#[tokio::test]
async fn a_soft_purge_serves_stale_while_one_request_fetches() {
    let (stage, mut script, origin) = stage().await;
    fill(&stage, &mut script, article("old")).await;
    stage.purge(SOFT).await;
    for _ in 0..5 {
        let stale = stage.get(PATH, &[]).await;
        assert!(stale.is_hit() && stale.text() == "old");
    }
    let background = script.asked().await;
    background.answer(article("new"));
    until_stored(&stage, "new").await;
    let hit = stage.get(PATH, &[]).await;
    assert_eq!(hit.cache_status(), "cms-edge; hit; ttl=60");
    assert_eq!(origin.hits(), 2, "one fetch for five stale answers");
}

#[tokio::test]
async fn what_was_fetched_during_a_soft_purge_is_stale_from_the_start() {
    let (stage, mut script, _origin) = stage().await;
    let before = client(&stage);
    let asked = script.asked().await;
    stage.purge(SOFT).await;
    asked.answer(article("old"));
    assert_eq!(before.await.unwrap().text(), "old");
    let stale = stage.get(PATH, &[]).await;
    assert_eq!(stale.text(), "old", "soft: it may be served meanwhile");
    script.asked().await.answer(article("new"));
    until_stored(&stage, "new").await;
}

#[tokio::test]
async fn hard_wins_over_soft_in_either_order() {
    for order in [[TAG, SOFT], [SOFT, TAG]] {
        let (stage, mut script, _origin) = stage().await;
        fill(&stage, &mut script, article("old")).await;
        for purge in order {
            stage.purge(purge).await;
        }
        let after = client(&stage);
        let asked = script.asked().await;
        assert!(!asked.is_conditional());
        asked.answer(article("new"));
        assert_eq!(after.await.unwrap().text(), "new", "{order:?}");
    }
}

#[tokio::test]
async fn an_older_fetch_that_ends_last_does_not_replace_the_newer_one() {
    let (stage, mut script, _origin) = stage().await;
    let first = client(&stage);
    let older = script.asked().await;
    // Not what the article has in the end; but while its tags are unknown it might be.
    stage.purge(r#"{"tags":["article:2"]}"#).await;
    let second = client(&stage);
    let newer = script.asked().await;
    newer.answer(article("newer"));
    assert_eq!(second.await.unwrap().text(), "newer");
    older.answer(article("older"));
    assert_eq!(first.await.unwrap().text(), "older");
    assert_eq!(stage.get(PATH, &[]).await.text(), "newer");
    let outdated = r#"cms_edge_not_stored_total{reason="outdated"}"#;
    assert_eq!(stage.metric(outdated).await, 1);
    script.is_quiet();
}

#[tokio::test]
async fn an_older_fetch_that_ends_last_does_not_hide_the_newer_one_behind_another_vary() {
    let (stage, mut script, _origin) = stage().await;
    let first = client(&stage);
    let older = script.asked().await;
    stage.purge(r#"{"tags":["article:2"]}"#).await;
    let second = client(&stage);
    let newer = script.asked().await;
    newer.answer(article("newer").header("vary", "x-device"));
    assert_eq!(second.await.unwrap().text(), "newer");
    older.answer(article("older"));
    assert_eq!(first.await.unwrap().text(), "older");
    let hit = stage.get(PATH, &[]).await;
    assert!(hit.is_hit() && hit.text() == "newer", "{}", hit.text());
}

#[tokio::test]
async fn an_older_fetch_with_an_uncacheable_end_does_not_remove_the_newer_one() {
    let (stage, mut script, _origin) = stage().await;
    let first = client(&stage);
    let older = script.asked().await;
    stage.purge(r#"{"tags":["article:2"]}"#).await;
    let second = client(&stage);
    script.asked().await.answer(article("newer"));
    assert_eq!(second.await.unwrap().text(), "newer");
    older.answer(Reply::ok("mine").header("cache-control", "private"));
    assert_eq!(first.await.unwrap().text(), "mine");
    let hit = stage.get(PATH, &[]).await;
    assert!(hit.is_hit() && hit.text() == "newer");
}

#[tokio::test]
async fn an_origin_that_fails_is_stood_in_for_but_never_over_a_hard_purge() {
    let (stage, mut script, _origin) = stage().await;
    let short = tagged("old").header("cache-control", "max-age=10, stale-if-error=600");
    fill(&stage, &mut script, short).await;
    stage.clock.advance(Duration::from_secs(60));
    let stands_in = client(&stage);
    script.asked().await.answer(Reply::new(503));
    let stands_in = stands_in.await.unwrap();
    assert_eq!(
        (stands_in.status.as_u16(), &*stands_in.text()),
        (200, "old")
    );

    // Purged while the origin is being asked, and purged before.
    stage.clock.advance(Duration::from_secs(1));
    let during = client(&stage);
    let asked = script.asked().await;
    stage.purge(TAG).await;
    asked.answer(Reply::new(503));
    let during = during.await.unwrap();
    assert_eq!(during.status.as_u16(), 503, "{}", during.text());
    let after = client(&stage);
    script.asked().await.answer(Reply::hang_up());
    // A GET on a connection that closed at once is sent again.
    script.asked().await.answer(Reply::hang_up());
    let after = after.await.unwrap();
    assert_eq!(after.status.as_u16(), 502, "{}", after.text());
}

#[tokio::test]
async fn head_is_answered_from_what_is_stored_and_not_from_what_was_purged() {
    let (stage, mut script, _origin) = stage().await;
    fill(&stage, &mut script, article("old")).await;
    let head = |stage: &Arc<Stage>| {
        let stage = Arc::clone(stage);
        tokio::spawn(async move { stage.send(Method::HEAD, PATH, &[], "").await })
    };
    let hit = head(&stage).await.unwrap();
    assert!(hit.is_hit());
    assert_eq!(
        (&*hit.field("etag"), &*hit.field("content-length")),
        ("\"old\"", "3")
    );
    stage.purge(TAG).await;
    let after = head(&stage);
    let asked = script.asked().await;
    assert_eq!(asked.request.method, Method::HEAD);
    asked.answer(article("newer"));
    let after = after.await.unwrap();
    assert_eq!(
        (&*after.field("etag"), &*after.field("content-length")),
        ("\"newer\"", "5")
    );
    // A HEAD fills nothing.
    let get = client(&stage);
    script.asked().await.answer(article("newer"));
    assert_eq!(get.await.unwrap().text(), "newer");
}

#[tokio::test]
async fn all_codings_of_a_response_are_purged_together() {
    let (stage, mut script, _origin) = stage().await;
    let large = |word: &str| {
        article("x")
            .content(word.repeat(1000))
            .header("content-type", "text/html")
    };
    fill(&stage, &mut script, large("old ")).await;
    let codings = ["br", "gzip", "identity"];
    let coded = async |coding: &str| stage.get(PATH, &[("accept-encoding", coding)]).await;
    let mut before = Vec::new();
    for coding in codings {
        let answer = coded(coding).await;
        assert!(answer.is_hit(), "{coding}");
        before.push(answer.body);
    }
    assert_eq!(before[2], "old ".repeat(1000));
    stage.purge(TAG).await;
    fill(&stage, &mut script, large("new ")).await;
    for (coding, before) in codings.iter().zip(before) {
        let after = coded(coding).await;
        assert!(after.is_hit() && after.body != before, "{coding}");
    }
    assert_eq!(coded("identity").await.body, "new ".repeat(1000));
    script.is_quiet();
}

#[tokio::test]
async fn publishing_purges_the_404_that_was_stored_before() {
    let (origin, mut script) = script().await;
    let route = "[[route]]\nname = \"articles\"\npath = \"/{language}/articles/{id}\"\n\
                 upstream = \"origin\"\ntags = [\"article:{id}\"]\n";
    let stage = Arc::new(Stage::start(&origin, route).await);
    assert_eq!(
        fill(&stage, &mut script, Reply::new(404))
            .await
            .status
            .as_u16(),
        404
    );
    let hit = stage.get(PATH, &[]).await;
    assert!(hit.is_hit() && hit.status.as_u16() == 404);
    stage.purge(TAG).await;
    let published = fill(&stage, &mut script, article("here")).await;
    assert_eq!(
        (published.status.as_u16(), &*published.text()),
        (200, "here")
    );
    assert!(stage.get(PATH, &[]).await.is_hit());
}
