//! A client of HTTP/2 that sends what frames it likes, in what order it likes. Field lines are
//! literals without indexing (RFC 7541 §6.2.2), so that no table is needed.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::soon;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of one frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// One field line as HPACK writes it without any table.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut line = vec![0];
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            line.push(u8::try_from(length).unwrap());
        } else {
            line.push(127);
            length -= 127;
            while length >= 128 {
                line.push(u8::try_from(length % 128).unwrap() | 128);
                length /= 128;
            }
            line.push(u8::try_from(length).unwrap());
        }
        line.extend(text.as_bytes());
    }
    line
}

/// The header block of a request for `path`, with more `fields`.
pub(crate) fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.example"),
        (":path", path),
    ];
    let all = pseudo.iter().chain(fields);
    all.flat_map(|(name, value)| field(name, value)).collect()
}

/// A whole GET.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &head("GET", path, &[]),
    )
}

/// A connection on which the preface and `settings` have been sent.
pub(crate) async fn connect(
    server: &crate::support::Running,
    settings: &[(u16, u32)],
) -> TcpStream {
    let mut stream = server.raw().await;
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &payload));
    stream.write_all(&bytes).await.unwrap();
    stream
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
    soon(read).await
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

/// Every frame until the connection ends.
pub(crate) async fn all(stream: &mut TcpStream) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = next(stream).await {
        frames.push(frame);
    }
    frames
}

/// The error code of a GOAWAY or RST_STREAM frame.
pub(crate) fn code(frame: &Frame) -> u32 {
    let code = &frame.payload[frame
        .payload
        .len()
        .min(if frame.kind == GOAWAY { 4 } else { 0 })..];
    u32::from_be_bytes(code[..4].try_into().unwrap())
}

/// The status of a response's HEADERS frame that h2 writes with the static table of HPACK
/// (RFC 7541 appendix A), or as a literal with the name from there.
pub(crate) fn status(frame: &Frame) -> u16 {
    match frame.payload[0] {
        0x88 => 200,
        0x8d => 404,
        0x8c => 400,
        _ => {
            let raw = &frame.payload[1..];
            let length = usize::from(raw[0] & 0x7f);
            let text = &raw[1..=length];
            if raw[0] & 0x80 == 0 {
                std::str::from_utf8(text).unwrap().parse().unwrap()
            } else {
                huffman_digits(text)
            }
        }
    }
}

/// Digits in the Huffman code of HPACK (RFC 7541 appendix B).
fn huffman_digits(text: &[u8]) -> u16 {
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    let mut digits = 0;
    while digits < 3 {
        let five = bits.by_ref().take(5).fold(0, |code, bit| code << 1 | bit);
        // 0, 1 and 2 have five bits; 3 to 9 have six, from 0x19 on.
        let digit = if five < 3 {
            five
        } else {
            (five << 1 | bits.next().unwrap()) - 0x19 + 3
        };
        number = number * 10 + digit;
        digits += 1;
    }
    number
}
