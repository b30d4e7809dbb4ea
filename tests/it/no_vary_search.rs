//! `No-Vary-Search`: one copy for all URLs that a response makes equivalent, and for no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use serde_json::json;

use crate::support::origin::{Origin, Reply};
use crate::support::script::script;
use crate::support::short::{reply, route, until};
use crate::support::stage::Stage;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const RFC: &str = "profile = \"rfc\"";

/// An origin whose responses have this field, and each another content.
async fn saying(value: &'static str) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match request.method {
                Method::GET => reply(number.to_string(), &[FRESH, ("no-vary-search", value)]),
                _ => Reply::new(204),
            }
        }
    })
    .await
}

fn said(content: &'static str, value: &str) -> Reply {
    let reply = reply(content, &[FRESH]);
    match value {
        "" => reply,
        value => reply.header("no-vary-search", value),
    }
}

#[tokio::test]
async fn urls_that_a_response_makes_equivalent_share_it_and_others_do_not() {
    for (value, first, others) in [
        (
            "params=(\"utm\" \"%C3%A9+%5B\")",
            "/a?id=1&utm=x",
            [
                ("/a?utm=y&id=1", true),
                ("/a?id=1&%c3%a9%20[=2", true),
                ("/a?id=2", false),
            ],
        ),
        (
            "except=(\"id\")",
            "/a?id=1&x=y",
            [("/a?y&id=1", true), ("/a?%69d=1", true), ("/a?ID=1", false)],
        ),
        (
            "key-order",
            "/a?b=1&a=2",
            [
                ("/a?a=2&b=1", true),
                ("/a?a=2&b=1&", true),
                ("/a?a=2", false),
            ],
        ),
        // A broken field is as good as none, and so is one of the form before the draft of 2026.
        (
            "params=(\"a\"",
            "/a?a=1",
            [("/a?a=2", false), ("/a?a=3", false), ("/a", false)],
        ),
        (
            "params, except=(\"a\")",
            "/a?b=1",
            [("/a?b=2", false), ("/a?b=3", false), ("/a", false)],
        ),
    ] {
        let origin = saying(value).await;
        let stage = Stage::start(&origin, &route(RFC)).await;
        let stored = stage.get(first, &[]).await;
        assert_eq!(stored.field("no-vary-search"), value);
        for (other, is_shared) in others {
            let answer = stage.get(other, &[]).await;
            assert_eq!(answer.is_hit(), is_shared, "{value} {other}");
            assert!(!is_shared || answer.text() == stored.text());
        }
        assert!(stage.get(first, &[]).await.is_hit());
        assert!(
            !stage.get("/b?id=1&utm=y", &[]).await.is_hit(),
            "another path"
        );
    }
}

#[tokio::test]
async fn before_a_cms_it_is_heard_only_where_the_route_wants_it() {
    let origin = saying("params=(\"x\")").await;
    for (keys, is_shared) in [
        ("", false),
        ("[route.query]\nno_vary_search = true", true),
        // A purge by that tag would not reach who asks with another x.
        (
            "tags = [\"x:{query.x}\"]\n[route.query]\nno_vary_search = true",
            false,
        ),
        (
            "tags = [\"y:{query.y}\"]\n[route.query]\nno_vary_search = true",
            true,
        ),
    ] {
        let stage = Stage::start(&origin, &route(keys)).await;
        stage.get("/a?x=1", &[]).await;
        assert_eq!(stage.get("/a?x=2", &[]).await.is_hit(), is_shared, "{keys}");
    }
}

#[tokio::test]
async fn a_response_without_it_is_stored_for_its_own_url_and_changes_nothing_for_the_others() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/a?x=bad" => reply("", &[FRESH]),
            _ => said("good", "params=(\"x\")"),
        }
    })
    .await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    stage.get("/a?x=bad", &[]).await;
    assert_eq!(stage.get("/a?x=1", &[]).await.text(), "good");
    assert_eq!(stage.get("/a?x=2", &[]).await.text(), "good");
    assert_eq!(stage.get("/a?x=bad", &[]).await.text(), "");
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_url_of_which_other_variants_are_stored_alone_is_stored_with_the_rest() {
    // What came before the origin said it must not hide what comes after.
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        let value = match count.fetch_add(1, Ordering::SeqCst) {
            0 => "",
            _ => "params=(\"x\")",
        };
        async move { said("content", value).header("vary", "x-theme") }
    })
    .await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    let dark = [("x-theme", "dark")];
    stage.get("/a?x=1", &[]).await;
    stage.get("/a?x=1", &dark).await;
    assert!(stage.get("/a?x=1", &dark).await.is_hit());
    assert!(stage.get("/a?x=2", &dark).await.is_hit());
    assert!(stage.get("/a?x=1", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn what_was_stored_by_another_rule_answers_no_more_than_it_said_itself() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, &route(RFC)).await);
    for (path, content, value) in [
        ("/a?x=1&y=1", "one", "params=(\"x\")"),
        ("/a?x=1&y=2", "two", "params=(\"y\")"),
        // It is equivalent to the first under the rule of the first, which is not the last one.
        ("/a?x=2&y=1", "three", "params=(\"y\")"),
    ] {
        let client = spawn_get(&stage, path);
        script.asked().await.answer(said(content, value));
        assert_eq!(client.await.unwrap().text(), content);
    }
    for (path, content) in [("/a?x=1&y=9", "two"), ("/a?x=2&y=9", "three")] {
        assert_eq!(stage.get(path, &[]).await.text(), content);
    }
    script.is_quiet();
}

