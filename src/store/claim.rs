//! Claims: which instance fetches a key for all that share the store.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;

use super::Variants;
use crate::entry::purges::Purges;
use crate::key::{CacheKey, EntryKey, Folding};

/// What is to be fetched, and what was seen before.
#[derive(Clone, Copy, Debug)]
pub struct Want<'w> {
    pub key: &'w CacheKey,
    /// What the flight in this process is for.
    pub flight: &'w EntryKey,
    pub presented: &'w HeaderMap,
    pub folding: Folding,
    /// What the last look found.
    pub seen: &'w Variants,
    /// What tells whether what another instance brings will be of use here.
    pub purges: &'w Purges,
    /// Whether another instance's fetch is waited for.
    pub waits: bool,
}

/// Who fetches.
#[derive(Debug)]
pub enum Claimed {
    /// This instance. Others wait for it.
    Mine(Claim),
    /// There is something new for this request, or may be: look again.
    Changed,
    /// Another instance, which is not to be waited for.
    Theirs,
    /// The last answer could not be shared, and the next will not for so long: everybody fetches.
    NotShared(Duration),
    /// This instance, for itself: nobody knows who else does.
    Unclaimed,
}

/// The right, and the duty, to fetch for all instances. Dropped, it is given back, and another one
/// takes it.
pub struct Claim(Box<dyn Held>);

/// How long nobody waits for another instance after a fetch came to nothing.
pub const APART: Duration = Duration::from_secs(1);

/// How what was fetched under a claim ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// It is in the shared store.
    Shared,
    /// It is not, nor will be for so long: each instance that wants it fetches for itself.
    Apart(Duration),
    /// It may not be shared, nor may the next answers for so long: nobody waits for anybody.
    NotShared(Duration),
}

/// What a store keeps of a claim while it is held.
pub trait Held: Send + Sync + 'static {
    fn end(self: Box<Self>, ending: Ending);
}

impl Claim {
    pub fn new(held: impl Held) -> Self {
        Self(Box::new(held))
    }

    pub fn end(self, ending: Ending) {
        self.0.end(ending);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
