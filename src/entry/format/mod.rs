//! The bytes of a stored response outside this process, and the one guarded way back.
//!
//! A value says how long it is, carries a checksum over all of it, and names the full key it was
//! stored under. Whoever reads one trusts nothing in it: every length is checked against what is
//! there, and whatever does not add up is [`Corrupt`], a miss. Numbers are big-endian.
//!
//! ```text
//! magic "cmse" · version u16 · length of the whole u32 · xxh3-64 of what follows u64
//! primary key u32+text · secondary key u32+text
//! generation u64 · position u64 · response time u64 (ms)
//! status u16 · lifetime source u8 · flags u8 · four spans of u64 s + u32 ns
//! vary: count u8, each u16+text · tags: count u32, each u64
//! head: where the origin's part begins u32 · fields of the client's u16 · u32+block
//! content: coding u8 · codings that are there u8 (a bit each) · each u32+bytes
//! ```

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use http::{HeaderName, StatusCode};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::head::Head;
use super::scope::ScopeHash;
use super::{Content, StoredResponse, Tags};
use crate::clock::Timestamp;
use crate::exchange::{Fence, Generation, Position};
use crate::fields::accept_encoding::Coding;
use crate::fields::vary::{NAMES_MAX, Vary};
use crate::key::EntryKey;
use crate::policy::freshness::{Lifetime, Source};
use crate::policy::storability::Terms;

/// The version of the format. Stores name it in their keys, so that instances of different
/// versions do not meet.
pub const VERSION: u16 = 1;

/// Why bytes are not the stored response that was looked for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Corrupt {
    #[error("they do not begin as a stored response does")]
    Magic,
    #[error("they are of another version of the format")]
    Version,
    #[error("they are longer or shorter than they say")]
    Length,
    #[error("their checksum is wrong")]
    Checksum,
    #[error("they were stored under another key")]
    Key,
    #[error("their {0} makes no sense")]
    Field(&'static str),
}

const MAGIC: [u8; 4] = *b"cmse";
/// Magic, version, length, checksum.
const PREFIX_BYTES: usize = 4 + 2 + 4 + 8;
const CODINGS: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Brotli];

const NO_CACHE: u8 = 1;
const MUST_REVALIDATE: u8 = 1 << 1;
const IMMUTABLE: u8 = 1 << 2;
const NO_TRANSFORM: u8 = 1 << 3;
const TRANSFORMABLE: u8 = 1 << 4;
const FLAGS: u8 = (1 << 5) - 1;

/// Longer than any lifetime, window or age that an origin or an operator can give, in seconds; sums
/// of a few of them cannot overflow.
const SPAN_SECONDS_MAX: u64 = 1 << 40;

/// Nothing: it is larger than the format can say (4 GiB).
pub fn encode(entry: &StoredResponse) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(entry.weight());
    out.put_slice(&MAGIC);
    out.put_u16(VERSION);
    out.put_bytes(0, PREFIX_BYTES - 6);
    put_sized(&mut out, entry.key.primary().as_str().as_bytes())?;
    put_sized(&mut out, entry.key.secondary().as_str().as_bytes())?;
    out.put_u64(entry.fence.generation.token());
    out.put_u64(entry.fence.position.ordinal());
    out.put_u64(entry.response_time.as_millis());
    out.put_u16(entry.status.as_u16());
    put_terms(&mut out, &entry.terms, entry.content.transformable);
    out.put_u8(u8::try_from(entry.vary.names().len()).ok()?);
    for name in entry.vary.names() {
        out.put_u16(u16::try_from(name.as_str().len()).ok()?);
        out.put_slice(name.as_str().as_bytes());
    }
    out.put_u32(u32::try_from(entry.tags.0.len()).ok()?);
    for tag in &entry.tags.0 {
        out.put_u64(tag.value());
    }
    let (block, origin_at, client_fields) = entry.head.raw();
    out.put_u32(origin_at);
    out.put_u16(client_fields);
    put_sized(&mut out, block)?;
    put_content(&mut out, &entry.content)?;
    let length = u32::try_from(out.len()).ok()?;
    let checksum = xxh3_64(out.get(PREFIX_BYTES..)?);
    let mut prefix = out.get_mut(6..PREFIX_BYTES)?;
    prefix.put_u32(length);
    prefix.put_u64(checksum);
    Some(out)
}

