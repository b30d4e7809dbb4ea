//! Every wait for an origin server has an end.

use std::future::Future;

use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::fetch::Kind;
use http::{StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::stage::{SHORT, Stage, broken, content, failure, once, post, request};
use crate::support::authority::Authority;
use crate::support::origin::{Origin, PATIENCE, Reply};

#[tokio::test]
async fn an_origin_that_never_answers_is_a_gateway_timeout() {
    let origin = Origin::start(|_| async { Reply::silent() }).await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.first_byte_timeout = SHORT;
    let error = failure(&stage.upstream(), "/").await;
    assert_eq!(error.kind, Kind::FirstByteTimeout);
    assert_eq!(error.kind.status(), StatusCode::GATEWAY_TIMEOUT);
    origin.lost(1).await;
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn sending_the_content_counts_towards_the_first_byte() {
    let origin = Origin::start(|_| async { Reply::ok("unreachable") }).await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.first_byte_timeout = SHORT;
    let (_writer, reader) = cms_edge::body::tee::tee(Some(4));
    let outcome = stage.upstream().send(post("/", Body::stream(reader))).await;
    // It is the client that was slow, not the origin.
    assert_eq!(outcome.unwrap_err().kind, Kind::RequestTimeout);
    origin.lost(1).await;
}

#[tokio::test]
async fn an_upload_ends_with_the_response_even_when_the_client_has_more() {
    let (server, rest) = early_answer().await;
    let upstream = Stage::new(&[server]).upstream();
    let (writer, reader) = cms_edge::body::tee::tee(None);
    writer.write(Bytes::from_static(b"some")).unwrap();
    let response = upstream
        .send(post("/", Body::stream(reader)))
        .await
        .unwrap();
    assert_eq!(content(response).await.unwrap(), "ok");
    let rest = timeout(PATIENCE, rest).await.unwrap().unwrap();
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "a fragment must not look whole"
    );
}

#[tokio::test]
async fn an_upload_that_nobody_takes_is_given_up() {
    let (server, rest) = early_answer().await;
    let mut stage = Stage::new(&[server]);
    stage.settings.idle_timeout = SHORT;
    let upload = vec![0; 64 * 1024 * 1024];
    let request = post("/", Body::full(upload.clone()));
    let response = stage.upstream().send(request).await.unwrap();
    assert_eq!(content(response).await.unwrap(), "ok");
    tokio::time::sleep(SHORT * 3).await;
    let rest = timeout(PATIENCE, rest).await.unwrap().unwrap();
    assert!(rest.len() < upload.len(), "{} bytes", rest.len());
}

/// Answers one request after its head. What was sent besides is read only when the returned
/// future is polled, until the other side has closed.
async fn early_answer() -> (Uri, impl Future<Output = std::io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let answered = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await?);
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await?;
        Ok::<_, std::io::Error>(tcp)
    });
    let rest = async move {
        let (mut tcp, mut rest) = (answered.await??, Vec::new());
        tcp.read_to_end(&mut rest).await?;
        Ok(rest)
    };
    (server.parse().unwrap(), rest)
}

#[tokio::test]
async fn an_origin_that_accepts_nothing_is_a_gateway_timeout() {
    let (backlog, server) = full_backlog().await;
    let mut stage = Stage::new(&[server]);
    stage.settings.connect_timeout = SHORT;
    let error = failure(&stage.upstream(), "/").await;
    assert_eq!(error.kind, Kind::ConnectTimeout);
    assert_eq!(error.kind.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(backlog);
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_is_a_connect_timeout() {
    let origin = Origin::start(|_| async { Reply::silent() }).await;
    let server = format!("https://localhost:{}", origin.address().port());
    let mut stage = Stage::new(&[server.parse().unwrap()]);
    stage.settings.ca = Some(vec![Authority::new().certificate()]);
    stage.settings.connect_timeout = SHORT;
    assert_eq!(
        failure(&stage.upstream(), "/").await.kind,
        Kind::ConnectTimeout
    );
}

#[tokio::test]
async fn content_that_stalls_is_an_error_and_gives_its_place_back() {
    for stalling in [
        Reply::ok("content").stall_after(3),
        Reply::chunked(&["con", "tent"]).stall_after(3),
    ] {
        let origin = once(stalling).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.idle_timeout = SHORT;
        let response = stage.upstream().send(request("/")).await.unwrap();
        let error = broken(response).await;
        assert_eq!(error.kind, Kind::ResponseStalled);
        assert_eq!(
            error.server.as_deref(),
            Some(&*origin.address().to_string())
        );
        assert!(
            stage
                .text()
                .contains("origin_in_flight{upstream=\"cms\"} 0")
        );
    }
}

#[tokio::test]
async fn a_reader_that_takes_its_time_is_not_the_origins_fault() {
    let (pieces, reply) = Reply::pieces();
    let origin = once(reply).await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.idle_timeout = SHORT;
    let upstream = stage.upstream();
    let mut response = upstream.send(request("/")).await.unwrap();
    for piece in ["one", "two", "three"] {
        // Nobody waits for the content meanwhile: this is no stall.
        tokio::time::sleep(SHORT * 2).await;
        pieces
            .send(Bytes::from_static(piece.as_bytes()))
            .await
            .unwrap();
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    drop(pieces);
    assert!(response.body_mut().frame().await.is_none());
}

/// A listener whose queue of connections is full: the kernel drops what comes.
async fn full_backlog() -> ((TcpListener, Vec<TcpStream>), Uri) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    (
        (listener, queued),
        format!("http://{address}").parse().unwrap(),
    )
}
