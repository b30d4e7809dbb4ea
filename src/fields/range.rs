//! `Range` (RFC 9110 §14.2) and `Content-Range` (§14.4), in bytes.

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};

use super::{list, text};

/// What `Range` asks of a representation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ranges {
    /// Nothing that can be understood: the field is absent, malformed, or not about bytes. It is
    /// ignored, and the whole representation sent.
    None,
    /// One satisfiable range: its first and its last byte, counted from 0, both within the length.
    One { first: u64, last: u64 },
    /// 416 (Range Not Satisfiable).
    Unsatisfiable,
    /// Several satisfiable ranges, which a server "MAY ignore or reject" when they are too many, and
    /// which we do not take apart.
    Many,
}

/// Resolves `Range` against a representation of `length` bytes. Only GET has ranges (§14.2).
pub fn resolve(headers: &HeaderMap, length: u64) -> Ranges {
    let Some(set) = list::single(headers, &RANGE).and_then(range_set) else {
        return Ranges::None;
    };
    let mut resolved = Ranges::Unsatisfiable;
    let mut specs = 0;
    for spec in list::elements(set) {
        specs += 1;
        let Some(spec) = Spec::parse(spec) else {
            return Ranges::None;
        };
        resolved = match (resolved, spec.within(length)) {
            (found, None) => found,
            (Ranges::Unsatisfiable, Some((first, last))) => Ranges::One { first, last },
            _ => Ranges::Many,
        };
    }
    if specs == 0 || specs > SPECS_MAX || length == 0 && resolved != Ranges::Unsatisfiable {
        return Ranges::None;
    }
    resolved
}

/// Whether `Range` asks for one range, whatever the length of the representation.
pub fn is_single(headers: &HeaderMap) -> bool {
    let set = list::single(headers, &RANGE).and_then(range_set);
    let mut specs = set.into_iter().flat_map(list::elements);
    let is_valid = specs.next().is_some_and(|spec| Spec::parse(spec).is_some());
    is_valid && specs.next().is_none()
}

/// `Range: bytes=first-`.
pub fn from(first: u64) -> HeaderValue {
    let mut out = BytesMut::with_capacity(VALUE_LENGTH_MAX);
    out.put_slice(b"bytes=");
    text::put_decimal(&mut out, first);
    out.put_u8(b'-');
    text::into_value(out)
}

/// `Content-Range: bytes first-last/length` for a 206.
pub fn content_range(first: u64, last: u64, length: u64) -> HeaderValue {
    let mut out = BytesMut::with_capacity(VALUE_LENGTH_MAX);
    out.put_slice(b"bytes ");
    text::put_decimal(&mut out, first);
    out.put_u8(b'-');
    text::put_decimal(&mut out, last);
    out.put_u8(b'/');
    text::put_decimal(&mut out, length);
    text::into_value(out)
}

/// `Content-Range: bytes */length` for a 416.
pub fn unsatisfied(length: u64) -> HeaderValue {
    let mut out = BytesMut::with_capacity(VALUE_LENGTH_MAX);
    out.put_slice(b"bytes */");
    text::put_decimal(&mut out, length);
    text::into_value(out)
}

/// What a 206 with a single part contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    pub first: u64,
    pub last: u64,
    /// The length of the whole representation, if it is known.
    pub complete: Option<u64>,
}

/// `None` without the field, and for whatever is not a range of bytes within its representation.
pub fn parse_content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let line = list::single(headers, &CONTENT_RANGE)?;
    let (unit, range) = split(list::trim(line.as_bytes()), b' ')?;
    let (range, complete) = split(range, b'/')?;
    let (first, last) = split(range, b'-')?;
    let found = ContentRange {
        first: text::decimal(first)?,
        last: text::decimal(last)?,
        complete: match complete {
            b"*" => None,
            digits => Some(text::decimal(digits)?),
        },
    };
    // §14.4: "A Content-Range field value is invalid if it contains a range-resp that has a
    // last-pos value less than its first-pos value, or a complete-length value less than or equal
    // to its last-pos value. The recipient of an invalid Content-Range MUST NOT attempt to
    // recombine the received content with a stored representation."
    let is_valid = unit.eq_ignore_ascii_case(b"bytes")
        && found.first <= found.last
        && found.complete.is_none_or(|complete| found.last < complete);
    is_valid.then_some(found)
}

/// Ranges in one request; with more of them the field is ignored (§17.15).
const SPECS_MAX: usize = 32;

/// "bytes ", "-", "/" and three numbers of at most 20 digits.
const VALUE_LENGTH_MAX: usize = 68;

/// What follows `bytes=`. §14.1: "Range units are case-insensitive".
fn range_set(value: &HeaderValue) -> Option<&[u8]> {
    let (unit, set) = split(list::trim(value.as_bytes()), b'=')?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(set)
}

enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix { length: u64 },
}

impl Spec {
    fn parse(spec: &[u8]) -> Option<Self> {
        match split(spec, b'-')? {
            (b"", length) => Some(Self::Suffix {
                length: text::decimal(length)?,
            }),
            (first, b"") => Some(Self::From {
                first: text::decimal(first)?,
                last: None,
            }),
            (first, last) => {
                let (first, last) = (text::decimal(first)?, text::decimal(last)?);
                // §14.1.1: "An int-range is invalid if the last-pos value is present and less than
                // the first-pos."
                (first <= last).then_some(Self::From {
                    first,
                    last: Some(last),
                })
            }
        }
    }

