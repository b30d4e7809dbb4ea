//! The content of a request, lent to an attempt: what was never read comes back, what was read can be
//! kept for a repetition, and nothing is read any more when the exchange is over.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::retry::Content;
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
    /// Where a copy of what is read goes, if one is kept.
    copy: Option<Arc<Mutex<Copy>>>,
}

/// What was read of content that may have to be sent again.
#[derive(Debug, Default)]
struct Copy {
    pieces: BytesMut,
    is_whole: bool,
    /// Nothing is kept any more.
    is_forgotten: bool,
}

/// Bytes of content that are kept to be sent again; of larger content nothing is.
pub(super) const COPY_BYTES_MAX: usize = 64 * 1024;

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
    copy: Option<Arc<Mutex<Copy>>>,
    _recall: oneshot::Sender<Infallible>,
}

/// `is_copied`: what is read is kept, if it is little.
pub(super) fn lend(content: Body, is_copied: bool) -> (Loan, Lender) {
    let exact = content.size_hint().upper();
    let may_fit = exact.is_none_or(|length| length <= COPY_BYTES_MAX as u64);
    let copy = (is_copied && may_fit && !content.is_end_stream()).then(Arc::default);
    let (back, returned) = oneshot::channel();
    let (recall, recalled) = oneshot::channel();
    let is_awaited = Arc::new(AtomicBool::new(false));
    let loan = Loan {
        content,
        back: Some(back),
        recalled,
        is_awaited: Arc::clone(&is_awaited),
        fault: Fault::default(),
        copy: copy.clone(),
    };
    let lender = Lender {
        returned,
        is_awaited,
        copy,
        _recall: recall,
    };
    (loan, lender)
}

impl Lender {
    /// Whoever borrowed the content has read all there is, and waits for more of it.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    /// The content, if the loan has ended without anybody reading from it, or a copy of the whole, and
    /// which of the two it is.
    pub(super) fn take_back(mut self) -> (Content, Body) {
        if let Ok(content) = self.returned.try_recv() {
            return (Content::Untouched, content);
        }
        let copy = self
            .copy
            .take()
            .map(|copy| std::mem::take(&mut *copy.lock()));
        match copy.filter(|copy| copy.is_whole) {
            Some(copy) => (Content::Copied, Body::full(copy.pieces)),
            None => (Content::Consumed, Body::empty()),
        }
    }

    /// There will be no other attempt.
    pub(super) fn forget_copy(&mut self) {
        if let Some(copy) = self.copy.take() {
            *copy.lock() = Copy {
                is_forgotten: true,
                ..Copy::default()
            };
        }
    }
}

impl Loan {
    /// What will say why the content broke off.
    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl Copy {
    fn add(&mut self, frame: &Frame<Bytes>) -> Result<(), Uncopied> {
        // Trailers are not sent twice.
        let piece = frame.data_ref().ok_or(Uncopied)?;
        if piece.len() > COPY_BYTES_MAX - self.pieces.len() {
            return Err(Uncopied);
        }
        self.pieces.extend_from_slice(piece);
        Ok(())
    }
}

/// There is no copy of content like this.
struct Uncopied;

impl Loan {
    fn keep(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        let (Some(copy), Poll::Ready(read)) = (&self.copy, polled) else {
            return;
        };
        let mut kept = copy.lock();
        let added = match read {
            _ if kept.is_forgotten => Err(Uncopied),
            Some(Ok(frame)) => kept.add(frame),
            Some(Err(_)) => Err(Uncopied),
            None => Ok(()),
        };
        kept.is_whole = added.is_ok() && (read.is_none() || self.content.is_end_stream());
        if added.is_err() {
            *kept = Copy::default();
            drop(kept);
            self.copy = None;
        }
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
        self.keep(&polled);
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

    async fn returned(lender: Lender) -> (Content, Bytes) {
        let (state, content) = lender.take_back();
        (state, content.collect().await.unwrap().to_bytes())
    }

    fn content() -> Body {
        Body::full("all of it")
    }

    #[tokio::test]
    async fn content_that_nobody_read_comes_back() {
        for is_copied in [false, true] {
            let (loan, lender) = lend(content(), is_copied);
            drop(loan);
            let expected = (Content::Untouched, "all of it".into());
            assert_eq!(returned(lender).await, expected);
        }
    }

    #[tokio::test]
    async fn content_that_was_read_from_comes_back_as_a_copy_or_not_at_all() {
        for (is_copied, expected) in [
            (false, (Content::Consumed, "".into())),
            (true, (Content::Copied, "all of it".into())),
        ] {
            let (mut loan, lender) = lend(content(), is_copied);
            assert!(loan.frame().await.unwrap().is_ok());
            assert_eq!(returned(lender).await, expected);
        }
    }

    #[tokio::test]
    async fn content_is_copied_as_a_whole_or_not_at_all() {
        let large = Bytes::from(vec![0; COPY_BYTES_MAX]);
        let small = || Bytes::from("a");
        for (pieces, ends, expected) in [
            (vec![small()], false, Content::Consumed),
            (vec![large.clone(), small()], true, Content::Consumed),
            (vec![large], true, Content::Copied),
            (vec![small(), small()], true, Content::Copied),
        ] {
            let (writer, reader) = crate::body::tee::tee(None);
            let (mut loan, lender) = lend(Body::stream(reader), true);
            let whole = pieces.concat();
            for piece in pieces {
                assert!(writer.write(piece).is_ok());
                assert!(loan.frame().await.unwrap().is_ok());
            }
            if ends {
                writer.finish(None);
                assert!(loan.frame().await.is_none());
            }
            let (state, content) = returned(lender).await;
            assert_eq!(state, expected);
            assert!(state != Content::Copied || content == whole);
        }
    }

    #[tokio::test]
    async fn what_is_forgotten_is_not_kept() {
        let (mut loan, mut lender) = lend(content(), true);
        lender.forget_copy();
        assert!(loan.frame().await.unwrap().is_ok());
        assert!(loan.copy.is_none());
        assert_eq!(returned(lender).await.0, Content::Consumed);
    }

    #[tokio::test]
    async fn content_that_is_still_lent_does_not_come_back() {
        let (_loan, lender) = lend(content(), false);
        assert_eq!(returned(lender).await.0, Content::Consumed);
    }

    #[tokio::test]
    async fn content_that_is_not_there_yet_is_not_waited_for_once_the_lender_has_gone() {
        let (_writer, reader) = crate::body::tee::tee(None);
        let (mut loan, lender) = lend(Body::stream(reader), false);
        let waiting = tokio::spawn(async move { loan.frame().await.unwrap().is_err() });
        assert!(!lender.is_awaited());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert!(lender.is_awaited());
        drop(lender);
        assert!(waiting.await.unwrap());
    }
}
