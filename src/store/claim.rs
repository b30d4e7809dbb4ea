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

/// What a store keeps of a claim while it is held.
pub trait Held: Send + Sync + 'static {
    /// What came of it is in the shared store (`true`), or will not be, though it may be there another
    /// time: whoever waited fetches for itself.
    fn end(self: Box<Self>, is_there: bool);

    /// What came of it may not be shared, nor will the next answers for so long.
    fn not_shared(self: Box<Self>, lasts: Duration);
}

impl Claim {
    pub fn new(held: impl Held) -> Self {
        Self(Box::new(held))
    }

    /// See [`Held::end`].
    pub fn end(self, is_there: bool) {
        self.0.end(is_there);
    }

    /// See [`Held::not_shared`].
    pub fn not_shared(self, lasts: Duration) {
        self.0.not_shared(lasts);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