fn spawn_get(
    stage: &Arc<Stage>,
    path: &'static str,
) -> tokio::task::JoinHandle<crate::support::stage::Answer> {
    let stage = Arc::clone(stage);
    tokio::spawn(async move { stage.get(path, &[]).await })
}

/// Waits until `count` requests have come to the instance.
async fn received(stage: &Stage, count: u64) {
    let metric = "cms_edge_http_requests_total{version=\"1.1\"}";
    let looks = AtomicUsize::new(0);
    until("requests", || async {
        // Each look is a request as well.
        let own = looks.fetch_add(1, Ordering::SeqCst) as u64 + 1;
        stage.metric(metric).await >= count + own
    })
    .await;
}

#[tokio::test]
async fn who_waited_for_an_equivalent_url_gets_what_that_brought_only_if_it_still_is_one() {
    for (value, is_shared) in [
        ("params=(\"x\")", true),
        ("", false),
        ("params=(\"y\")", false),
    ] {
        let (origin, mut script) = script().await;
        let stage = Arc::new(Stage::start(&origin, &route(RFC)).await);
        let learning = spawn_get(&stage, "/a?y=0");
        script
            .asked()
            .await
            .answer(said("learned", "params=(\"x\")"));
        learning.await.unwrap();
        let leader = spawn_get(&stage, "/a?x=1");
        let asked = script.asked().await;
        let follower = spawn_get(&stage, "/a?x=2");
        received(&stage, 3).await;
        script.is_quiet();
        asked.answer(said("one", value));
        assert_eq!(leader.await.unwrap().text(), "one");
        if is_shared {
            assert_eq!(follower.await.unwrap().text(), "one");
            script.is_quiet();
        } else {
            let own = script.asked().await;
            assert_eq!(own.request.target, "/a?x=2");
            own.answer(said("two", ""));
            assert_eq!(follower.await.unwrap().text(), "two");
        }
    }
}

#[tokio::test]
async fn a_304_that_says_something_else_is_no_answer_for_the_others() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, &route(RFC)).await);
    let tagged = |value| said("old", value).header("etag", "\"1\"");
    let client = spawn_get(&stage, "/a?x=1");
    script.asked().await.answer(tagged("params=(\"x\")"));
    client.await.unwrap();
    stage.clock.advance(std::time::Duration::from_secs(61));
    let client = spawn_get(&stage, "/a?x=2");
    let validation = script.asked().await;
    assert!(validation.is_conditional());
    let answer = Reply::new(304).header("etag", "\"1\"");
    validation.answer(answer.header("no-vary-search", "key-order"));
    let whole = script.asked().await;
    assert!(!whole.is_conditional());
    whole.answer(said("new", "key-order"));
    assert_eq!(client.await.unwrap().text(), "new");
}

#[tokio::test]
async fn a_purge_of_any_equivalent_url_ends_what_is_stored() {
    let origin = saying("params=(\"x\")").await;
    let rules = format!("{}[purge]\nany_query = false\n", route(RFC));
    let stage = Stage::start(&origin, &rules).await;
    for (purged, is_ended) in [
        ("/a?y=1&x=7", true),
        ("/a?y=1", true),
        // Only what is stored knows which URLs it is for.
        ("/a?y=2", true),
        ("/a", true),
        ("https://elsewhere.example/a?y=1", false),
        ("/b?y=1", false),
    ] {
        stage.get("/a?x=1&y=1", &[]).await;
        assert!(stage.get("/a?x=2&y=1", &[]).await.is_hit());
        stage.purge(&json!({"urls": [purged]}).to_string()).await;
        let is_hit = stage.get("/a?x=3&y=1", &[]).await.is_hit();
        assert_eq!(is_hit, !is_ended, "{purged}");
        let before = origin.hits();
        let purge = json!({"urls": [purged], "mode": "soft"});
        stage.purge(&purge.to_string()).await;
        assert!(stage.get("/a?x=4&y=1", &[]).await.is_hit(), "stale at most");
        if is_ended {
            until("a validation", || async { origin.hits() > before }).await;
        }
    }
}

#[tokio::test]
async fn a_change_to_any_equivalent_url_invalidates_what_is_stored() {
    let origin = saying("params=(\"x\")").await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    stage.get("/a?x=1", &[]).await;
    assert!(stage.get("/a?x=2", &[]).await.is_hit());
    stage.send(Method::POST, "/a?x=3", &[], "new").await;
    assert!(!stage.get("/a?x=2", &[]).await.is_hit());
}

#[tokio::test]
async fn a_purge_of_an_equivalent_url_overtakes_what_is_under_way() {
    let (origin, mut script) = script().await;
    let rules = format!("{}[purge]\nany_query = false\n", route(RFC));
    let stage = Arc::new(Stage::start(&origin, &rules).await);
    let client = spawn_get(&stage, "/a?x=1");
    let asked = script.asked().await;
    // Nobody knows yet that it is for this URL, too.
    stage.purge(&json!({"urls": ["/a?x=2"]}).to_string()).await;
    asked.answer(said("old", "params=(\"x\")"));
    assert_eq!(client.await.unwrap().text(), "old");
    let client = spawn_get(&stage, "/a?x=2");
    script.asked().await.answer(said("new", "params=(\"x\")"));
    assert_eq!(client.await.unwrap().text(), "new");
}
