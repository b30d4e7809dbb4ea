//! HEAD where nothing stored answers it: passed on, and taken for what it says about what is stored
//! (RFC 9111 §4.3.5).

use std::sync::Arc;

use http::{Method, Response, StatusCode, response};

use super::Proxy;
use super::ask::{self, Client};
use super::cached::Ask;
use super::outcome::Outcome;
use super::pass;
use crate::body::Body;
use crate::entry::purges::Live;
use crate::exchange::{Exchange, Forwarded};
use crate::fields::cache_status::Fwd;
use crate::fields::date;
use crate::key::EntryKey;
use crate::policy::{Profile, reuse, validation};
use crate::store::Store;
use crate::telemetry::cache::Answer;

impl<S: Store> Proxy<S> {
    /// A HEAD fills nothing. What is stored stands in where it fails.
    pub(super) async fn head(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        why: Fwd,
        flight_key: EntryKey,
        stored: Option<Live>,
    ) -> (Response<Body>, Outcome) {
        let (shared, presented) = (&self.shared, ask.presented());
        let client = Client::of(ask.context, &ask.parts.headers);
        let mut request = ask::beside_store(
            Method::HEAD,
            ask.route,
            ask.target,
            ask.keyed.language,
            &ask.parts.headers,
            client,
        );
        request
            .extensions_mut()
            .insert(ask.context.relay(ask.route));
        let outcome = Outcome::forwarded(Answer::Bypass, why);
        let forwarded = Forwarded::begin(shared.clock.now(), shared.purges.fence());
        let sending = (request, client.trace);
        let (response, _memory) = match self.answered(presented, sending, outcome).await {
            Ok(answered) => answered,
            Err(failed) if failed.1.answer == Answer::Failed => {
                let error = failed.1.detail.unwrap_or_default();
                let status = failed.0.status();
                return self.stand_in(ask, why, stored, status, error).await;
            }
            Err(refused) => return *refused,
        };
        let exchange = forwarded.received(shared.clock.now());
        let (head, content) = pass::cleaned(response);
        if let Some(live) = stored.filter(|_| head.status == StatusCode::OK) {
            self.heed(ask, flight_key, &live, exchange, &head).await;
        }
        let response = self.finished(presented, head, content, ask.parts, false);
        (response, outcome)
    }

    /// §4.3.5: "the cache SHOULD update or invalidate each of its stored GET responses that could have
    /// been chosen for that request". What a purge covers by now is left to whoever looks next.
    async fn heed(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        flight_key: EntryKey,
        live: &Live,
        exchange: Exchange,
        head: &response::Parts,
    ) {
        let shared = &self.shared;
        let entry = live.entry();
        let length = entry.content().original().len() as u64;
        let rule = ask.route.cache.as_ref();
        // Before a CMS, what has no validator is not said to be unchanged.
        let is_lenient = rule.is_some_and(|rule| rule.profile == Profile::Rfc);
        if !is_lenient && !validation::has_validator(&head.headers) {
            return;
        }
        let is_described = entry.status() == StatusCode::OK
            && validation::is_described(&entry.head().origin(), length, &head.headers);
        if is_described {
            let still_live = shared.purges.admit(Arc::clone(entry));
            if let (Some(live), Some(rule)) = (still_live, rule)
                && ask.route.switch.caching()
                && !ask.control.no_store
            {
                let mut head = head.clone();
                date::supply(&mut head.headers, exchange.response_time().as_secs());
                let mut fill = self.new_fill(ask, flight_key, None, Some(live.clone()));
                fill.freshen(ask.route, rule, &live, exchange, &head).await;
            }
            return;
        }
        // What is stale already stays: it is validated before it is used, and may stand in.
        let now = shared.clock.now();
        if reuse::current_age(live, now) < entry.terms().lifetime.fresh {
            self.store.remove(entry).await;
        }
    }
}
