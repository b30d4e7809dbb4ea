//! Collecting a response's content for the store while its client already reads it.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;

use crate::body::BodyError;
use crate::body::tee::Writer;
use crate::budget::{Charge, Pressure};
use crate::fetch::OriginBody;

/// How long a client waits for the whole content before it gets the first piece: small documents
/// arrive at once, and are then answered like a hit, with entity tag, length and coding.
const WHOLE_WITHIN: Duration = Duration::from_millis(2);

/// How long content may take to arrive whole. Others wait for it meanwhile: what comes drop by drop,
/// or never ends, is its client's alone.
const WHOLE_MAX: Duration = Duration::from_secs(60);

/// Hands the client a pipe, if there is a client.
type Start<'s> = dyn FnMut(bool) -> Option<Writer> + Send + 's;

pub(super) enum Gathered<B = OriginBody> {
    Whole {
        content: Bytes,
        /// Where the client reads, if it began to, and the trailers it is owed.
        writer: Option<(Writer, Option<HeaderMap>)>,
        /// What the content takes of the budget.
        memory: Charge,
    },
    /// More than may be stored, or slower: the rest goes to the client alone.
    TooLarge(Rest<B>),
    /// There is no memory to collect it in: the rest goes to the client alone.
    NoMemory(Rest<B>),
    /// A client that had begun to read has seen it break off.
    BrokenOff,
}

/// Content that streams through.
pub(super) struct Rest<B = OriginBody> {
    body: B,
    writer: Option<Writer>,
    next: Bytes,
}

/// Reads `body` to its end. `start` hands the client a pipe, if there is a client that it suits; it
/// is called when the content does not arrive at once, and, with true, when it is too large to
/// keep and nobody reads yet. What is collected is added to `memory`.
pub(super) async fn gather<B: OriginContent>(
    mut body: B,
    bytes_max: usize,
    mut memory: Charge,
    start: &mut Start<'_>,
) -> Gathered<B> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut bytes = 0_usize;
    let mut writer: Option<Writer> = None;
    let mut started = false;
    let mut trailers = None;
    let mut pause = pin!(tokio::time::sleep(WHOLE_WITHIN));
    let mut end = pin!(tokio::time::sleep(WHOLE_MAX));
    loop {
        let frame = tokio::select! {
            biased;
            () = &mut end => {
                let rest = rest(body, writer, Bytes::new(), start, &pieces);
                return Gathered::TooLarge(rest);
            }
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
                        let rest = rest(body, writer, piece, start, &pieces);
                        return Gathered::TooLarge(rest);
                    }
                    if memory.budget().pressure() == Pressure::Hard {
                        let rest = rest(body, writer, piece, start, &pieces);
                        return Gathered::NoMemory(rest);
                    }
                    memory.add(piece.len() as u64);
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
    memory.add(bytes as u64);
    let mut content = BytesMut::with_capacity(bytes);
    for piece in &pieces {
        content.extend_from_slice(piece);
    }
    drop(pieces);
    memory.give_back(bytes as u64);
    Gathered::Whole {
        content: content.freeze(),
        writer: writer.map(|writer| (writer, trailers)),
        memory,
    }
}

/// What is read from an origin.
pub(super) trait OriginContent: Body<Data = Bytes, Error = BodyError> + Unpin {}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> OriginContent for B {}

fn rest<B>(
    body: B,
    writer: Option<Writer>,
    next: Bytes,
    start: &mut Start<'_>,
    pieces: &[Bytes],
) -> Rest<B> {
    let writer = writer.or_else(|| begin(start, true, pieces));
    Rest { body, writer, next }
}

fn begin(start: &mut Start<'_>, too_large: bool, pieces: &[Bytes]) -> Option<Writer> {
    let writer = start(too_large)?;
    for piece in pieces {
        writer.write(piece.clone()).ok()?;
    }
    Some(writer)
}

fn broken_off<B>(writer: Option<Writer>, error: BodyError) -> Gathered<B> {
    if let Some(writer) = writer {
        writer.fail(error);
    }
    Gathered::BrokenOff
}

impl<B: OriginContent> Rest<B> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::tee::{self, Reader};
    use crate::budget::{Budget, Use};

    fn memory() -> Charge {
        Budget::unbounded().take(Use::Fills, 0)
    }

    #[tokio::test(start_paused = true)]
    async fn content_that_comes_drop_by_drop_is_passed_on() {
        let (drops, origin) = tee::tee(None);
        let mut client: Option<Reader> = None;
        let mut start = |_| {
            let (writer, reader) = tee::tee(None);
            client = Some(reader);
            Some(writer)
        };
        let dropping = async {
            // Never as long apart as an origin's idle timeout.
            for _ in 0..20 {
                drops.write(Bytes::from_static(b".")).unwrap();
                tokio::time::sleep(WHOLE_MAX / 10).await;
            }
            drops.finish(None);
        };
        let (gathered, ()) = tokio::join!(gather(origin, 1024, memory(), &mut start), async {
            tokio::select! {
                () = dropping => {}
                () = tokio::time::sleep(WHOLE_MAX * 11 / 10) => {}
            }
        });
        assert!(matches!(gathered, Gathered::TooLarge(_)));
        assert!(client.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn content_without_an_end_goes_on_to_its_client() {
        let (drops, origin) = tee::tee(None);
        let mut client: Option<Reader> = None;
        let mut start = |_| {
            let (writer, reader) = tee::tee(None);
            client = Some(reader);
            Some(writer)
        };
        drops.write(Bytes::from_static(b"one ")).unwrap();
        let gathered = gather(origin, 1024, memory(), &mut start).await;
        let Gathered::TooLarge(rest) = gathered else {
            panic!("it has ended");
        };
        drops.write(Bytes::from_static(b"two")).unwrap();
        drops.finish(None);
        rest.pump().await;
        let content = client.take().unwrap().collect().await.unwrap();
        assert_eq!(content.to_bytes(), "one two");
    }
}
