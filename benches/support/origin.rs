//! An origin that answers at once.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every request on every connection with so many bytes of JSON and these field lines.
pub(crate) async fn origin(bytes: usize, fields: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = "x".repeat(bytes - "{\"text\":\"\"}".len());
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{fields}content-length: \
         {bytes}\r\n\r\n{{\"text\":\"{text}\"}}"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}
