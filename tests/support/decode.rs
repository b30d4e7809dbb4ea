//! Content as it was before its coding.

use std::io::Read;

use super::stage::Answer;

/// The content of a response in `identity`, `gzip` or `br`.
pub(crate) fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    let bytes = &*answer.body;
    match &*answer.field("content-encoding") {
        "" => plain.extend_from_slice(bytes),
        "gzip" => {
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .unwrap();
        }
        "br" => {
            brotli::Decompressor::new(bytes, 4096)
                .read_to_end(&mut plain)
                .unwrap();
        }
        other => panic!("the coding {other}"),
    }
    plain
}
