//! The head of a stored response in one compact block.
//!
//! A `HeaderMap` of ten fields takes more than a kilobyte beside its text; a cache of small
//! documents would hold mostly that. A [`Head`] is the text of two maps: the fields that clients
//! are sent, and the origin's own fields where those differ, which validation needs.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};

use crate::fields::date;

/// Both maps, serialised: fields of the client's, then those the origin sent otherwise.
#[derive(Clone, Debug)]
pub struct Head {
    /// Fields as `[name][value length: u32][value]`; see [`write_name`].
    block: Bytes,
    /// Where the origin's own fields begin.
    origin_at: u32,
    client_fields: u16,
}

/// Names that take one byte in a block, because nearly every response has them. The position is
/// part of the stored format: add at the end only.
const COMMON: [HeaderName; 28] = [
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CACHE_CONTROL,
    header::VARY,
    header::SERVER,
    header::CONTENT_LANGUAGE,
    header::VIA,
    header::EXPIRES,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
    header::REFERRER_POLICY,
    header::STRICT_TRANSPORT_SECURITY,
    header::CONTENT_SECURITY_POLICY,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::LOCATION,
    header::LINK,
    header::ALLOW,
    header::X_XSS_PROTECTION,
    header::X_DNS_PREFETCH_CONTROL,
    header::CONTENT_LOCATION,
    header::ALT_SVC,
];

/// Where `Date` is in [`COMMON`].
const DATE_MARK: u8 = 1;

/// Marks a name that is spelled out: its length as `u16`, then its text.
const SPELLED: u8 = u8::MAX;

impl Head {
    /// `client` is what clients are sent; of `origin`, what the origin sent, only the fields that
    /// are otherwise in `client` are kept.
    pub fn new(client: &HeaderMap, origin: &HeaderMap) -> Self {
        let mut block = BytesMut::with_capacity(512);
        let mut client_fields: u16 = 0;
        for (name, value) in client {
            write_field(&mut block, name, value);
            client_fields = client_fields.saturating_add(1);
        }
        let origin_at = u32::try_from(block.len()).unwrap_or(u32::MAX);
        for name in differing(client, origin) {
            let mut values = origin.get_all(name).iter().peekable();
            if values.peek().is_none() {
                write_absence(&mut block, name);
            }
            for value in values {
                write_field(&mut block, name, value);
            }
        }
        Self {
            // Of exactly this size: the buffer has grown with room to spare.
            block: Bytes::copy_from_slice(&block),
            origin_at,
            client_fields,
        }
    }

    /// The fields to send to a client, with room for a few more.
    pub fn client(&self) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(usize::from(self.client_fields) + 6);
        let mut at = 0;
        while at < self.origin_at as usize {
            let Some(field) = read_field(&self.block, &mut at) else {
                break;
            };
            if let Some(value) = field.value {
                fields.append(field.name, value);
            }
        }
        fields
    }

    /// The fields as the origin sent them.
    pub fn origin(&self) -> HeaderMap {
        let mut fields = self.client();
        let mut at = self.origin_at as usize;
        let mut own = Vec::new();
        while let Some(field) = read_field(&self.block, &mut at) {
            fields.remove(&field.name);
            own.push(field);
        }
        for Field { name, value } in own {
            if let Some(value) = value {
                fields.append(name, value);
            }
        }
        fields
    }

    /// What the origin's `Date` says, in seconds since the epoch, as [`date::of`] reads it, without
    /// making a map.
    pub(super) fn origin_date(&self) -> Option<u64> {
        let origin_at = self.origin_at as usize;
        let (lines, value) = match self.dates(origin_at, self.block.len()) {
            (0, _) => self.dates(0, origin_at),
            own => own,
        };
        date::parse_bytes(value.filter(|_| lines == 1)?)
    }

    /// How many fields are called `Date` between two places of the block, and the value of the last.
    /// An absent one is empty.
    fn dates(&self, mut at: usize, end: usize) -> (usize, Option<&[u8]>) {
        let (mut lines, mut value) = (0, None);
        while at < end {
            let begin = at;
            if skip_field(&self.block, &mut at).is_none() {
                break;
            }
            if self.block.get(begin) == Some(&DATE_MARK) {
                lines += 1;
                value = self.block.get(begin + 1 + size_of::<u32>()..at);
            }
        }
        (lines, value)
    }

    pub(super) const fn weight(&self) -> usize {
        self.block.len()
    }

    /// The block, where the origin's own fields begin in it, and how many fields are the client's.
    pub(super) const fn raw(&self) -> (&Bytes, u32, u16) {
        (&self.block, self.origin_at, self.client_fields)
    }

    /// What [`Head::raw`] gave. Nothing if it is not such a block.
    pub(super) fn from_raw(block: Bytes, origin_at: u32, client_fields: u16) -> Option<Self> {
        let mut at = 0;
        for _ in 0..client_fields {
            skip_field(&block, &mut at)?;
        }
        if at != origin_at as usize {
            return None;
        }
        let mut origin_fields = 0;
        while at < block.len() {
            skip_field(&block, &mut at)?;
            origin_fields += 1;
        }
        let is_whole = usize::from(client_fields) + origin_fields <= FIELDS_MAX;
        is_whole.then_some(Self {
            block,
            origin_at,
            client_fields,
        })
    }
}

