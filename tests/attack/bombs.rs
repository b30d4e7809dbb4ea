//! Little on the wire, much in memory: header fields by reference (HPACK bombs), and responses that
//! windows of zero hold back.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use crate::kit::arena::{Arena, Setup};
use crate::kit::hpack::{Block, PING, WINDOW, frame};
use crate::kit::peer::Peer;
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, play};
use crate::kit::swarm::{Bounds, connect, swarm};

/// A field that just fits into the dynamic table (RFC 7541 §4.1), in bytes.
const FIELD_BYTES: usize = 4000;

/// Between two requests for what the origin must be asked for, more with heads of 28 KB: it is
/// memory that is attacked here, not the origin.
const PACE: Duration = Duration::from_millis(10);

/// How long the origin takes for what is not stored.
const ANSWER: Duration = Duration::from_millis(200);

/// Bytes of a response that is held.
const LARGE_BYTES: usize = 2 * 1024 * 1024;

fn answer(seen: &Seen) -> Reply {
    let bytes = if seen.target == "/large" {
        LARGE_BYTES
    } else {
        1000
    };
    let keep = if seen.target.starts_with("/held") {
        "no-store"
    } else {
        "max-age=600"
    };
    Reply::ok(vec![b'x'; bytes]).field("cache-control", keep)
}

fn terms(name: &'static str, limits: &'static [&'static str], growth: u64) -> Terms {
    Terms {
        name,
        limits,
        growth,
        connections: 20,
        time: Duration::from_millis(3000),
        is_on_origin: false,
    }
}

/// A connection whose table holds a large field, and the answer to the request that put it there.
async fn primed(target: std::net::SocketAddr, settings: &[(u16, u32)]) -> io::Result<Peer> {
    let mut peer = Peer::begin(connect(target).await?, settings).await?;
    let block = Block::get("a", "/prime").indexed("x-bomb", &"b".repeat(FIELD_BYTES));
    peer.send(&block.request(1, true)).await?;
    peer.sip().await;
    Ok(peer)
}

#[tokio::test]
async fn a_field_referred_to_thousands_of_times() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = primed(target, &[]).await?;
            let mut block = Block::get("a", "/bomb");
            // Four thousand bytes each of a byte on the wire: 40 MB a request.
            block.0.extend(vec![0xbe; 10_000]);
            for stream in (3..255).step_by(2) {
                peer.send(&block.request(stream, true)).await?;
                peer.sip().await;
            }
            Ok(())
        })
        .await;
    };
    let limits = &["headers", "h2_calm"];
    play(&arena, terms("HPACK bomb", limits, 64), attack).await;
}

#[tokio::test]
async fn bombs_below_every_limit_of_one_request_that_are_held_by_a_window_of_zero() {
    let name = "HTTP/2 bomb: references and a window of zero";
    bombs(terms(name, &[], 96), Duration::ZERO, PACE * 4).await;
}

#[tokio::test]
async fn bombs_that_the_origin_holds() {
    let terms = Terms {
        connections: 3,
        ..terms("HTTP/2 bomb, slow origin", &["connection_headers"], 64)
    };
    bombs(terms, ANSWER, PACE / 2).await;
}

/// The origin takes its `time`: heads are held until they are answered.
async fn bombs(terms: Terms, time: Duration, pace: Duration) {
    let slow = move |seen: &Seen| match seen.target.starts_with("/held") {
        true => answer(seen).after(time),
        false => answer(seen),
    };
    // Places at the origin are another limit.
    let setup = Setup {
        upstream: "concurrency = 1024",
        ..Setup::default()
    };
    let Some(arena) = Arena::enter(setup, slow).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, move |target| async move {
            let mut peer = primed(target, &[(WINDOW, 0)]).await?;
            // Just below header_bytes_max, and as many as streams_max allows.
            for stream in (3..257).step_by(2) {
                let mut block = Block::get("a", &format!("/held/{stream}"));
                block.0.extend([0xbe; 7]);
                peer.send(&block.request(stream, true)).await?;
                sleep(pace).await;
            }
            hold(&mut peer).await
        })
        .await;
    };
    play(&arena, terms, attack).await;
}

#[tokio::test]
async fn cookie_crumbs_by_reference() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::connect(target).await?;
            let crumb = Block::get("a", "/crumbs").indexed("cookie", "a=b");
            peer.send(&crumb.request(1, true)).await?;
            let mut block = Block::get("a", "/crumbs");
            // One field to those who count crumbs as one; 42 bytes each to RFC 9113 §10.5.1.
            block.0.extend(vec![0xbe; 15_000]);
            for stream in (3..255).step_by(2) {
                peer.send(&block.request(stream, true)).await?;
                peer.sip().await;
            }
            Ok(())
        })
        .await;
    };
    let limits = &["headers", "h2_calm"];
    play(&arena, terms("cookie crumbs", limits, 64), attack).await;
}

/// More requests for the origin than it has places, and than may wait for one: whoever needs it
/// waits with them, or is told 503 like them. Who does not goes on.
#[tokio::test]
async fn misses_without_end() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::connect(target).await?;
            let paths = (1..201)
                .step_by(2)
                .map(|stream| (stream, format!("/held/{stream}")));
            let requests =
                paths.flat_map(|(stream, path)| Block::get("a", &path).request(stream, true));
            peer.send(&requests.collect::<Vec<u8>>()).await?;
            for _ in 0..100 {
                peer.sip().await;
            }
            Ok(())
        })
        .await;
    };
    let terms = Terms {
        is_on_origin: true,
        ..terms("flood of misses", &[], 192)
    };
    play(&arena, terms, attack).await;
}

#[tokio::test]
async fn stored_responses_that_a_window_of_zero_holds() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::begin(connect(target).await?, &[(WINDOW, 0)]).await?;
            for stream in (1..201).step_by(2) {
                let request = Block::get("a", "/large").request(stream, true);
                peer.send(&request).await?;
            }
            hold(&mut peer).await
        })
        .await;
    };
    // Stored once, whoever waits for it.
    play(
        &arena,
        terms("window of zero, hits", &["stalled"], 64),
        attack,
    )
    .await;
}

#[tokio::test]
async fn responses_of_the_origin_that_a_window_of_zero_holds() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::begin(connect(target).await?, &[(WINDOW, 0)]).await?;
            for stream in (1..201).step_by(2) {
                let path = format!("/held/{stream}");
                peer.send(&Block::get("a", &path).request(stream, true))
                    .await?;
                sleep(PACE).await;
            }
            hold(&mut peer).await
        })
        .await;
    };
    play(
        &arena,
        terms("window of zero, misses", &["stalled"], 96),
        attack,
    )
    .await;
}

/// Keeps the connection alive without taking anything.
async fn hold(peer: &mut Peer) -> io::Result<()> {
    loop {
        sleep(Duration::from_millis(200)).await;
        peer.send(&frame(PING, 0, 0, b"still up")).await?;
        peer.sip().await;
    }
}
