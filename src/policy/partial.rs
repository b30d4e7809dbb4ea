//! RFC 9111 §3.3 and §3.4: incomplete responses, and completing them.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::freshness::Source;
use super::storability::{self, Asked, NotStorable, Storable, Terms};
use super::{CacheRule, Profile, validation};
use crate::exchange::Exchange;
use crate::fields::content_encoding::ContentEncoding;
use crate::fields::range::{self, ContentRange};
use crate::fields::vary::Vary;
use crate::fields::{content_length, media_type};

/// One range of a representation: its first and its last byte, counted from 0, and the length of the
/// whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    first: u64,
    last: u64,
    complete: u64,
}

/// Proof that a 206 may be stored as an incomplete response. It is no [`Storable`], from which whole
/// responses are sealed. Only [`assess`] makes one.
///
/// ```compile_fail,E0451
/// use cms_edge::policy::partial::StorablePart;
/// fn forge(part: StorablePart) -> StorablePart {
///     StorablePart { ..part }
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StorablePart {
    part: Part,
    /// The whole it is of, on whose terms it is reused.
    whole: Storable,
}

/// §3.3: "If the request method is GET, the response status code is 200 (OK), and the entire response
/// header section has been received, a cache MAY store a response that is not complete … provided
/// that the stored response is recorded as being incomplete", and likewise a 206. Stored is what is
/// one valid range of plain bytes, for as long as the origin says itself.
///
/// # Errors
/// The first reason against storing.
pub fn assess(
    asked: Asked<'_>,
    response: HeaderMap,
    exchange: Exchange,
    rule: &CacheRule,
) -> Result<StorablePart, NotStorable> {
    if rule.profile != Profile::Rfc {
        return Err(NotStorable::Partial);
    }
    let part = Part::of(&response).ok_or(NotStorable::Partial)?;
    if ContentEncoding::parse(&response) != ContentEncoding::Identity {
        return Err(NotStorable::Partial);
    }
    let whole = storability::assess(asked, StatusCode::OK, response, exchange, rule)?;
    let terms = whole.terms();
    if terms.lifetime.source != Source::Origin || terms.lifetime.fresh.is_zero() || terms.no_cache {
        return Err(NotStorable::NoLifetime);
    }
    Ok(StorablePart { part, whole })
}

/// The fields of the whole that `stored`, the fields of the incomplete response that holds `part`,
/// and `answer`, those of a 206, make together. Nothing where the answer is not just what is missing,
/// and where the two may not be combined: §3.4 permits it "if they all share the same strong
/// validator".
pub fn completed(stored: &HeaderMap, part: Part, answer: &HeaderMap) -> Option<HeaderMap> {
    let rest = Part::of(answer)?;
    let is_missing = part.first == 0
        && Some(rest.first) == part.last.checked_add(1)
        && rest.last.checked_add(1) == Some(part.complete)
        && rest.complete == part.complete;
    let theirs = validation::etag(answer)?;
    if !is_missing || !validation::etag(stored)?.strong_eq(&theirs) {
        return None;
    }
    if ContentEncoding::parse(answer) != ContentEncoding::Identity {
        return None;
    }
    let mut fields = validation::freshened(stored, answer, Profile::Rfc);
    fields.remove(CONTENT_RANGE);
    fields.insert(CONTENT_LENGTH, HeaderValue::from(part.complete));
    Some(fields)
}

impl Part {
    /// The range that the only part of a 206 is, and has the length of. Nothing for whatever is
    /// invalid (RFC 9110 §14.4), for several parts (§14.6), and where the whole's length is unknown.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let ContentRange {
            first,
            last,
            complete,
        } = range::parse_content_range(response)?;
        let part = Self {
            first,
            last,
            complete: complete?,
        };
        let has_length = content_length::of(response).is_none_or(|length| length == part.length());
        (has_length && !media_type::is_byteranges(response)).then_some(part)
    }

    /// Bytes.
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether it is the bytes from `first` to `last`.
    pub const fn is(self, first: u64, last: u64) -> bool {
        self.first == first && self.last == last
    }

    /// Bytes of the whole.
    pub const fn complete(self) -> u64 {
        self.complete
    }

    /// The byte from which on the rest of the whole is missing, if what is there begins at 0.
    pub const fn missing_from(self) -> Option<u64> {
        let next = self.last.saturating_add(1);
        if self.first == 0 && next < self.complete {
            Some(next)
        } else {
            None
        }
    }

    /// Where the bytes from `first` to `last` of the whole lie within this part's content, unless they
    /// lie outside.
    pub fn within(self, first: u64, last: u64) -> Option<std::ops::RangeInclusive<usize>> {
        if first < self.first || last > self.last || first > last {
            return None;
        }
        let from = usize::try_from(first - self.first).ok()?;
        let to = usize::try_from(last - self.first).ok()?;
        Some(from..=to)
    }
}

impl StorablePart {
    pub const fn part(&self) -> Part {
        self.part
    }

    /// The fields as the origin sent them.
    pub const fn headers(&self) -> &HeaderMap {
        self.whole.headers()
    }

    /// The fields the origin nominated, all of them.
    pub const fn vary(&self) -> &Vary {
        self.whole.vary()
    }

    pub const fn terms(&self) -> &Terms {
        self.whole.terms()
    }

