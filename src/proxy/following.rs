//! What answers a request that has waited for another one's exchange.

use http::Response;
use http::header::AGE;

use super::cached::{Ask, from_origin};
use super::fill;
use super::outcome::Outcome;
use super::pass::Head;
use crate::body::Body;
use crate::entry::StoredResponse;
use crate::entry::purges::Live;
use crate::exchange::Fence;
use crate::fields::accept_encoding::AcceptEncoding;
use crate::fields::cache_status::Fwd;
use crate::key::EntryKey;
use crate::policy::reuse::Candidate;
use crate::store::Variants;
use crate::telemetry::cache::Answer;

/// What a request that has waited for others knows.
#[derive(Clone, Copy)]
pub(super) struct Followed {
    /// Why it went forward at first.
    pub why: Fwd,
    /// The fence before it did.
    pub since: Fence,
}

impl Ask<'_> {
    /// What its flight is for.
    pub(super) fn flight_key(&self, variants: &Variants) -> EntryKey {
        let (key, presented) = (&self.keyed.key, &self.parts.headers);
        match &self.vary {
            Some(vary) if variants.is_empty() => key.select(vary, presented, self.folding()),
            _ => variants.flight_key(key, presented, self.folding()),
        }
    }

    /// Whether what a flight brought that was then purged answers this request, which followed it.
    pub(super) fn may_share(&self, entry: &StoredResponse) -> bool {
        let presented = &self.parts.headers;
        let coding = entry.content().original_coding();
        entry.response_time() >= self.arrived
            && !entry.terms().no_cache
            && AcceptEncoding::parse(presented).accepts(coding)
            && self.is_selected(entry)
    }

    pub(super) fn is_selected(&self, entry: &StoredResponse) -> bool {
        let (key, presented) = (&self.keyed.key, &self.parts.headers);
        key.select(entry.vary(), presented, self.folding()) == *entry.entry_key()
    }

    /// As its leader's client gets it.
    pub(super) fn share(&self, entry: &StoredResponse, why: Fwd) -> (Response<Body>, Outcome) {
        let is_lost = !self.context.shared.purges.may_serve();
        let because = if is_lost { fill::LOST } else { fill::PURGED };
        let mut fields = entry.head().client();
        let age = entry.terms().corrected_initial_age.as_secs();
        fields.insert(AGE, age.into());
        let head = Head {
            status: entry.status(),
            fields,
            origin: &entry.head().origin(),
        };
        let content = Body::full(entry.content().original().clone());
        let mut outcome = Outcome::forwarded(Answer::Collapsed, why).because(because);
        outcome.collapsed = true;
        (from_origin(head, content, self), outcome)
    }

    /// After it followed a flight: a response that came after the request did satisfies `no-cache`
    /// and `max-age` (RFC 9111 §5.2.1), and is as fresh as one of its own exchange would be. Only
    /// what has to be validated for each use does not (§5.2.2.4), nor what may have left before a
    /// soft purge that the request came after: where the exchange left behind `since` or later, the
    /// purge came while the request waited.
    pub(super) fn is_answered_by(&self, live: &Live, since: Fence) -> bool {
        let fence = live.entry().fence();
        let left_later = fence.generation == since.generation && fence.position >= since.position;
        live.response_time() >= self.arrived
            && !live.terms().no_cache
            && (left_later || !live.is_softly_purged())
    }
}
