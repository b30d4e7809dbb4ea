//! What a key in Redis is called, and its index: which variants there are under it.
//!
//! All of a primary key is one hash: each variant a field, named after its secondary key, and the
//! index in field `i`, written by the scripts alone. A lookup asks for the index and the variant it
//! expects at once. A line of the index is
//! `field generation position response-time expiry date/stale vary`, the newest by fence and Date first:
//! `stale` is when its freshness ends, by the clock of Redis.

use std::fmt::Write;

use http::HeaderName;
use xxhash_rust::xxh3::xxh3_128;

use crate::clock::Timestamp;
use crate::entry::{StoredResponse, format};
use crate::exchange::{Fence, Generation, Position};
use crate::fields::vary::{NAMES_MAX, Vary};
use crate::key::select::Secondary;
use crate::key::{CacheKey, EntryKey};

/// The field that holds the index.
pub(super) const INDEX: &str = "i";

/// Lines of an index that are read.
const LINES_MAX: usize = 1000;

/// The version of the index and the scripts that write it.
const LAYOUT: u8 = 2;

/// One variant, as the index knows it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line<'i> {
    pub field: &'i str,
    generation: Generation,
    position: Position,
    pub response_time: Timestamp,
    vary: &'i str,
}

/// An index that no script of ours has written.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NoIndex;

/// The name of a primary key. What is in braces decides the slot in a cluster; the version keeps
/// apart what instances of another version write.
pub(super) fn name(namespace: &str, key: &CacheKey) -> String {
    let mut name = String::with_capacity(namespace.len() + 40);
    name.push('{');
    name.push_str(namespace);
    name.push(':');
    push_hash(&mut name, key.as_str());
    let _infallible = write!(name, "}}:{}.{LAYOUT}", format::VERSION);
    name
}

/// The name of the claim to fetch this, in the slot of its primary key.
pub(super) fn claim_name(namespace: &str, flight: &EntryKey) -> String {
    let mut name = name(namespace, flight.primary());
    name.push_str(":claim:");
    push_hash(&mut name, flight.secondary().as_str());
    name
}

/// The name of a variant's field. Values carry their full key: two that met here would be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field([u8; 32]);

impl Field {
    pub(super) fn of(secondary: &Secondary) -> Self {
        Self(digits(secondary.as_str()))
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn as_str(&self) -> &str {
        // It is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The hash of a text, in hexadecimal.
fn digits(text: &str) -> [u8; 32] {
    let mut digits = [0; 32];
    // Of the right length: it cannot fail.
    let _infallible = hex::encode_to_slice(xxh3_128(text.as_bytes()).to_be_bytes(), &mut digits);
    digits
}

fn push_hash(name: &mut String, text: &str) {
    name.push_str(Field(digits(text)).as_str());
}

/// A response's own arguments of the scripts, in their order: field, generation, position, response
/// time.
pub(super) fn identity(key: &EntryKey, fence: Fence, response: &StoredResponse) -> [String; 4] {
    let field = Field::of(key.secondary());
    arguments(field.as_str(), fence, response.response_time())
}

fn arguments(field: &str, fence: Fence, response_time: Timestamp) -> [String; 4] {
    [
        field.to_owned(),
        format!("{:016x}", fence.generation.token()),
        format!("{:020}", fence.position.ordinal()),
        format!("{:020}", response_time.as_millis()),
    ]
}

/// Names without spaces, as the index has them.
pub(super) fn vary_text(vary: &Vary) -> String {
    if vary.is_empty() {
        return "-".to_owned();
    }
    let mut text = String::new();
    for (at, name) in vary.names().iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _infallible = write!(text, "{comma}{name}");
    }
    text
}

/// The lines of an index that were stored under `current`. Others are not there for anybody.
/// Whoever finds what it looks for reads no further, and does not see what is wrong behind that.
pub(super) fn lines(
    index: &[u8],
    current: Generation,
) -> Result<impl Iterator<Item = Result<Line<'_>, NoIndex>>, NoIndex> {
    let text = str::from_utf8(index).map_err(|_| NoIndex)?;
    let lines = text.lines().take(LINES_MAX).map(line);
    let is_current = move |line: &Line<'_>| line.generation == current;
    Ok(lines.filter(move |line| line.as_ref().map_or(true, is_current)))
}

fn line(text: &str) -> Result<Line<'_>, NoIndex> {
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(NoIndex);
    let (field, generation) = (word()?, word()?);
    let (position, time, _expiry) = (word()?, word()?, word()?);
    let generation = u64::from_str_radix(generation, 16).map_err(|_| NoIndex)?;
    let position = position.parse().map_err(|_| NoIndex)?;
    let time = time.parse().map_err(|_| NoIndex)?;
    let (_date, vary) = (word()?, word()?);
    if field.len() != 32 || words.next().is_some() {
        return Err(NoIndex);
    }
    Ok(Line {
        field,
        generation: Generation::new(generation),
        position: Position::new(position),
        response_time: Timestamp::from_millis(time),
        vary,
    })
}

