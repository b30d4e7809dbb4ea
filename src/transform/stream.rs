//! A body that is encoded on its way to a client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::coder::Coder;
use crate::body::{Body, BodyError};
use crate::fields::accept_encoding::Coding;
use crate::telemetry::transform::{For, TransformMetrics};

/// Encodes `body`. What has been read is flushed whenever the origin pauses, so that no client
/// waits for bytes that are here already. `None` for identity.
pub fn encoded(body: Body, coding: Coding, level: u32, metrics: TransformMetrics) -> Option<Body> {
    let coder = Coder::encoder(coding, level)?;
    Some(Body::stream(Encoded {
        meter: Meter::new(coding, metrics),
        body,
        state: State::Reading {
            coder: Box::new(coder),
            unflushed: false,
        },
        trailers: None,
    }))
}

/// Pieces above this many bytes are encoded off the async threads: brotli 4 takes about 13 µs a
/// KiB.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// A coder that is back, and what came out of it.
type Worked = (Box<Coder>, std::io::Result<Bytes>);

struct Encoded {
    meter: Meter,
    body: Body,
    state: State,
    trailers: Option<Frame<Bytes>>,
}

enum State {
    Reading {
        coder: Box<Coder>,
        /// Something went in that has not come out.
        unflushed: bool,
    },
    Elsewhere(JoinHandle<Worked>),
    Trailers,
    Ended,
}

impl HttpBody for Encoded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let step = match std::mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Trailers => return Poll::Ready(this.trailers.take().map(Ok)),
                State::Elsewhere(task) => this.await_piece(task, cx),
                State::Reading { coder, unflushed } => this.read(coder, unflushed, cx),
            };
            match ready!(step) {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Encoded {
    /// One step: a piece of output, which may be empty.
    fn read(
        &mut self,
        mut coder: Box<Coder>,
        unflushed: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, BodyError>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let piece = if unflushed {
                    self.meter.run(0, || coder.flush())
                } else {
                    Ok(Bytes::new())
                };
                self.state = State::Reading {
                    coder,
                    unflushed: false,
                };
                return match piece {
                    Ok(piece) if piece.is_empty() => Poll::Pending,
                    piece => Poll::Ready(piece.map_err(Into::into)),
                };
            }
        };
        match frame.transpose()? {
            None => {
                self.state = State::Trailers;
                Poll::Ready(self.meter.run(0, || coder.finish()).map_err(Into::into))
            }
            Some(frame) => match frame.into_data() {
                Err(trailers) => {
                    self.trailers = Some(trailers);
                    self.state = State::Reading { coder, unflushed };
                    Poll::Ready(Ok(Bytes::new()))
                }
                Ok(piece) if piece.len() > INLINE_BYTES_MAX => {
                    let meter = self.meter.clone();
                    self.state = State::Elsewhere(tokio::task::spawn_blocking(move || {
                        let encoded = meter.run(piece.len(), || coder.write(&piece));
                        (coder, encoded)
                    }));
                    Poll::Ready(Ok(Bytes::new()))
                }
                Ok(piece) => {
                    let encoded = self.meter.run(piece.len(), || coder.write(&piece));
                    self.state = State::Reading {
                        coder,
                        unflushed: true,
                    };
                    Poll::Ready(encoded.map_err(Into::into))
                }
            },
        }
    }

    fn await_piece(
        &mut self,
        mut task: JoinHandle<Worked>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, BodyError>> {
        match Pin::new(&mut task).poll(cx) {
            Poll::Pending => {
                self.state = State::Elsewhere(task);
                Poll::Pending
            }
            Poll::Ready(Ok((coder, encoded))) => {
                self.state = State::Reading {
                    coder,
                    unflushed: true,
                };
                Poll::Ready(encoded.map_err(Into::into))
            }
            Poll::Ready(Err(stopped)) => Poll::Ready(Err(stopped.into())),
        }
    }
}

/// Counts what goes into a coder, what comes out, and how long that takes.
#[derive(Clone)]
struct Meter {
    coding: Coding,
    metrics: TransformMetrics,
}

impl Meter {
    const fn new(coding: Coding, metrics: TransformMetrics) -> Self {
        Self { coding, metrics }
    }

    fn run(
        &self,
        input: usize,
        work: impl FnOnce() -> std::io::Result<Bytes>,
    ) -> std::io::Result<Bytes> {
        let began = Instant::now();
        let output = work();
        let bytes = (input, output.as_ref().map_or(0, Bytes::len));
        let (coding, took) = (self.coding.token(), began.elapsed());
        self.metrics.coded(coding, For::Stream, bytes, took);
        output
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::body::tee;

    fn encoded(body: Body, coding: Coding, level: u32) -> Option<Body> {
        super::encoded(body, coding, level, TransformMetrics::unregistered())
    }

    fn decoded(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut decoder = Coder::decoder(coding, usize::MAX).unwrap();
        let mut text = decoder.write(encoded).unwrap().to_vec();
        text.extend(decoder.flush().unwrap());
        text
    }

    #[tokio::test]
    async fn a_stream_is_encoded_whole_also_in_large_pieces() {
        let text = "una frase e un'altra. ".repeat(10_000);
        for coding in [Coding::Gzip, Coding::Brotli] {
            let body = encoded(Body::full(text.clone()), coding, 4).unwrap();
            let bytes = body.collect().await.unwrap().to_bytes();
            assert_eq!(decoded(coding, &bytes), text.as_bytes());
        }
    }

    #[tokio::test]
    async fn the_first_piece_is_readable_before_the_last_is_written() {
        for coding in [Coding::Gzip, Coding::Brotli] {
            let (writer, reader) = tee::tee(None);
            let mut body = encoded(Body::stream(reader), coding, 4).unwrap();
            writer.write(Bytes::from_static(b"first")).unwrap();
            let mut seen = Vec::new();
            while decoded(coding, &seen) != b"first" {
                let frame = body.frame().await.unwrap().unwrap();
                seen.extend(frame.into_data().unwrap());
            }
            writer.finish(None);
            assert!(body.collect().await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_breaks_off_encoded() {
        let (writer, reader) = tee::tee(None);
        let body = encoded(Body::stream(reader), Coding::Brotli, 4).unwrap();
        writer.write(Bytes::from_static(b"half")).unwrap();
        writer.fail("cut".into());
        assert!(body.collect().await.is_err());
    }
}
