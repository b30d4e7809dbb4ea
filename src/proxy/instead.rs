//! What answers a request on a cached route where the origin cannot, or there is no memory to ask it
//! for the store.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::Proxy;
use super::cached::Ask;
use super::fill;
use super::outcome::Outcome;
use super::pass;
use crate::body::Body;
use crate::budget::{Pressure, Shed};
use crate::entry::purges::Live;
use crate::fields::cache_status::Fwd;
use crate::policy::reuse;
use crate::respond::stored;
use crate::store::Store;
use crate::telemetry::cache::Answer;

impl<S: Store> Proxy<S> {
    /// Answers a miss with little memory: with what is stale if that may be (RFC 5861 §4), else
    /// with what the origin says, which is not stored.
    pub(super) async fn shed(
        &self,
        ask: &Ask<'_>,
        why: Fwd,
        stored: Option<Live>,
    ) -> (Response<Body>, Outcome) {
        let budget = &self.shared.budget;
        self.shared.metrics.limit(fill::NO_MEMORY);
        if let Some(live) = self.standing_in(ask, stored) {
            budget.shed(Shed::Stale);
            return self.serve_on_error(ask, &live, fill::NO_MEMORY).await;
        }
        if budget.pressure() == Pressure::Soft {
            budget.shed(Shed::Unstored);
        }
        self.pass_keyed(ask.context, ask.presented(), ask.parts, why)
            .await
    }

    /// Stale on error (RFC 5861 §4), never over a hard purge; else the error.
    pub(super) async fn stand_in(
        &self,
        ask: &Ask<'_>,
        why: Fwd,
        stored: Option<Live>,
        status: StatusCode,
        error: &'static str,
    ) -> (Response<Body>, Outcome) {
        match self.standing_in(ask, stored) {
            Some(live) => self.serve_on_error(ask, &live, error).await,
            None => pass::failed(Outcome::forwarded(Answer::Failed, why), status, error),
        }
    }

    fn standing_in(&self, ask: &Ask<'_>, stored: Option<Live>) -> Option<Live> {
        let now = self.shared.clock.now();
        stored
            .and_then(|live| self.shared.purges.admit(Arc::clone(live.entry())))
            .filter(|live| reuse::may_stand_in(live, &ask.control, now))
    }

    async fn serve_on_error(
        &self,
        ask: &Ask<'_>,
        live: &Live,
        error: &'static str,
    ) -> (Response<Body>, Outcome) {
        let now = self.shared.clock.now();
        let mut outcome = Outcome::hit(Answer::StaleOnError, stored::ttl(live, now));
        outcome.detail = Some(error);
        self.serve(ask, live, outcome).await
    }
}
