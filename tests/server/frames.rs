//! Connections of HTTP/2 on which frames are sent one by one.

#[path = "../support/frames.rs"]
mod raw;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use self::raw::PREFACE;
pub(crate) use self::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame, get, head, next, next_of,
};
use crate::support::Running;

/// A connection on which the preface and `settings` have been sent.
pub(crate) async fn connect(server: &Running, settings: &[(u16, u32)]) -> TcpStream {
    let mut stream = server.raw().await;
    let bytes = [PREFACE, &raw::settings(settings)].concat();
    stream.write_all(&bytes).await.unwrap();
    stream
}

/// Every frame until the connection ends.
pub(crate) async fn all(stream: &mut TcpStream) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = next(stream).await {
        frames.push(frame);
    }
    frames
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
