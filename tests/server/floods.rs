//! Clients that send what costs them little and the server much.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use cms_edge::budget::{Budget, Pressure, Use};
use cms_edge::server::Limits;
use cms_edge::telemetry::server::Limit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::frames::*;
use crate::support::{
    Running, exchange, http1, http2, one_response, rest, settings, short_limits, soon, start,
    start_within, statuses, text,
};

const CALM: u32 = 0x0b;

fn few_frames() -> Limits {
    Limits {
        resets_per_second: 5,
        control_frames_per_second: 10,
        empty_frames_per_second: 5,
        ..short_limits()
    }
}

/// Sends `frames` and expects to be told to calm down, or to be cut.
async fn flood(server: &Running, frames: impl Iterator<Item = Vec<u8>>, limit: Limit) {
    let mut stream = connect(server, &[]).await;
    let bytes: Vec<u8> = frames.flatten().collect();
    // The server may close before it has read everything.
    stream.write_all(&bytes).await.ok();
    server
        .until(|metrics| metrics.limit_count(limit) == 1)
        .await;
    let frames = all(&mut stream).await;
    let goaway = frames.iter().find(|frame| frame.kind == GOAWAY);
    // A connection that is closed with bytes unread is reset, which may overtake what was sent.
    assert!(
        goaway.is_none_or(|goaway| goaway.code() == CALM),
        "{frames:?}"
    );
    let mut other = connect(server, &[]).await;
    other.write_all(&get(1, "/on")).await.unwrap();
    assert_eq!(status(&next_of(&mut other, HEADERS).await), 200);
}

#[tokio::test]
async fn a_flood_of_resets_is_cut() {
    let server = start(settings(few_frames())).await;
    let frames = (1..200).step_by(2).flat_map(|stream| {
        let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [get(stream, "/gate"), cancel]
    });
    flood(&server, frames, Limit::H2Resets).await;
}

