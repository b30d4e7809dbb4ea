//! Heads that are too many fields, too many bytes, or have no end.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::kit::arena::{Arena, Setup};
use crate::kit::hpack::{Block, CONTINUATION, END_HEADERS, END_STREAM, HEADERS, frame};
use crate::kit::peer::Peer;
use crate::kit::recorder::Reply;
use crate::kit::scene::{Terms, play};
use crate::kit::swarm::{Bounds, connect, rest, swarm};

/// How long an answer to a head may take that is not read.
const ANSWER: Duration = Duration::from_secs(2);

async fn flood(name: &'static str, limits: &'static [&'static str], head: String) {
    let Some(arena) = Arena::enter(Setup::default(), |_| Reply::ok("")).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        let head: &'static str = Box::leak(head.into_boxed_str());
        swarm(target, bounds, move |target| async move {
            let mut stream = connect(target).await?;
            // A server that has had enough resets the connection while we are sending.
            let _sent = stream.write_all(head.as_bytes()).await;
            let _answer = timeout(ANSWER, rest(&mut stream)).await;
            Ok(())
        })
        .await;
    };
    play(&arena, terms(name, limits), attack).await;
    let seen: Vec<String> = arena
        .origin
        .iter()
        .flat_map(|origin| origin.take())
        .map(|seen| seen.text())
        .collect();
    assert_eq!(seen, Vec::<String>::new(), "{name}: it reached the origin");
}

fn terms(name: &'static str, limits: &'static [&'static str]) -> Terms {
    Terms {
        name,
        limits,
        growth: 48,
        connections: 50,
        time: Duration::from_millis(1000),
        is_on_origin: false,
    }
}

#[tokio::test]
async fn many_fields() {
    let fields: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let head = format!("GET /many HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    flood("many fields", &["headers"], head).await;
}

#[tokio::test]
async fn a_field_of_a_megabyte() {
    let value = "y".repeat(1024 * 1024);
    let head = format!("GET /huge HTTP/1.1\r\nhost: a\r\nx: {value}\r\n\r\n");
    flood("huge field", &["headers"], head).await;
}

#[tokio::test]
async fn a_target_of_a_megabyte() {
    let target = "y".repeat(1024 * 1024);
    let head = format!("GET /{target} HTTP/1.1\r\nhost: a\r\n\r\n");
    flood("huge target", &["headers", "target"], head).await;
}

#[tokio::test]
async fn a_target_that_is_just_too_long() {
    let target = "y".repeat(9 * 1024);
    let head = format!("GET /{target} HTTP/1.1\r\nhost: a\r\n\r\n");
    flood("long target", &["target"], head).await;
}

#[tokio::test]
async fn many_fields_over_http_2() {
    let Some(arena) = Arena::enter(Setup::default(), |_| Reply::ok("")).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::connect(target).await?;
            let mut block = Block::get("a", "/many");
            for number in 0..500 {
                block = block.literal(&format!("x-{number}"), "y");
            }
            for stream in (1..100).step_by(2) {
                peer.send(&block.request(stream, true)).await?;
                peer.sip().await;
            }
            Ok(())
        })
        .await;
    };
    play(
        &arena,
        terms("many fields of HTTP/2", &["headers", "h2_refused"]),
        attack,
    )
    .await;
    assert!(arena.origin.is_none_or(|origin| origin.take().is_empty()));
}

#[tokio::test]
async fn a_head_of_many_frames_over_http_2() {
    let Some(arena) = Arena::enter(Setup::default(), |_| Reply::ok("")).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::connect(target).await?;
            let block = Block::get("a", "/huge").literal("x", &"y".repeat(70_000));
            let mut parts = block.0.chunks(16 * 1024);
            let first = parts.next().unwrap_or_default();
            let mut bytes = frame(HEADERS, END_STREAM, 1, first);
            for part in parts {
                bytes.extend(frame(CONTINUATION, 0, 1, part));
            }
            bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
            peer.send(&bytes).await?;
            let _answer = timeout(ANSWER, peer.next()).await;
            Ok(())
        })
        .await;
    };
    let limits = &["headers", "h2_continuation", "h2_calm"];
    play(&arena, terms("huge head of HTTP/2", limits), attack).await;
    assert!(arena.origin.is_none_or(|origin| origin.take().is_empty()));
}
