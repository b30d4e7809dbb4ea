//! Every form of what is stored is purged: for HEAD, in each coding, with each status.

use std::sync::Arc;

use http::Method;

use super::{PATH, TAG, article, client, fill, stage};
use crate::support::origin::Reply;
use crate::support::script::script;
use crate::support::stage::Stage;

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
