//! Reading a whole request body, within a length and a time.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;
use tokio::time::timeout;

use crate::body::BodyError;

/// How long a sender may take for a body.
pub const READ_DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ReadError {
    #[error("the body is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the body did not arrive within {} seconds", READ_DEADLINE.as_secs())]
    TooSlow,
    #[error("the body broke off")]
    BrokenOff,
}

impl ReadError {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff => StatusCode::BAD_REQUEST,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "body-too-long",
            Self::TooSlow => "body-too-slow",
            Self::BrokenOff => "body-broken-off",
        }
    }
}

/// Reads at most `limit` bytes within [`READ_DEADLINE`].
///
/// # Errors
/// See [`ReadError`]. A body that is announced longer than `limit` is not begun.
pub async fn read<B>(body: B, limit: usize) -> Result<Bytes, ReadError>
where
    B: HttpBody,
    B::Error: Into<BodyError>,
{
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(ReadError::TooLong { limit });
    }
    let body = Box::pin(Limited::new(body, limit));
    match timeout(READ_DEADLINE, body.collect()).await {
        Err(_) => Err(ReadError::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ReadError::TooLong { limit }),
        Ok(Err(_)) => Err(ReadError::BrokenOff),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    type Piece = Result<Frame<Bytes>, BodyError>;

    fn pieces(count: usize) -> impl HttpBody<Data = Bytes, Error = BodyError> {
        let piece = |_| -> Piece { Ok(Frame::data(Bytes::from_static(b"0123456789"))) };
        StreamBody::new(stream::iter((0..count).map(piece)))
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
        let body = crate::body::Body::full("0123456789");
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
