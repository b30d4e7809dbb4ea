//! Sockets in the file system.

use cms_edge::fetch::{Address, HostRule, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

#[tokio::test]
async fn a_server_behind_a_socket_in_the_file_system_is_asked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cms.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let heads = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heads = Vec::new();
        for _ in 0..2 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            heads.push(String::from_utf8(head).unwrap());
        }
        heads
    });
    let mut stage = Stage::at(Address::Unix(path));
    stage.settings.host = HostRule::Upstream;
    let upstream = stage.upstream();
    for target in ["/one", "/two?x"] {
        assert_eq!(get(&upstream, target).await.unwrap(), "ok");
    }
    let heads = timeout(PATIENCE, heads).await.unwrap().unwrap();
    for (head, target) in heads.iter().zip(["/one", "/two?x"]) {
        assert!(
            head.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_bad_gateway_that_says_which() {
    let stage = Stage::at(Address::Unix("/nowhere/cms.sock".into()));
    let error = failure(&stage.upstream(), request("/")).await;
    assert_eq!(error.kind, Kind::Connect);
    assert_eq!(error.server.as_deref(), Some("unix:/nowhere/cms.sock"));
}
