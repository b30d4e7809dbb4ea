//! What the targets share: how bytes become header lines, pieces and texts.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The first byte decides, the rest is read.
pub fn selected(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}

/// Each line of `data` as one line of the field `name`; what cannot be a field value is left out.
pub fn lines(data: &[u8], name: &HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    add_lines(data, name, &mut headers);
    headers
}

pub fn add_lines(data: &[u8], name: &HeaderName, headers: &mut HeaderMap) {
    for line in data.split(|byte| *byte == b'\n').take(64) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
}

/// `data` in pieces whose lengths `pattern` gives, over and over: 1 to 64 bytes each.
pub fn pieces(data: &[u8], pattern: u64) -> Vec<&[u8]> {
    let mut rest = data;
    let mut found = Vec::new();
    let mut turn: u32 = 0;
    while !rest.is_empty() {
        let length = 1 + usize::from((pattern.rotate_right(turn * 6) & 63) as u8);
        let (piece, after) = rest.split_at(length.min(rest.len()));
        found.push(piece);
        rest = after;
        turn = turn.wrapping_add(1) % 32;
    }
    found
}

/// Eight bytes as a pattern for [`pieces`], and what is left.
pub fn pattern(data: &[u8]) -> Option<(u64, &[u8])> {
    let (pattern, rest) = data.split_first_chunk()?;
    Some((u64::from_le_bytes(*pattern), rest))
}
