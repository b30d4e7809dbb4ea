//! Reads HTTP/2 along with hyper and counts the frames that cost a client nothing.
//!
//! hyper bounds streams, header lists, and the streams reset before they were served. What it does
//! not bound is how often a client may make it work for nothing: reset what it has just asked for
//! (CVE-2023-44487), go on with a header block (CVE-2024-27316), send empty or nearly empty frames,
//! settings, pings and priorities (CVE-2019-9512 to -9518). This reader sees the heads of frames
//! (RFC 9113 §4.1), keeps nothing of their payload, and reads no clock: it takes from budgets that
//! the connection's watch refills.

use super::block::Block;

/// Length of the client's preface (RFC 9113 §3.4) and of a frame's head, in bytes.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

/// A budget holds what its rate gives in this time: navigation in a browser cancels a page full of
/// requests at once.
const BURST_SECONDS: u64 = 4;

/// Control frames that come with each request: Firefox widens each stream's window and gives it a
/// priority.
const CONTROL_PER_REQUEST: u64 = 4;

/// Control frames that each DATA frame of ours is answered with, and one more for so many bytes in
/// it: some clients acknowledge each frame, others each 4 KiB, on the stream and the connection.
const CONTROL_PER_DATA: u64 = 2;
const CONTROL_BYTES: u64 = 1024;

/// How many of them a client may save up: those for 128 MiB on their way.
const CONTROL_MAX: u64 = 64 * 1024;

/// DATA frames with less content than this, other than the last of a stream, are nearly empty, in
/// bytes. hyper keeps some hundred bytes for each that nobody has read.
const TINY_BYTES: usize = 64;

/// What a CONTINUATION frame may hold at most, as long as we announce nothing else
/// (RFC 9113 §4.2), in bytes; and how many may follow one HEADERS frame in any case.
const FRAME_BYTES: usize = 16 * 1024;
const CONTINUATIONS_MIN: usize = 5;

/// How many times `headers_max` the fields of a block may be, before the connection is cut instead
/// of its request refused: browsers send each cookie as a field of its own (RFC 9113 §8.2.3).
const FIELDS_FACTOR: usize = 4;

/// h2 answers a head of more than `header_bytes_max` by itself, with a 431 that has nothing but its
/// status: a literal of the static table's `:status` (RFC 7541 §6.2.1), up to so many bytes. From
/// the second on, it is one byte, which may be anything.
const STATUS_LITERAL: u8 = 0x48;
const STATUS_BYTES_MAX: usize = 5;

/// Codes of RST_STREAM (RFC 9113 §7) that tell of no fault of the client's: NO_ERROR,
/// INTERNAL_ERROR, REFUSED_STREAM, CANCEL.
const BLAMELESS: [u8; 4] = [0, 2, 7, 8];

/// ENHANCE_YOUR_CALM (RFC 9113 §7).
const CALM: u32 = 0x0b;

/// What a client did too often.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Flood {
    Resets = 1,
    Control,
    Continuation,
    Empty,
    Refused,
    Fields,
}

impl Flood {
    pub(super) const ALL: [Self; 6] = [
        Self::Resets,
        Self::Control,
        Self::Continuation,
        Self::Empty,
        Self::Refused,
        Self::Fields,
    ];
}

/// How many frames of a kind a client may send per second, for long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) resets: u32,
    pub(super) control: u32,
    pub(super) empty: u32,
    /// Requests that are refused for what they are; nothing: any number.
    pub(super) refused: Option<u32>,
    /// Bytes of a request head.
    pub(super) header_bytes_max: usize,
    /// Fields of a request head.
    pub(super) headers_max: usize,
}

