//! A door for `fuzz/` to the readers of this room that nobody else may use. Compiled only with the
//! feature `fuzzing`, which the program never has.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, ReadBuf};

use super::frames::{Frames, Rates};
use super::head::HeadReader;
use super::{admit, proxy_protocol};

/// What the reader of HTTP/1 heads knows after some bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heads {
    /// The number of the first flawed head, from 1, and what is wrong with it.
    pub flaw: Option<(u64, String)>,
    pub is_open: bool,
    pub is_within_message: bool,
}

/// Reads `pieces` as they arrive on one connection.
pub fn heads<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Heads {
    let mut reader = HeadReader::default();
    pieces.into_iter().for_each(|piece| reader.read(piece));
    Heads {
        flaw: reader.flaw().map(|(at, flaw)| (at, flaw.to_string())),
        is_open: reader.is_open(),
        is_within_message: reader.is_within_message(),
    }
}

/// Reads a PROXY header from bytes that arrive `step` at a time: the client it names, and how many
/// bytes were taken. `None`: the connection is refused.
pub fn proxy_header(bytes: &[u8], step: usize) -> Option<(Option<SocketAddr>, usize)> {
    let mut pieces = Pieces { bytes, step };
    let read = proxy_protocol::read(&mut pieces).now_or_never()?;
    let left = pieces.bytes.len();
    Some((read.ok()?, bytes.len() - left))
}

/// Follows an HTTP/2 connection: pieces that came (`true`) and that went. Gives the number of the
/// piece at which it is cut, if it is, and its farewell.
pub fn frames<'p>(
    per_second: u32,
    pieces: impl IntoIterator<Item = (bool, &'p [u8])>,
) -> (Option<usize>, Option<Vec<u8>>) {
    let mut frames = Frames::new(Rates {
        resets: per_second,
        control: per_second,
        empty: per_second,
        refused: Some(per_second),
        header_bytes_max: 64 * 1024,
        headers_max: 100,
    });
    let mut cut = None;
    for (at, (is_received, piece)) in pieces.into_iter().enumerate() {
        if !is_received {
            frames.sent(piece);
        } else if frames.refused(0, 0).is_err() || frames.received(piece, 0).is_err() {
            cut = Some(at);
            break;
        }
    }
    (cut, frames.farewell())
}

/// The host that is taken from an authority.
pub fn host_name(authority: &[u8]) -> Option<&str> {
    admit::host_name(authority)
}

/// A connection that never has to be waited for.
struct Pieces<'b> {
    bytes: &'b [u8],
    step: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.step.max(1).min(buffer.remaining());
        let (now, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        buffer.put_slice(now);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}