/// Fields in both maps together. More would not come from a response that was let in.
const FIELDS_MAX: usize = 10_000;

/// Names whose values are not the same in both maps.
fn differing<'a>(
    client: &'a HeaderMap,
    origin: &'a HeaderMap,
) -> impl Iterator<Item = &'a HeaderName> {
    let differs = move |name: &&HeaderName| {
        !client
            .get_all(*name)
            .iter()
            .eq(origin.get_all(*name).iter())
    };
    origin.keys().filter(differs).chain(
        client
            .keys()
            .filter(move |name| !origin.contains_key(*name)),
    )
}

struct Field {
    name: HeaderName,
    /// Nothing: the origin sent no such field.
    value: Option<HeaderValue>,
}

/// In place of a value's length: the field is absent.
const ABSENT: u32 = u32::MAX;

fn write_field(block: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    write_name(block, name);
    block.put_u32(u32::try_from(value.len()).unwrap_or(0));
    block.put_slice(value.as_bytes());
}

fn write_absence(block: &mut BytesMut, name: &HeaderName) {
    write_name(block, name);
    block.put_u32(ABSENT);
}

fn write_name(block: &mut BytesMut, name: &HeaderName) {
    let common = COMMON.iter().position(|common| common == name);
    if let Some(index) = common.and_then(|index| u8::try_from(index).ok()) {
        block.put_u8(index);
        return;
    }
    block.put_u8(SPELLED);
    block.put_u16(u16::try_from(name.as_str().len()).unwrap_or(u16::MAX));
    block.put_slice(name.as_str().as_bytes());
}

/// Moves `at` behind the field there. `None` where it does not fit into the block; whether it is a
/// field is seen when it is read.
fn skip_field(block: &Bytes, at: &mut usize) -> Option<()> {
    let piece = |from: usize, length: usize| block.get(from..from.checked_add(length)?);
    let mark = *block.get(*at)?;
    let mut next = *at + 1;
    if mark == SPELLED {
        let length = piece(next, 2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        piece(next + 2, length)?;
        next += 2 + length;
    } else {
        COMMON.get(usize::from(mark))?;
    }
    let length = u32::from_be_bytes(piece(next, 4)?.try_into().ok()?);
    next += 4;
    if length != ABSENT {
        piece(next, length as usize)?;
        next += length as usize;
    }
    *at = next;
    Some(())
}

/// The field at `at`, which moves behind it. `None` at the end, and for anything malformed: what
/// comes from another process is not trusted.
fn read_field(block: &Bytes, at: &mut usize) -> Option<Field> {
    let mark = *block.get(*at)?;
    *at += 1;
    let name = if mark == SPELLED {
        let length = block.get(*at..*at + 2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        *at += 2;
        let text = block.get(*at..*at + length)?;
        *at += length;
        HeaderName::from_bytes(text).ok()?
    } else {
        COMMON.get(usize::from(mark))?.clone()
    };
    let length = block.get(*at..*at + 4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    *at += 4;
    if length == ABSENT {
        return Some(Field { name, value: None });
    }
    let end = at.checked_add(length as usize)?;
    block.get(*at..end)?;
    let value = HeaderValue::from_maybe_shared(block.slice(*at..end)).ok()?;
    *at = end;
    Some(Field {
        name,
        value: Some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn both_maps_come_back() {
        let origin = headers(&[
            ("content-type", "application/json"),
            ("cache-control", "no-cache"),
            ("surrogate-key", "a b"),
            ("x-powered-by", "a cms"),
            ("link", "<a>"),
            ("link", "<b>"),
        ]);
        let client = headers(&[
            ("content-type", "application/json"),
            ("cache-control", "max-age=0, must-revalidate"),
            ("etag", "\"own\""),
            ("x-powered-by", "a cms"),
            ("link", "<a>"),
            ("link", "<b>"),
        ]);
        let head = Head::new(&client, &origin);
        assert_eq!(head.client(), client);
        assert_eq!(head.origin(), origin);
    }

    #[test]
    fn the_origins_date_is_found_without_a_map() {
        let (early, late) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        );
        let cases: [[&[(&'static str, &'static str)]; 2]; 6] = [
            [&[("date", early)], &[("date", early)]],
            [
                &[("date", late), ("server", "a")],
                &[("date", early), ("server", "b")],
            ],
            [&[("date", late)], &[]],
            [&[], &[("date", early)]],
            [&[("date", early)], &[("date", early), ("date", late)]],
            [&[("etag", "\"a\""), ("date", "soon")], &[("date", "soon")]],
        ];
        for [client, origin] in cases {
            let head = Head::new(&headers(client), &headers(origin));
            let expected = date::of(&headers(origin), &header::DATE);
            assert_eq!(head.origin_date(), expected, "{client:?} {origin:?}");
        }
    }

    #[test]
    fn a_block_that_is_cut_short_ends_and_does_not_panic() {
        let client = headers(&[("content-type", "a"), ("x-long-name", "value")]);
        let whole = Head::new(&client, &client);
        for end in 0..whole.block.len() {
            let cut = Head {
                block: whole.block.slice(..end),
                ..whole.clone()
            };
            assert!(cut.client().len() <= 2);
        }
    }
}
