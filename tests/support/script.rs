//! An origin whose every answer the test gives by hand, so that it decides what overlaps what.
//!
//! ```ignore
//! let (origin, mut script) = script().await;
//! let stage = Stage::start(&origin, "").await;
//! let client = stage.spawn_get("/a", &[]);
//! let asked = script.asked().await;        // the origin has the request, and holds its answer
//! stage.purge(r#"{"everything":true}"#).await;
//! asked.answer(Reply::ok("old"));
//! assert_eq!(client.await.unwrap().text(), "old");
//! script.is_quiet();                       // nothing else has come
//! ```

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::origin::{Origin, PATIENCE, Received, Reply};

/// What has come to the origin and was not looked at yet.
pub(crate) struct Script(mpsc::UnboundedReceiver<Asked>);

/// A request that waits for its answer.
#[must_use]
pub(crate) struct Asked {
    pub(crate) request: Received,
    reply: oneshot::Sender<Reply>,
}

/// Waits for a condition that has to come true.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let reached = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        timeout(PATIENCE, reached).await.is_ok(),
        "waited in vain for {what}"
    );
}

/// Starts such an origin.
pub(crate) async fn script() -> (Origin, Script) {
    let (coming, came) = mpsc::unbounded_channel();
    let origin = Origin::start(move |request| {
        let coming = coming.clone();
        async move {
            let (reply, replied) = oneshot::channel();
            let _test_is_over = coming.send(Asked { request, reply });
            replied.await.unwrap_or_else(|_| Reply::hang_up())
        }
    })
    .await;
    (origin, Script(came))
}

impl Script {
    /// The next request, which has come or is to come.
    pub(crate) async fn asked(&mut self) -> Asked {
        let asked = timeout(PATIENCE, self.0.recv()).await;
        asked.expect("a request at the origin").unwrap()
    }

    /// Asserts that the origin has seen no request that was not asked for with [`Script::asked`].
    #[track_caller]
    pub(crate) fn is_quiet(&mut self) {
        let unasked = self.0.try_recv().ok();
        let unasked = unasked.map(|asked| asked.request.target);
        assert_eq!(unasked, None, "a request the test did not expect");
    }
}

impl Asked {
    pub(crate) fn answer(self, reply: Reply) {
        let _left = self.reply.send(reply);
    }

    /// Whether the edge asks "has it changed?" instead of "what is it?".
    pub(crate) fn is_conditional(&self) -> bool {
        let has = |name| self.request.header(name).is_some();
        has("if-none-match") || has("if-modified-since")
    }
}
