//! Streams of server-sent events: each event at once, to one client, for as long as it reads.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::support::origin::{PATIENCE, Reply};
use crate::support::script::{script, until};
use crate::support::stage::Stage;

const UNCACHED: &str =
    "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\ncache = false\n";
const COMPRESSED: &str = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
     compress = { types = [\"text/*\"], min_size = \"1B\" }\n";

const OPEN: &str = "cms_edge_event_streams_open";

fn closed(reason: &str) -> String {
    format!("cms_edge_event_streams_closed_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn every_event_is_passed_on_while_the_response_goes_on() {
    for settings in ["", UNCACHED] {
        let (origin, mut script) = script().await;
        let stage = Stage::start(&origin, settings).await;
        let fields = [
            ("accept", "text/event-stream"),
            ("accept-encoding", "gzip, br"),
        ];
        let begin = stage.begin(Method::GET, "/events", &fields, "");
        let (events, reply) = Reply::pieces();
        let reply = reply
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("cache-control", "max-age=60");
        let answer = async { script.asked().await.answer(reply) };
        let (response, ()) = tokio::join!(begin, answer);
        assert!(!response.headers().contains_key("content-encoding"));
        let mut body = response.into_body();
        for number in 0..5 {
            let event = Bytes::from(format!("data: {number}\n\n"));
            events.send(event.clone()).await.unwrap();
            let frame = timeout(PATIENCE, body.frame()).await.expect("an event");
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), event);
        }
        assert_eq!(stage.metric(OPEN).await, 1, "{settings}");
        drop(events);
        assert!(timeout(PATIENCE, body.frame()).await.unwrap().is_none());
        until("the end of the stream", async || {
            stage.metric(OPEN).await == 0
        })
        .await;
        assert_eq!(stage.metric(&closed("origin")).await, 1, "{settings}");
    }
}

#[tokio::test]
async fn a_stream_of_events_is_never_stored() {
    let (origin, mut script) = script().await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let get = stage.get("/events", &[]);
        let reply = Reply::ok("data: 1\n\n")
            .header("content-type", "Text/Event-Stream")
            .header("cache-control", "public, max-age=3600");
        let answer = async { script.asked().await.answer(reply) };
        let (answer, ()) = tokio::join!(get, answer);
        let status = answer.cache_status();
        assert!(status.ends_with("detail=event-stream"), "{status}");
    }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_exchange_with_the_origin() {
    for settings in ["", UNCACHED] {
        let (origin, mut script) = script().await;
        let stage = Stage::start(&origin, settings).await;
        let begin = stage.begin(Method::GET, "/events", &[], "");
        let (events, reply) = Reply::pieces();
        let reply = reply.header("content-type", "text/event-stream");
        let answer = async { script.asked().await.answer(reply) };
        let (response, ()) = tokio::join!(begin, answer);
        events
            .send(Bytes::from_static(b"data: 1\n\n"))
            .await
            .unwrap();
        let mut body = response.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        drop(body);
        until("the end of the stream", async || {
            stage.metric(OPEN).await == 0
        })
        .await;
        assert_eq!(stage.metric(&closed("client")).await, 1, "{settings}");
        // It finds out when it next speaks.
        let told = async { while events.send(Bytes::from_static(b": \n\n")).await.is_ok() {} };
        timeout(PATIENCE, told)
            .await
            .expect("the origin to be told");
        origin.lost(1).await;
    }
}

#[tokio::test]
async fn readers_do_not_wait_for_each_others_stream() {
    let (origin, mut script) = script().await;
    let stage = Stage::start(&origin, "").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let begin = stage.begin(Method::GET, "/events", &[], "");
        let (events, reply) = Reply::pieces();
        let reply = reply.header("content-type", "text/event-stream");
        let answer = async { script.asked().await.answer(reply) };
        let (response, ()) = tokio::join!(begin, answer);
        held.push((response, events));
    }
    assert_eq!(stage.metric(OPEN).await, 3);
    assert_eq!(
        stage.metric("cms_edge_fills").await,
        0,
        "they take no place of fills_max"
    );
}

#[tokio::test]
async fn a_stream_that_is_to_be_compressed_is_flushed_at_each_event() {
    let (origin, mut script) = script().await;
    let stage = Stage::start(&origin, COMPRESSED).await;
    let begin = stage.begin(Method::GET, "/events", &[("accept-encoding", "gzip")], "");
    let (events, reply) = Reply::pieces();
    let reply = reply.header("content-type", "text/event-stream");
    let answer = async { script.asked().await.answer(reply) };
    let (response, ()) = tokio::join!(begin, answer);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut body = response.into_body();
    let mut seen = Vec::new();
    for number in 0..3 {
        let event = format!("data: {number}\n\n");
        events.send(Bytes::from(event.clone())).await.unwrap();
        while !unzipped(&seen).ends_with(&event) {
            let frame = timeout(PATIENCE, body.frame()).await.expect("an event");
            seen.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
    }
}

/// What can be read of a coding that has not ended.
fn unzipped(bytes: &[u8]) -> String {
    use std::io::Read;
    let mut text = Vec::new();
    let _unfinished = flate2::read::GzDecoder::new(bytes).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}
