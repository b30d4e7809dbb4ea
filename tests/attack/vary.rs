//! Pages that vary without end: by a field that each client gives another value, by the query, by
//! the host. None may push out what others read.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::arena::{Arena, Setup};
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, play};
use crate::kit::swarm::{Bounds, connect, swarm};

/// Bytes of each page: a thousand of them are more than the cache holds.
const PAGE_BYTES: usize = 64 * 1024;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn answer(seen: &Seen) -> Reply {
    let reply = Reply::ok(vec![b'v'; PAGE_BYTES]).field("cache-control", "max-age=600");
    match seen.target.starts_with("/varied") {
        true => reply.field("vary", "X-Thing, User-Agent, Accept-Language"),
        false => reply,
    }
}

/// Attackers ask for what `request` makes of a number, each time another, over and over.
async fn flood(name: &'static str, request: fn(usize) -> String) -> Option<Arena> {
    let arena = Arena::enter(Setup::default(), answer).await?;
    let target = arena.target;
    let attack = async |bounds: Bounds| {
        swarm(target, bounds, move |target| async move {
            let mut stream = connect(target).await?;
            loop {
                let number = NUMBER.fetch_add(1, Relaxed);
                stream.write_all(request(number).as_bytes()).await?;
                take(&mut stream).await?;
            }
        })
        .await;
    };
    // All of the cache, and as much again on its way.
    let terms = Terms {
        name,
        limits: &[],
        growth: 160,
        connections: 8,
        time: Duration::from_millis(2500),
        is_on_origin: false,
    };
    play(&arena, terms, attack).await;
    Some(arena)
}

/// Reads one response with its content.
async fn take(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    while read.len() < end + PAGE_BYTES {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_field_with_another_value_each_time() {
    let request = |n| {
        format!("GET /varied HTTP/1.1\r\nhost: a\r\nx-thing: {n}\r\nuser-agent: agent {n}\r\n\r\n")
    };
    let Some(arena) = flood("Vary flood", request).await else {
        return;
    };
    if let Some(bytes) = arena.metric("cms_edge_memory_bytes").await {
        assert!(
            bytes < 16 * 1024 * 1024,
            "32 variants of 64 KiB, not {bytes} bytes"
        );
    }
}

#[tokio::test]
async fn a_query_that_is_another_each_time() {
    let request = |n| format!("GET /search?q={n} HTTP/1.1\r\nhost: a\r\n\r\n");
    let arena = flood("query flood", request).await;
    within_memory(arena).await;
}

#[tokio::test]
async fn a_host_that_is_another_each_time() {
    let request = |n| format!("GET / HTTP/1.1\r\nhost: h{n}.example\r\n\r\n");
    let arena = flood("host flood", request).await;
    within_memory(arena).await;
}

async fn within_memory(arena: Option<Arena>) {
    let Some(arena) = arena else { return };
    if let Some(bytes) = arena.metric("cms_edge_memory_bytes").await {
        assert!(
            bytes <= 64 * 1024 * 1024,
            "cache.memory is 64 MiB, not {bytes} bytes"
        );
    }
}
