//! Clients that take their time: heads a byte at a time (slowloris), content a byte at a time,
//! responses that nobody takes, and one address with more connections than it may have.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::kit::arena::{Arena, Setup};
use crate::kit::hpack::{Block, HEADERS, frame};
use crate::kit::peer::Peer;
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, play};
use crate::kit::swarm::{Bounds, connect, drip, from, narrow, rest, swarm};

/// Bytes of a response that is held: more than the system buffers of a socket take.
const LARGE_BYTES: usize = 7 * 1024 * 1024;

const DRIP: Duration = Duration::from_millis(100);

fn answer(seen: &Seen) -> Reply {
    let bytes = match seen.target.starts_with("/large") {
        true => LARGE_BYTES,
        false => 100,
    };
    Reply::ok(vec![b'x'; bytes]).field("cache-control", "max-age=600")
}

fn terms(name: &'static str, limits: &'static [&'static str], connections: usize) -> Terms {
    Terms {
        name,
        limits,
        growth: 48,
        connections,
        time: Duration::from_millis(2500),
        is_on_origin: false,
    }
}

#[tokio::test]
async fn heads_a_byte_at_a_time() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = connect(target).await?;
            stream
                .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n")
                .await?;
            drip(&mut stream, "x-a: b\r\n", DRIP).await
        })
        .await;
    };
    play(&arena, terms("slowloris", &["header_timeout"], 300), attack).await;
}

#[tokio::test]
async fn connections_that_never_say_a_word() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = connect(target).await?;
            rest(&mut stream).await;
            Ok(())
        })
        .await;
    };
    play(&arena, terms("silence", &["header_timeout"], 300), attack).await;
}

#[tokio::test]
async fn header_blocks_that_never_end() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut peer = Peer::connect(target).await?;
            let block = Block::get("a", "/slow");
            peer.send(&frame(HEADERS, 0, 1, &block.0)).await?;
            // An acknowledgement of the settings would break the block.
            rest(&mut peer.stream).await;
            Ok(())
        })
        .await;
    };
    let limits = &["header_timeout"];
    play(&arena, terms("slowloris of HTTP/2", limits, 200), attack).await;
}

#[tokio::test]
async fn content_a_byte_at_a_time() {
    let setup = Setup {
        upstream: "first_byte_timeout = \"1s\"",
        ..Setup::default()
    };
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = connect(target).await?;
            let head = "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            drip(&mut stream, "x", DRIP).await
        })
        .await;
    };
    // The origin has not failed: nobody else is told that it has.
    let limits = &["cms_edge_origin_requests_total{upstream=\"origin\",result=\"request_timeout\""];
    play(&arena, terms("slow POST", limits, 100), attack).await;
}

#[tokio::test]
async fn content_that_breaks_off() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = connect(target).await?;
            let head = "POST /broken HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nx";
            stream.write_all(head.as_bytes()).await?;
            sleep(DRIP).await;
            Ok(())
        })
        .await;
    };
    let limits = &["cms_edge_origin_requests_total{upstream=\"origin\",result=\"request_body\""];
    let terms = Terms {
        time: Duration::from_millis(1000),
        ..terms("uploads that break off", limits, 50)
    };
    play(&arena, terms, attack).await;
}

#[tokio::test]
async fn responses_that_nobody_takes() {
    let Some(arena) = Arena::enter(Setup::default(), answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = narrow(target).await?;
            stream
                .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
                .await?;
            // Does not read: only a reset is noticed.
            loop {
                sleep(DRIP).await;
                stream.write_all(b"").await?;
                stream.ready(tokio::io::Interest::ERROR).await?;
            }
        })
        .await;
    };
    play(&arena, terms("slow read", &["stalled"], 100), attack).await;
}

#[tokio::test]
async fn responses_taken_by_the_spoon() {
    let setup = Setup {
        server: "server.send_rate_min = 65536",
        ..Setup::default()
    };
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            let mut stream = narrow(target).await?;
            stream
                .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
                .await?;
            sips(&mut stream).await
        })
        .await;
    };
    let limits = &["slow_reader", "stalled"];
    play(&arena, terms("slow read by the spoon", limits, 100), attack).await;
}

/// A kilobyte of a response now and then.
async fn sips(stream: &mut TcpStream) -> io::Result<()> {
    let mut spoon = [0; 1024];
    while stream.read(&mut spoon).await? > 0 {
        sleep(DRIP).await;
    }
    Ok(())
}

#[tokio::test]
async fn more_connections_than_one_address_may_have() {
    let setup = Setup {
        server: "server.connections_per_address = 50
                 server.connections_per_address_exempt = []",
        ..Setup::default()
    };
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, |target| async move {
            // The readers come from 127.0.0.1.
            let mut stream = from(Ipv4Addr::new(127, 0, 0, 2), target).await?;
            stream
                .write_all(b"GET /some HTTP/1.1\r\nhost: a\r\n\r\n")
                .await?;
            rest(&mut stream).await;
            Ok(())
        })
        .await;
    };
    play(
        &arena,
        terms("connections of one address", &["address"], 200),
        attack,
    )
    .await;
}