#[tokio::test]
async fn a_flood_of_control_frames_is_cut_whatever_they_are() {
    for (kind, stream, payload) in [
        (PING, 0, &[0; 8][..]),
        (SETTINGS, 0, &[]),
        (PRIORITY, 7, &[0, 0, 0, 3, 1]),
        (WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
        (0x42, 0, &[1, 2, 3]),
    ] {
        let server = start(settings(few_frames())).await;
        let frames = (0..200).map(|_| frame(kind, 0, stream, payload));
        flood(&server, frames, Limit::H2Control).await;
    }
}

/// CVE-2024-27316 and its kin.
#[tokio::test]
async fn a_header_block_that_goes_on_and_on_is_cut() {
    let server = start(settings(few_frames())).await;
    let begin = frame(HEADERS, END_STREAM, 1, &head("GET", "/", &[]));
    let on = (0..200).map(|_| frame(CONTINUATION, 0, 1, &field("x", "y")));
    flood(
        &server,
        std::iter::once(begin).chain(on),
        Limit::H2Continuation,
    )
    .await;
}

#[tokio::test]
async fn a_client_whose_requests_are_refused_again_and_again_is_cut() {
    let limits = Limits {
        refused_per_second: 1,
        target_bytes_max: 60,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let long = format!("/{}", "x".repeat(80));
    let mut stream = connect(&server, &[]).await;
    for number in [1, 3, 5, 7] {
        stream.write_all(&get(number, &long)).await.unwrap();
        let told = next_of(&mut stream, DATA).await.payload;
        assert_eq!(told, b"the request's target is too long\n");
    }
    assert_eq!(server.metrics.limit_count(Limit::H2Refused), 0);
    let frames = (1..40).step_by(2).map(|number| get(number, &long));
    flood(&server, frames, Limit::H2Refused).await;
}

/// CVE-2025-8671, and whatever else makes the server reset a stream.
#[tokio::test]
async fn a_client_that_makes_the_server_reset_is_cut() {
    let limits = Limits {
        refused_per_second: 1,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = connect(&server, &[]).await;
    for number in (1..400).step_by(2) {
        let most = (u32::MAX >> 1).to_be_bytes();
        stream.write_all(&get(number, "/gate")).await.ok();
        let window = frame(WINDOW_UPDATE, 0, number, &most);
        stream.write_all(&window).await.ok();
        if server.metrics.limit_count(Limit::H2Refused) == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    server
        .until(|metrics| {
            metrics.limit_count(Limit::H2Refused) + metrics.limit_count(Limit::H2Calm) == 1
        })
        .await;
}

/// A byte each, of which h2 would make thousands.
#[tokio::test]
async fn a_head_of_fields_by_the_thousand_is_cut_before_it_is_decoded() {
    let server = start(settings(short_limits())).await;
    let mut block = head("GET", "/", &[]);
    block.extend([0x82; 5000]);
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    flood(&server, std::iter::once(head), Limit::Headers).await;
}

/// CVE-2019-9518.
#[tokio::test]
async fn a_flood_of_empty_frames_is_cut() {
    let server = start(settings(few_frames())).await;
    for content in [&b""[..], b"x"] {
        let before = server.metrics.limit_count(Limit::H2Empty);
        let mut stream = connect(&server, &[]).await;
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &head("POST", "/gate", &[]));
        bytes.extend((0..200).flat_map(|_| frame(DATA, 0, 1, content)));
        stream.write_all(&bytes).await.ok();
        server
            .until(|metrics| metrics.limit_count(Limit::H2Empty) == before + 1)
            .await;
        all(&mut stream).await;
    }
}

#[tokio::test]
async fn the_farewell_names_the_last_stream_and_the_reason() {
    let server = start(settings(few_frames())).await;
    let mut stream = connect(&server, &[]).await;
    stream.write_all(&get(7, "/on")).await.unwrap();
    next_of(&mut stream, DATA).await;
    // Just one more than is allowed, so that nothing is left unread.
    let pings = (0..45).flat_map(|_| frame(PING, 0, 0, &[0; 8]));
    for ping in pings.collect::<Vec<_>>().chunks(17) {
        if stream.write_all(ping).await.is_err() {
            break;
        }
        if server.metrics.limit_count(Limit::H2Control) == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let goaway = next_of(&mut stream, GOAWAY).await;
    assert_eq!(goaway.code(), CALM);
    assert_eq!(goaway.payload[..4], 7_u32.to_be_bytes());
}

#[tokio::test]
async fn a_diligent_client_is_no_flood() {
    let server = start(settings(few_frames())).await;
    let mut stream = connect(&server, &[]).await;
    // As Firefox does it: each request with its window, its priority, and a ping now and then.
    for stream_id in (1..400).step_by(2) {
        let mut bytes = get(stream_id, "/on");
        bytes.extend(frame(WINDOW_UPDATE, 0, stream_id, &[0, 1, 0, 0]));
        bytes.extend(frame(PRIORITY, 0, stream_id, &[0, 0, 0, 0, 9]));
        stream.write_all(&bytes).await.unwrap();
        let answer = next_of(&mut stream, HEADERS).await;
        assert_eq!((answer.stream, status(&answer)), (stream_id, 200));
    }
}

#[tokio::test]
async fn a_client_that_acknowledges_every_frame_downloads_to_the_end() {
    let server = start(settings(few_frames())).await;
    let mut stream = connect(&server, &[]).await;
    stream.write_all(&get(1, "/large")).await.unwrap();
    let mut taken = 0;
    loop {
        let frame_in = next_of(&mut stream, DATA).await;
        taken += frame_in.payload.len();
        if frame_in.flags & END_STREAM != 0 {
            break;
        }
        let more = u32::try_from(frame_in.payload.len()).unwrap().to_be_bytes();
        let mut updates = frame(WINDOW_UPDATE, 0, 0, &more);
        updates.extend(frame(WINDOW_UPDATE, 0, 1, &more));
        stream.write_all(&updates).await.unwrap();
    }
    assert_eq!(taken, crate::support::LARGE_BYTES);
}

#[tokio::test]
async fn what_hyper_itself_refuses_is_counted_too() {
    let server = start(settings(Limits {
        resets_per_second: 100_000,
        ..short_limits()
    }))
    .await;
    let mut stream = connect(&server, &[]).await;
    let mut attack = Vec::new();
    for stream_id in (1..2000).step_by(2) {
        attack.extend(get(stream_id, "/"));
        attack.extend(frame(RST_STREAM, 0, stream_id, &8_u32.to_be_bytes()));
    }
    stream.write_all(&attack).await.ok();
    server
        .until(|metrics| metrics.limit_count(Limit::H2Calm) == 1)
        .await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let limits = Limits {
        connections_per_address: 2,
        connections_per_address_exempt: vec![],
        ..short_limits()
    };
    let server = start(settings(limits.clone())).await;
    let (mut first, first_connection) = http1(server.raw().await).await;
    let (mut second, _second_connection) = http2(server.raw().await).await;
    text(first.send_request(crate::support::get("/")).await.unwrap()).await;
    let request = crate::support::get("http://a.example/");
    text(second.send_request(request).await.unwrap()).await;
    let mut third = server.raw().await;
    assert_eq!(rest(&mut third).await, "");
    assert_eq!(server.metrics.limit_count(Limit::Address), 1);
    drop(first);
    soon(first_connection).await.unwrap().unwrap();
    soon(async {
        let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        while attempt(&server, last).await.is_empty() {}
    })
    .await;

    let exempt = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()];
    let server = start(settings(Limits {
        connections_per_address_exempt: exempt,
        ..limits
    }))
    .await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        let mut stream = server.raw().await;
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(one_response(&mut stream).await.1, "GET /x");
        streams.push(stream);
    }
}

#[tokio::test]
async fn the_address_is_the_one_that_the_proxy_header_names() {
    let limits = Limits {
        connections_per_address: 1,
        connections_per_address_exempt: vec![],
        ..short_limits()
    };
    let mut settings = settings(limits);
    settings.clients.proxy_protocol_from = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()];
    let server = start(settings).await;
    let from = |client: &str| {
        format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let mut streams = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut stream = server.raw().await;
        stream.write_all(from(client).as_bytes()).await.unwrap();
        assert_eq!(one_response(&mut stream).await.1, "GET /x");
        streams.push(stream);
    }
    assert!(attempt(&server, &from("192.0.2.1")).await.is_empty());
    assert_eq!(server.metrics.limit_count(Limit::Address), 1);
}

#[tokio::test]
async fn a_trusted_proxy_has_any_number_of_connections() {
    let limits = Limits {
        connections_per_address: 1,
        connections_per_address_exempt: vec![],
        ..short_limits()
    };
    let mut settings = settings(limits);
    settings.clients.trusted_proxies = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()];
    let server = start(settings).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = server.raw().await;
        let request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        assert_eq!(one_response(&mut stream).await.1, "GET /x");
        streams.push(stream);
    }
}