/// Follows both directions of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    preface_left: usize,
    inbound: Scan,
    outbound: Scan,
    resets: Bucket,
    control: Bucket,
    empty: Bucket,
    refused: Option<Bucket>,
    /// Requests refused since they were last taken from that budget.
    refusals: usize,
    /// CONTINUATION frames since the last HEADERS frame.
    continuations: usize,
    continuations_max: usize,
    block: Block,
    fields_max: usize,
    last_stream: u32,
    /// The last frame from the client is part of a header block; and the block goes on after it.
    is_block: bool,
    goes_on: bool,
    /// HEADERS frames since [`Frames::take_heads`].
    heads: usize,
    has_oversize: bool,
}

impl Frames {
    pub(super) fn new(rates: Rates) -> Self {
        let of_head = rates.header_bytes_max / FRAME_BYTES;
        Self {
            preface_left: PREFACE_BYTES,
            inbound: Scan::default(),
            outbound: Scan::default(),
            resets: Bucket::new(rates.resets),
            control: Bucket::new(rates.control),
            empty: Bucket::new(rates.empty),
            refused: rates.refused.map(Bucket::new),
            refusals: 0,
            continuations: 0,
            continuations_max: CONTINUATIONS_MIN.max(of_head + of_head / 4),
            block: Block::default(),
            fields_max: rates.headers_max.saturating_mul(FIELDS_FACTOR),
            last_stream: 0,
            is_block: false,
            goes_on: false,
            heads: 0,
            has_oversize: false,
        }
    }

    /// A request head has begun and is not complete: nothing else may come before its end
    /// (RFC 9113 §4.3).
    pub(super) const fn is_head_open(&self) -> bool {
        self.goes_on || (self.is_block && self.inbound.payload_left > 0)
    }

    /// Request heads that came since this was last asked.
    pub(super) fn take_heads(&mut self) -> usize {
        std::mem::take(&mut self.heads)
    }

    /// A request head was larger than it may be, and h2 has refused it.
    pub(super) const fn has_oversize(&self) -> bool {
        self.has_oversize
    }

    /// Takes the next bytes from the client, `millis` after the connection was opened.
    ///
    /// # Errors
    /// The client floods us; the connection is to be cut.
    pub(super) fn received(&mut self, bytes: &[u8], millis: u64) -> Result<(), Flood> {
        let preface = self.preface_left.min(bytes.len());
        self.preface_left -= preface;
        let mut bytes = bytes.get(preface..).unwrap_or_default();
        loop {
            let payload = self.inbound.payload(&mut bytes);
            if self.is_block && self.block.read(payload) > self.fields_max {
                return Err(Flood::Fields);
            }
            let Some(frame) = self.inbound.next(&mut bytes) else {
                return Ok(());
            };
            self.frame(frame, bytes.first(), millis)?;
        }
    }

    /// So many requests were refused by others than h2 itself, `millis` after the connection was
    /// opened. Returns whether any were, with those that h2 refused since this was last asked.
    ///
    /// # Errors
    /// They are too many; the connection is to be cut.
    pub(super) fn refused(&mut self, others: usize, millis: u64) -> Result<bool, Flood> {
        let count = std::mem::take(&mut self.refusals) + others;
        let Some(refused) = &mut self.refused else {
            return Ok(false);
        };
        let is_enough = (0..count).all(|_| refused.take(millis));
        is_enough.or(Flood::Refused).map(|()| count > 0)
    }

