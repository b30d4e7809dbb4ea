//! Records: as they are to be appended, and as they are found in the log.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::scripts::{FORMAT, hex};
use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::entry::slots::SlotName;
use crate::exchange::{Generation, Position};
use crate::purge::Purge;
use crate::purge::receipt::ReceiptId;

/// A record that has no place yet, or not any more: appended, spooled, and appended again where a
/// log was lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Draft {
    pub(super) token: u64,
    pub(super) mode: Mode,
    /// As people read them, within [`SCOPES_BYTES_MAX`].
    pub(super) scopes: Vec<String>,
    /// Names of slots, with blanks between them.
    pub(super) slots: String,
    /// The digest of the delivery's name, so that its length is no matter.
    pub(super) delivery: Option<String>,
}

/// Bytes of the scopes that a record names. They are for people: the slots are what is purged, all of
/// them. A record has no more than about 30 KiB besides.
pub const SCOPES_BYTES_MAX: usize = 64 * 1024;

/// A record of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) generation: Generation,
    pub(super) position: Position,
    pub(super) predecessor: u64,
    pub(super) token: u64,
    pub(super) mode: Mode,
    pub(super) scopes: Vec<String>,
    pub(super) slots: Vec<SlotName>,
    /// The incarnation that has appended it.
    pub(super) from: String,
    /// The id of the receipt that was given before it had this place.
    pub(super) receipt: Option<ReceiptId>,
}

impl Draft {
    pub(super) fn of(purge: &Purge, token: u64) -> Self {
        let slots = text_of(purge.scopes().iter().flat_map(SlotName::of));
        let digest = |name: &str| hex::encode(digest::digest(&digest::SHA256, name.as_bytes()));
        Self {
            token,
            mode: purge.mode(),
            scopes: named(purge.scopes()),
            slots,
            delivery: purge.delivery().map(digest),
        }
    }

    /// It only has a place.
    pub(super) const fn nothing(token: u64) -> Self {
        Self {
            token,
            mode: Mode::Soft,
            scopes: Vec::new(),
            slots: String::new(),
            delivery: None,
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = SlotName> {
        self.slots
            .split_ascii_whitespace()
            .filter_map(SlotName::parse)
    }

    /// Whether it does not name all scopes.
    pub(super) fn is_cut(&self) -> bool {
        let last = self.scopes.last();
        last.is_some_and(|last| last.starts_with(MORE))
    }

    /// A line of the spool.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "format": FORMAT,
            "token": hex(self.token),
            "mode": self.mode.as_str(),
            "scopes": self.scopes,
            "slots": self.slots,
            "delivery": self.delivery,
        })
    }

    /// What another version has written purges everything.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let token = u64::from_str_radix(text("token")?, 16).ok()?;
        let delivery = text("delivery").map(str::to_owned);
        if text("format") != Some(FORMAT) {
            return Some(Self {
                token,
                mode: Mode::Hard,
                scopes: vec!["everything".to_owned()],
                slots: SlotName::Everything.to_string(),
                delivery,
            });
        }
        let scopes = value.get("scopes")?.as_array()?.iter();
        Some(Self {
            token,
            mode: mode(text("mode")?)?,
            scopes: scopes
                .map(|one| Some(one.as_str()?.to_owned()))
                .collect::<Option<_>>()?,
            slots: text("slots")?.to_owned(),
            delivery,
        })
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        let scopes = self
            .scopes
            .iter()
            .map(|one| one.len() + size_of::<String>());
        size_of::<Self>() + self.slots.len() + scopes.sum::<usize>()
    }
}

impl Record {
    pub(super) const fn place(&self) -> ReceiptId {
        ReceiptId {
            generation: self.generation,
            position: self.position,
        }
    }

    /// Of an entry of the stream: its id, and names and values in turn. What is not known counts as
    /// "purge everything"; nothing: it has no place, or no token.
    pub(super) fn read(id: &str, fields: Vec<String>) -> Option<Self> {
        let (position, _) = id.split_once('-')?;
        let mut values = std::collections::HashMap::new();
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            values.insert(name, value);
        }
        let text = |name: &str| values.get(name).map(String::as_str);
        let number = |name: &str| u64::from_str_radix(text(name)?, 16).ok();
        let known = || {
            if text("format") != Some(FORMAT) {
                return None;
            }
            let slots = text("slots")?.split_ascii_whitespace().map(SlotName::parse);
            Some((mode(text("mode")?)?, slots.collect::<Option<Vec<_>>>()?))
        };
        let (mode, slots) = known().unwrap_or_else(|| (Mode::Hard, vec![SlotName::Everything]));
        let scopes = text("scopes").unwrap_or_default().split('\n');
        Some(Self {
            generation: Generation::new(number("generation")?),
            position: Position::new(position.parse().ok()?),
            predecessor: number("predecessor")?,
            token: number("token")?,
            mode,
            scopes: scopes.map(str::to_owned).collect(),
            slots,
            from: text("from").unwrap_or_default().to_owned(),
            receipt: text("receipt").and_then(ReceiptId::parse),
        })
    }
}

