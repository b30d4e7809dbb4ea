//! A lane before a server that says what it is told to.

use std::time::Duration;

use futures_util::future::join_all;
use redis::IntoConnectionInfo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn lane() -> (Lane, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let info = url.into_connection_info().unwrap();
    let lane = Lane::open(&info, None, later()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (lane, server)
}

fn later() -> Instant {
    Instant::now() + PATIENCE
}

fn get(field: &[u8]) -> [&[u8]; 3] {
    [b"HMGET", b"key", field]
}

/// Reads until so many commands have come, and tells in how many reads.
async fn commands(server: &mut TcpStream, count: usize) -> usize {
    let (mut seen, mut reads) = (Vec::with_capacity(1 << 20), 0);
    let reading = async {
        while seen.windows(5).filter(|bytes| bytes == b"HMGET").count() < count {
            assert_ne!(server.read_buf(&mut seen).await.unwrap(), 0);
            reads += 1;
        }
    };
    timeout(PATIENCE, reading).await.unwrap();
    reads
}

async fn value(lane: &Lane, field: &[u8]) -> Vec<u8> {
    let values = lane.values(&get(field), later()).await.unwrap();
    values.get(0).unwrap().to_vec()
}

async fn say(server: &mut TcpStream, value: &str) {
    let reply = format!("*1\r\n${}\r\n{value}\r\n", value.len());
    server.write_all(reply.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn the_commands_of_all_that_are_ready_leave_in_one_write() {
    let (lane, mut server) = lane().await;
    let fields: Vec<String> = (0..64).map(|at| format!("{at:032}")).collect();
    let asking = join_all(fields.iter().map(|field| value(&lane, field.as_bytes())));
    let answering = async {
        assert_eq!(commands(&mut server, fields.len()).await, 1);
        for field in &fields {
            say(&mut server, field).await;
        }
    };
    let (values, ()) = tokio::join!(asking, answering);
    for (value, field) in values.iter().zip(&fields) {
        assert_eq!(value, field.as_bytes());
    }
}

#[tokio::test]
async fn the_reply_of_a_request_that_was_given_up_goes_to_nobody() {
    let (lane, mut server) = lane().await;
    {
        let words = get(b"first");
        let mut given_up = std::pin::pin!(lane.values(&words, later()));
        tokio::select! {
            biased;
            _ = &mut given_up => panic!("nobody has answered"),
            _ = commands(&mut server, 1) => {}
        }
    }
    let (value, ()) = tokio::join!(value(&lane, b"second"), async {
        say(&mut server, "of the first").await;
        commands(&mut server, 1).await;
        say(&mut server, "of the second").await;
    });
    assert_eq!(value, b"of the second");
}

#[tokio::test]
async fn the_reply_that_comes_after_the_deadline_goes_to_nobody() {
    let (lane, mut server) = lane().await;
    let soon = Instant::now() + Duration::from_millis(20);
    let words = get(b"first");
    let (patient, hasty) = tokio::join!(
        timeout(Duration::from_millis(200), lane.values(&words, later())),
        lane.values(&words, soon),
    );
    assert!(patient.is_err(), "its deadline has not passed");
    assert!(matches!(hasty.unwrap_err(), Missed::Deadline));
    for text in ["late", "late, too"] {
        say(&mut server, text).await;
    }
    let (value, ()) = tokio::join!(value(&lane, b"third"), async {
        commands(&mut server, 3).await;
        say(&mut server, "of the third").await;
    });
    assert_eq!(value, b"of the third");
}

#[tokio::test]
async fn a_value_that_comes_in_pieces_and_is_large_comes_whole() {
    let (lane, mut server) = lane().await;
    let large = "x".repeat(3 << 20);
    let (found, ()) = tokio::join!(value(&lane, b"large"), say(&mut server, &large));
    assert!(found == large.as_bytes());
    let (found, ()) = tokio::join!(value(&lane, b"small"), say(&mut server, "small"));
    assert_eq!(found, b"small");
}

#[tokio::test]
async fn whoever_keeps_a_value_keeps_little_more() {
    let (lane, mut server) = lane().await;
    for length in [1, 20, 30, 45, 70, 100, 200, 1000].map(|kib| kib << 10) {
        let text = "x".repeat(length);
        let words = get(b"field");
        let asking = join_all((0..5).map(|_| lane.values(&words, later())));
        let (found, ()) = tokio::join!(asking, async {
            for _ in 0..5 {
                say(&mut server, &text).await;
            }
        });
        for values in found {
            let values = values.unwrap();
            let value = values.bytes(0).unwrap();
            assert!(value == text.as_bytes());
            drop(values);
            let kept = value.try_into_mut().unwrap().capacity();
            assert!(kept <= length + length / 4 + 64, "{kept} for {length}");
        }
    }
}

#[tokio::test]
async fn those_who_wait_hear_of_the_end_and_so_do_those_who_come_later() {
    for last_words in ["", "*1\r\n:1\r\n", "-LOADING not yet\r\n"] {
        let (lane, mut server) = lane().await;
        let words = get(b"field");
        let waiting = join_all((0..3).map(|_| lane.values(&words, later())));
        let (waited, ()) = tokio::join!(waiting, async {
            commands(&mut server, 3).await;
            server.write_all(last_words.as_bytes()).await.unwrap();
            drop(server);
        });
        for missed in waited {
            assert!(matches!(missed.unwrap_err(), Missed::Failed(_)));
        }
        let missed = lane.values(&words, later()).await.unwrap_err();
        assert!(matches!(missed, Missed::Failed(_)));
    }
}

#[tokio::test]
async fn a_reply_that_nobody_has_asked_for_ends_the_connection() {
    let (lane, mut server) = lane().await;
    say(&mut server, "unasked").await;
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, server.read_to_end(&mut rest)).await;
    // Closed, or reset.
    assert!(ended.is_ok());
    let missed = lane.values(&get(b"field"), later()).await.unwrap_err();
    assert!(matches!(missed, Missed::Failed(_)));
}

#[tokio::test]
async fn no_more_commands_wait_than_fit() {
    let (lane, _silent) = lane().await;
    let soon = Instant::now() + Duration::from_millis(50);
    let words = get(b"field");
    let waited = join_all((0..=OUTSTANDING_MAX).map(|_| lane.values(&words, soon))).await;
    let is_busy = |missed: &&Result<Values, Missed>| matches!(missed, Err(Missed::Busy));
    assert_eq!(waited.iter().filter(is_busy).count(), 1);
}
