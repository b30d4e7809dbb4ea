//! Frames of HTTP/2 that cost their sender nothing: resets, resets that the server is made to send,
//! header blocks without end, settings, pings, priorities, frames without content.

use std::io;
use std::time::Duration;

use crate::kit::arena::{Arena, Setup};
use crate::kit::hpack::{
    Block, CONTINUATION, DATA, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
};
use crate::kit::peer::Peer;
use crate::kit::recorder::{PAGE, Reply, Seen};
use crate::kit::scene::{Terms, play};
use crate::kit::swarm::{Bounds, swarm};

/// Frames that go out in one write.
const BATCH: usize = 100;

/// CANCEL.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn answer(_: &Seen) -> Reply {
    Reply::ok("answer").field("cache-control", "no-store")
}

/// Each attacker sends a `start` on a new connection, and then batch after batch of what `more`
/// makes of its number, until it is cut off.
async fn flood(
    name: &'static str,
    limits: &'static [&'static str],
    start: fn() -> Vec<u8>,
    more: fn(u32) -> Vec<u8>,
) {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, move |target| async move {
            let mut peer = Peer::connect(target).await?;
            peer.send(&start()).await?;
            batches(&mut peer, more).await
        })
        .await;
    };
    let terms = Terms {
        name,
        limits,
        growth: 48,
        connections: 10,
        time: Duration::from_millis(1000),
        is_on_origin: false,
    };
    play(&arena, terms, attack).await;
}

async fn batches(peer: &mut Peer, more: fn(u32) -> Vec<u8>) -> io::Result<()> {
    for batch in 0..u32::MAX {
        let mut bytes = Vec::new();
        for number in 0..u32::try_from(BATCH).unwrap() {
            bytes.extend(more(batch * 100 + number));
        }
        peer.send(&bytes).await?;
        peer.sip().await;
    }
    Ok(())
}

/// The stream of the request with this number.
const fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[tokio::test]
async fn rapid_reset() {
    let more = |number| {
        let path = format!("/reset/{number}");
        let mut bytes = Block::get("a", &path).request(stream(number), true);
        bytes.extend(frame(RST_STREAM, 0, stream(number), &CANCEL));
        bytes
    };
    let limits = &["h2_resets", "h2_calm"];
    flood("rapid reset", limits, Vec::new, more).await;
}

#[tokio::test]
async fn rapid_reset_of_a_cached_page() {
    let more = |number| {
        let mut bytes = Block::get("www.example.test", PAGE).request(stream(number), true);
        bytes.extend(frame(RST_STREAM, 0, stream(number), &CANCEL));
        bytes
    };
    let limits = &["h2_resets", "h2_calm"];
    flood("rapid reset of a hit", limits, Vec::new, more).await;
}

#[tokio::test]
async fn resets_that_the_server_is_made_to_send_by_a_window_of_nothing() {
    // MadeYouReset, CVE-2025-8671.
    let more = |number| {
        let path = format!("/made/{number}");
        let mut bytes = Block::get("a", &path).request(stream(number), true);
        bytes.extend(frame(WINDOW_UPDATE, 0, stream(number), &[0; 4]));
        bytes
    };
    flood("made you reset, window 0", &["framing"], Vec::new, more).await;
}

#[tokio::test]
async fn resets_that_the_server_is_made_to_send_by_a_window_of_too_much() {
    let more = |number| {
        let path = format!("/made/{number}");
        let mut bytes = Block::get("a", &path).request(stream(number), true);
        let most = (u32::MAX >> 1).to_be_bytes();
        bytes.extend(frame(WINDOW_UPDATE, 0, stream(number), &most));
        bytes
    };
    let limits = &["h2_calm", "h2_refused", "h2_resets", "h2_control"];
    flood("made you reset, window overflow", limits, Vec::new, more).await;
}

#[tokio::test]
async fn resets_that_the_server_is_made_to_send_by_data_after_the_end() {
    let more = |number| {
        let path = format!("/made/{number}");
        let mut bytes = Block::get("a", &path).request(stream(number), true);
        bytes.extend(frame(DATA, 0, stream(number), &[b'x'; 100]));
        bytes
    };
    flood(
        "made you reset, data after the end",
        &["framing"],
        Vec::new,
        more,
    )
    .await;
}

#[tokio::test]
async fn a_header_block_of_frames_without_end() {
    let start = || frame(HEADERS, 0, 1, &Block::get("a", "/endless").0);
    let more = |_| frame(CONTINUATION, 0, 1, &Block::default().literal("x", "y").0);
    let limits = &["h2_continuation"];
    flood("CONTINUATION flood", limits, start, more).await;
}

#[tokio::test]
async fn empty_header_frames_without_end() {
    let start = || frame(HEADERS, 0, 1, &Block::get("a", "/endless").0);
    let more = |_| frame(CONTINUATION, 0, 1, &[]);
    let limits = &["h2_continuation", "h2_empty"];
    flood("empty CONTINUATION flood", limits, start, more).await;
}

#[tokio::test]
async fn settings_without_end() {
    let more = |number: u32| {
        let mut payload = vec![0, 4];
        payload.extend((number % 65_535).to_be_bytes());
        frame(SETTINGS, 0, 0, &payload)
    };
    flood("SETTINGS flood", &["h2_control"], Vec::new, more).await;
}

#[tokio::test]
async fn pings_without_end() {
    let more = |_| frame(PING, 0, 0, b"pingping");
    flood("PING flood", &["h2_control"], Vec::new, more).await;
}

#[tokio::test]
async fn priorities_without_end() {
    let more = |number| {
        let mut payload = stream(number / 2).to_be_bytes().to_vec();
        payload.push(200);
        frame(PRIORITY, 0, stream(number) + 2, &payload)
    };
    flood("PRIORITY flood", &["h2_control"], Vec::new, more).await;
}

#[tokio::test]
async fn frames_that_nobody_knows_without_end() {
    let more = |_| frame(0xbb, 0, 0, b"what is this");
    flood("flood of unknown frames", &["h2_control"], Vec::new, more).await;
}

#[tokio::test]
async fn windows_without_end() {
    let more = |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    flood("WINDOW_UPDATE flood", &["h2_control"], Vec::new, more).await;
}

#[tokio::test]
async fn content_of_nothing_without_end() {
    let start = || Block::post("a", "/nothing").request(1, false);
    let more = |_| frame(DATA, 0, 1, &[]);
    flood("empty DATA flood", &["h2_empty", "h2_calm"], start, more).await;
}
