//! Reads HTTP/1 along with hyper, to find the framing that hyper lets pass.
//!
//! hyper accepts a bare LF as the end of a line and drops the Content-Length of a request that
//! also has Transfer-Encoding before anyone sees it. Both are the raw material of request
//! smuggling (RFC 9112 §11.2), so this reader looks at the bytes themselves. It only ever refuses
//! more than hyper does: should the two disagree on where a head begins, hyper's view is served.

use memchr::memchr;

/// How much of a line is kept when it arrives in pieces, in bytes: the field name and any
/// Content-Length fit.
const KEPT_MAX: usize = 64;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("a line of the request head ends without CR")]
    BareLf,
    #[error("the request has both Transfer-Encoding and Content-Length")]
    TwoLengths,
    #[error("the request has more than one Content-Length, or one that is no number")]
    Length,
}

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    state: State,
    /// Number of the head that is being read or was read last, from 1.
    number: u64,
    lines: usize,
    length: Option<u64>,
    chunked: bool,
    kept: Vec<u8>,
    flaw: Option<(u64, Flaw)>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Content(u64),
    /// Not followed any further: the connection ends with this request.
    Last,
}

impl HeadReader {
    /// Takes the next bytes of the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Last => return,
                State::Content(left) => self.skip(left, bytes),
                State::Head => self.read_line(bytes),
            };
        }
    }

    /// A head has begun and is not complete.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Head) && (self.lines > 0 || !self.kept.is_empty())
    }

    /// The client may be sending what nobody will read.
    pub(super) fn is_within_message(&self) -> bool {
        self.is_open() || !matches!(self.state, State::Head)
    }

    /// The number of the first head that must be refused, from 1, and why.
    pub(super) fn flaw(&self) -> Option<(u64, Flaw)> {
        self.flaw
    }

    fn skip<'a>(&mut self, left: u64, bytes: &'a [u8]) -> &'a [u8] {
        let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(left);
        self.state = match left - here {
            0 => State::Head,
            left => State::Content(left),
        };
        let here = usize::try_from(here).unwrap_or(bytes.len());
        bytes.get(here..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((line, rest)) = memchr(b'\n', bytes)
            .and_then(|end| bytes.split_at_checked(end))
            .and_then(|(line, rest)| Some((line, rest.split_first()?.1)))
        else {
            self.keep(bytes);
            return &[];
        };
        if self.kept.is_empty() {
            self.line(line);
        } else {
            self.keep(line);
            let mut kept = std::mem::take(&mut self.kept);
            self.line(&kept);
            kept.clear();
            self.kept = kept;
        }
        rest
    }

    /// Keeps the beginning of a line that arrives in pieces, and always its last byte.
    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        if piece.len() <= room {
            self.kept.extend_from_slice(piece);
        } else if let Some(last) = piece.last() {
            self.kept.extend(piece.iter().take(room));
            self.kept.truncate(KEPT_MAX - 1);
            self.kept.push(*last);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Some((b'\r', line)) = line.split_last() else {
            return self.refuse(Flaw::BareLf);
        };
        match (line.is_empty(), self.lines) {
            // RFC 9112 §2.2: an empty line before the request line is ignored.
            (true, 0) => return,
            (true, _) => return self.end(),
            (false, 0) => self.number += 1,
            (false, _) => self.field(line),
        }
        self.lines += 1;
    }

    fn field(&mut self, line: &[u8]) {
        // What would not be kept of a line in pieces counts in no line.
        let line = line.get(..KEPT_MAX - 1).unwrap_or(line);
        let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
        else {
            return;
        };
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            let length = digits(value).filter(|_| line.len() < KEPT_MAX - 1);
            if self.length.is_some() || length.is_none() {
                return self.refuse(Flaw::Length);
            }
            self.length = length;
        }
    }

    fn end(&mut self) {
        if self.chunked && self.length.is_some() {
            return self.refuse(Flaw::TwoLengths);
        }
        self.state = match self.length.take() {
            // Chunked content is not followed; its connection is closed after the answer.
            _ if self.chunked => State::Last,
            None | Some(0) => State::Head,
            Some(length) => State::Content(length),
        };
        self.lines = 0;
    }

    fn refuse(&mut self, flaw: Flaw) {
        let number = if self.lines == 0 {
            self.number + 1
        } else {
            self.number
        };
        self.flaw.get_or_insert((number, flaw));
        self.state = State::Last;
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> HeadReader {
        let mut reader = HeadReader::default();
        reader.read(bytes);
        reader
    }

    #[test]
    fn a_long_field_name_is_the_same_in_pieces() {
        let name = format!("Content-Length{}", " ".repeat(60));
        let bytes = format!("POST / HTTP/1.1\r\n{name}: x\r\nHost: a\r\n\r\n").into_bytes();
        let mut pieces = HeadReader::default();
        bytes.chunks(7).for_each(|piece| pieces.read(piece));
        assert_eq!(read(&bytes).flaw(), pieces.flaw());
    }

    #[test]
    fn plain_requests_have_no_flaw() {
        let reader = read(
            b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\n\nGET / HTTP/1.1\r\nHost: b\r\n",
        );
        assert_eq!(reader.flaw(), None);
        assert_eq!(reader.number, 3);
        assert!(reader.is_open());
    }

    #[test]
    fn the_content_of_a_message_is_not_taken_for_a_head() {
        let reader = read(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET /\n\n\n\n");
        assert_eq!(reader.flaw(), None);
        assert!(!reader.is_within_message());
    }

    #[test]
    fn a_bare_lf_is_a_flaw_of_the_head_it_stands_in() {
        let reader = read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\nHost: a\r\n\r\n");
        assert_eq!(reader.flaw(), Some((2, Flaw::BareLf)));
    }

    #[test]
    fn two_lengths_are_a_flaw_in_either_order() {
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            "TRANSFER-ENCODING:x\r\nCONTENT-LENGTH:3",
        ] {
            let reader = read(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes());
            assert_eq!(reader.flaw(), Some((1, Flaw::TwoLengths)), "{fields}");
        }
    }

    #[test]
    fn a_repeated_or_odd_content_length_is_a_flaw() {
        for value in [
            "3\r\nContent-Length: 3",
            "+3",
            "3, 3",
            "0x3",
            "",
            "99999999999999999999",
        ] {
            let reader =
                read(format!("POST / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n").as_bytes());
            assert_eq!(reader.flaw(), Some((1, Flaw::Length)), "{value}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_long_line_but_its_beginning() {
        let mut reader = read(b"GET /");
        for _ in 0..1000 {
            reader.read(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
            assert!(reader.kept.len() <= KEPT_MAX);
        }
        reader.read(b" HTTP/1.1\r");
        reader.read(b"\nHost: a\r\n\r\n");
        assert_eq!(reader.flaw(), None);
        assert!(!reader.is_open());
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0_usize..130, 0..6)) {
            let text = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /yy HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut reader = HeadReader::default();
            for pair in cuts.windows(2) {
                reader.read(&text[pair[0]..pair[1]]);
            }
            prop_assert_eq!(reader.flaw(), Some((2, Flaw::TwoLengths)));
        }
    }
}
