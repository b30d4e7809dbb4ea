//! Short forms of what most tests script: routes, replies, gates, bodies in pieces.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::origin::{Origin, PATIENCE, Reply};
use super::stage::Stage;

/// A field's name and value.
pub(crate) type Field = (&'static str, &'static str);

/// One route for everything with these keys, for [`Stage::start`].
pub(crate) fn route(keys: &str) -> String {
    format!("[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n{keys}\n")
}

/// 200 with these fields.
pub(crate) fn reply(content: impl Into<Bytes>, fields: &[Field]) -> Reply {
    with(Reply::ok(content), fields)
}

pub(crate) fn with(reply: Reply, fields: &[Field]) -> Reply {
    fields
        .iter()
        .fold(reply, |reply, (name, value)| reply.header(name, value))
}

/// Handlers wait at it until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn shut() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        let mut open = self.0.subscribe();
        open.wait_for(|open| *open).await.unwrap();
    }
}

/// The test's end of a body that the origin is sending; dropping it ends the body.
pub(crate) type Tap = mpsc::Sender<Bytes>;

/// An origin that answers each request with these fields and a chunked body of which the test
/// decides each piece.
pub(crate) async fn piecewise(fields: &'static [Field]) -> (Origin, mpsc::UnboundedReceiver<Tap>) {
    let (taps, tapped) = mpsc::unbounded_channel();
    let origin = Origin::start(move |_| {
        let taps = taps.clone();
        async move {
            let (tap, reply) = Reply::pieces();
            let _test_is_over = taps.send(tap);
            with(reply, fields)
        }
    })
    .await;
    (origin, tapped)
}

/// The body of the next request that the origin of [`piecewise`] answers.
pub(crate) async fn next_tap(taps: &mut mpsc::UnboundedReceiver<Tap>) -> Tap {
    let tap = timeout(PATIENCE, taps.recv()).await;
    tap.expect("a request").expect("an origin")
}

/// Reads at least `bytes` bytes of a body.
pub(crate) async fn read(body: &mut Incoming, bytes: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < bytes {
        let frame = timeout(PATIENCE, body.frame()).await.expect("a piece");
        let frame = frame.expect("more of the body").expect("an intact body");
        content.extend(frame.into_data().expect("content"));
    }
    content
}

/// Waits until `reached` holds; what is looked at has no event of its own.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    let poll = async {
        while !reached().await {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, poll).await.is_ok(), "in vain: {what}");
}

/// Sends `bytes` as they are and reads until the instance closes.
pub(crate) async fn raw(stage: &Stage, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(stage.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // What came before a reset counts.
        let _closed = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    timeout(PATIENCE, exchange).await.expect("an end")
}

/// The decoded content of a body in the coding `br` or `gzip`; as it is in any other.
pub(crate) fn decoded(coding: &str, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "br" => {
            std::io::Read::read_to_end(&mut brotli::Decompressor::new(content, 4096), &mut plain)
        }
        "gzip" => {
            std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(content), &mut plain)
        }
        _ => std::io::Read::read_to_end(&mut &*content, &mut plain),
    }
    .expect("content in its coding");
    plain
}

/// `content` in the coding `gzip`.
pub(crate) fn gzipped(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// `content` in the coding `br`.
pub(crate) fn brotlied(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoded = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut encoded, 4096, 4, 22);
    encoder.write_all(content).unwrap();
    drop(encoder);
    encoded
}
