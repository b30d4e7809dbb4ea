//! The reader of HTTP/1 heads: it finds the same however the bytes are cut, and whatever of the
//! first head could be read in two ways has a flaw (RFC 9112 §11.2).

#![no_main]

use cms_edge::server::fuzzing::{heads, host_name};
use cms_edge_fuzz::{pattern, pieces};
use libfuzzer_sys::fuzz_target;

const LENGTHS_SAFE: usize = 1;

fuzz_target!(|data: &[u8]| {
    let Some((pattern, data)) = pattern(data) else {
        return;
    };
    let whole = heads([data]);
    assert_eq!(heads(pieces(data, pattern)), whole, "in pieces");
    assert_eq!(heads(data.chunks(1)), whole, "byte by byte");
    assert!(whole.is_within_message || !whole.is_open);
    if let Some(host) = host_name(data) {
        assert!(!host.is_empty());
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    // Empty lines in front are the reader's to skip, and the other parser's, in other numbers.
    if data.starts_with(b"\r") || data.starts_with(b"\n") {
        return;
    }
    let Ok(httparse::Status::Complete(length)) = request.parse(data) else {
        return;
    };
    let count = |name: &str| {
        let fields = request.headers.iter();
        fields
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .count()
    };
    let lengths = count("content-length");
    let is_ambiguous = lengths > LENGTHS_SAFE || lengths == 1 && count("transfer-encoding") > 0;
    let head = &data[..length];
    let has_bare_lf = head
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'\n' && (at == 0 || head[at - 1] != b'\r'));
    let is_found = matches!(whole.flaw, Some((1, _)));
    assert!(
        is_found || !(is_ambiguous || has_bare_lf),
        "{:?}",
        String::from_utf8_lossy(head)
    );
});
