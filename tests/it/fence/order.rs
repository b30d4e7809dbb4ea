//! An older fetch that ends last leaves the newer one as it is.

use super::{PATH, article, client, stage};
use crate::support::origin::Reply;

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
