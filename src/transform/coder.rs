//! One encoder or decoder, driven by hand: pieces in, pieces out, never waiting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_compression::Level;
use async_compression::tokio::write::{BrotliDecoder, BrotliEncoder, GzipDecoder, GzipEncoder};
use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::fields::accept_encoding::Coding;

/// Writes into memory, so that none of its writes ever waits, and not more than has room.
struct Sink {
    bytes: Vec<u8>,
    room: usize,
}

/// Turns identity into a coding, or a coding into identity.
pub struct Coder(Pin<Box<dyn Writes>>);

trait Writes: AsyncWrite + Send {
    fn take(self: Pin<&mut Self>) -> Bytes;
}

macro_rules! writes {
    ($($coder:ident),*) => {$(
        impl Writes for $coder<Sink> {
            fn take(self: Pin<&mut Self>) -> Bytes {
                Bytes::from(std::mem::take(&mut self.get_mut().get_mut().bytes))
            }
        }
    )*};
}
writes!(BrotliEncoder, GzipEncoder, BrotliDecoder, GzipDecoder);

impl Coder {
    /// An encoder at this level (gzip 1–9, brotli 0–11). Nothing for identity.
    pub fn encoder(coding: Coding, level: u32) -> Option<Self> {
        let level = Level::Precise(i32::try_from(level).unwrap_or(4));
        Some(Self(match coding {
            Coding::Identity => return None,
            Coding::Gzip => Box::pin(GzipEncoder::with_quality(Sink::of(usize::MAX), level)),
            Coding::Brotli => Box::pin(BrotliEncoder::with_quality(Sink::of(usize::MAX), level)),
        }))
    }

    /// A decoder that fails with [`io::ErrorKind::FileTooLarge`] before it has brought out more
    /// than `most` bytes. Nothing for identity.
    pub fn decoder(coding: Coding, most: usize) -> Option<Self> {
        Some(Self(match coding {
            Coding::Identity => return None,
            Coding::Gzip => Box::pin(GzipDecoder::new(Sink::of(most))),
            Coding::Brotli => Box::pin(BrotliDecoder::new(Sink::of(most))),
        }))
    }

    /// What comes out so far for what went in; often nothing, as coders keep a window.
    ///
    /// # Errors
    /// The input is not in the coding.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = now(|cx| self.0.as_mut().poll_write(cx, rest))?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(self.0.as_mut().take())
    }

    /// All that went in comes out, at some cost in size.
    ///
    /// # Errors
    /// The input is not in the coding.
    pub fn flush(&mut self) -> io::Result<Bytes> {
        now(|cx| self.0.as_mut().poll_flush(cx))?;
        Ok(self.0.as_mut().take())
    }

    /// The end.
    ///
    /// # Errors
    /// The input broke off, or is not in the coding.
    pub fn finish(&mut self) -> io::Result<Bytes> {
        now(|cx| self.0.as_mut().poll_shutdown(cx))?;
        Ok(self.0.as_mut().take())
    }
}

impl Sink {
    const fn of(room: usize) -> Self {
        Self {
            bytes: Vec::new(),
            room,
        }
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(room) = self.room.checked_sub(piece.len()) else {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        };
        self.room = room;
        self.bytes.extend_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A write into memory is always ready.
fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<T> {
    let mut cx = Context::from_waker(Waker::noop());
    match poll(&mut cx) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Coder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        "der Gemeinderat tagt, le conseil se réunit. "
            .repeat(500)
            .into_bytes()
    }

    #[test]
    fn what_is_encoded_in_pieces_decodes_to_the_same() {
        for coding in [Coding::Gzip, Coding::Brotli] {
            let mut encoder = Coder::encoder(coding, 4).unwrap();
            let mut encoded = Vec::new();
            for piece in text().chunks(1000) {
                encoded.extend(encoder.write(piece).unwrap());
            }
            encoded.extend(encoder.finish().unwrap());
            assert!(encoded.len() < text().len() / 4, "{coding:?}");
            let mut decoder = Coder::decoder(coding, usize::MAX).unwrap();
            let mut decoded = Vec::new();
            for piece in encoded.chunks(100) {
                decoded.extend(decoder.write(piece).unwrap());
            }
            decoded.extend(decoder.finish().unwrap());
            assert_eq!(decoded, text(), "{coding:?}");
        }
    }

    #[test]
    fn a_flush_brings_out_what_went_in() {
        for coding in [Coding::Gzip, Coding::Brotli] {
            let mut encoder = Coder::encoder(coding, 4).unwrap();
            let mut encoded = encoder.write(b"the first line").unwrap().to_vec();
            encoded.extend(encoder.flush().unwrap());
            let mut decoder = Coder::decoder(coding, usize::MAX).unwrap();
            let mut decoded = decoder.write(&encoded).unwrap().to_vec();
            decoded.extend(decoder.flush().unwrap());
            assert_eq!(decoded, b"the first line", "{coding:?}");
        }
    }

    #[test]
    fn junk_and_fragments_are_errors() {
        for coding in [Coding::Gzip, Coding::Brotli] {
            let mut encoder = Coder::encoder(coding, 4).unwrap();
            let mut whole = encoder.write(&text()).unwrap().to_vec();
            whole.extend(encoder.finish().unwrap());
            let mut decoder = Coder::decoder(coding, usize::MAX).unwrap();
            let half = decoder.write(&whole[..whole.len() / 2]);
            assert!(half.is_err() || decoder.finish().is_err(), "{coding:?}");
            let mut decoder = Coder::decoder(coding, usize::MAX).unwrap();
            let junk = decoder.write(b"\xff\xff not in any coding \xff\xff");
            assert!(junk.is_err() || decoder.finish().is_err(), "{coding:?}");
        }
    }
}
