//! The bytes of commands and replies: as much of RESP2 as lookups need.
//!
//! Replies are read without trust: whatever is not a status, an error, or an array of at most
//! [`VALUES_MAX`] strings of bounded length, is [`Malformed`], and ends the connection.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;

/// Values of one reply.
pub(super) const VALUES_MAX: usize = 2;
/// Bytes of one value: more than the largest that is ever written.
const VALUE_BYTES_MAX: usize = 80 << 20;
/// Bytes of a line: a length, a status or an error.
const LINE_BYTES_MAX: usize = 4096;
/// Bytes besides a value that are always kept with it.
const BESIDE_BYTES_MIN: usize = 1024;
/// And the part of a value that may be kept besides: 1/16.
const BESIDE_PART: usize = 16;

/// The values that a reply brought; nothing for what is not there.
#[derive(Debug)]
pub(in crate::store::redis) struct Values {
    reply: Bytes,
    places: Places,
}

/// Where in a reply its values are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Places {
    count: usize,
    found: [Option<Range<usize>>; VALUES_MAX],
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Read {
    /// At least so many bytes are needed.
    Incomplete(usize),
    Complete {
        bytes: usize,
        shape: Shape,
    },
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Values(Places),
    Status,
    Error,
}

/// Redis does not talk like that.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed;

impl Values {
    pub(super) const fn new(reply: Bytes, places: Places) -> Self {
        Self { reply, places }
    }

    /// Of values that came one by one.
    pub(in crate::store::redis) fn of(values: &[Option<Vec<u8>>]) -> Option<Self> {
        let mut places = Places {
            count: values.len(),
            ..Places::default()
        };
        let mut reply = Vec::with_capacity(values.iter().flatten().map(Vec::len).sum());
        for (at, value) in values.iter().enumerate() {
            let place = places.found.get_mut(at)?;
            *place = value.as_ref().map(|value| {
                let begin = reply.len();
                reply.extend_from_slice(value);
                begin..reply.len()
            });
        }
        Some(Self::new(reply.into(), places))
    }

    /// How many were asked for.
    pub(in crate::store::redis) const fn count(&self) -> usize {
        self.places.count
    }

    /// The value at this place of the command.
    pub(in crate::store::redis) fn get(&self, at: usize) -> Option<&[u8]> {
        let range = self.places.found.get(at)?.clone()?;
        self.reply.get(range)
    }

    /// As [`Values::get`], and without a copy.
    pub(in crate::store::redis) fn bytes(&self, at: usize) -> Option<Bytes> {
        let value = self.get(at)?;
        Some(self.reply.slice_ref(value))
    }

    /// As [`Values::bytes`], and copied where what the reply has besides would take up memory that
    /// nobody counts: who keeps the value keeps the whole reply.
    pub(in crate::store::redis) fn bytes_alone(&self, at: usize) -> Option<Bytes> {
        let value = self.get(at)?;
        let beside = self.reply.len() - value.len();
        match beside > BESIDE_BYTES_MIN.max(value.len() / BESIDE_PART) {
            true => Some(Bytes::copy_from_slice(value)),
            false => Some(self.reply.slice_ref(value)),
        }
    }
}

/// Appends a command.
pub(super) fn put_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    put_length(out, b'*', words.len());
    for word in words {
        put_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn put_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    match u8::try_from(length) {
        Ok(length) if length < 10 => out.push(b'0' + length),
        // Into memory: it cannot fail.
        _ => drop(write!(out, "{length}")),
    }
    out.extend_from_slice(b"\r\n");
}

/// The first reply in `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Malformed> {
    let Some((line, mut at)) = line(bytes, 0)? else {
        return Ok(Read::Incomplete(bytes.len() + 1));
    };
    let shape = match line.split_first() {
        Some((b'+', _)) => Shape::Status,
        Some((b'-', _)) => Shape::Error,
        Some((b'*', count)) => {
            let count = number(count).ok_or(Malformed)?;
            let mut places = Places {
                count,
                ..Places::default()
            };
            let found = places.found.get_mut(..count).ok_or(Malformed)?;
            for place in found {
                match value(bytes, at)? {
                    Value::Nothing(end) => at = end,
                    Value::Found(range) => {
                        at = range.end + 2;
                        *place = Some(range);
                    }
                    Value::Incomplete(needed) => return Ok(Read::Incomplete(needed)),
                }
            }
            Shape::Values(places)
        }
        _ => return Err(Malformed),
    };
    Ok(Read::Complete { bytes: at, shape })
}

enum Value {
    /// Where the next one begins.
    Nothing(usize),
    Found(Range<usize>),
    Incomplete(usize),
}

