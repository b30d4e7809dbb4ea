//! `Expect: 100-continue` and trailers: what is asked of a client, and what it is told at the end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::origin::{Origin, PATIENCE, Reply, refusing};
use crate::support::short::route;
use crate::support::stage::Stage;

const HEAD: &str = "POST /form HTTP/1.1\r\nhost: www.example.test\r\nexpect: 100-continue\r\n\
                    connection: close\r\n";

/// What the edge says to a client that sends its content only when it is asked for it.
async fn told(stage: &Stage, length: usize) -> String {
    let mut client = TcpStream::connect(stage.http).await.unwrap();
    let head = format!("{HEAD}content-length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    timeout(PATIENCE, client.read_exact(&mut first))
        .await
        .expect("an answer")
        .unwrap();
    let mut told = first.to_vec();
    if first == *b"HTTP/1.1 100" {
        client.write_all(&vec![b'x'; length]).await.unwrap();
    }
    let rest = timeout(PATIENCE, client.read_to_end(&mut told)).await;
    rest.expect("an end").unwrap();
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn content_is_asked_for_once_there_is_a_server_to_send_it_to() {
    let origin = Origin::start(|request| async move { Reply::ok(request.content) }).await;
    let stage = Stage::start(&origin, "").await;
    let told = told(&stage, 4).await;
    assert!(
        told.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{told}"
    );
    assert!(told.ends_with("\r\n\r\nxxxx"), "{told}");
    assert_eq!(origin.requests()[0].header("expect"), None);
    assert_eq!(origin.requests()[0].content, "xxxx");
}

#[tokio::test]
async fn a_refusal_comes_without_the_content() {
    let origin = Origin::start(|_| async { Reply::ok("unreachable") }).await;
    let stage = Stage::start(&origin, "").await;
    assert!(
        told(&stage, (16 << 20) + 1)
            .await
            .starts_with("HTTP/1.1 413 ")
    );
    let stage = Stage::start(&origin, &route("methods = [\"GET\"]")).await;
    assert!(told(&stage, 4).await.starts_with("HTTP/1.1 405 "));
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn without_a_server_no_content_is_asked_for() {
    let nobody = refusing().await;
    let origin = Origin::start(|_| async { Reply::ok("unused") }).await;
    let settings = format!(
        "[upstream.nobody]\nservers = [\"{}\"]\n{}",
        nobody.to_string().trim_end_matches('/'),
        route("").replace("\"origin\"", "\"nobody\"")
    );
    let stage = Stage::start(&origin, &settings).await;
    assert!(told(&stage, 4).await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn without_a_place_at_the_origin_no_content_is_asked_for() {
    let door = Arc::new(Semaphore::new(0));
    let origin = Origin::start({
        let door = Arc::clone(&door);
        move |_| {
            let door = Arc::clone(&door);
            async move {
                door.acquire().await.unwrap().forget();
                Reply::ok("content")
            }
        }
    })
    .await;
    let settings = format!("concurrency = 1\nqueue = 0\n{}", route(""));
    let stage = Stage::start(&origin, &settings).await;
    let inside = stage.get("/inside", &[]);
    let outside = async {
        origin.saw(1).await;
        let told = told(&stage, 4).await;
        door.add_permits(1);
        told
    };
    let (inside, told) = tokio::join!(inside, outside);
    assert_eq!(inside.status, 200);
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert_eq!(origin.hits(), 1);
}

const TRAILED: &str = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntrailer: x-checksum\r\n\
                       transfer-encoding: chunked\r\n\r\n\
                       7\r\ncontent\r\n0\r\nx-checksum: abc\r\n\r\n";

/// A whole exchange, as it is on the wire.
async fn exchange(stage: &Stage, head: &str) -> String {
    let mut client = TcpStream::connect(stage.http).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    let read = timeout(PATIENCE, client.read_to_string(&mut told)).await;
    read.expect("an end").unwrap();
    told
}

#[tokio::test]
async fn trailers_pass_to_clients_that_take_them_and_are_not_stored() {
    let origin = Origin::start(|_| async { Reply::raw(TRAILED) }).await;
    let stage = Stage::start(&origin, "").await;
    let get = |method: &str, fields: &str| {
        format!("{method} /a HTTP/1.1\r\nhost: www.example.test\r\n{fields}\r\n")
    };
    let takes = "te: trailers\r\nconnection: te, close\r\n";
    let passed = exchange(&stage, &get("POST", takes)).await;
    assert!(
        passed.ends_with("7\r\ncontent\r\n0\r\nx-checksum: abc\r\n\r\n"),
        "{passed}"
    );
    assert_eq!(origin.requests()[0].header("te"), Some("trailers"));
    let plain = exchange(&stage, &get("POST", "connection: close\r\n")).await;
    assert!(plain.ends_with("7\r\ncontent\r\n0\r\n\r\n"), "{plain}");
    assert_eq!(origin.requests()[1].header("te"), None);
    exchange(&stage, &get("GET", takes)).await;
    let stored = exchange(&stage, &get("GET", takes)).await;
    assert!(stored.contains("cms-edge; hit"), "{stored}");
    assert!(stored.ends_with("\r\n\r\ncontent"), "{stored}");
    assert!(!stored.contains("trailer"), "{stored}");
}
