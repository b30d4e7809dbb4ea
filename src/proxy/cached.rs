//! GET and HEAD on a cached route: look up, decide, and act on the decision.

use std::sync::Arc;

use http::header::RANGE;
use http::{HeaderMap, Method, Response, StatusCode};

use super::across::Across;
use super::ask::Client;
use super::context::Context;
use super::fill::{self, Fill, Filled};
use super::following::Followed;
use super::look::Looked;
use super::outcome::Outcome;
use super::partial::Wanted;
use super::pass::{self, Head};
use super::patience::{JUST_FAILED, WAITED_OUT};
use super::{Proxy, ranges, refuse};
use crate::body::Body;
use crate::budget::{Pressure, Shed};
use crate::clock::Timestamp;
use crate::entry::purges::Live;
use crate::fetch::flight::{Flight, Landing, Lead};
use crate::fields::accept_encoding::Coding;
use crate::fields::cache_control::RequestControl;
use crate::fields::cache_status::Fwd;
use crate::fields::conditional::{self, Precondition};
use crate::fields::vary::Vary;
use crate::key::{EntryKey, Folding, Keyed, TargetUri};
use crate::policy::CacheRule;
use crate::policy::reuse::{self, Candidate, Disposition, Found};
use crate::respond::head::Presented;
use crate::respond::stored::{self, Plan};
use crate::respond::synthetic;
use crate::route::Route;
use crate::store::claim::Claim;
use crate::store::{Look, Store, Variants};
use crate::telemetry::cache::Answer;
use crate::transform::NotDerived;

/// How often one request looks again after somebody else's flight, before it goes alone.
const FLIGHTS_MAX: usize = 5;

/// A request on a cached route, and what has been found out about it.
pub(super) struct Ask<'r> {
    pub context: &'r Context<'r>,
    pub route: &'r Route,
    pub target: &'r TargetUri,
    pub parts: &'r http::request::Parts,
    pub control: RequestControl,
    pub keyed: Keyed,
    pub arrived: Timestamp,
    /// What responses for other values of the presented fields said that they depend on, where
    /// nothing that is stored says it.
    pub vary: Option<Vary>,
}

/// What came of one look at the store.
enum Turn {
    Answered((Response<Body>, Outcome)),
    /// Somebody else's exchange has ended.
    LookAgain(Followed),
    /// It has brought what is purged by now, and depends on these fields.
    LookApart(Followed, Vary),
    /// Forward the request as it is.
    Alone(Fwd),
}

impl<S: Store> Proxy<S> {
    pub(super) async fn cached(
        self: &Arc<Self>,
        context: &Context<'_>,
        route: &Route,
        rule: &CacheRule,
        parts: http::request::Parts,
    ) -> (Response<Body>, Outcome) {
        let Some(target) = &context.target else {
            return refuse(super::BAD_TARGET);
        };
        let mut ask = Ask {
            context,
            route,
            target,
            control: if rule.request_directives {
                RequestControl::parse(&parts.headers)
            } else {
                RequestControl::default()
            },
            keyed: self.keyed(route, target, &parts.headers),
            parts: &parts,
            arrived: self.shared.clock.now(),
            vary: None,
        };
        context.speak(ask.keyed.language);
        if route.cache_status_key {
            context.key.get_or_init(|| ask.keyed.key.clone());
        }
        // RFC 9111 §4.3.2: a cache must not evaluate what is meant for the origin.
        if conditional::is_for_origin(&parts.headers) && !ask.control.only_if_cached {
            let passed = self.pass_keyed(context, ask.presented(), &parts, Fwd::Request);
            return Box::pin(passed).await;
        }
        let (mut followed, mut alone): (Option<Followed>, _) = (None, Fwd::Miss);
        for look in 1..=FLIGHTS_MAX {
            match self.turn(&ask, look, followed).await {
                Turn::Answered(answer) => return answer,
                Turn::LookAgain(now) => {
                    followed = followed.or(Some(now));
                    // What came may have told what counts of the query.
                    ask.keyed = self.keyed(route, target, &parts.headers);
                }
                Turn::LookApart(now, vary) => {
                    followed = followed.or(Some(now));
                    ask.vary = Some(vary);
                }
                Turn::Alone(why) => {
                    alone = why;
                    break;
                }
            }
        }
        let why = followed.map_or(alone, |followed| followed.why);
        Box::pin(self.pass_keyed(context, ask.presented(), &parts, why)).await
    }

