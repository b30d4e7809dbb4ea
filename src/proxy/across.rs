//! Collapsing across instances: who leads a flight here asks whether another instance fetches the
//! same, and waits for what comes of that (`store::claim`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Proxy;
use super::cached::Ask;
use super::fill::Fill;
use super::patience::WAITED_OUT;
use crate::entry::purges::Live;
use crate::fetch::flight::{Landing, Lead};
use crate::key::{EntryKey, Folding};
use crate::store::claim::{APART, Claim, Claimed, Ending, Want};
use crate::store::{Store, Variants};

/// What a leader does then.
pub(super) enum Across {
    /// It fetches. With a claim, other instances wait for it.
    Fetch(Lead, Option<Claim>),
    /// Its flight has landed.
    Landed(Landing),
}

/// After so many looks a request waits for nobody in another instance.
const CLAIMS_MAX: usize = 3;

impl<S: Store> Proxy<S> {
    /// What a leader does when it is its turn, at this look of its request.
    pub(super) async fn depart(
        &self,
        ask: &Ask<'_>,
        look: usize,
        mut lead: Lead,
        flight_key: &EntryKey,
        seen: &Variants,
        stored: &Option<Live>,
    ) -> Across {
        if !self.take_turn(ask, &mut lead, stored, flight_key).await {
            // Whoever follows may have more patience.
            drop(lead);
            let (status, error) = WAITED_OUT;
            return Across::Landed(Landing::Failed { status, error });
        }
        let may_serve = self.shared.purges.may_serve();
        // Between the look and the flight another one may have landed.
        if may_serve && !self.store.is_unchanged(&ask.keyed.key, seen) {
            return Across::Landed(Landing::Abandoned);
        }
        if !may_serve || !self.store.is_shared() || look > CLAIMS_MAX {
            return Across::Fetch(lead, None);
        }
        Box::pin(self.across(ask, lead, flight_key, seen, stored.as_ref())).await
    }

    /// Leads for all instances, or waits for the one that does.
    async fn across(
        &self,
        ask: &Ask<'_>,
        lead: Lead,
        flight_key: &EntryKey,
        seen: &Variants,
        stored: Option<&Live>,
    ) -> Across {
        let want = Want {
            key: &ask.keyed.key,
            flight: flight_key,
            presented: &ask.parts.headers,
            folding: ask.folding(),
            seen,
            purges: &self.shared.purges,
            waits: true,
        };
        let claimed = self.store.claim(&want);
        let waited = self
            .shared
            .patiently(ask.route, stored, &ask.control, flight_key, claimed);
        let landing = match waited.await {
            Some(Claimed::Mine(claim)) => return Across::Fetch(lead, Some(claim)),
            Some(Claimed::Unclaimed | Claimed::Theirs) => return Across::Fetch(lead, None),
            // Whoever follows finds it in memory, where there is one.
            Some(Claimed::Changed) => {
                let _found = self.lookup(ask).await;
                Landing::Stored
            }
            Some(Claimed::NotShared(left)) => {
                let now = self.shared.clock.now();
                let rule = ask.route.cache.as_ref();
                let most = rule.map(|rule| rule.hit_for_miss).unwrap_or_default();
                self.shared.marks.set(flight_key, now, left.min(most));
                Landing::NotShared
            }
            // Whoever follows may have more patience.
            None => {
                drop(lead);
                let (status, error) = WAITED_OUT;
                return Across::Landed(Landing::Failed { status, error });
            }
        };
        lead.land(landing.clone());
        Across::Landed(landing)
    }
}

impl<S: Store> Fill<S> {
    /// Others are told that what was fetched for them, too, will not be there.
    pub(super) fn claim_lands(&mut self, landing: &Landing) {
        match (self.claim.take(), landing) {
            (Some(claim), Landing::Failed { .. } | Landing::NotShared) => {
                claim.end(Ending::Apart(APART))
            }
            (claim, _) => drop(claim),
        }
    }

    pub(super) fn claim_not_shared(&mut self, lasts: Duration) {
        if let Some(claim) = self.claim.take() {
            claim.end(Ending::NotShared(lasts));
        }
    }

    /// Validates for the store alone, unless another instance does so, or has just done.
    pub(super) fn start_unless_claimed(
        mut self,
        seen: Variants,
        folding: Folding,
        permit: OwnedSemaphorePermit,
    ) {
        let proxy = Arc::clone(&self.proxy);
        if !proxy.store.is_shared() {
            return self.start_unobserved(permit);
        }
        tokio::spawn(async move {
            let want = Want {
                key: &self.key,
                flight: &self.flight_key,
                presented: &self.presented,
                folding,
                seen: &seen,
                purges: &proxy.shared.purges,
                waits: false,
            };
            match proxy.store.claim(&want).await {
                Claimed::Mine(claim) => self.claim = Some(claim),
                Claimed::Unclaimed | Claimed::NotShared(_) => {}
                Claimed::Changed | Claimed::Theirs => return,
            }
            self.start_unobserved(permit);
        });
    }
}