    /// Takes the next bytes that went to the client.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.outbound.next(&mut bytes) {
            if frame.kind == Kind::Data {
                let length = u64::try_from(frame.length).unwrap_or_default();
                let left = self.control.left;
                let more = left + CONTROL_PER_DATA + length / CONTROL_BYTES;
                self.control.left = more.min(CONTROL_MAX.max(left));
            } else if frame.kind == Kind::Headers && frame.is_last() {
                // Nothing else that goes out is so short; but trailers are, in other connections.
                let is_short = frame.length <= STATUS_BYTES_MAX;
                self.has_oversize |= is_short && bytes.first() == Some(&STATUS_LITERAL);
                self.refusals += usize::from(is_short && self.has_oversize);
            } else if frame.kind == Kind::Reset {
                // The code's last byte; the payload of a frame so small is sent with its head.
                let code = bytes.get(3);
                let is_blame = code.is_some_and(|code| !BLAMELESS.contains(code));
                self.refusals += usize::from(is_blame);
            }
        }
    }

    /// The frame that ends the connection (RFC 9113 §6.8), where no other is half sent.
    pub(super) fn farewell(&self) -> Option<Vec<u8>> {
        self.outbound.is_between_frames().then(|| {
            let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
            frame.extend(self.last_stream.to_be_bytes());
            frame.extend(CALM.to_be_bytes());
            frame
        })
    }

    fn frame(&mut self, frame: Head, next: Option<&u8>, millis: u64) -> Result<(), Flood> {
        // A larger frame ends the connection, as h2 sees to (RFC 9113 §4.2).
        let is_block = matches!(frame.kind, Kind::Headers | Kind::Continuation);
        self.is_block = is_block && frame.length <= FRAME_BYTES;
        self.goes_on = self.is_block && !frame.ends_headers();
        let is_enough = match frame.kind {
            Kind::Data => frame.is_last() || !frame.is_tiny(next) || self.empty.take(millis),
            Kind::Headers => {
                self.block
                    .begin(frame.length, frame.is_padded(), frame.has_priority());
                self.continuations = 0;
                self.heads += 1;
                self.last_stream = self.last_stream.max(frame.stream);
                self.control.earn(CONTROL_PER_REQUEST);
                frame.length > 0 || self.empty.take(millis)
            }
            Kind::Continuation => {
                self.block.go_on(frame.length);
                self.continuations += 1;
                if self.continuations > self.continuations_max {
                    return Err(Flood::Continuation);
                }
                frame.length > 0 || self.empty.take(millis)
            }
            Kind::Reset => return self.resets.take(millis).or(Flood::Resets),
            Kind::Control => return self.control.take(millis).or(Flood::Control),
        };
        is_enough.or(Flood::Empty)
    }
}

trait Or {
    fn or(self, flood: Flood) -> Result<(), Flood>;
}

impl Or for bool {
    fn or(self, flood: Flood) -> Result<(), Flood> {
        if self { Ok(()) } else { Err(flood) }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Data,
    Headers,
    Continuation,
    Reset,
    /// PRIORITY, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, and what nobody knows.
    Control,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: usize,
    kind: Kind,
    flags: u8,
    stream: u32,
}

impl Head {
    fn parse([a, b, c, kind, flags, stream @ ..]: [u8; HEAD_BYTES]) -> Self {
        Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind: match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                3 => Kind::Reset,
                9 => Kind::Continuation,
                _ => Kind::Control,
            },
            flags,
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    /// END_STREAM.
    const fn is_last(self) -> bool {
        self.flags & 1 != 0
    }

    /// END_HEADERS, of HEADERS and CONTINUATION.
    const fn ends_headers(self) -> bool {
        self.flags & 4 != 0
    }

    /// PADDED, of DATA and HEADERS.
    const fn is_padded(self) -> bool {
        self.flags & 8 != 0
    }

    /// PRIORITY, of HEADERS.
    const fn has_priority(self) -> bool {
        self.flags & 0x20 != 0
    }

