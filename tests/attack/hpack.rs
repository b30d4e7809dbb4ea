//! Header blocks (RFC 7541) and frames (RFC 9113 §4.1), written by hand, so that they can be wrong.

/// Kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags; the first is ACK with SETTINGS and PING.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// SETTINGS_INITIAL_WINDOW_SIZE.
pub(crate) const WINDOW: u16 = 4;

/// Entries of the static table.
const STATUSES: [(u8, u16); 7] = [
    (8, 200),
    (9, 204),
    (10, 206),
    (11, 304),
    (12, 400),
    (13, 404),
    (14, 500),
];

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a client begins with.
pub(crate) fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend(frame(SETTINGS, 0, 0, &payload));
    preface
}

/// A header block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block(pub(crate) Vec<u8>);

impl Block {
    /// The pseudo fields of a GET over http.
    pub(crate) fn get(host: &str, path: &str) -> Self {
        Self::default()
            .entry(2)
            .entry(6)
            .literal(":path", path)
            .literal(":authority", host)
    }

    /// The same for a POST.
    pub(crate) fn post(host: &str, path: &str) -> Self {
        Self::default()
            .entry(3)
            .entry(6)
            .literal(":path", path)
            .literal(":authority", host)
    }

    /// A field from the tables; 62 is the one that was added last (RFC 7541 §2.3.3).
    pub(crate) fn entry(mut self, index: usize) -> Self {
        self.number(0x80, 7, index);
        self
    }

    /// A field that is not added to the table.
    pub(crate) fn literal(mut self, name: &str, value: &str) -> Self {
        self.0.push(0);
        self.text(name.as_bytes());
        self.text(value.as_bytes());
        self
    }

    /// A field that is added to the table.
    pub(crate) fn indexed(mut self, name: &str, value: &str) -> Self {
        self.0.push(0x40);
        self.text(name.as_bytes());
        self.text(value.as_bytes());
        self
    }

    /// A request without content, or the head of one.
    pub(crate) fn request(&self, stream: u32, is_last: bool) -> Vec<u8> {
        let flags = END_HEADERS | if is_last { END_STREAM } else { 0 };
        frame(HEADERS, flags, stream, &self.0)
    }

    fn text(&mut self, text: &[u8]) {
        self.number(0, 7, text.len());
        self.0.extend(text);
    }

    /// RFC 7541 §5.1.
    fn number(&mut self, first: u8, bits: u32, number: usize) {
        let most = (1 << bits) - 1;
        if number < most {
            self.0.push(first | u8::try_from(number).unwrap());
            return;
        }
        self.0.push(first | u8::try_from(most).unwrap());
        let mut left = number - most;
        while left >= 128 {
            self.0.push(u8::try_from(left % 128).unwrap() | 0x80);
            left /= 128;
        }
        self.0.push(u8::try_from(left).unwrap());
    }
}

/// The status in the first header block of a connection, where `:status` comes first.
pub(crate) fn status(block: &[u8]) -> Option<u16> {
    // A change of the table's size may stand before it.
    let changes = block
        .iter()
        .take_while(|byte| **byte & 0xe0 == 0x20)
        .count();
    let block = &block[changes..];
    let first = *block.first()?;
    if first & 0x80 != 0 {
        let known = STATUSES.iter().find(|(index, _)| *index == first & 0x7f);
        return known.map(|(_, status)| *status);
    }
    let length = *block.get(1)?;
    let text = block.get(2..2 + usize::from(length & 0x7f))?;
    let digits = match length & 0x80 {
        0 => String::from_utf8(text.to_vec()).ok()?,
        _ => huffman_digits(text),
    };
    digits.parse().ok()
}

/// RFC 7541 Appendix B: 0, 1 and 2 have five bits, the other digits six.
fn huffman_digits(text: &[u8]) -> String {
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |all, bit| all << 1 | bit);
    let (mut digits, mut at) = (String::new(), 0);
    while let Some(five) = bits.get(at..at + 5) {
        if number(five) < 3 {
            digits.push(char::from(b'0' + number(five)));
            at += 5;
            continue;
        }
        match bits.get(at..at + 6).map(number) {
            Some(six @ 0x19..=0x1f) => digits.push(char::from(b'3' + six - 0x19)),
            _ => break,
        }
        at += 6;
    }
    digits
}

#[test]
fn statuses_are_read_in_every_form() {
    assert_eq!(status(&[0x88]), Some(200));
    assert_eq!(status(&[0x20, 0x8c]), Some(400));
    assert_eq!(status(&[0x48, 3, b'4', b'3', b'1']), Some(431));
    // "302" in RFC 7541 §C.6.1.
    assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
    let block = Block::default().literal("a", &"b".repeat(300));
    assert_eq!(block.0[..6], [0, 1, b'a', 0x7f, 173, 1]);
}
