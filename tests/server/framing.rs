//! Requests whose framing is ambiguous or wrong: none of them may reach a handler or be followed
//! by another request on the same connection (RFC 9112 §11.2).

use cms_edge::server::Limits;
use cms_edge::telemetry::server::Limit;
use tokio::io::AsyncWriteExt;

use crate::support::*;

/// A second request that must never be served after the first.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Sends each head with a smuggled request behind it, and expects the one status and the end of
/// the connection.
async fn refused(heads: &[&str], status: u16) {
    let server = start(settings(short_limits())).await;
    for head in heads {
        let answer = exchange(server.http[0], format!("{head}{SMUGGLED}").as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{head:?}\n{answer}");
        assert!(!answer.contains("smuggled"), "{head:?}\n{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    server
        .until(|metrics| metrics.limit_count(Limit::Framing) == heads.len() as u64)
        .await;
}

#[tokio::test]
async fn two_lengths_are_refused() {
    refused(
        &[
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
        ],
        400,
    )
    .await;
}

#[tokio::test]
async fn odd_lines_are_refused() {
    refused(
        &[
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/3.1\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        400,
    )
    .await;
}

#[tokio::test]
async fn a_request_without_one_valid_host_is_refused() {
    refused(
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        400,
    )
    .await;
}

#[tokio::test]
async fn transfer_codings_are_chunked_or_refused() {
    refused(
        &[
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
        501,
    )
    .await;
    refused(&["CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"], 405).await;
    refused(
        &[
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
        400,
    )
    .await;
}

#[tokio::test]
async fn only_the_flawed_request_of_a_pipeline_is_refused() {
    let server = start(settings(short_limits())).await;
    let good = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
    let flawed = "GET /bad HTTP/1.1\nHost: a\r\n\r\n";
    let answer = exchange(
        server.http[0],
        format!("{good}{good}{flawed}{SMUGGLED}").as_bytes(),
    )
    .await;
    assert_eq!(statuses(&answer), [200, 200, 400], "{answer}");
    assert!(!answer.contains("GET /bad") && !answer.contains("smuggled"));
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let limits = Limits {
        headers_max: 20,
        header_bytes_max: 4096,
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let many = "X-Y: z\r\n".repeat(20);
    let long = "y".repeat(5000);
    for fields in [many, format!("X: {long}\r\n")] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let answer = exchange(server.http[0], request.as_bytes()).await;
        assert_eq!(statuses(&answer), [431], "{answer}");
    }
    let (mut client, _connection) = http2(server.raw().await).await;
    for (count, status) in [(20, 200), (21, 431)] {
        let mut request = get("http://a.example/");
        for number in 0..count {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            request.headers_mut().insert(name, "y".parse().unwrap());
        }
        client.ready().await.unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    server
        .until(|metrics| metrics.limit_count(Limit::Headers) == 3)
        .await;
}

#[tokio::test]
async fn content_that_nobody_read_is_not_taken_for_a_request() {
    let server = start(settings(short_limits())).await;
    // The handler of /unread answers without a look at the content.
    for length in [SMUGGLED.len(), SMUGGLED.len() * 10_000] {
        let content = SMUGGLED.repeat(length / SMUGGLED.len());
        let head = format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = exchange(server.http[0], format!("{head}{content}{next}").as_bytes()).await;
        assert!(answer.contains("POST /unread"), "{answer}");
        assert!(!answer.contains("smuggled"), "{answer}");
        // The connection goes on only where the content was there to be skipped.
        let count = statuses(&answer).len();
        assert!(count == 1 || answer.contains("GET /next"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_before_the_content_reaches_a_client_that_is_still_sending() {
    let server = start(settings(short_limits())).await;
    let mut stream = server.raw().await;
    let head = "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 700000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 350_000]).await.unwrap();
    let (_, content) = one_response(&mut stream).await;
    assert_eq!(content, "POST /unread");
    stream.write_all(&vec![b'x'; 350_000]).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_chunked_request_is_served_and_is_the_last_of_its_connection() {
    let server = start(settings(short_limits())).await;
    let request = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
    );
    let answer = exchange(server.http[0], request.as_bytes()).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_when_its_content_is_wanted() {
    let server = start(settings(short_limits())).await;
    let mut stream = server.raw().await;
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    soon(tokio::io::AsyncReadExt::read_exact(
        &mut stream,
        &mut interim,
    ))
    .await
    .unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nok"));
}

#[tokio::test]
async fn http_2_needs_an_authority_that_its_host_agrees_with() {
    let server = start(settings(short_limits())).await;
    let (mut client, _connection) = http2(server.raw().await).await;
    let mut request = get("http://a.example/");
    let host = "b.example".parse().unwrap();
    request.headers_mut().insert("host", host);
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 400);
    client.ready().await.unwrap();
    let response = client.send_request(get("http://a.example/")).await.unwrap();
    assert_eq!(response.status(), 200);
}
