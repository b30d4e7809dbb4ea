//! What is asked of an upstream here, and of what kind its origins are.

use std::time::Duration;

use cms_edge::body::Body;
use cms_edge::fetch::{Error, OriginBody, Upstream};
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::support::origin::{Origin, PATIENCE, Reply};
pub(crate) use crate::support::upstream::{Stage, content, get, post, request};

/// A deadline that a test waits out on purpose.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// An origin that gives this reply to its first request and hangs up on any other.
pub(crate) async fn once(reply: Reply) -> Origin {
    let reply = Mutex::new(Some(reply));
    Origin::start(move |_| std::future::ready(reply.lock().take().unwrap_or_else(Reply::hang_up)))
        .await
}

pub(crate) fn put(target: &str, content: Body, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::put(target).header("host", "www.example.org");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(content).unwrap()
}

pub(crate) async fn failure(upstream: &Upstream, target: &str) -> Error {
    let outcome = timeout(PATIENCE, upstream.send(request(target))).await;
    outcome.unwrap().err().unwrap()
}

/// Reads a body that breaks off.
pub(crate) async fn broken(response: Response<OriginBody>) -> Error {
    *content(response).await.unwrap_err().downcast().unwrap()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let outcome = timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(outcome.await.is_ok(), "waited in vain for {what}");
}

/// On a runtime of one thread, lets the connection task hand its connection back to the pool.
pub(crate) async fn pool_settles() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