    /// Looks up, decides, and acts: alone, as the leader of a flight, or behind another's.
    async fn turn(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        look: usize,
        followed: Option<Followed>,
    ) -> Turn {
        let Looked {
            variants,
            found,
            is_from_shared,
        } = self.look(ask).await;
        let now = self.shared.clock.now();
        let found = match found {
            Found::Entry(live)
                if followed.is_some_and(|followed| ask.is_answered_by(&live, followed.since)) =>
            {
                let mut outcome = hit(&live, now, followed);
                outcome.is_from_shared = is_from_shared;
                return Turn::Answered(self.serve(ask, &live, outcome).await);
            }
            found => found,
        };
        let (why, stored) = match reuse::decide(found, &ask.control, now) {
            Disposition::Reuse(live) => {
                let mut outcome = hit(&live, now, followed);
                outcome.is_from_shared = is_from_shared;
                return Turn::Answered(self.serve(ask, &live, outcome).await);
            }
            Disposition::ReuseWhileRevalidating(live) => {
                let flight_key = ask.flight_key(&variants);
                self.validate_in_background(ask, &flight_key, &variants, &live)
                    .await;
                let mut outcome = Outcome::hit(Answer::Stale, stored::ttl(&live, now));
                outcome.is_from_shared = is_from_shared;
                return Turn::Answered(self.serve(ask, &live, outcome).await);
            }
            Disposition::GatewayTimeout => {
                let part = self.serve_part(ask, Fwd::Miss);
                return Turn::Answered(part.unwrap_or_else(|_| only_if_cached()));
            }
            Disposition::Validate(why, live) => (why, Some(live)),
            Disposition::Forward(why) => match self.serve_part(ask, why) {
                Ok(answer) => return Turn::Answered(answer),
                Err(why) => (why, None),
            },
        };
        Box::pin(self.forward(ask, look, why, stored, &variants)).await
    }

    /// Nothing stored answers as it is: the origin is asked, unless another request does so, or
    /// what is stored stands in.
    async fn forward(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        look: usize,
        why: Fwd,
        stored: Option<Live>,
        variants: &Variants,
    ) -> Turn {
        let presented = &ask.parts.headers;
        let now = self.shared.clock.now();
        let flight_key = ask.flight_key(variants);
        if self
            .shared
            .has_just_failed(stored.as_ref(), &ask.control, &flight_key, now)
        {
            let (status, error) = JUST_FAILED;
            let answer = self.stand_in(ask, why, stored, status, error).await;
            return Turn::Answered(answer);
        }
        if ask.parts.method == Method::HEAD {
            return Turn::Answered(Box::pin(self.head(ask, why, flight_key, stored)).await);
        }
        let is_marked = self.shared.marks.is_set(&flight_key, now);
        if is_marked {
            self.shared.metrics.hit_for_miss.inc();
        }
        // What is known not to be storable may be large: its parts come from the origin.
        if is_marked && presented.contains_key(RANGE) {
            return Turn::Alone(why);
        }
        if is_marked || self.is_own(ask, stored.as_ref()) {
            return Turn::Answered(Box::pin(self.fill(ask, why, flight_key, None, stored)).await);
        }
        let since = self.shared.purges.fence();
        let landing = match self.shared.flights.join(&flight_key) {
            Flight::Lead(lead) => {
                let across = self.depart(ask, look, lead, &flight_key, variants, &stored);
                match across.await {
                    Across::Landed(landing) => landing,
                    Across::Fetch(lead, claim) => {
                        let lead = Some((lead, claim));
                        let fill = self.fill(ask, why, flight_key, lead, stored);
                        return Turn::Answered(Box::pin(fill).await);
                    }
                }
            }
            Flight::Follow(follow) => {
                let waited = self.shared.patiently(
                    ask.route,
                    stored.as_ref(),
                    &ask.control,
                    &flight_key,
                    follow.landing(),
                );
                let (status, error) = WAITED_OUT;
                waited.await.unwrap_or(Landing::Failed { status, error })
            }
        };
        self.landed(ask, Followed { why, since }, flight_key, stored, landing)
            .await
    }

    /// What becomes of a request that has waited for another one's flight.
    async fn landed(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        followed: Followed,
        flight_key: EntryKey,
        stored: Option<Live>,
        landing: Landing,
    ) -> Turn {
        let why = followed.why;
        match landing {
            Landing::Overtaken(entry) if ask.may_share(&entry) => {
                Turn::Answered(ask.share(&entry, why))
            }
            Landing::Overtaken(entry) if !ask.is_selected(&entry) => {
                Turn::LookApart(followed, entry.vary().clone())
            }
            Landing::Stored | Landing::Abandoned | Landing::Overtaken(_) => {
                Turn::LookAgain(followed)
            }
            Landing::NotShared => {
                Turn::Answered(Box::pin(self.fill(ask, why, flight_key, None, stored)).await)
            }
            Landing::Failed { status, error } => {
                Turn::Answered(Box::pin(self.stand_in(ask, why, stored, status, error)).await)
            }
        }
    }

