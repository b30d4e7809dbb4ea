//! One look at the store, and the wait for one's turn to ask the origin instead.

use super::Proxy;
use super::cached::Ask;
use crate::entry::purges::Live;
use crate::fetch::flight::Lead;
use crate::key::EntryKey;
use crate::policy::reuse::{self, Candidate, Found};
use crate::store::{Look, Store, StoreError, Variants};

/// What is in the store for a request.
pub(super) struct Looked {
    pub(super) variants: Variants,
    pub(super) found: Found<Live>,
    pub(super) is_from_shared: bool,
}

impl<S: Store> Proxy<S> {
    /// What this process holds; where that does not answer, what others have stored, too.
    pub(super) async fn look(&self, ask: &Ask<'_>) -> Looked {
        let presented = &ask.parts.headers;
        let local = self.store.local(&ask.keyed.key);
        let found = self.found(&local, presented, ask.folding()).await;
        let is_fresh = |live: &Live| {
            live.terms().lifetime.fresh > reuse::current_age(live, ask.arrived)
                && !live.is_softly_purged()
        };
        if !self.store.is_shared()
            || matches!(&found, Found::Entry(live) if is_fresh(live))
            || !self.shared.purges.may_serve()
        {
            return Looked {
                variants: local,
                found,
                is_from_shared: false,
            };
        }
        Box::pin(async {
            let variants = self.lookup(ask).await.unwrap_or_else(|| local.clone());
            let found = self.found(&variants, presented, ask.folding()).await;
            let is_from_shared = matches!(&found, Found::Entry(live) if !local.holds(live.entry()));
            Looked {
                variants,
                found,
                is_from_shared,
            }
        })
        .await
    }

    /// Nothing: the store failed, which is counted, and no reason to fail.
    pub(super) async fn lookup(&self, ask: &Ask<'_>) -> Option<Variants> {
        let look = Look {
            key: &ask.keyed.key,
            presented: &ask.parts.headers,
            folding: ask.folding(),
            current: self.shared.purges.generation(),
        };
        let error = match self.store.lookup(&look).await {
            Ok(variants) => return Some(variants),
            Err(error) => error,
        };
        self.shared.metrics.store_error(match error {
            StoreError::TooLarge => "too-large",
            StoreError::Deadline => "deadline",
            StoreError::Unreachable => "unreachable",
        });
        None
    }

    /// Waits until the flight before this one has landed, where no other may be under way beside it.
    /// False: it takes longer than somebody waits who could have something stale.
    pub(super) async fn take_turn(
        &self,
        ask: &Ask<'_>,
        lead: &mut Lead,
        stored: &Option<Live>,
        flight_key: &EntryKey,
    ) -> bool {
        if let Some(before) = lead.before() {
            let landing = before.landing();
            let waited = self.shared.patiently(
                ask.route,
                stored.as_ref(),
                &ask.control,
                flight_key,
                landing,
            );
            // Whatever it brought: it left before this request came.
            if waited.await.is_none() {
                return false;
            }
            lead.departs();
        }
        true
    }
}
