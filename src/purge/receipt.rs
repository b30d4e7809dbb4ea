//! What whoever asked for a purge gets to know about it.

use serde_json::{Value, json};

use crate::entry::purges::Mode;
use crate::exchange::{Generation, Position};

/// The receipt of one record of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    pub id: ReceiptId,
    pub state: State,
    /// Only a hard purge promises that nothing older is served.
    pub mode: Mode,
    /// As [`crate::entry::scope::Scope`] displays them.
    pub scopes: Vec<String>,
    pub instances: Vec<InstanceState>,
    /// The delivery had been received before: this is the receipt it was given then.
    pub duplicate: bool,
}

/// How far a purge has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Every live instance has applied it.
    Complete,
    /// In the log; not every live instance has applied it, or a settle window runs.
    Settling,
    /// Applied here and kept for later, because the log cannot be reached.
    Spooled {
        /// It outlasts a restart.
        durable: bool,
    },
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Settling => "settling",
            Self::Spooled { .. } => "spooled",
        }
    }
}

/// One instance and the record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceState {
    pub name: Box<str>,
    /// Milliseconds from the append until this instance had applied it; nothing before.
    pub applied_ms: Option<u64>,
}

/// A place in one incarnation of the log, written `<generation in hex>-<position>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceiptId {
    pub generation: Generation,
    pub position: Position,
}

impl ReceiptId {
    /// The id as it was written by its `Display`; nothing else is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (generation, position) = text.split_once('-')?;
        let lower = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        if generation.len() != 16 || !generation.bytes().all(lower) {
            return None;
        }
        if position.starts_with(['0', '+']) {
            return None;
        }
        Some(Self {
            generation: Generation::new(u64::from_str_radix(generation, 16).ok()?),
            position: Position::new(position.parse().ok()?),
        })
    }
}

impl std::fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (generation, position) = (self.generation.token(), self.position.ordinal());
        write!(f, "{generation:016x}-{position}")
    }
}

impl Receipt {
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub fn to_json(&self) -> Value {
        let instances: Vec<Value> = self.instances.iter().map(InstanceState::to_json).collect();
        let mut value = json!({
            "id": self.id.to_string(),
            "state": self.state.as_str(),
            "mode": self.mode.as_str(),
            "scopes": self.scopes,
            "instances": instances,
            "complete": self.is_complete(),
            "duplicate": self.duplicate,
        });
        if let (State::Spooled { durable }, Value::Object(members)) = (self.state, &mut value) {
            members.insert("durable".to_owned(), durable.into());
        }
        value
    }
}

impl InstanceState {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "applied_ms": self.applied_ms,
            "state": if self.applied_ms.is_some() { "applied" } else { "pending" },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = ReceiptId {
            generation: Generation::new(0x4f3a),
            position: Position::new(17),
        };
        assert_eq!(id.to_string(), "0000000000004f3a-17");
        assert_eq!(ReceiptId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in [
            "",
            "17",
            "4f3a-17",
            "0000000000004F3A-17",
            "0000000000004f3a-",
            "0000000000004f3a-017",
            "0000000000004f3a-+17",
            "0000000000004f3a-17-1",
            "0000000000004f3a-99999999999999999999",
        ] {
            assert_eq!(ReceiptId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_instance_that_has_not_applied_it_is_pending() {
        let receipt = Receipt {
            id: ReceiptId {
                generation: Generation::new(1),
                position: Position::new(2),
            },
            state: State::Settling,
            mode: Mode::Soft,
            scopes: vec!["tag:a".to_owned()],
            instances: vec![InstanceState {
                name: "edge-1".into(),
                applied_ms: None,
            }],
            duplicate: false,
        };
        assert_eq!(
            receipt.to_json(),
            json!({
                "id": "0000000000000001-2", "state": "settling", "mode": "soft",
                "scopes": ["tag:a"], "complete": false, "duplicate": false,
                "instances": [{"name": "edge-1", "applied_ms": null, "state": "pending"}],
            })
        );
    }
}