/// The stored response in `bytes`, whose content is not copied.
///
/// # Errors
/// [`Corrupt`], for anything but what [`encode`] wrote for the very key `expected`.
pub fn decode(bytes: &Bytes, expected: &EntryKey) -> Result<StoredResponse, Corrupt> {
    let mut from = checked(bytes)?;
    let is_key = from.sized()? == expected.primary().as_str().as_bytes()
        && from.sized()? == expected.secondary().as_str().as_bytes();
    if !is_key {
        return Err(Corrupt::Key);
    }
    let fence = Fence {
        generation: Generation::new(from.u64()?),
        position: Position::new(from.u64()?),
    };
    let response_time = Timestamp::from_millis(from.u64()?);
    let status = StatusCode::from_u16(from.u16()?).map_err(|_| Corrupt::Field("status"))?;
    let (terms, transformable) = read_terms(&mut from)?;
    let vary = read_vary(&mut from)?;
    let tags = read_tags(&mut from)?;
    let (origin_at, client_fields) = (from.u32()?, from.u16()?);
    let head = Head::from_raw(from.shared()?, origin_at, client_fields);
    let head = head.ok_or(Corrupt::Field("head"))?;
    let content = read_content(&mut from, transformable)?;
    if !from.rest().is_empty() {
        return Err(Corrupt::Length);
    }
    Ok(StoredResponse {
        key: expected.clone(),
        vary,
        status,
        tags,
        terms,
        response_time,
        date: super::recency(head.origin_date(), response_time),
        head,
        fence,
        // Nobody in this process has looked at it.
        checked_at: AtomicU64::new(0),
        content,
    })
}

/// What is behind the prefix, if length and checksum are right.
fn checked(bytes: &Bytes) -> Result<Reader<'_>, Corrupt> {
    let mut from = Reader { bytes, at: 0 };
    if from.take(MAGIC.len()).map_err(|_| Corrupt::Magic)? != MAGIC {
        return Err(Corrupt::Magic);
    }
    if from.u16()? != VERSION {
        return Err(Corrupt::Version);
    }
    if from.u32()? as usize != bytes.len() {
        return Err(Corrupt::Length);
    }
    let checksum = from.u64()?;
    if xxh3_64(from.rest()) != checksum {
        return Err(Corrupt::Checksum);
    }
    Ok(from)
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.put_u32(u32::try_from(bytes.len()).ok()?);
    out.put_slice(bytes);
    Some(())
}

fn put_terms(out: &mut Vec<u8>, terms: &Terms, transformable: bool) {
    out.put_u8(match terms.lifetime.source {
        Source::Origin => 0,
        Source::Rule => 1,
        Source::Heuristic => 2,
        Source::Silence => 3,
    });
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.put_u8(
        flag(terms.no_cache, NO_CACHE)
            | flag(terms.must_revalidate, MUST_REVALIDATE)
            | flag(terms.immutable, IMMUTABLE)
            | flag(terms.no_transform, NO_TRANSFORM)
            | flag(transformable, TRANSFORMABLE),
    );
    let spans = [
        terms.lifetime.fresh,
        terms.corrected_initial_age,
        terms.stale_while_revalidate,
        terms.stale_if_error,
    ];
    for span in spans {
        out.put_u64(span.as_secs());
        out.put_u32(span.subsec_nanos());
    }
}

