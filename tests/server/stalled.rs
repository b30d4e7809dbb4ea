//! Streams that take nothing on connections that go on.

use std::time::Duration;

use cms_edge::budget::{Budget, Use};
use cms_edge::server::Limits;
use cms_edge::telemetry::server::Limit;
use tokio::io::AsyncWriteExt;

use crate::frames::*;
use crate::support::{settings, short_limits, soon, start, start_within};

const SHORT: Duration = Duration::from_millis(400);
const INITIAL_WINDOW_SIZE: u16 = 4;
const CANCEL: u32 = 8;

fn limits() -> Limits {
    Limits {
        idle_timeout: SHORT,
        send_rate_min: 0,
        ..short_limits()
    }
}

#[tokio::test]
async fn a_stream_without_a_window_is_reset_while_others_go_on() {
    let server = start(settings(limits())).await;
    let mut stream = connect(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    stream.write_all(&get(1, "/large")).await.unwrap();
    let mut others = (3..).step_by(2);
    let reset = soon(async {
        loop {
            let id = others.next().unwrap();
            let mut other = get(id, "/on");
            other.extend(frame(WINDOW_UPDATE, 0, id, &[0, 0, 1, 0]));
            stream.write_all(&other).await.unwrap();
            loop {
                let frame = next(&mut stream).await.unwrap();
                if frame.kind == RST_STREAM {
                    return frame;
                }
                if frame.stream == id && frame.kind == DATA {
                    break;
                }
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    })
    .await;
    assert_eq!((reset.stream, reset.code()), (1, CANCEL));
    assert_eq!(server.metrics.limit_count(Limit::Stalled), 1);
}

#[tokio::test]
async fn the_end_of_a_response_that_is_never_taken_ends_the_connection() {
    let server = start(settings(limits())).await;
    // One byte goes out; the rest is HTTP/2's alone, and has no task any more.
    let mut stream = connect(&server, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    let path = format!("/{}", "x".repeat(4000));
    stream.write_all(&get(1, &path)).await.unwrap();
    let mut others = (3..).step_by(2);
    let goaway = soon(async {
        loop {
            let id = others.next().unwrap();
            let mut other = get(id, "/on");
            other.extend(frame(WINDOW_UPDATE, 0, id, &[0, 0, 1, 0]));
            stream.write_all(&other).await.unwrap();
            loop {
                let frame = next(&mut stream).await.unwrap();
                if frame.kind == GOAWAY {
                    return frame;
                }
                if frame.stream == id && frame.flags & END_STREAM != 0 {
                    break;
                }
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    })
    .await;
    assert_eq!(goaway.code(), 0);
    assert!(server.metrics.limit_count(Limit::Stalled) >= 1);
    all(&mut stream).await;
}

#[tokio::test]
async fn what_streams_hold_is_told_to_the_budget_and_given_back() {
    let budget = Budget::new(1 << 30);
    let limits = Limits {
        idle_timeout: SHORT * 20,
        ..limits()
    };
    let server = start_within(settings(limits), budget.clone()).await;
    let mut stream = connect(&server, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    for id in (1..100).step_by(2) {
        stream.write_all(&get(id, "/large")).await.unwrap();
    }
    server
        .until(|_| budget.used(Use::Held) >= 50 * 16 * 1024 - 64 * 1024)
        .await;
    drop(stream);
    server
        .until(|_| budget.used(Use::Held) == 0 && budget.used(Use::Connections) == 0)
        .await;
}

#[tokio::test]
async fn a_reader_below_the_least_rate_is_cut() {
    let limits = Limits {
        idle_timeout: Duration::from_secs(1),
        send_rate_min: 1 << 20,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let mut stream = connect(&server, &[(INITIAL_WINDOW_SIZE, 20_000)]).await;
    stream.write_all(&get(1, "/large")).await.unwrap();
    soon(async {
        // A window for a piece of 16 KiB each, at 160 KiB/s.
        let more = frame(WINDOW_UPDATE, 0, 1, &16_384_u32.to_be_bytes());
        while server.metrics.limit_count(Limit::SlowReader) == 0 {
            if stream.write_all(&more).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    server
        .until(|metrics| metrics.limit_count(Limit::SlowReader) == 1)
        .await;
    assert_eq!(server.metrics.limit_count(Limit::Stalled), 0);
}