    /// Whether nobody else has something of the answer: to a request that says no-store, to one for a
    /// part, and of what must be validated each time.
    fn is_own(&self, ask: &Ask<'_>, stored: Option<&Live>) -> bool {
        ask.control.no_store
            || stored.is_some_and(|live| live.terms().no_cache)
            || matches!(self.wanted(ask, stored), Wanted::Range)
    }

    /// What is stored for the presented fields, unless a hard purge covers it.
    pub(super) async fn found(
        &self,
        variants: &Variants,
        presented: &HeaderMap,
        folding: Folding,
    ) -> Found<Live> {
        let Some(entry) = variants.select(presented, folding) else {
            return if variants.is_empty() {
                Found::Nothing
            } else {
                Found::OtherVariants
            };
        };
        match self.shared.purges.admit(Arc::clone(entry)) {
            Some(live) => Found::Entry(live),
            // What was purged is not known now. It may be good again once it is.
            None if !self.shared.purges.may_serve() => Found::Nothing,
            None => {
                // With it go the older ones it had superseded for these fields under another Vary:
                // whoever has seen the newer one must not see them again.
                for superseded in variants.matching(presented, folding) {
                    // In a box: the future of a hit stays small.
                    Box::pin(self.store.remove(superseded)).await;
                }
                let look = Look {
                    key: entry.key(),
                    presented,
                    folding,
                    current: self.shared.purges.generation(),
                };
                Box::pin(self.store.remove_superseded(&look, entry)).await;
                Found::Nothing
            }
        }
    }

    /// Makes the response from the store, in the coding that suits the client.
    pub(super) async fn serve(
        &self,
        ask: &Ask<'_>,
        live: &Live,
        outcome: Outcome,
    ) -> (Response<Body>, Outcome) {
        let rule = ask.route.compression();
        let request = &ask.parts.headers;
        let coding = match stored::plan(live, request, rule) {
            Plan::Ready(coding) => coding,
            Plan::Derive { coding, meanwhile } => {
                Box::pin(self.derive(live, coding, meanwhile, rule.level(coding))).await
            }
        };
        let now = self.shared.clock.now();
        let response = stored::response(live, &ask.parts.method, request, coding, now);
        (response, outcome)
    }

    /// Derives the representation in `coding`, and tells which one there is now.
    async fn derive(
        &self,
        live: &Live,
        coding: Coding,
        meanwhile: Option<Coding>,
        level: u32,
    ) -> Coding {
        let must = meanwhile.is_none();
        let deriver = &self.shared.deriver;
        match deriver.derive(live.entry(), coding, level, must).await {
            Ok(()) => {
                self.shared.metrics.derived.inc();
                self.store.grown(live.entry()).await;
                coding
            }
            Err(reason) => {
                if reason != NotDerived::Underway {
                    self.shared.metrics.not_derived(reason.as_str());
                }
                meanwhile.unwrap_or_else(|| live.entry().content().original_coding())
            }
        }
    }

    /// Fetches, detached from this client, and answers with what comes back.
    async fn fill(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        why: Fwd,
        flight_key: EntryKey,
        lead: Option<(Lead, Option<Claim>)>,
        stored: Option<Live>,
    ) -> (Response<Body>, Outcome) {
        if self.shared.budget.pressure() > Pressure::Low {
            drop(lead);
            return self.shed(ask, why, stored).await;
        }
        let Ok(permit) = Arc::clone(&self.shared.fills).try_acquire_owned() else {
            self.shared.metrics.limit("fills");
            drop(lead);
            return self
                .pass_keyed(ask.context, ask.presented(), ask.parts, why)
                .await;
        };
        let (lead, claim) = lead.unzip();
        let mut fill = self.new_fill(ask, flight_key.clone(), lead, stored.clone());
        fill.claim = claim.flatten();
        fill.relay = Some(ask.context.relay(ask.route));
        let filled = fill.start(permit);
        let waited = self.shared.patiently(
            ask.route,
            stored.as_ref(),
            &ask.control,
            &flight_key,
            filled,
        );
        let (status, error) = match waited.await {
            Some(Some(filled)) => return self.answer_filled(ask, why, filled).await,
            Some(None) => (StatusCode::BAD_GATEWAY, "proxy_internal_error"),
            None => WAITED_OUT,
        };
        self.stand_in(ask, why, stored, status, error).await
    }