impl Line<'_> {
    pub(super) fn is_in(&self, field: &Field) -> bool {
        self.field.as_bytes() == field.0
    }

    /// As [`identity`].
    pub(super) fn identity(&self) -> [String; 4] {
        arguments(self.field, self.fence(), self.response_time)
    }

    pub(super) const fn fence(&self) -> Fence {
        Fence {
            generation: self.generation,
            position: self.position,
        }
    }

    /// Whether its Vary is this one, without reading it.
    pub(super) fn has_vary(&self, vary: &Vary) -> bool {
        let mut names = vary.names().iter();
        if names.len() == 0 {
            return self.vary == "-";
        }
        let mut words = self.vary.split(',');
        names.all(|name| words.next() == Some(name.as_str())) && words.next().is_none()
    }

    pub(super) fn vary(&self) -> Result<Vary, NoIndex> {
        if self.vary == "-" {
            return Ok(Vary::default());
        }
        let names: Result<Vec<HeaderName>, _> = self
            .vary
            .split(',')
            .take(NAMES_MAX)
            .map(|name| HeaderName::from_bytes(name.as_bytes()))
            .collect();
        names.map(Vary::from_names).map_err(|_| NoIndex)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{ACCEPT, ACCEPT_LANGUAGE};
    use proptest::prelude::*;

    use super::*;
    use crate::key::{Folding, KeyRule, TargetUri};

    #[test]
    fn vary_comes_back() {
        for vary in [
            Vary::default(),
            Vary::from_names([ACCEPT_LANGUAGE]),
            Vary::from_names([ACCEPT_LANGUAGE, ACCEPT]),
        ] {
            let field = "0".repeat(32);
            let text = format!("{field} 0a 1 2 3 4/5 {}\n", vary_text(&vary));
            let mut lines = lines(text.as_bytes(), Generation::new(10)).unwrap();
            let line = lines.next().unwrap().unwrap();
            assert_eq!(line.vary().unwrap(), vary);
            assert_eq!(line.field, field);
        }
    }

    #[test]
    fn a_claim_is_in_the_slot_of_what_it_is_for() {
        let target = TargetUri::parse("https", "a.example", "/a", None).unwrap();
        let key = KeyRule::default().key(&target, &HeaderMap::new()).key;
        let flight = key.select(&Vary::default(), &HeaderMap::new(), Folding::Careful);
        let tag = |name: &str| name.split_once('}').unwrap().0.to_owned();
        let claim = claim_name("site", &flight);
        assert_eq!(tag(&claim), tag(&name("site", &key)));
        assert_ne!(claim, name("site", &key));
    }

    #[test]
    fn lines_of_another_generation_are_not_there() {
        let text = format!("{} 0b 1 2 3 4/5 -\n", "0".repeat(32));
        let mut lines = lines(text.as_bytes(), Generation::new(10)).unwrap();
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_known_vary_is_told_from_others_without_being_read() {
        let varies = [
            Vary::default(),
            Vary::from_names([ACCEPT]),
            Vary::from_names([ACCEPT_LANGUAGE]),
            Vary::from_names([ACCEPT, ACCEPT_LANGUAGE]),
        ];
        for vary in &varies {
            let text = vary_text(vary);
            let line = Line {
                field: "",
                generation: Generation::new(10),
                position: Position::new(1),
                response_time: Timestamp::from_millis(0),
                vary: &text,
            };
            for other in &varies {
                assert_eq!(line.has_vary(other), other == vary, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_index(garbage in proptest::collection::vec(any::<u8>(), 1..200)) {
            if let Ok(mut lines) = lines(&garbage, Generation::new(10)) {
                prop_assert!(lines.all(|line| line.is_err()));
            }
        }
    }
}