/// What comes back, also where the connection is reset.
async fn attempt(server: &Running, request: &str) -> Vec<u8> {
    let mut stream = server.raw().await;
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.ok();
    stream.read_to_end(&mut answer).await.ok();
    answer
}

#[tokio::test]
async fn a_target_that_is_too_long_is_refused_in_both_versions() {
    let limits = Limits {
        target_bytes_max: 1024,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let path = format!("/{}", "x".repeat(1024));
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = exchange(server.http[0], request.as_bytes()).await;
    assert_eq!(statuses(&answer), [414]);
    let mut stream = connect(&server, &[]).await;
    stream.write_all(&get(1, &path)).await.unwrap();
    assert_eq!(status(&next_of(&mut stream, HEADERS).await), 414);
    assert_eq!(server.metrics.limit_count(Limit::Target), 2);
}

/// CVE-2026-49975: heads that cost little to send and much to keep.
#[tokio::test]
async fn the_heads_of_one_connection_have_a_bound_together() {
    let limits = Limits {
        connection_header_bytes_max: 64 * 1024,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = connect(&server, &[]).await;
    let long = "x".repeat(16_000);
    let block = head("GET", "/gate", &[("x-long", &long)]);
    let request = |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &block);
    for id in [1, 3, 5, 7] {
        stream.write_all(&request(id)).await.unwrap();
    }
    soon(server.handler.arrived.acquire_many(4))
        .await
        .unwrap()
        .forget();
    stream.write_all(&request(9)).await.unwrap();
    let refused = next_of(&mut stream, HEADERS).await;
    assert_eq!((refused.stream, status(&refused)), (9, 431));
    assert_eq!(server.metrics.limit_count(Limit::ConnectionHeaders), 1);
    // When they are answered there is room again.
    server.handler.gate.add_permits(5);
    for _ in 0..4 {
        assert_eq!(status(&next_of(&mut stream, HEADERS).await), 200);
    }
    stream.write_all(&request(11)).await.unwrap();
    assert_eq!(status(&next_of(&mut stream, HEADERS).await), 200);
}

#[tokio::test]
async fn a_used_up_budget_closes_new_connections_and_serves_the_old_ones() {
    let budget = Budget::new(1 << 20);
    let server = start_within(settings(short_limits()), budget.clone()).await;
    let (mut old, _connection) = http1(server.raw().await).await;
    text(old.send_request(crate::support::get("/")).await.unwrap()).await;
    assert!(budget.used(Use::Connections) > 0);
    let charge = budget.take(Use::Fills, 1 << 20);
    assert_eq!(budget.pressure(), Pressure::Hard);
    assert_eq!(rest(&mut server.raw().await).await, "");
    assert_eq!(server.metrics.limit_count(Limit::Memory), 1);
    let answer = old.send_request(crate::support::get("/on")).await.unwrap();
    assert_eq!(text(answer).await, "GET /on");
    drop(charge);
    let mut stream = server.raw().await;
    stream
        .write_all(b"GET /new HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(one_response(&mut stream).await.1, "GET /new");
}

#[tokio::test]
async fn requests_in_a_row_whose_answers_nobody_reads_are_bounded() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = server.raw().await;
    let requests = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(10_000);
    // Ends when the server closes: it stops reading when its answers are not read.
    soon(async { while stream.write_all(requests.as_bytes()).await.is_ok() {} }).await;
    assert_eq!(server.metrics.limit_count(Limit::Stalled), 1);
}