    /// Whether a DATA frame has next to no content. `next` is the first byte of its payload, the
    /// length of its padding if it has any (RFC 9113 §6.1).
    fn is_tiny(self, next: Option<&u8>) -> bool {
        let padding = match next {
            _ if !self.is_padded() => 0,
            Some(length) => usize::from(*length) + 1,
            None => self.length,
        };
        self.length.saturating_sub(padding) < TINY_BYTES
    }
}

/// Finds the heads of frames in bytes that arrive in pieces.
#[derive(Debug, Default)]
struct Scan {
    head: [u8; HEAD_BYTES],
    head_read: usize,
    payload_left: usize,
}

impl Scan {
    /// What of the current frame's payload is in `bytes`, which then begin with what follows it.
    fn payload<'b>(&mut self, bytes: &mut &'b [u8]) -> &'b [u8] {
        let count = self.payload_left.min(bytes.len());
        self.payload_left -= count;
        let (payload, rest) = bytes.split_at_checked(count).unwrap_or_default();
        *bytes = rest;
        payload
    }

    /// The next head in `bytes`, which then begin with what follows it.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        self.payload(bytes);
        let room = self.head.get_mut(self.head_read..).unwrap_or_default();
        let count = room.len().min(bytes.len());
        if count == 0 {
            return None;
        }
        let (now, rest) = bytes.split_at_checked(count)?;
        room.get_mut(..count)?.copy_from_slice(now);
        *bytes = rest;
        self.head_read += count;
        if self.head_read < HEAD_BYTES {
            return None;
        }
        self.head_read = 0;
        let head = Head::parse(self.head);
        self.payload_left = head.length;
        Some(head)
    }

    const fn is_between_frames(&self) -> bool {
        self.head_read == 0 && self.payload_left == 0
    }
}

/// A budget of frames.
#[derive(Debug)]
struct Bucket {
    left: u64,
    rate: u64,
    /// When it was last refilled.
    millis: u64,
}

impl Bucket {
    fn new(rate: u32) -> Self {
        let rate = u64::from(rate);
        Self {
            left: rate * BURST_SECONDS,
            rate,
            millis: 0,
        }
    }

