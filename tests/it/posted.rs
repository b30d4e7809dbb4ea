//! Responses to POST that are stored as responses to GET, in profile "rfc".

use http::Method;

use crate::support::origin::{Origin, Reply};
use crate::support::script;
use crate::support::short::{Field, reply, route};
use crate::support::stage::Stage;

const FRESH: Field = ("cache-control", "max-age=60");
const HERE: Field = ("content-location", "/a?x=1");
const RFC: &str = "profile = \"rfc\"";

/// Answers a POST with what was posted and these fields, and anything else with "read".
async fn posting(fields: &'static [Field]) -> Origin {
    Origin::start(move |request| async move {
        match request.method {
            Method::POST => reply(request.content, fields),
            _ => reply("read", &[FRESH]),
        }
    })
    .await
}

#[tokio::test]
async fn what_a_post_has_made_is_read_from_the_store() {
    let origin = posting(&[FRESH, HERE]).await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    assert_eq!(stage.get("/a?x=1", &[]).await.text(), "read");
    for made in ["one", "two"] {
        let answer = stage.send(Method::POST, "/a?x=1", &[], made).await;
        assert_eq!(answer.text(), made);
        assert_eq!(
            answer.cache_status(),
            "cms-edge; fwd=method; stored; ttl=60"
        );
        let read = stage.get("/a?x=1", &[]).await;
        assert!(read.is_hit());
        assert_eq!(read.text(), made);
    }
    assert_eq!(origin.hits(), 3);
    stage.purge(r#"{"tags":["route:all"]}"#).await;
    assert_eq!(stage.get("/a?x=1", &[]).await.text(), "read");
}

#[tokio::test]
async fn what_does_not_say_so_is_not_stored() {
    for (keys, fields) in [
        ("", &[FRESH, HERE][..]),
        (RFC, &[FRESH]),
        (RFC, &[HERE]),
        (RFC, &[FRESH, ("content-location", "/a")]),
        (RFC, &[("cache-control", "max-age=0"), HERE]),
        (RFC, &[("cache-control", "private, max-age=60"), HERE]),
        (RFC, &[("cache-control", "no-store"), HERE]),
    ] {
        let origin = posting(fields).await;
        let stage = Stage::start(&origin, &route(keys)).await;
        let answer = stage.send(Method::POST, "/a?x=1", &[], "made").await;
        assert_eq!(answer.text(), "made", "{keys} {fields:?}");
        let read = stage.get("/a?x=1", &[]).await;
        assert_eq!(read.text(), "read", "{keys} {fields:?}");
    }
}

#[tokio::test]
async fn a_purge_of_something_else_does_not_matter() {
    let (origin, mut script) = script::script().await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    let post = stage.send(Method::POST, "/a?x=1", &[], "made");
    let meanwhile = async {
        let asked = script.asked().await;
        stage
            .purge(r#"{"urls":["http://www.example.test/b"]}"#)
            .await;
        asked.answer(reply("made", &[FRESH, HERE]));
    };
    tokio::join!(post, meanwhile);
    let read = stage.get("/a?x=1", &[]).await;
    assert_eq!((read.is_hit(), read.text()), (true, "made".to_owned()));
}

#[tokio::test]
async fn a_purge_that_comes_while_a_post_is_answered_wins() {
    let (origin, mut script) = script::script().await;
    let stage = Stage::start(&origin, &route(RFC)).await;
    for purge in [
        r#"{"tags":["something"]}"#,
        r#"{"tags":["something"],"mode":"soft"}"#,
        r#"{"urls":["http://www.example.test/a?x=1"]}"#,
    ] {
        let post = stage.send(Method::POST, "/a?x=1", &[], "made");
        let meanwhile = async {
            let asked = script.asked().await;
            stage.purge(purge).await;
            asked.answer(reply("made", &[FRESH, HERE]));
        };
        let (answer, ()) = tokio::join!(post, meanwhile);
        assert_eq!(answer.text(), "made");
        let read = stage.get("/a?x=1", &[]);
        let asked = async { script.asked().await.answer(Reply::ok("read")) };
        let (read, ()) = tokio::join!(read, asked);
        assert_eq!(read.text(), "read", "{purge}");
    }
}

#[tokio::test]
async fn what_a_post_has_made_for_several_urls_is_ended_by_a_purge_of_any() {
    const SAID: Field = ("no-vary-search", "params=(\"y\")");
    let (origin, mut script) = script::script().await;
    let rules = format!("{}[purge]\nany_query = false\n", route(RFC));
    let stage = Stage::start(&origin, &rules).await;
    for (purged, is_ended) in [("/b?x=1", false), ("/a?x=1&y=2", true)] {
        let post = stage.send(Method::POST, "/a?x=1", &[], "made");
        let meanwhile = async {
            let asked = script.asked().await;
            stage.purge(&format!("{{\"urls\":[\"{purged}\"]}}")).await;
            asked.answer(reply("made", &[FRESH, HERE, SAID]));
        };
        tokio::join!(post, meanwhile);
        let read = stage.get("/a?y=3&x=1", &[]);
        if is_ended {
            let asked = async { script.asked().await.answer(Reply::ok("read")) };
            assert_eq!(tokio::join!(read, asked).0.text(), "read");
        } else {
            assert_eq!(read.await.text(), "made");
        }
    }
}