impl From<Record> for Draft {
    fn from(record: Record) -> Self {
        Self {
            token: record.token,
            mode: record.mode,
            scopes: record.scopes,
            slots: text_of(record.slots.into_iter()),
            delivery: None,
        }
    }
}

/// As many as there is room for, in their order, then how many more there are.
fn named(scopes: &[Scope]) -> Vec<String> {
    let mut bytes = 0;
    let mut named: Vec<String> = scopes
        .iter()
        .map(ToString::to_string)
        .take_while(|name| {
            bytes += name.len() + 1;
            bytes <= SCOPES_BYTES_MAX - MORE_BYTES
        })
        .collect();
    let more = scopes.len() - named.len();
    if more > 0 {
        named.push(format!("{MORE}{more} more"));
    }
    named
}

/// Before how many more there are; no scope is written so.
const MORE: &str = "and ";
/// Bytes for all of that.
const MORE_BYTES: usize = 32;

fn text_of(slots: impl Iterator<Item = SlotName>) -> String {
    let mut text = String::new();
    for slot in slots {
        // Writing to a text does not fail.
        let _written = write!(text, "{slot} ");
    }
    text.truncate(text.trim_end().len());
    text
}

fn mode(text: &str) -> Option<Mode> {
    [Mode::Hard, Mode::Soft]
        .into_iter()
        .find(|mode| mode.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::{Cause, SCOPES_MAX};

    fn fields(format: &str) -> Vec<String> {
        [
            "format",
            format,
            "generation",
            "4f",
            "predecessor",
            "0",
            "token",
            "7",
            "mode",
            "soft",
            "scopes",
            "tag:a\ntag:b",
            "slots",
            "5 t",
            "from",
            "i",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn a_draft_is_read_as_it_was_written() {
        let scopes = vec![Scope::tag("a"), Scope::Everything];
        let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
        let draft = Draft::of(&purge.delivered_as("demo/1"), 9);
        assert!(draft.slots.ends_with(" t e"), "{}", draft.slots);
        assert!(!draft.is_cut());
        assert_eq!(draft.delivery.as_deref().map(str::len), Some(64));
        assert_eq!(Draft::from_json(&draft.to_json()), Some(draft));
    }

    #[test]
    fn the_longest_purge_is_whole_and_its_record_is_short() {
        let scope = |at| Scope::tag(format!("{at}{}", "x".repeat(8000)));
        let scopes: Vec<Scope> = (0..SCOPES_MAX).map(scope).collect();
        let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
        let draft = Draft::of(&purge, 9);
        let text = draft.scopes.join("\n");
        assert!(text.len() <= SCOPES_BYTES_MAX, "{}", text.len());
        assert!(draft.is_cut());
        assert!(draft.scopes[7].starts_with("tag:7xx"));
        assert_eq!(draft.scopes.last().unwrap(), "and 1016 more");
        let slots = purge.scopes().iter().flat_map(SlotName::of).count();
        assert_eq!(draft.slots.split(' ').count(), slots);
        assert!(draft.slots.len() < 30 * 1024, "{}", draft.slots.len());
    }

    #[test]
    fn a_record_of_another_format_purges_everything() {
        let known = Record::read("12-0", fields(FORMAT)).unwrap();
        assert_eq!(known.mode, Mode::Soft);
        assert_eq!(known.slots, [SlotName::Numbered(5), SlotName::AnyTag]);
        assert_eq!(known.position, Position::new(12));
        assert_eq!(known.receipt, None);
        let mut more = fields(FORMAT);
        more.extend(["receipt", "00000000000000aa-9"].map(str::to_owned));
        let spooled = Record::read("12-0", more).unwrap().receipt.unwrap();
        assert_eq!(spooled.to_string(), "00000000000000aa-9");
        let other = Record::read("12-0", fields("2")).unwrap();
        assert_eq!(
            (other.mode, other.slots),
            (Mode::Hard, vec![SlotName::Everything])
        );
        assert_eq!(Record::read("x", fields(FORMAT)), None);
        assert_eq!(Record::read("1-0", Vec::new()), None);
    }
}
