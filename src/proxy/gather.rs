//! Collecting a response's content for the store while its client already reads it.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;

use crate::body::BodyError;
use crate::body::tee::Writer;
use crate::fetch::OriginBody;

/// How long a client waits for the whole content before it gets the first piece: small documents
/// arrive at once, and are then answered like a hit, with entity tag, length and coding.
const WHOLE_WITHIN: Duration = Duration::from_millis(2);

/// Hands the client a pipe, if there is a client.
type Start<'s> = dyn FnMut(bool) -> Option<Writer> + Send + 's;

#[expect(
    clippy::large_enum_variant,
    reason = "moved once a fill, and taken apart at once"
)]
pub(super) enum Gathered {
    Whole {
        content: Bytes,
        /// Where the client reads, if it began to, and the trailers it is owed.
        writer: Option<(Writer, Option<HeaderMap>)>,
    },
    /// More than may be stored: the rest goes to the client alone.
    TooLarge(Rest),
    /// A client that had begun to read has seen it break off.
    BrokenOff,
}

/// Content that streams through.
pub(super) struct Rest {
    body: OriginBody,
    writer: Option<Writer>,
    next: Bytes,
}

/// Reads `body` to its end. `start` hands the client a pipe, if there is a client that it suits; it
/// is called when the content does not arrive at once, and, with true, when it is too large to
/// keep and nobody reads yet.
pub(super) async fn gather(
    mut body: OriginBody,
    bytes_max: usize,
    start: &mut Start<'_>,
) -> Gathered {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut bytes = 0_usize;
    let mut writer: Option<Writer> = None;
    let mut started = false;
    let mut trailers = None;
    let mut pause = pin!(tokio::time::sleep(WHOLE_WITHIN));
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut pause, if !started => {
                started = true;
                writer = begin(start, false, &pieces);
                continue;
            }
        };
        match frame {
            None => break,
            Some(Err(error)) => return broken_off(writer, error),
            Some(Ok(frame)) => match frame.into_data() {
                Err(frame) => trailers = frame.into_trailers().ok(),
                Ok(piece) => {
                    bytes = bytes.saturating_add(piece.len());
                    if bytes > bytes_max {
                        if writer.is_none() {
                            writer = begin(start, true, &pieces);
                        }
                        return Gathered::TooLarge(Rest {
                            body,
                            writer,
                            next: piece,
                        });
                    }
                    if let Some(pipe) = &writer
                        && pipe.write(piece.clone()).is_err()
                    {
                        writer = None; // The client has left; the store has not.
                    }
                    pieces.push(piece);
                }
            },
        }
    }
    // One buffer of exactly this size: pieces are slices of larger read buffers.
    let mut content = BytesMut::with_capacity(bytes);
    for piece in &pieces {
        content.extend_from_slice(piece);
    }
    Gathered::Whole {
        content: content.freeze(),
        writer: writer.map(|writer| (writer, trailers)),
    }
}

fn begin(start: &mut Start<'_>, too_large: bool, pieces: &[Bytes]) -> Option<Writer> {
    let writer = start(too_large)?;
    for piece in pieces {
        writer.write(piece.clone()).ok()?;
    }
    Some(writer)
}

fn broken_off(writer: Option<Writer>, error: BodyError) -> Gathered {
    if let Some(writer) = writer {
        writer.fail(error);
    }
    Gathered::BrokenOff
}

impl Rest {
    /// Passes the rest on at the client's pace; ends when either side does.
    pub(super) async fn pump(mut self) {
        let Some(writer) = self.writer else { return };
        if writer.write_paced(self.next).await.is_err() {
            return;
        }
        let mut trailers = None;
        while let Some(frame) = self.body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Err(error) => return writer.fail(error),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Ok(Ok(piece)) => {
                    if writer.write_paced(piece).await.is_err() {
                        return;
                    }
                }
            }
        }
        writer.finish(trailers);
    }
}
