//! Connections to origin servers, over real sockets: names, ages, HTTP/2, TLS, sockets in the file
//! system.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::time::Duration;

use cms_edge::body::Body;
use cms_edge::fetch::{Error, Upstream};
use http::Request;
use tokio::time::timeout;

#[path = "support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod origin;
    pub(crate) mod origin_http2;
    pub(crate) mod upstream;
}

use support::origin::{Origin, PATIENCE, Reply};
use support::upstream::{Stage, content, content_and_trailers, get, post, request};

/// HTTP/2.
#[path = "origin_connect/http2.rs"]
mod http2;
/// How long connections live, and who is told what about trailers.
#[path = "origin_connect/keeping.rs"]
mod keeping;
/// Names and their addresses.
#[path = "origin_connect/names.rs"]
mod names;
/// Certificates of both sides, and session resumption.
#[path = "origin_connect/tls.rs"]
mod tls;
/// Sockets in the file system.
#[path = "origin_connect/unix.rs"]
mod unix;

/// A span that a test waits out on purpose.
const SHORT: Duration = Duration::from_millis(100);

async fn failure(upstream: &Upstream, request: Request<Body>) -> Error {
    let outcome = timeout(PATIENCE, upstream.send(request)).await;
    outcome.unwrap().err().unwrap()
}

/// Many at once; how many were answered with this.
async fn get_together(upstream: &Arc<Upstream>, count: usize, expected: &str) -> usize {
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let upstream = Arc::clone(upstream);
            tokio::spawn(async move { get(&upstream, "/").await.unwrap() })
        })
        .collect();
    let mut right = 0;
    for request in requests {
        let content = timeout(PATIENCE, request).await.unwrap().unwrap();
        right += usize::from(content == expected);
    }
    right
}
