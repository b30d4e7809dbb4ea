//! Soft purges, and stale responses that are served meanwhile.

use std::time::Duration;

use super::{PATH, SOFT, TAG, article, client, fill, stage, tagged, until_stored, with_window};
use crate::support::origin::Reply;
use crate::support::script::until;

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