    /// The first and the last byte. `None` if the spec is not satisfiable (§14.1.2).
    fn within(&self, length: u64) -> Option<(u64, u64)> {
        let end = length.saturating_sub(1);
        match *self {
            Self::From { first, last } => {
                (first < length).then(|| (first, last.map_or(end, |last| last.min(end))))
            }
            // "If the selected representation is shorter than the specified suffix-length, the
            // entire representation is used." An empty one satisfies it too, with nothing.
            Self::Suffix { length: suffix } => {
                (suffix > 0).then(|| (length.saturating_sub(suffix), end))
            }
        }
    }
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    let (before, rest) = text.split_at(position);
    Some((before, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ranges::{Many, One, Unsatisfiable};

    fn resolved(value: &str, length: u64) -> Ranges {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, value.parse().unwrap());
        resolve(&headers, length)
    }

    const fn one(first: u64, last: u64) -> Ranges {
        One { first, last }
    }

    #[test]
    fn the_examples_of_the_rfc_resolve() {
        // RFC 9110 §14.1.2, "assuming a representation of length 10000".
        for (value, expected) in [
            ("bytes=0-499", one(0, 499)),
            ("bytes=500-999", one(500, 999)),
            ("bytes=-500", one(9500, 9999)),
            ("bytes=9500-", one(9500, 9999)),
            ("bytes=0-0,-1", Many),
            ("bytes= 0-999, 4500-5499, -1000", Many),
            ("bytes=500-600,601-999", Many),
            ("bytes=500-700,601-999", Many),
        ] {
            assert_eq!(resolved(value, 10_000), expected, "{value}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_representation_or_not_satisfiable() {
        // RFC 9110 §14.1.2: "If the last-pos value is absent, or if the value is greater than or
        // equal to the current length of the representation data, the byte range is interpreted as
        // the remainder of the representation".
        for (value, length, expected) in [
            ("bytes=0-", 10, one(0, 9)),
            ("bytes=0-99", 10, one(0, 9)),
            ("bytes=9-9", 10, one(9, 9)),
            ("bytes=-99", 10, one(0, 9)),
            ("BYTES=0-1", 10, one(0, 1)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=5-99999999999999999999999", 10, one(5, 9)),
            ("bytes=5-6, 20-30", 10, one(5, 6)),
            ("bytes=20-30, 5-6", 10, one(5, 6)),
            ("bytes=20-30, 40-50", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Ranges::None),
            ("bytes=0-", u64::MAX, one(0, u64::MAX - 1)),
        ] {
            assert_eq!(resolved(value, length), expected, "{value} of {length}");
        }
    }

    #[test]
    fn what_is_malformed_or_not_in_bytes_is_ignored() {
        // RFC 9110 §14.2: "A server MUST ignore a Range header field received with a request method
        // that is unrecognized or for which range handling is not defined" and "An origin server
        // MUST ignore a Range header field that contains a range unit it does not understand."
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=-",
            "bytes=5",
            "bytes=5-4",
            "bytes=0-1, x",
            "bytes=0-1-2",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes =0-1",
            "lines=0-1",
            "0-1",
            "bytes:0-1",
        ] {
            assert_eq!(resolved(value, 100), Ranges::None, "{value}");
        }
        let mut twice = HeaderMap::new();
        assert_eq!(resolve(&twice, 100), Ranges::None);
        twice.append(RANGE, "bytes=0-1".parse().unwrap());
        twice.append(RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(resolve(&twice, 100), Ranges::None);
    }

    #[test]
    fn one_range_is_told_from_several_and_from_none() {
        for (value, expected) in [
            ("bytes=0-", true),
            ("bytes=-5", true),
            ("bytes=2-4", true),
            ("bytes=2-4,", true),
            ("bytes=0-1,3-4", false),
            ("bytes=4-2", false),
            ("bytes=", false),
            ("lines=0-1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(RANGE, value.parse().unwrap());
            assert_eq!(is_single(&headers), expected, "{value}");
        }
        assert!(!is_single(&HeaderMap::new()));
        assert_eq!(from(5), "bytes=5-");
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        // RFC 9110 §14.2: "A server that supports range requests MAY ignore or reject a Range
        // header field that contains [...] many small ranges".
        let many = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(resolved(&many(SPECS_MAX), 100), Many);
        assert_eq!(resolved(&many(SPECS_MAX + 1), 100), Ranges::None);
    }

    #[test]
    fn content_range_is_written_and_read_back() {
        // The values are the examples of RFC 9110 §14.4.
        assert_eq!(content_range(42, 1233, 1234), "bytes 42-1233/1234");
        assert_eq!(unsatisfied(1234), "bytes */1234");
        let longest = content_range(u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(longest.len(), VALUE_LENGTH_MAX);
        let range = |first, last, complete| ContentRange {
            first,
            last,
            complete,
        };
        for (value, expected) in [
            ("bytes 42-1233/1234", Some(range(42, 1233, Some(1234)))),
            ("bytes 42-1233/*", Some(range(42, 1233, None))),
            ("Bytes 0-0/1", Some(range(0, 0, Some(1)))),
            ("bytes */1234", None),
            ("bytes 5-4/10", None),
            ("bytes 0-10/10", None),
            ("bytes 0-9", None),
            ("bytes 0-9/", None),
            ("bytes=0-9/10", None),
            ("lines 0-9/10", None),
            ("bytes -9/10", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CONTENT_RANGE, value.parse().unwrap());
            assert_eq!(parse_content_range(&headers), expected, "{value}");
        }
        assert_eq!(parse_content_range(&HeaderMap::new()), None);
    }
}