fn value(bytes: &[u8], at: usize) -> Result<Value, Malformed> {
    let Some((line, begin)) = line(bytes, at)? else {
        return Ok(Value::Incomplete(bytes.len() + 1));
    };
    let Some((b'$', length)) = line.split_first() else {
        return Err(Malformed);
    };
    if length == b"-1" {
        return Ok(Value::Nothing(begin));
    }
    let length = number(length).filter(|length| *length <= VALUE_BYTES_MAX);
    let end = begin + length.ok_or(Malformed)?;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok(Value::Found(begin..end)),
        Some(_) => Err(Malformed),
        None => Ok(Value::Incomplete(end + 2)),
    }
}

/// The line at `at`, and where the next one begins. Nothing: it has not ended yet.
fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let rest = bytes.get(at..).unwrap_or_default();
    let seen = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
    let Some(length) = memchr(b'\r', seen) else {
        return match seen.len() {
            LINE_BYTES_MAX => Err(Malformed),
            // What comes next may be told from the first byte alone.
            _ if matches!(seen.first(), None | Some(b'+' | b'-' | b'*' | b'$')) => Ok(None),
            _ => Err(Malformed),
        };
    };
    match seen.get(length + 1) {
        Some(b'\n') => Ok(seen.get(..length).map(|line| (line, at + length + 2))),
        Some(_) => Err(Malformed),
        None => Ok(None),
    }
}

/// Digits alone.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0, |number: usize, digit| {
        let digit = usize::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let Ok(Read::Complete {
            bytes: length,
            shape: Shape::Values(places),
        }) = read(bytes)
        else {
            panic!("{:?}", read(bytes));
        };
        assert_eq!(length, bytes.len());
        let values = Values::new(Bytes::copy_from_slice(bytes), places);
        (0..values.count())
            .map(|at| values.bytes(at).map(|value| value.to_vec()))
            .collect()
    }

    #[test]
    fn commands_are_arrays_of_strings() {
        let mut out = Vec::new();
        put_command(&mut out, &[b"HMGET", b"0123456789", b""]);
        assert_eq!(out, b"*3\r\n$5\r\nHMGET\r\n$10\r\n0123456789\r\n$0\r\n\r\n");
    }

    #[test]
    fn values_that_are_not_there_are_told_from_empty_ones() {
        assert_eq!(values(b"*2\r\n$-1\r\n$0\r\n\r\n"), [None, Some(Vec::new())]);
        assert_eq!(
            values(b"*1\r\n$4\r\n\r\n\r\n\r\n"),
            [Some(b"\r\n\r\n".to_vec())]
        );
    }

    #[test]
    fn a_value_is_copied_where_much_would_be_kept_besides() {
        for (beside, length, is_copied) in [
            (1000, 100, false),
            (5000, 1000, true),
            (5000, 100_000, false),
        ] {
            let of = |length| Some(vec![b'x'; length]);
            let values = Values::of(&[of(beside), of(length)]).unwrap();
            let (kept, alone) = (values.bytes(1).unwrap(), values.bytes_alone(1).unwrap());
            assert_eq!(kept, alone);
            assert_eq!(
                kept.as_ptr() != alone.as_ptr(),
                is_copied,
                "{beside} {length}"
            );
        }
    }

    #[test]
    fn what_redis_does_not_say_is_malformed() {
        for text in [
            "x",
            "nonsense",
            "*3\r\n",
            "*-1\r\n",
            "*\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$1\r\nabc",
            "*1\r\n$-2\r\n",
            "*1\r\n$99999999999\r\n",
            "*1\r\n$83886081\r\n",
            "$1\r\na\r\n",
            "+OK\rx",
        ] {
            assert_eq!(read(text.as_bytes()), Err(Malformed), "{text:?}");
        }
        assert_eq!(read(&[b'-'; LINE_BYTES_MAX]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn a_reply_is_read_whole_or_not_at_all(
            first in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
            second in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        ) {
            let mut reply = b"*2\r\n".to_vec();
            for value in [&first, &second] {
                match value {
                    None => reply.extend_from_slice(b"$-1\r\n"),
                    Some(value) => {
                        put_length(&mut reply, b'$', value.len());
                        reply.extend_from_slice(value);
                        reply.extend_from_slice(b"\r\n");
                    }
                }
            }
            for cut in 0..reply.len() {
                match read(&reply[..cut]) {
                    Ok(Read::Incomplete(needed)) => prop_assert!(cut < needed && needed <= reply.len()),
                    other => prop_assert!(false, "{other:?} of {cut} bytes"),
                }
            }
            prop_assert_eq!(values(&reply), vec![first, second]);
        }

        #[test]
        fn garbage_is_survived(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Read::Complete { bytes, .. }) = read(&garbage) {
                prop_assert!(bytes <= garbage.len());
            }
        }
    }
}