fn read_terms(from: &mut Reader<'_>) -> Result<(Terms, bool), Corrupt> {
    let source = match from.u8()? {
        0 => Source::Origin,
        1 => Source::Rule,
        2 => Source::Heuristic,
        3 => Source::Silence,
        _ => return Err(Corrupt::Field("lifetime")),
    };
    let flags = from.u8()?;
    if flags & !FLAGS != 0 {
        return Err(Corrupt::Field("flags"));
    }
    let is_set = |flag: u8| flags & flag != 0;
    let fresh = from.span()?;
    let terms = Terms {
        lifetime: Lifetime { fresh, source },
        corrected_initial_age: from.span()?,
        stale_while_revalidate: from.span()?,
        stale_if_error: from.span()?,
        no_cache: is_set(NO_CACHE),
        must_revalidate: is_set(MUST_REVALIDATE),
        immutable: is_set(IMMUTABLE),
        no_transform: is_set(NO_TRANSFORM),
    };
    Ok((terms, is_set(TRANSFORMABLE)))
}

fn read_vary(from: &mut Reader<'_>) -> Result<Vary, Corrupt> {
    let count = usize::from(from.u8()?);
    if count > NAMES_MAX {
        return Err(Corrupt::Field("vary"));
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let length = from.u16()?;
        let name = from.take(usize::from(length))?;
        names.push(HeaderName::from_bytes(name).map_err(|_| Corrupt::Field("vary"))?);
    }
    Ok(Vary::from_names(names))
}

fn read_tags(from: &mut Reader<'_>) -> Result<Tags, Corrupt> {
    let count = from.u32()? as usize;
    let bytes = count.checked_mul(8).ok_or(Corrupt::Length)?;
    // Taken before anything is allocated: there are no more than fit into what is there.
    let (tags, _none) = from.take(bytes)?.as_chunks();
    let tag = |bytes: &[u8; 8]| ScopeHash::from_value(u64::from_be_bytes(*bytes));
    Ok(Tags(tags.iter().map(tag).collect()))
}

fn put_content(out: &mut Vec<u8>, content: &Content) -> Option<()> {
    // Others may derive one meanwhile: looked at once.
    let there = CODINGS.map(|coding| content.get(coding));
    let bits = CODINGS
        .iter()
        .zip(there)
        .filter(|(_, there)| there.is_some());
    out.put_u8(content.original_coding as u8);
    out.put_u8(bits.fold(0, |bits, (coding, _)| bits | 1 << *coding as u8));
    for bytes in there.into_iter().flatten() {
        put_sized(out, bytes)?;
    }
    Some(())
}

fn read_content(from: &mut Reader<'_>, transformable: bool) -> Result<Content, Corrupt> {
    let original = from.u8()?;
    let bits = from.u8()?;
    let mut bodies = CODINGS.map(|coding| (coding, None));
    for (coding, body) in &mut bodies {
        if bits & 1 << *coding as u8 != 0 {
            *body = Some(from.shared()?);
        }
    }
    let original = bodies
        .iter_mut()
        .find(|(coding, _)| *coding as u8 == original)
        .and_then(|(coding, body)| Some((*coding, body.take()?)));
    let (coding, body) = original.ok_or(Corrupt::Field("coding"))?;
    let content = Content::new(body, coding, transformable);
    for (coding, body) in bodies {
        if let Some(body) = body {
            content.derived(coding, body);
        }
    }
    Ok(content)
}

/// A place in a value, and what has not been read yet behind it.
struct Reader<'b> {
    bytes: &'b Bytes,
    at: usize,
}

impl<'b> Reader<'b> {
    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Corrupt> {
        let taken = self.rest().get(..length).ok_or(Corrupt::Length)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let bytes = self.rest().first_chunk().copied().ok_or(Corrupt::Length)?;
        self.at += N;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    fn span(&mut self) -> Result<Duration, Corrupt> {
        let (seconds, nanos) = (self.u64()?, self.u32()?);
        if nanos >= 1_000_000_000 || seconds > SPAN_SECONDS_MAX {
            return Err(Corrupt::Field("lifetime"));
        }
        Ok(Duration::new(seconds, nanos))
    }

    fn sized(&mut self) -> Result<&'b [u8], Corrupt> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// As [`Reader::sized`], to keep without a copy.
    fn shared(&mut self) -> Result<Bytes, Corrupt> {
        let piece = self.sized()?;
        Ok(self.bytes.slice(self.at - piece.len()..self.at))
    }
}

#[cfg(test)]
mod tests;
