//! Frames (RFC 9113 §4.1) and header blocks (RFC 7541) as bytes: a client of HTTP/2 that sends what
//! it likes, in what order it likes. Field lines are literals without indexing (RFC 7541 §6.2.2), so
//! that no table is needed.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;
/// A whole request in one frame.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS_MAX_FRAME_SIZE where nothing else was said (§6.5.2).
pub(crate) const FRAME_SIZE: usize = 16_384;

/// Error codes (§7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const COMPRESSION_ERROR: u32 = 9;

/// More than anything here takes on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The last of its stream.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of RST_STREAM and GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// Whether it is the head of a response with this status, of those with an entry of their own
    /// in the static table (RFC 7541 appendix A).
    pub(crate) fn has_status(&self, status: u16) -> bool {
        let index = match status {
            200 => 8,
            400 => 12,
            404 => 13,
            _ => unreachable!("not in the static table"),
        };
        // A change of the table's size may come first (§6.3).
        let mut block = self.payload.iter().skip_while(|byte| **byte >> 5 == 1);
        block.next() == Some(&(0x80 | index))
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame_of_length(payload.len(), kind, flags, stream, payload)
}

/// A frame that says of itself that it has `length` bytes.
pub(crate) fn frame_of_length(
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A SETTINGS frame.
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let values = values.iter();
    let payload =
        values.flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &payload.collect::<Vec<_>>())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// The payload of PRIORITY: a dependency and a weight.
pub(crate) fn priority(on: u32, weight: u8) -> Vec<u8> {
    let mut payload = on.to_be_bytes().to_vec();
    payload.push(weight);
    payload
}

/// A literal field line that goes into no table (RFC 7541 §6.2.2), in plain text.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut line = vec![0];
    line.extend(string(name));
    line.extend(string(value));
    line
}

/// A string without Huffman code (RFC 7541 §5.2).
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if text.len() < 127 {
        out.push(u8::try_from(text.len()).unwrap());
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    out.extend(text.as_bytes());
    out
}

pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// The header block of a request with further fields.
pub(crate) fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = block(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a.example"),
    ]);
    head.extend(block(fields));
    head
}

/// A whole GET.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &head("GET", path, &[]))
}

/// The head of a POST whose content follows.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head("POST", path, &[]))
}

/// The next frame, or nothing where the connection has ended.
pub(crate) async fn next(stream: &mut TcpStream) -> Option<Frame> {
    let read = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    };
    tokio::time::timeout(SOON, read)
        .await
        .expect("a frame, or the end")
}

/// The next frame of `kind`; panics where the connection ends before it.
pub(crate) async fn next_of(stream: &mut TcpStream, kind: u8) -> Frame {
    loop {
        let frame = next(stream).await.expect("the connection ended");
        if frame.kind == kind {
            return frame;
        }
    }
}

pub(crate) async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    // The server may have closed already: what it said before is still to be read.
    stream.write_all(bytes).await.ok();
}
