//! Stopping: what has been accepted is answered, what is new is not taken, and it ends in time.

use std::time::Duration;

use cms_edge::server::tls::MinVersion;
use cms_edge::server::{Drained, Limits};
use rustls::version::TLS13;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_request() {
    const EACH: usize = 25;
    let (cert, root) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.http = vec![loopback()];
    let mut server = start(settings).await;
    let mut requests = Vec::new();
    for _ in 0..EACH {
        let (mut client, _connection) = http1(server.raw().await).await;
        requests.push(tokio::spawn(async move {
            client.send_request(get("/gate")).await.unwrap()
        }));
    }
    let config = client_config(&[root], &[&TLS13], &[b"h2"]);
    let stream = connect_tls(server.https[0], "a.example", config).await;
    let (client, connection) = http2(stream.unwrap()).await;
    for _ in 0..EACH {
        let mut client = client.clone();
        requests.push(tokio::spawn(async move {
            let response = client.send_request(get("https://a.example/gate"));
            response.await.unwrap()
        }));
    }
    let all = u32::try_from(2 * EACH).unwrap();
    soon(server.handler.arrived.acquire_many(all))
        .await
        .unwrap()
        .forget();

    server.begin_stop();
    // The listeners are closed while the requests are still waiting.
    for address in [server.http[0], server.https[0]] {
        soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    }
    server.handler.gate.add_permits(2 * EACH);
    for request in requests {
        let response = soon(request).await.unwrap();
        assert_eq!(text(response).await, "passed");
    }
    drop(client);
    soon(connection).await.unwrap().unwrap();
    let drained = soon(server.task).await.unwrap();
    assert_eq!(drained.cut, 0);
    assert!(drained.finished > EACH, "{drained:?}");
}

/// On one thread the server cannot accept before it is told to stop: every connection is in the
/// backlog then.
#[tokio::test]
async fn requests_in_the_backlog_are_served_before_the_end() {
    let (cert, _) = certificate(&["a.example"], &[]);
    let mut settings = https_settings(vec![cert], MinVersion::Tls12);
    settings.http = vec![loopback()];
    let mut server = start(settings).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let stream = std::net::TcpStream::connect(server.http[0]).unwrap();
        stream.set_nonblocking(true).unwrap();
        streams.push(TcpStream::from_std(stream).unwrap());
    }
    server.begin_stop();
    let mut answers = Vec::new();
    for mut stream in streams {
        answers.push(tokio::spawn(async move {
            let request = b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            rest(&mut stream).await
        }));
    }
    for answer in answers {
        let answer = answer.await.unwrap();
        assert!(answer.ends_with("GET /late"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    let drained = soon(server.task).await.unwrap();
    assert_eq!(
        drained,
        Drained {
            finished: 50,
            cut: 0
        }
    );
}

#[tokio::test]
async fn idle_connections_end_soon() {
    let server = start(settings(short_limits())).await;
    let (mut client, connection_1) = http1(server.raw().await).await;
    text(client.send_request(get("/")).await.unwrap()).await;
    let (mut client, connection_2) = http2(server.raw().await).await;
    text(client.send_request(get("http://a.example/")).await.unwrap()).await;
    let silent = server.raw().await;
    let (mut last, _connection) = http1(server.raw().await).await;
    text(last.send_request(get("/")).await.unwrap()).await;

    let drained = server.stop().await;
    assert_eq!(
        drained,
        Drained {
            finished: 4,
            cut: 0
        }
    );
    soon(connection_1).await.unwrap().unwrap();
    soon(connection_2).await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn requests_that_take_too_long_are_cut() {
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..short_limits()
    };
    let server = start(settings(limits)).await;
    let (mut client, _connection) = http1(server.raw().await).await;
    let request = tokio::spawn(async move { client.send_request(get("/gate")).await });
    let (mut two, _connection) = http2(server.raw().await).await;
    let stream = tokio::spawn(async move { two.send_request(get("http://a.example/gate")).await });
    soon(server.handler.arrived.acquire_many(2))
        .await
        .unwrap()
        .forget();
    let drained = server.stop().await;
    assert_eq!(
        drained,
        Drained {
            finished: 0,
            cut: 2
        }
    );
    assert!(soon(request).await.unwrap().is_err());
    assert!(soon(stream).await.unwrap().is_err());
}

#[tokio::test]
async fn servers_are_independent_of_each_other() {
    let first = start(settings(short_limits())).await;
    let second = start(settings(short_limits())).await;
    first.stop().await;
    let (mut client, _connection) = http1(second.raw().await).await;
    let response = client.send_request(get("/still")).await.unwrap();
    assert_eq!(text(response).await, "GET /still");
}
