//! The purge command, its log and its receipts, and those who ask for purges: webhooks and purge
//! protocols.
//!
//! Whoever wants a purge makes a [`Purge`] and appends it to the [`log::Log`]; nothing else raises
//! a scope.

pub mod answer;
mod history;
pub mod local;
pub mod log;
pub mod protocol;
pub mod read;
pub mod receipt;
pub mod secret;
pub mod shared;
pub mod target;
pub mod template;
pub mod webhook;

use std::collections::HashSet;

use thiserror::Error;

use crate::entry::purges::Mode;
use crate::entry::scope::Scope;

/// One record to be: what is to be purged, how, and who asked. It always names something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Purge {
    scopes: Vec<Scope>,
    mode: Mode,
    cause: Cause,
    delivery: Option<Box<str>>,
}

/// Who asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    Admin,
    Webhook {
        name: Box<str>,
        event: Box<str>,
    },
    /// A purge protocol on the public port, by the name of its dialect.
    Protocol(&'static str),
    /// A response to an unsafe method (RFC 9111 §4.4).
    Invalidation,
}

impl Cause {
    /// The value of the metrics' label `source`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Webhook { .. } => "webhook",
            Self::Protocol(_) => "protocol",
            Self::Invalidation => "invalidation",
        }
    }
}

/// Why there is no such purge.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NotAPurge {
    #[error("it names nothing to purge")]
    Empty,
    #[error("it names {found} scopes, of which one purge takes at most {SCOPES_MAX}")]
    TooMany { found: usize },
}

/// Scopes in one purge. One record is applied as a whole, and this bounds how long that takes.
pub const SCOPES_MAX: usize = 1024;

impl Purge {
    /// Scopes that are named twice count once.
    ///
    /// # Errors
    /// Without a scope, and with more than [`SCOPES_MAX`].
    pub fn new(mut scopes: Vec<Scope>, mode: Mode, cause: Cause) -> Result<Self, NotAPurge> {
        let mut seen = HashSet::with_capacity(scopes.len());
        scopes.retain(|scope| seen.insert(scope.clone()));
        match scopes.len() {
            0 => Err(NotAPurge::Empty),
            found if found > SCOPES_MAX => Err(NotAPurge::TooMany { found }),
            _ => Ok(Self {
                scopes,
                mode,
                cause,
                delivery: None,
            }),
        }
    }

    /// Names the delivery this purge came with. A second purge with the same name is a repetition
    /// of the first, whatever it says, and is answered with the first one's receipt.
    pub fn delivered_as(self, delivery: impl Into<Box<str>>) -> Self {
        Self {
            delivery: Some(delivery.into()),
            ..self
        }
    }

    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    pub const fn mode(&self) -> Mode {
        self.mode
    }

    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    pub fn delivery(&self) -> Option<&str> {
        self.delivery.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: usize) -> Vec<Scope> {
        (0..count).map(|at| Scope::tag(format!("t{at}"))).collect()
    }

    #[test]
    fn a_purge_of_nothing_cannot_be_made() {
        let nothing = Purge::new(Vec::new(), Mode::Hard, Cause::Admin);
        assert_eq!(nothing, Err(NotAPurge::Empty));
    }

    #[test]
    fn the_bound_counts_different_scopes() {
        let twice = [tags(SCOPES_MAX), tags(SCOPES_MAX)].concat();
        let purge = Purge::new(twice, Mode::Hard, Cause::Admin).unwrap();
        assert_eq!(purge.scopes().len(), SCOPES_MAX);
        let found = SCOPES_MAX + 1;
        let error = Purge::new(tags(found), Mode::Hard, Cause::Admin).unwrap_err();
        assert_eq!(error, NotAPurge::TooMany { found });
        assert!(error.to_string().contains("1024"), "{error}");
    }
}