    async fn answer_filled(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        why: Fwd,
        filled: Filled,
    ) -> (Response<Body>, Outcome) {
        let now = self.shared.clock.now();
        match filled {
            Filled::Stored { live, received } => {
                let answer = match received {
                    StatusCode::NOT_MODIFIED => Answer::Revalidated,
                    _ => Answer::Miss,
                };
                let mut outcome = Outcome::forwarded(answer, why);
                outcome.stored = true;
                outcome.ttl = Some(stored::ttl(&live, now));
                let (response, outcome) = self.serve(ask, &live, outcome).await;
                let outcome = outcome.having_received(received, &response);
                (response, outcome)
            }
            // Its parts come from the origin, which need not send what nobody reads.
            Filled::Streaming(answer)
                if answer.not_stored == Some(fill::TOO_LARGE)
                    && ask.parts.headers.contains_key(RANGE) =>
            {
                drop(answer);
                self.pass_keyed(ask.context, ask.presented(), ask.parts, why)
                    .await
            }
            Filled::Streaming(answer) => {
                let mut outcome = Outcome::forwarded(Answer::Miss, why);
                outcome.stored = answer.not_stored.is_none();
                outcome.detail = answer.not_stored;
                outcome.ttl = answer.ttl;
                let head = Head {
                    status: answer.status,
                    fields: answer.fields,
                    origin: &answer.origin,
                };
                let response = from_origin(head, answer.body, ask);
                let outcome = outcome.having_received(answer.received, &response);
                (response, outcome)
            }
            Filled::Failed {
                status,
                error,
                stored,
            } => self.stand_in(ask, why, stored, status, error).await,
        }
    }

    async fn validate_in_background(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        flight_key: &EntryKey,
        seen: &Variants,
        live: &Live,
    ) {
        let now = self.shared.clock.now();
        if self.shared.failed.is_set(flight_key, now) {
            return;
        }
        if self.shared.budget.pressure() > Pressure::Low {
            self.shared.budget.shed(Shed::Validation);
            return;
        }
        let Flight::Lead(mut lead) = self.shared.flights.join(flight_key) else {
            return; // Somebody is at it already …
        };
        if lead.before().is_some() {
            return;
        }
        if !self.store.is_unchanged(&ask.keyed.key, seen) {
            return; // … or has just been.
        }
        let Ok(permit) = Arc::clone(&self.shared.fills).try_acquire_owned() else {
            self.shared.metrics.limit("fills");
            return;
        };
        let fill = self.new_fill(ask, flight_key.clone(), Some(lead), Some(live.clone()));
        fill.start_unless_claimed(seen.clone(), ask.folding(), permit);
    }

    pub(super) fn new_fill(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        flight_key: EntryKey,
        lead: Option<Lead>,
        stored: Option<Live>,
    ) -> Fill<S> {
        Fill {
            proxy: Arc::clone(self),
            route: ask.route.index,
            target: ask.target.clone(),
            language: ask.keyed.language,
            presented: ask.parts.headers.clone(),
            client: Client::of(ask.context, &ask.parts.headers),
            relay: None,
            no_store: ask.control.no_store,
            stale_if_error: ask.control.stale_if_error,
            key: ask.keyed.key.clone(),
            flight_key,
            lead,
            claim: None,
            wanted: self.wanted(ask, stored.as_ref()),
            stored,
        }
    }
}

impl<'r> Ask<'r> {
    pub(super) const fn presented(&self) -> Presented<'r> {
        Presented {
            route: self.route,
            target: self.target,
            language: self.keyed.language,
        }
    }

    pub(super) const fn folding(&self) -> Folding {
        self.route.vary.folding
    }
}

fn hit(live: &Live, now: Timestamp, followed: Option<Followed>) -> Outcome {
    let ttl = stored::ttl(live, now);
    match followed {
        None => Outcome::hit(Answer::Hit, ttl),
        Some(followed) => {
            let mut outcome = Outcome::forwarded(Answer::Collapsed, followed.why);
            outcome.collapsed = true;
            outcome.ttl = Some(ttl);
            outcome
        }
    }
}

/// The answer of a fill that is not, or not yet, in the store. The client's own preconditions
/// count, because the origin was asked without them.
pub(super) fn from_origin(mut head: Head<'_>, mut body: Body, ask: &Ask<'_>) -> Response<Body> {
    let request = &ask.parts.headers;
    if head.status == StatusCode::OK {
        let (etag, modified) = stored::validators(&head.fields);
        match conditional::evaluate(request, true, etag.as_ref(), modified) {
            Precondition::None => {}
            Precondition::NotModified => return stored::not_modified(head.fields),
            Precondition::Failed => {
                return synthetic::response(
                    StatusCode::PRECONDITION_FAILED,
                    "The precondition does not hold.",
                );
            }
        }
        if let Some(response) = ranges::of_whole(&mut head, &mut body, &ask.parts.method, request) {
            return response;
        }
    }
    let shared = ask.context.shared;
    pass::passed(shared, head, body, &ask.parts.method, request, ask.route)
}

/// RFC 9111 §5.2.1.7.
fn only_if_cached() -> (Response<Body>, Outcome) {
    let response = synthetic::response(
        StatusCode::GATEWAY_TIMEOUT,
        "Nothing is stored that answers this request.",
    );
    (
        response,
        Outcome::of(Answer::Refused).because("only-if-cached"),
    )
}