    /// Takes one, unless there is none. Looks at the time only when it is empty.
    fn take(&mut self, millis: u64) -> bool {
        if self.left == 0 {
            let since = millis.saturating_sub(self.millis);
            self.earn(self.rate * since / 1000);
            self.millis = millis;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Adds `count`, up to what a burst may take.
    fn earn(&mut self, count: u64) {
        let most = (self.rate * BURST_SECONDS).max(self.left);
        self.left = self.left.saturating_add(count).min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATES: Rates = Rates {
        resets: 10,
        control: 10,
        empty: 10,
        refused: Some(2),
        headers_max: 10,
        header_bytes_max: 32 * 1024,
    };

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn frames() -> Frames {
        let mut frames = Frames::new(RATES);
        let preface = frames.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0);
        assert_eq!(preface, Ok(()));
        frames
    }

    /// How many of `bytes` go in a row before it is a flood.
    fn until(frames: &mut Frames, bytes: &[u8], millis: u64) -> (usize, Option<Flood>) {
        for count in 0..1000 {
            if let Err(flood) = frames.received(bytes, millis) {
                // As if the connection went on.
                frames.inbound.payload_left = 0;
                return (count, Some(flood));
            }
        }
        (1000, None)
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let mut frames = frames();
        let reset = frame(3, 0, 1, &[0, 0, 0, 8]);
        assert_eq!(until(&mut frames, &reset, 0), (40, Some(Flood::Resets)));
        assert_eq!(until(&mut frames, &reset, 500), (5, Some(Flood::Resets)));
        assert_eq!(until(&mut frames, &reset, 500), (0, Some(Flood::Resets)));
        assert_eq!(
            until(&mut frames, &reset, 99_000),
            (40, Some(Flood::Resets))
        );
    }

    #[test]
    fn control_frames_are_one_budget_and_requests_and_answers_add_to_it() {
        for kind in [2, 4, 6, 8, 99] {
            let mut frames = frames();
            let control = frame(kind, 0, 0, &[0; 8]);
            assert_eq!(until(&mut frames, &control, 0), (40, Some(Flood::Control)));
            let request = frame(1, 5, 1, b"\x82");
            assert_eq!(frames.received(&request, 0), Ok(()));
            assert_eq!(until(&mut frames, &control, 0), (4, Some(Flood::Control)));
            frames.sent(&frame(0, 0, 1, &[0; 16 * 1024]));
            assert_eq!(until(&mut frames, &control, 0), (18, Some(Flood::Control)));
        }
    }

    #[test]
    fn a_header_block_does_not_go_on_for_ever() {
        let mut frames = frames();
        assert_eq!(frames.received(&frame(1, 0, 1, b"\x82"), 0), Ok(()));
        let more = frame(9, 0, 1, b"\x84");
        let flood = Some(Flood::Continuation);
        assert_eq!(until(&mut frames, &more, 0), (5, flood));
        assert_eq!(frames.received(&frame(1, 0, 3, b"\x82"), 0), Ok(()));
        assert_eq!(until(&mut frames, &more, 0), (5, flood));
    }

    #[test]
    fn content_is_no_flood_and_crumbs_of_it_are() {
        let mut frames = frames();
        let full = frame(0, 0, 1, &[7; 100]);
        assert_eq!(until(&mut frames, &full, 0), (1000, None));
        let last = frame(0, 1, 1, b"");
        assert_eq!(until(&mut frames, &last, 0), (1000, None));
        let padded = frame(0, 8, 1, &[99; 100]);
        assert_eq!(until(&mut frames, &padded, 0), (40, Some(Flood::Empty)));
        for crumb in [b"".as_slice(), b"x"] {
            let crumb = frame(0, 0, 1, crumb);
            assert_eq!(until(&mut frames, &crumb, 0), (0, Some(Flood::Empty)));
        }
    }

    #[test]
    fn a_head_is_open_until_its_block_ends() {
        let mut frames = frames();
        let whole = frame(1, 5, 1, b"\x82\x84");
        assert_eq!(frames.received(&whole[..10], 0), Ok(()));
        assert!(frames.is_head_open());
        assert_eq!(frames.received(&whole[10..], 0), Ok(()));
        assert!(!frames.is_head_open());
        assert_eq!(frames.received(&frame(1, 1, 3, b"\x82"), 0), Ok(()));
        assert!(frames.is_head_open());
        assert_eq!(frames.received(&frame(9, 4, 3, b"\x84"), 0), Ok(()));
        assert!(!frames.is_head_open());
        assert_eq!(frames.take_heads(), 2);
        assert_eq!(frames.take_heads(), 0);
    }

    #[test]
    fn what_h2_refuses_is_seen() {
        let mut frames = frames();
        // A response with more than its status, and trailers.
        frames.sent(&frame(1, 5, 1, b"\x48\x83\x69\x90\xff\x61\x96"));
        frames.sent(&frame(1, 5, 1, b"\xbe"));
        assert!(!frames.has_oversize());
        frames.sent(&frame(1, 5, 3, b"\x48\x83\x69\x90\xff"));
        assert!(frames.has_oversize());
    }

    #[test]
    fn farewell_is_said_between_frames_only() {
        let mut frames = frames();
        assert_eq!(frames.received(&frame(1, 5, 7, b"\x82"), 0), Ok(()));
        let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x07\0\0\0\x0b";
        assert_eq!(frames.farewell().as_deref(), Some(&goaway[..]));
        frames.sent(&frame(0, 0, 7, b"abc")[..10]);
        assert_eq!(frames.farewell(), None);
        frames.sent(b"bc");
        assert!(frames.farewell().is_some());
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0_usize..900, 0..20)) {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            for stream in 0..30 {
                bytes.extend(frame(1, 5, stream, b"\x82\x84\x86"));
                bytes.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut frames = Frames::new(RATES);
            for pair in cuts.windows(2) {
                prop_assert_eq!(frames.received(&bytes[pair[0]..pair[1]], 0), Ok(()));
            }
            prop_assert_eq!(frames.resets.left, 10);
            prop_assert_eq!(frames.last_stream, 29);
        }
    }
}
