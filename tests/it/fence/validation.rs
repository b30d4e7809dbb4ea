//! A 304 freshens nothing that was purged since it was asked for.

use std::time::Duration;

use super::{PATH, SCOPES, SOFT, TAG, article, client, fill, stage, tagged, with_window};
use crate::support::origin::Reply;
use crate::support::script::until;

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
