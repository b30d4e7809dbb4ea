//! The pipe between a fill, which reads the origin, and the client that waits for it.
//!
//! While the fill may still be stored, its writer never waits: what is in the pipe is what the
//! fill holds anyway, bounded by the largest object that may be stored. Once it is only passed on,
//! the writer waits for the reader ([`Writer::write_paced`]).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::BodyError;
use crate::budget::Charge;
use crate::fields::trailer;

/// How much a paced writer may be ahead of its reader, in bytes.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// A pipe whose content will have `length` bytes, if that is known.
pub fn tee(length: Option<u64>) -> (Writer, Reader) {
    new(length, None)
}

/// As [`tee`]; what is in the pipe is added to `charge`.
pub fn charged(length: Option<u64>, charge: Charge) -> (Writer, Reader) {
    new(length, Some(charge))
}

fn new(length: Option<u64>, charge: Option<Charge>) -> (Writer, Reader) {
    let state = State {
        charge,
        ..State::default()
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        room: Notify::new(),
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        ended: false,
    };
    let reader = Reader {
        shared,
        remaining: length,
    };
    (writer, reader)
}

struct Shared {
    state: Mutex<State>,
    /// Told whenever the reader took a piece or went away.
    room: Notify,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    charge: Option<Charge>,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), BodyError>>,
    reader_gone: bool,
    waker: Option<Waker>,
}

/// The writing end. Dropped without [`Writer::finish`] it breaks the content off, so that a reader
/// never takes a fragment for the whole.
pub struct Writer {
    shared: Arc<Shared>,
    ended: bool,
}

/// The reading end: the client's body.
pub struct Reader {
    shared: Arc<Shared>,
    remaining: Option<u64>,
}

/// The reader has gone away.
#[derive(Debug, Eq, PartialEq)]
pub struct ReaderGone;

impl Writer {
    /// Adds a piece without waiting.
    pub fn write(&self, piece: Bytes) -> Result<(), ReaderGone> {
        if piece.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.state.lock();
        if state.reader_gone {
            return Err(ReaderGone);
        }
        state.bytes += piece.len();
        if let Some(charge) = &mut state.charge {
            charge.add(piece.len() as u64);
        }
        state.pieces.push_back(piece);
        wake(&mut state);
        Ok(())
    }

    /// Adds a piece, and waits while the reader is more than 256 KiB behind.
    pub async fn write_paced(&self, piece: Bytes) -> Result<(), ReaderGone> {
        self.write(piece)?;
        self.caught_up(AHEAD_BYTES_MAX).await
    }

    async fn caught_up(&self, ahead_max: usize) -> Result<(), ReaderGone> {
        loop {
            let room = self.shared.room.notified();
            {
                let state = self.shared.state.lock();
                if state.reader_gone {
                    return Err(ReaderGone);
                }
                if state.bytes <= ahead_max {
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// The content is complete. Of the trailers only those that may be such are read.
    pub fn finish(self, mut trailers: Option<HeaderMap>) {
        if let Some(trailers) = &mut trailers {
            trailer::strip(trailers);
        }
        self.end(Ok(()), trailers);
    }

    /// The content broke off.
    pub fn fail(self, error: BodyError) {
        self.end(Err(error), None);
    }

    fn end(mut self, end: Result<(), BodyError>, trailers: Option<HeaderMap>) {
        self.ended = true;
        let mut state = self.shared.state.lock();
        state.trailers = trailers;
        state.end = Some(end);
        wake(&mut state);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.shared.state.lock();
            state.end = Some(Err("the fill was given up".into()));
            wake(&mut state);
        }
    }
}

fn wake(state: &mut State) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        if let Some(piece) = state.pieces.pop_front() {
            state.bytes -= piece.len();
            if let Some(charge) = &mut state.charge {
                charge.give_back(piece.len() as u64);
            }
            shared.room.notify_one();
            if let Some(remaining) = &mut self.remaining {
                *remaining = remaining.saturating_sub(piece.len() as u64);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(trailers) = state.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match state.end.take() {
            Some(Ok(())) => {
                state.end = Some(Ok(()));
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.state.lock();
        state.pieces.is_empty() && state.trailers.is_none() && matches!(state.end, Some(Ok(())))
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.reader_gone = true;
        state.pieces.clear();
        state.charge = None;
        state.bytes = 0;
        self.shared.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::budget::{Budget, Use};

    #[tokio::test]
    async fn what_is_written_is_read_in_order_and_ends() {
        let (writer, reader) = tee(None);
        writer.write(Bytes::from_static(b"one ")).unwrap();
        writer.write(Bytes::from_static(b"two")).unwrap();
        writer.finish(None);
        let content = reader.collect().await.unwrap().to_bytes();
        assert_eq!(content, "one two");
    }

    #[tokio::test]
    async fn a_writer_that_is_dropped_breaks_the_content_off() {
        let (writer, reader) = tee(Some(10));
        writer.write(Bytes::from_static(b"half")).unwrap();
        drop(writer);
        assert!(reader.collect().await.is_err());
    }

    #[tokio::test]
    async fn what_is_in_the_pipe_is_charged() {
        let budget = Budget::new(1000);
        let used = || budget.used(Use::Responses);
        let (writer, mut reader) = charged(None, budget.take(Use::Responses, 0));
        writer.write(Bytes::from_static(b"one")).unwrap();
        writer.write(Bytes::from_static(b"three")).unwrap();
        assert_eq!(used(), 8);
        assert!(reader.frame().await.unwrap().is_ok());
        assert_eq!(used(), 5);
        drop(reader);
        assert_eq!(used(), 0);
    }

    #[tokio::test]
    async fn a_writer_learns_that_its_reader_has_gone() {
        let (writer, reader) = tee(None);
        drop(reader);
        assert_eq!(writer.write(Bytes::from_static(b"x")), Err(ReaderGone));
    }

    #[tokio::test]
    async fn a_paced_writer_waits_until_the_reader_has_caught_up() {
        let (writer, mut reader) = tee(None);
        let large = Bytes::from(vec![0; AHEAD_BYTES_MAX + 1]);
        let write = tokio::spawn(async move {
            let outcome = writer.write_paced(large).await;
            writer.finish(None);
            outcome
        });
        tokio::task::yield_now().await;
        assert!(!write.is_finished());
        assert!(reader.frame().await.unwrap().is_ok());
        assert_eq!(write.await.unwrap(), Ok(()));
    }
}
