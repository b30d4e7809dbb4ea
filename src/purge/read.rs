//! Reading a whole request body, within a length, a time, and a budget of memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::body::BodyError;

/// How long a sender may take for a body.
pub const READ_DEADLINE: Duration = Duration::from_secs(10);

/// KiB of bodies that are held at one time. Whoever sends a body has not been believed yet, and
/// many who send at once must not take all memory.
const BUDGET_KIB: u32 = 128 * 1024;
const KIB: usize = 1024;

/// The memory that all bodies together may take. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

/// A body, and its part of the budget for as long as it is held.
#[derive(Debug)]
pub struct Received {
    pub bytes: Bytes,
    _part: Vec<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ReadError {
    #[error("the body is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the body did not arrive within {} seconds", READ_DEADLINE.as_secs())]
    TooSlow,
    #[error("the body broke off")]
    BrokenOff,
    #[error("too many bodies are being received")]
    Busy,
}

impl ReadError {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "body-too-long",
            Self::TooSlow => "body-too-slow",
            Self::BrokenOff => "body-broken-off",
            Self::Busy => "busy",
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of_kib(BUDGET_KIB)
    }
}

impl Budget {
    fn of_kib(kib: u32) -> Self {
        let permits = usize::try_from(kib).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Takes what `length` bytes need, if there is that much.
    fn take(&self, length: usize) -> Result<OwnedSemaphorePermit, ReadError> {
        let kib = u32::try_from(length.div_ceil(KIB)).map_err(|_| ReadError::Busy)?;
        let semaphore = Arc::clone(&self.0);
        let taken = semaphore.try_acquire_many_owned(kib);
        taken.map_err(|_| ReadError::Busy)
    }
}

/// Reads at most `limit` bytes within [`READ_DEADLINE`].
///
/// # Errors
/// See [`ReadError`]. A body that is announced longer than `limit` is not begun.
pub async fn read<B>(body: B, limit: usize, budget: &Budget) -> Result<Received, ReadError>
where
    B: HttpBody,
    B::Error: Into<BodyError>,
{
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(ReadError::TooLong { limit });
    }
    match timeout(READ_DEADLINE, read_all(body, limit, budget)).await {
        Ok(received) => received,
        Err(_) => Err(ReadError::TooSlow),
    }
}

async fn read_all<B>(body: B, limit: usize, budget: &Budget) -> Result<Received, ReadError>
where
    B: HttpBody,
    B::Error: Into<BodyError>,
{
    let mut body = Box::pin(body);
    let mut bytes = BytesMut::new();
    let mut part: Vec<OwnedSemaphorePermit> = Vec::new();
    let mut paid = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ReadError::BrokenOff)?.into_data() else {
            continue;
        };
        let length = bytes.len().saturating_add(data.remaining());
        if length > limit {
            return Err(ReadError::TooLong { limit });
        }
        if length > paid {
            // As much again as there is, as the buffer grows, so that pieces of one byte do not
            // pay each.
            let more = length.max(paid.saturating_mul(2)).min(limit) - paid;
            part.push(budget.take(more)?);
            paid += more;
        }
        bytes.extend_from_slice(&collect(data));
    }
    Ok(Received {
        bytes: bytes.freeze(),
        _part: part,
    })
}

fn collect(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    type Piece = Result<Frame<Bytes>, BodyError>;

    fn pieces(count: usize) -> impl HttpBody<Data = Bytes, Error = BodyError> {
        let piece = |_| -> Piece { Ok(Frame::data(Bytes::from_static(b"0123456789"))) };
        StreamBody::new(stream::iter((0..count).map(piece)))
    }

    async fn read(
        body: impl HttpBody<Data = Bytes, Error = BodyError>,
        limit: usize,
    ) -> Result<Bytes, ReadError> {
        let received = super::read(body, limit, &Budget::default()).await;
        received.map(|received| received.bytes)
    }

    #[tokio::test]
    async fn all_bodies_together_stay_within_the_budget_and_give_it_back() {
        let budget = Budget::of_kib(3);
        let hold = |length: usize| super::read(Body::full(vec![b'x'; length]), 4096, &budget);
        let first = hold(2048).await.unwrap();
        assert_eq!(hold(1025).await.err(), Some(ReadError::Busy));
        let second = hold(1024).await.unwrap();
        assert_eq!(hold(1).await.err(), Some(ReadError::Busy));
        drop((first, second));
        assert_eq!(hold(3072).await.unwrap().bytes.len(), 3072);
    }

    #[tokio::test]
    async fn a_body_in_small_pieces_pays_for_its_length_once() {
        let budget = Budget::of_kib(64);
        let received = super::read(pieces(3000), 32 * 1024, &budget).await.unwrap();
        assert_eq!(received.bytes.len(), 30_000);
        assert!(received._part.len() < 16);
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        assert_eq!(read(pieces(3), 30).await.unwrap().len(), 30);
        let error = read(pieces(3), 29).await.unwrap_err();
        assert_eq!(error, ReadError::TooLong { limit: 29 });
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_is_announced_too_long_is_not_begun() {
        let body = Body::full("0123456789");
        assert_eq!(read(body, 9).await, Err(ReadError::TooLong { limit: 9 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = StreamBody::new(stream::pending::<Piece>());
        assert_eq!(read(never, 10).await, Err(ReadError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_used() {
        let broken: [Piece; 2] = [
            Ok(Frame::data(Bytes::from_static(b"{"))),
            Err("connection reset".into()),
        ];
        let body = StreamBody::new(stream::iter(broken));
        assert_eq!(read(body, 10).await, Err(ReadError::BrokenOff));
    }
}
