//! POST, where its response may be stored as the response to GET (RFC 9110 §9.3.3).

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};

use super::Proxy;
use super::ask::Client;
use super::context::Context;
use super::fill::{Answer, Fill, Filled};
use super::outcome::Outcome;
use super::partial::Wanted;
use super::pass::{self, Head};
use super::variations;
use crate::body::Body;
use crate::budget::Pressure;
use crate::exchange::Forwarded;
use crate::fields::content_encoding::ContentEncoding;
use crate::fields::date;
use crate::fields::vary::Vary;
use crate::key::CacheKey;
use crate::policy::{Profile, posted};
use crate::respond::head::Presented;
use crate::respond::stored;
use crate::route::Route;
use crate::store::Store;
use crate::telemetry::trace::Trace;

/// Whether the response to this request, which nothing makes bypass the cache, may be stored. Not
/// where the language is negotiated: of what is not read the origin is not asked for one.
pub(super) fn may_be_stored(route: &Route, parts: &Parts) -> bool {
    let is_rfc = |profile| profile == Profile::Rfc;
    parts.method == Method::POST
        && route
            .cache
            .as_ref()
            .is_some_and(|rule| is_rfc(rule.profile))
        && route.key.language.is_none()
        && route.switch.caching()
}

impl<S: Store> Proxy<S> {
    /// Forwards a POST, invalidates what it changed, and stores what it made if the response is that.
    pub(super) async fn post(
        self: &Arc<Self>,
        context: &Context<'_>,
        presented: Presented<'_>,
        sending: (Request<Body>, Trace),
        parts: &Parts,
        outcome: Outcome,
    ) -> (Response<Body>, Outcome) {
        let (shared, Presented { route, target, .. }) = (&self.shared, presented);
        // Before the request leaves, as for every exchange whose answer is stored.
        let forwarded = Forwarded::begin(shared.clock.now(), shared.purges.fence());
        let (response, memory) = match self.answered(presented, sending, outcome).await {
            Ok(answered) => answered,
            Err(failed) => return *failed,
        };
        let exchange = forwarded.received(shared.clock.now());
        let (mut head, body) = pass::cleaned(response);
        let (key, _) = variations::key_of(route, target, &parts.headers, &head.headers);
        let checked = shared.purges.fence();
        let is_untouched = shared.purges.is_untouched(exchange.fence(), &key);
        let own = shared
            .invalidate(route, target, &parts.method, head.status, &head.headers)
            .await;
        let is_target = |named: &str| target.named(named).as_ref() == Some(target);
        let exchange = own
            .filter(|_| is_untouched && posted::represents(head.status, &head.headers, is_target))
            .and_then(|own| exchange.behind(own, checked));
        let permit = Arc::clone(&shared.fills).try_acquire_owned();
        if let (Some(exchange), Ok(permit)) = (exchange, permit)
            && shared.budget.pressure() == Pressure::Low
        {
            date::supply(&mut head.headers, exchange.response_time().as_secs());
            let fill = self.posted(context, presented, parts, key);
            let coding = ContentEncoding::parse(&head.headers);
            let assessed = route
                .cache
                .as_ref()
                .and_then(|rule| fill.assess(route, rule, &head, exchange, coding).ok());
            if assessed.is_some_and(|(storable, _)| posted::is_explicit(storable.terms())) {
                let answer = Answer {
                    received: head.status,
                    exchange,
                    head,
                    body,
                    validated: None,
                    rest_of: None,
                };
                let filled = fill.start_with(answer, permit).await;
                return self.answer_posted(route, parts, filled, outcome);
            }
        }
        let response = self.finished(presented, head, body, parts, false);
        (response.map(|body| body.charged(memory)), outcome)
    }

    fn posted(
        self: &Arc<Self>,
        context: &Context<'_>,
        presented: Presented<'_>,
        parts: &Parts,
        key: CacheKey,
    ) -> Fill<S> {
        let Presented { route, target, .. } = presented;
        Fill {
            proxy: Arc::clone(self),
            route: route.index,
            target: target.clone(),
            language: None,
            presented: parts.headers.clone(),
            client: Client::of(context, &parts.headers),
            relay: None,
            no_store: false,
            stale_if_error: None,
            flight_key: key.select(&Vary::default(), &parts.headers, route.vary.folding),
            key,
            lead: None,
            claim: None,
            stored: None,
            wanted: Wanted::Nothing,
        }
    }

    /// As it came, whatever the request says of conditions and ranges: the origin has heard it.
    fn answer_posted(
        &self,
        route: &Route,
        parts: &Parts,
        filled: Option<Filled>,
        mut outcome: Outcome,
    ) -> (Response<Body>, Outcome) {
        let now = self.shared.clock.now();
        match filled {
            Some(Filled::Stored { live, .. }) => {
                (outcome.stored, outcome.ttl) = (true, Some(stored::ttl(&live, now)));
                let coding = live.entry().content().original_coding();
                let request = HeaderMap::new();
                let response = stored::response(&live, &Method::GET, &request, coding, now);
                (response, outcome)
            }
            Some(Filled::Streaming(answer)) => {
                (outcome.stored, outcome.ttl) = (answer.not_stored.is_none(), answer.ttl);
                outcome.detail = answer.not_stored;
                let head = Head {
                    status: answer.status,
                    fields: answer.fields,
                    origin: &answer.origin,
                };
                let (method, request) = (&parts.method, &parts.headers);
                let response =
                    pass::passed(&self.shared, head, answer.body, method, request, route);
                (response, outcome)
            }
            Some(Filled::Failed { status, error, .. }) => pass::failed(outcome, status, error),
            None => {
                let status = http::StatusCode::BAD_GATEWAY;
                pass::failed(outcome, status, "proxy_internal_error")
            }
        }
    }
}
