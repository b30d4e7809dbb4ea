//! The content of a request, lent to an attempt: what was never read comes back, and nothing is
//! read any more when the exchange is over.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::body::{Body, BodyError};

/// A body that gives its content back when it is dropped before anybody read from it. The
/// connection pool drops the whole request when no connection comes about.
#[derive(Debug)]
pub(super) struct Loan {
    content: Body,
    back: Option<oneshot::Sender<Body>>,
    recalled: oneshot::Receiver<Infallible>,
    fault: Fault,
    is_awaited: Arc<AtomicBool>,
}

/// The error of content that broke off while it was lent. HTTP/2 does not tell it from a failure
/// of the other side.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<Mutex<Option<BodyError>>>);

impl Fault {
    pub(super) fn take(&self) -> Option<BodyError> {
        self.0.lock().take()
    }
}

/// The lender's side. Dropping it ends the loan: an upload that is still under way when its
/// response is complete would otherwise wait for a client that nobody waits for.
#[derive(Debug)]
#[must_use]
pub(super) struct Lender {
    returned: oneshot::Receiver<Body>,
    is_awaited: Arc<AtomicBool>,
    _recall: oneshot::Sender<Infallible>,
}

pub(super) fn lend(content: Body) -> (Loan, Lender) {
    let (back, returned) = oneshot::channel();
    let (recall, recalled) = oneshot::channel();
    let is_awaited = Arc::new(AtomicBool::new(false));
    let loan = Loan {
        content,
        back: Some(back),
        recalled,
        is_awaited: Arc::clone(&is_awaited),
        fault: Fault::default(),
    };
    let lender = Lender {
        returned,
        is_awaited,
        _recall: recall,
    };
    (loan, lender)
}

impl Lender {
    /// Whoever borrowed the content has read all there is, and waits for more of it.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    /// The content, if the loan has ended without anybody reading from it.
    pub(super) fn take_back(mut self) -> Option<Body> {
        self.returned.try_recv().ok()
    }
}

impl Loan {
    /// What will say why the content broke off.
    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            // Whoever lent it may not want it back.
            let _ = back.send(std::mem::take(&mut self.content));
        }
    }
}

impl HttpBody for Loan {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.back = None;
        if Pin::new(&mut self.recalled).poll(cx).is_ready() {
            return Poll::Ready(Some(Err("the exchange was over before its content".into())));
        }
        let polled = Pin::new(&mut self.content).poll_frame(cx);
        self.is_awaited.store(polled.is_pending(), Relaxed);
        polled.map(|frame| {
            frame.map(|frame| {
                frame.map_err(|error| {
                    *self.fault.0.lock() = Some(error);
                    "the content broke off".into()
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn content_that_nobody_read_comes_back() {
        let (loan, lender) = lend(Body::full("all of it"));
        drop(loan);
        let content = lender
            .take_back()
            .unwrap()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(content, "all of it");
    }

    #[tokio::test]
    async fn content_that_was_read_from_does_not_come_back() {
        let (mut loan, lender) = lend(Body::full("all of it"));
        assert!(loan.frame().await.unwrap().is_ok());
        drop(loan);
        assert!(lender.take_back().is_none());
    }

    #[test]
    fn content_that_is_still_lent_does_not_come_back() {
        let (_loan, lender) = lend(Body::full("all of it"));
        assert!(lender.take_back().is_none());
    }

    #[tokio::test]
    async fn content_that_is_not_there_yet_is_not_waited_for_once_the_lender_has_gone() {
        let (_writer, reader) = crate::body::tee::tee(None);
        let (mut loan, lender) = lend(Body::stream(reader));
        let waiting = tokio::spawn(async move { loan.frame().await.unwrap().is_err() });
        assert!(!lender.is_awaited());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert!(lender.is_awaited());
        drop(lender);
        assert!(waiting.await.unwrap());
    }
}
