//! Exchanges that are under way while it is purged, and who joins them.

use std::sync::Arc;

use http::Method;

use super::{PATH, SCOPES, TAG, article, client, stage};
use crate::support::origin::Reply;
use crate::support::stage::whole;

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
