//! Incomplete responses in the cache (RFC 9111 §3.3): one range of a representation, which is never
//! taken for the whole.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::Tags;
use super::head::Head;
use super::purges::{Mode, Purges};
use crate::clock::Timestamp;
use crate::exchange::Fence;
use crate::fields::vary::Vary;
use crate::key::select::Secondary;
use crate::key::{CacheKey, EntryKey, Folding};
use crate::policy::partial::{Part, StorablePart};
use crate::policy::reuse::Candidate;
use crate::policy::storability::Terms;

/// A stored part. It is no [`super::StoredResponse`], so it gets into no store of whole ones.
///
/// ```compile_fail,E0308
/// // A part cannot be served as the whole.
/// use cms_edge::entry::{StoredResponse, partial::Incomplete};
/// fn whole(part: std::sync::Arc<Incomplete>) -> std::sync::Arc<StoredResponse> {
///     part
/// }
/// ```
#[derive(Debug)]
pub struct Incomplete {
    key: EntryKey,
    vary: Vary,
    part: Part,
    head: Head,
    tags: Tags,
    terms: Terms,
    response_time: Timestamp,
    fence: Fence,
    content: Bytes,
}

/// A stored part that no hard purge covers.
#[derive(Clone, Debug)]
pub struct LivePart {
    incomplete: Arc<Incomplete>,
    softly_purged: bool,
}

/// What a part weighs beyond its variable parts, in bytes.
const OVERHEAD_BYTES: usize = 640;

impl Incomplete {
    /// Nothing if `content` is not as long as its range.
    pub fn seal(
        key: EntryKey,
        vary: Vary,
        storable: &StorablePart,
        head: Head,
        tags: Tags,
        content: Bytes,
    ) -> Option<Self> {
        let exchange = storable.exchange();
        let part = storable.part();
        (content.len() as u64 == part.length()).then(|| Self {
            key,
            vary,
            part,
            head,
            tags,
            terms: *storable.terms(),
            response_time: exchange.response_time(),
            fence: exchange.fence(),
            content,
        })
    }

    pub const fn key(&self) -> &CacheKey {
        self.key.primary()
    }

    pub const fn part(&self) -> Part {
        self.part
    }

    pub const fn head(&self) -> &Head {
        &self.head
    }

    pub const fn content(&self) -> &Bytes {
        &self.content
    }

    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// §4.1: whether the presented fields select it.
    pub fn is_selected_by(&self, presented: &HeaderMap, folding: Folding) -> bool {
        self.vary.is_empty()
            || Secondary::of(&self.vary, presented, folding) == *self.key.secondary()
    }

    /// Bytes this takes in memory.
    pub fn weight(&self) -> usize {
        OVERHEAD_BYTES
            + self.key.primary().as_str().len()
            + self.key.secondary().as_str().len()
            + self.head.weight()
            + size_of_val(&*self.tags.0)
            + self.content.len()
    }
}

impl LivePart {
    pub const fn incomplete(&self) -> &Arc<Incomplete> {
        &self.incomplete
    }
}

impl Candidate for LivePart {
    fn terms(&self) -> Terms {
        self.incomplete.terms
    }

    fn response_time(&self) -> Timestamp {
        self.incomplete.response_time
    }

    fn is_softly_purged(&self) -> bool {
        self.softly_purged
    }
}

impl Purges {
    /// The one way to a stored part. `None`: a hard purge covers it, or it comes from another
    /// generation of the log.
    pub fn admit_part(&self, incomplete: Arc<Incomplete>) -> Option<LivePart> {
        let Fence {
            generation,
            position,
        } = incomplete.fence;
        let covers = |mode| {
            let tags = &incomplete.tags.0;
            self.covers(incomplete.key(), tags, mode, position.ordinal())
        };
        if generation != self.generation() || covers(Mode::Hard) {
            return None;
        }
        let softly_purged = covers(Mode::Soft);
        Some(LivePart {
            incomplete,
            softly_purged,
        })
    }
}
