//! Counts the fields of a header block of HTTP/2 before anybody decodes it (RFC 7541 §6).
//!
//! A byte on the wire may be a field of some thousand bytes, and what h2 makes of a block of many
//! fields costs more than a hit. This reader only finds where representations end: it keeps no
//! table, decodes no string, and leaves everything malformed to h2.

/// Reads the fragments of one block after the other.
#[derive(Debug, Default)]
pub(super) struct Block {
    step: Step,
    /// Strings of the current representation that are still to come.
    strings: u8,
    fields: usize,
    /// Bytes at the front of the current frame that are not of the block.
    front: usize,
    /// The first of them is the length of the padding.
    is_padded: bool,
    /// What of the frame is padding.
    padding: usize,
    /// Bytes of the frame that are still to come.
    left: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    /// A representation begins.
    #[default]
    Field,
    /// An integer goes on (RFC 7541 §5.1), which nobody needs.
    Index,
    /// A string begins.
    Length,
    /// The length of a string goes on: what is known of it, and how far it is to be shifted.
    LengthOn(usize, u32),
    /// So many bytes of a string are still to come.
    Skip(usize),
}

/// Bytes of the priority in a HEADERS frame (RFC 9113 §6.2).
const PRIORITY_BYTES: usize = 5;

impl Block {
    /// A HEADERS frame of `length` bytes begins a block.
    pub(super) fn begin(&mut self, length: usize, is_padded: bool, has_priority: bool) {
        *self = Self {
            front: usize::from(is_padded) + if has_priority { PRIORITY_BYTES } else { 0 },
            is_padded,
            left: length,
            ..Self::default()
        };
    }

    /// A CONTINUATION frame of `length` bytes goes on with it.
    pub(super) const fn go_on(&mut self, length: usize) {
        (self.front, self.is_padded, self.padding, self.left) = (0, false, 0, length);
    }