    pub const fn exchange(&self) -> &Exchange {
        self.whole.exchange()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::clock::Timestamp;
    use crate::exchange::{Fence, Forwarded, Generation, Position};

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, HeaderValue)>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            })
    }

    fn assessed(
        profile: Profile,
        response: &[(&'static str, &'static str)],
    ) -> Result<Part, NotStorable> {
        let rule = CacheRule {
            profile,
            ..CacheRule::default()
        };
        let fence = Fence {
            generation: Generation::new(1),
            position: Position::default(),
        };
        let now = Timestamp::from_secs(1000);
        let exchange = Forwarded::begin(now, fence).received(now);
        let request = HeaderMap::new();
        let asked = Asked {
            method: &Method::GET,
            headers: &request,
            no_store: false,
        };
        assess(asked, headers(response), exchange, &rule).map(|part| part.part())
    }

    const FRESH: (&str, &str) = ("cache-control", "max-age=60");

    #[test]
    fn one_valid_range_is_stored_in_the_profile_of_the_rfc_alone() {
        // RFC 9110 §14.4: "A Content-Range field value is invalid if it contains a range-resp that
        // has a last-pos value less than its first-pos value, or a complete-length value less than
        // or equal to its last-pos value."
        let good = [FRESH, ("content-range", "bytes 0-4/10")];
        let part = assessed(Profile::Rfc, &good).unwrap();
        assert_eq!((part.length(), part.missing_from()), (5, Some(5)));
        assert_eq!(assessed(Profile::Cms, &good), Err(NotStorable::Partial));
        for fields in [
            &[FRESH][..],
            &[FRESH, ("content-range", "bytes 4-0/10")],
            &[FRESH, ("content-range", "bytes 0-10/10")],
            &[FRESH, ("content-range", "bytes 0-4/*")],
            &[FRESH, ("content-range", "bytes */10")],
            // Six bytes over five.
            &[
                FRESH,
                ("content-range", "bytes 4-9/10"),
                ("content-length", "5"),
            ],
            &[
                FRESH,
                ("content-range", "bytes 0-4/10"),
                ("content-type", "multipart/byteranges; boundary=a"),
            ],
            &[
                FRESH,
                ("content-range", "bytes 0-4/10"),
                ("content-encoding", "gzip"),
            ],
        ] {
            let found = assessed(Profile::Rfc, fields);
            assert_eq!(found, Err(NotStorable::Partial), "{fields:?}");
        }
    }

    #[test]
    fn a_part_is_stored_on_the_terms_of_a_whole_with_explicit_freshness() {
        for (control, why) in [
            ("no-store", NotStorable::NoStore),
            ("private, max-age=60", NotStorable::Private),
            ("public", NotStorable::NoLifetime),
            ("max-age=0", NotStorable::NoLifetime),
            ("no-cache, max-age=60", NotStorable::NoLifetime),
        ] {
            let fields = [
                ("cache-control", control),
                ("content-range", "bytes 0-4/10"),
                ("etag", "\"a\""),
                ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ];
            assert_eq!(assessed(Profile::Rfc, &fields), Err(why), "{control}");
        }
    }

    #[test]
    fn a_range_is_answered_that_is_wholly_within() {
        // RFC 9111 §3.3: "A cache MUST NOT use an incomplete response to answer requests unless the
        // response has been made complete, or the request is partial and specifies a range wholly
        // within the incomplete response."
        let part = Part {
            first: 4,
            last: 8,
            complete: 10,
        };
        assert_eq!(part.within(4, 8), Some(0..=4));
        assert_eq!(part.within(5, 5), Some(1..=1));
        for (first, last) in [(3, 5), (5, 9), (9, 9), (6, 5)] {
            assert_eq!(part.within(first, last), None, "{first}-{last}");
        }
        assert_eq!(part.missing_from(), None, "what is before it is missing");
    }

    #[test]
    fn only_what_shares_a_strong_validator_is_combined() {
        // RFC 9111 §3.4: "A cache MAY combine these ranges into a single stored response … if they all
        // share the same strong validator".
        let part = Part {
            first: 0,
            last: 4,
            complete: 10,
        };
        let of = |ours: &'static str, theirs: &'static str, range: &'static str| {
            let stored = headers(&[
                ("etag", ours),
                ("content-range", "bytes 0-4/10"),
                ("a", "1"),
            ]);
            let answer = headers(&[("etag", theirs), ("content-range", range), ("a", "2")]);
            completed(&stored, part, &answer)
        };
        let whole = of("\"x\"", "\"x\"", "bytes 5-9/10").unwrap();
        assert_eq!(whole["a"], "2", "the newer fields count");
        assert_eq!(whole["content-length"], "10");
        assert!(!whole.contains_key("content-range"));
        for (ours, theirs, range) in [
            ("\"x\"", "\"y\"", "bytes 5-9/10"),
            ("W/\"x\"", "W/\"x\"", "bytes 5-9/10"),
            ("\"x\"", "W/\"x\"", "bytes 5-9/10"),
            ("", "", "bytes 5-9/10"),
            ("\"x\"", "\"x\"", "bytes 5-8/10"),
            ("\"x\"", "\"x\"", "bytes 6-9/10"),
            ("\"x\"", "\"x\"", "bytes 5-9/11"),
            ("\"x\"", "\"x\"", "bytes 5-9/*"),
            ("\"x\"", "\"x\"", "junk"),
        ] {
            assert_eq!(of(ours, theirs, range), None, "{ours} {theirs} {range}");
        }
    }
}
