//! A part of a body that is read from its beginning.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{Body, BodyError};

/// `length` bytes of `body` behind the first `skipped`. The rest is not read: whoever writes it
/// learns that its reader has gone.
pub fn slice(body: Body, skipped: u64, length: u64) -> Slice {
    Slice {
        body,
        skip: skipped,
        left: length,
    }
}

/// See [`slice()`].
#[derive(Debug)]
pub struct Slice {
    body: Body,
    skip: u64,
    left: u64,
}

impl HttpBody for Slice {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while self.left > 0 {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            let Some(frame) = frame.transpose()? else {
                return Poll::Ready(Some(Err("the body ended before its part".into())));
            };
            let Ok(mut piece) = frame.into_data() else {
                continue;
            };
            let skip = self.skip.min(piece.len() as u64);
            self.skip -= skip;
            piece.advance(usize::try_from(skip).unwrap_or(usize::MAX));
            piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= piece.len() as u64;
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        self.body = Body::empty();
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::body::tee;

    #[tokio::test]
    async fn a_part_is_cut_across_pieces() {
        for (skipped, length, part) in [(0, 3, "one"), (2, 4, "e tw"), (6, 1, "o"), (3, 0, "")] {
            let (writer, reader) = tee::tee(None);
            for piece in ["one", " ", "two"] {
                writer.write(Bytes::from(piece)).unwrap();
            }
            writer.finish(None);
            let slice = slice(Body::stream(reader), skipped, length);
            assert_eq!(slice.collect().await.unwrap().to_bytes(), part);
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_short_is_an_error() {
        let slice = slice(Body::full("abc"), 2, 2);
        assert!(slice.collect().await.is_err());
    }
}
