//! The content of a request, lent to an attempt: what was never read comes back.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::body::{Body, BodyError};

/// A body that gives its content back when it is dropped before anybody read from it. The
/// connection pool drops the whole request when no connection comes about.
#[derive(Debug)]
pub(super) struct Loan {
    content: Body,
    back: Option<oneshot::Sender<Body>>,
}

/// Where an untouched content comes back.
#[derive(Debug)]
pub(super) struct Returned(oneshot::Receiver<Body>);

pub(super) fn lend(content: Body) -> (Loan, Returned) {
    let (back, returned) = oneshot::channel();
    let loan = Loan {
        content,
        back: Some(back),
    };
    (loan, Returned(returned))
}

impl Returned {
    /// The content, if the loan has ended without anybody reading from it.
    pub(super) fn take(mut self) -> Option<Body> {
        self.0.try_recv().ok()
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
        Pin::new(&mut self.content).poll_frame(cx)
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
        let (loan, returned) = lend(Body::full("all of it"));
        drop(loan);
        let content = returned.take().unwrap().collect().await.unwrap().to_bytes();
        assert_eq!(content, "all of it");
    }

    #[tokio::test]
    async fn content_that_was_read_from_does_not_come_back() {
        let (mut loan, returned) = lend(Body::full("all of it"));
        assert!(loan.frame().await.unwrap().is_ok());
        drop(loan);
        assert!(returned.take().is_none());
    }

    #[test]
    fn content_that_is_still_lent_does_not_come_back() {
        let (_loan, returned) = lend(Body::full("all of it"));
        assert!(returned.take().is_none());
    }
}