    /// Takes the next bytes of the frame; how many fields the block has had by now.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> usize {
        self.left = self.left.saturating_sub(bytes.len());
        if std::mem::take(&mut self.is_padded) {
            match bytes.first() {
                Some(length) => self.padding = usize::from(*length),
                None => self.is_padded = true,
            }
        }
        let front = self.front.min(bytes.len());
        self.front -= front;
        // Of the padding, as much is in these bytes as does not fit into those that follow.
        let padding = self.padding.saturating_sub(self.left);
        let end = bytes.len().saturating_sub(padding);
        bytes = bytes.get(front..end).unwrap_or_default();
        while let Some((first, rest)) = bytes.split_first() {
            if let Step::Skip(left) = self.step {
                let now = left.min(bytes.len());
                bytes = bytes.get(now..).unwrap_or_default();
                self.skip(left - now);
            } else {
                bytes = rest;
                self.byte(*first);
            }
        }
        self.fields
    }

    fn byte(&mut self, byte: u8) {
        match self.step {
            Step::Field => self.field(byte),
            Step::Index if byte & 0x80 == 0 => self.next_string(),
            Step::Length if byte & 0x7f == 0x7f => self.step = Step::LengthOn(0x7f, 0),
            Step::Length => self.skip(usize::from(byte & 0x7f)),
            Step::LengthOn(known, shift) => {
                let more = usize::from(byte & 0x7f)
                    .checked_shl(shift)
                    .unwrap_or(usize::MAX);
                let known = known.saturating_add(more);
                match byte & 0x80 {
                    0 => self.skip(known),
                    _ => self.step = Step::LengthOn(known, shift.saturating_add(7)),
                }
            }
            Step::Index | Step::Skip(_) => {}
        }
    }

    /// The first byte of a representation (RFC 7541 §6.1 to §6.3).
    fn field(&mut self, byte: u8) {
        let (prefix, is_field, has_value) = match byte {
            0x80.. => (0x7f, true, false),
            0x40.. => (0x3f, true, true),
            0x20.. => (0x1f, false, false),
            _ => (0x0f, true, true),
        };
        self.fields += usize::from(is_field);
        let index = byte & prefix;
        // An index of 0: the name is a string, too.
        self.strings = u8::from(has_value) + u8::from(has_value && index == 0);
        if index == prefix {
            self.step = Step::Index;
        } else {
            self.next_string();
        }
    }

    fn next_string(&mut self) {
        self.step = match self.strings.checked_sub(1) {
            Some(left) => {
                self.strings = left;
                Step::Length
            }
            None => Step::Field,
        };
    }

    fn skip(&mut self, left: usize) {
        match left {
            0 => self.next_string(),
            _ => self.step = Step::Skip(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The fields of a block, sent in pieces of `size` bytes.
    fn fields(block: &[u8], size: usize) -> usize {
        let mut reader = Block::default();
        reader.begin(block.len(), false, false);
        block
            .chunks(size)
            .map(|piece| reader.read(piece))
            .last()
            .unwrap_or_default()
    }

    /// A literal with a name of its own, without Huffman coding.
    fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        for text in [name, value] {
            let length = text.len();
            if length < 0x7f {
                bytes.push(u8::try_from(length).unwrap());
            } else {
                bytes.push(0x7f);
                let mut rest = length - 0x7f;
                while rest >= 0x80 {
                    bytes.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
                    rest /= 0x80;
                }
                bytes.push(u8::try_from(rest).unwrap());
            }
            bytes.extend(text);
        }
        bytes
    }

    /// RFC 7541 appendix C.2 and C.3.
    #[test]
    fn the_examples_of_the_rfc_are_counted() {
        for (block, count) in [
            (&b"\x40\x0acustom-key\x0dcustom-header"[..], 1),
            (b"\x04\x0c/sample/path", 1),
            (b"\x10\x08password\x06secret", 1),
            (b"\x82", 1),
            (b"\x82\x86\x84\x41\x0fwww.example.com", 4),
            (b"\x82\x86\x84\xbe\x58\x08no-cache", 5),
        ] {
            for size in 1..=block.len() {
                assert_eq!(fields(block, size), count, "{block:?} by {size}");
            }
        }
    }

    /// RFC 7541 §5.1, §6.3.
    #[test]
    fn long_integers_and_changes_of_the_table_are_no_fields() {
        assert_eq!(fields(b"\x3f\xe1\x1f\x20\x82", 1), 1);
        assert_eq!(fields(b"\xff\x80\x80\x01\x82", 1), 2);
        assert_eq!(fields(b"\x7f\x90\x01\x01x\x82", 1), 2);
    }

    /// RFC 9113 §6.2.
    #[test]
    fn padding_and_priority_are_not_of_the_block() {
        let frame = b"\x03\x00\x00\x00\x00\xc8\x82\x84\x82\x82\x82";
        for size in 1..=frame.len() {
            let mut reader = Block::default();
            reader.begin(frame.len(), true, true);
            let count = frame.chunks(size).map(|piece| reader.read(piece)).last();
            assert_eq!(count, Some(2), "by {size}");
        }
    }

    #[test]
    fn a_block_goes_on_in_the_next_frame() {
        let mut reader = Block::default();
        reader.begin(3, false, false);
        assert_eq!(reader.read(b"\x82\x40\x0a"), 2);
        reader.go_on(25);
        assert_eq!(reader.read(b"custom-key\x0dcustom-header\x84"), 3);
    }

    proptest! {
        #[test]
        fn fields_are_counted_however_long_and_however_they_arrive(
            lengths in proptest::collection::vec((0_usize..400, 0_usize..40_000), 0..20),
            first in prop::sample::select(vec![0x00_u8, 0x10, 0x40]),
            size in 1_usize..20_000,
        ) {
            let block: Vec<u8> = lengths
                .iter()
                .flat_map(|(name, value)| literal(first, &vec![b'n'; *name], &vec![b'v'; *value]))
                .collect();
            prop_assert_eq!(fields(&block, size), lengths.len());
        }

        #[test]
        fn anything_is_read_to_its_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..300,
        ) {
            prop_assert_eq!(fields(&bytes, size), fields(&bytes, 1));
            prop_assert!(fields(&bytes, size) <= bytes.len());
        }
    }
}
