//! Filling the cache: one exchange with the origin, detached from the client that caused it, so
//! that a client that leaves strands nobody.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, StatusCode, response};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Proxy;
use super::ask::{self, Client};
use super::gather::{self, Gathered, Rest};
use super::kept::Kept;
use super::partial::{Sorted, Wanted};
use super::patience::VALIDATION_PAUSE;
use crate::body::Body;
use crate::budget::{Charge, EXCHANGE_BYTES, Shed, Use};
use crate::entry::StoredResponse;
use crate::entry::partial::LivePart;
use crate::entry::purges::Live;
use crate::exchange::{Exchange, Forwarded};
use crate::fetch::flight::{Landing, Lead};
use crate::fetch::{self, OriginBody};
use crate::fields::accept_encoding::AcceptEncoding;
use crate::fields::cache_control::RequestControl;
use crate::fields::content_encoding::ContentEncoding;
use crate::fields::{connection, content_length, date};
use crate::interim::Relay;
use crate::key::{CacheKey, EntryKey, Negotiated, TargetUri};
use crate::policy::storability::{self, Asked};
use crate::policy::{CacheRule, reuse, validation};
use crate::respond::head::{self, Presented};
use crate::respond::synthetic::ORIGIN_ERROR;
use crate::route::Route;
use crate::store::claim::Claim;
use crate::store::{Store, StoreError};

/// A fetch for the store.
pub(super) struct Fill<S> {
    pub proxy: Arc<Proxy<S>>,
    pub route: usize,
    pub target: TargetUri,
    pub language: Option<Negotiated>,
    pub presented: HeaderMap,
    pub client: Client,
    /// Where interim responses go, if a client waits for this fill.
    pub relay: Option<Relay>,
    /// The request's own `no-store`.
    pub no_store: bool,
    /// The request's own `stale-if-error`, in seconds.
    pub stale_if_error: Option<u64>,
    pub key: CacheKey,
    pub flight_key: EntryKey,
    /// Nothing: nobody waits for this fill but its client.
    pub lead: Option<Lead>,
    /// Where other instances wait for it.
    pub claim: Option<Claim>,
    /// What is stored and may be validated, or stand in.
    pub stored: Option<Live>,
    pub wanted: Wanted,
}

/// What a client gets of a fill.
pub(super) enum Filled {
    /// It is in the store.
    Stored { live: Live, received: StatusCode },
    /// It is on its way, and will be stored unless `not_stored` says why not.
    Streaming(Box<Streaming>),
    Failed {
        status: StatusCode,
        error: &'static str,
        stored: Option<Live>,
    },
}

pub(super) struct Streaming {
    pub status: StatusCode,
    /// The origin's own.
    pub received: StatusCode,
    pub fields: HeaderMap,
    pub origin: HeaderMap,
    pub body: Body,
    pub not_stored: Option<&'static str>,
    /// Seconds of freshness left, if it is stored.
    pub ttl: Option<i64>,
}

/// The client that waits for something to send.
pub(super) type Waiting = oneshot::Sender<Filled>;

/// Why content is not stored that a client may be sent in parts.
pub(super) const TOO_LARGE: &str = "too-large";

/// Why it is not stored although it could have been.
pub(super) const PURGED: &str = "purged-in-flight";

/// Why a request was answered as its neighbours were and not from the store: what was purged is not
/// known.
pub(super) const LOST: &str = "purge-log-lost";

/// Why content is not stored that came while caching was turned off.
pub(super) const SWITCHED_OFF: &str = "switched-off";

/// Why content is not stored that the route would have stored.
const NO_ROOM: &str = "no-room";

/// Why it is not although it could have been, at another time.
pub(super) const NO_MEMORY: &str = "memory";

/// Exchanges of one fill: a validation, and what it takes when purges overtake it.
const EXCHANGES_MAX: usize = 3;

/// One answer of the origin, and the exchange it came by.
pub(super) struct Answer {
    pub exchange: Exchange,
    pub head: response::Parts,
    pub body: OriginBody,
    pub validated: Option<Live>,
    /// The part that the answer was to complete.
    pub rest_of: Option<LivePart>,
    /// The status it came with.
    pub received: StatusCode,
}

impl Answer {
    /// Whether it has one part of what was asked for, or says that there is none.
    fn is_partial(&self) -> bool {
        match self.head.status {
            StatusCode::PARTIAL_CONTENT => true,
            StatusCode::RANGE_NOT_SATISFIABLE => self.rest_of.is_some(),
            _ => false,
        }
    }
}

impl<S: Store> Fill<S> {
    /// Runs in a task of its own, and returns as soon as there is something for the client.
    pub(super) async fn start(self, permit: OwnedSemaphorePermit) -> Option<Filled> {
        let (client, filled) = oneshot::channel();
        self.spawn(None, Some(client), permit);
        filled.await.ok()
    }

    /// Takes an answer that is there already.
    pub(super) async fn start_with(
        self,
        answer: Answer,
        permit: OwnedSemaphorePermit,
    ) -> Option<Filled> {
        let (client, filled) = oneshot::channel();
        self.spawn(Some(answer), Some(client), permit);
        filled.await.ok()
    }

    /// Runs for the store alone.
    pub(super) fn start_unobserved(self, permit: OwnedSemaphorePermit) {
        self.spawn(None, None, permit);
    }

    fn spawn(
        mut self,
        answer: Option<Answer>,
        client: Option<Waiting>,
        permit: OwnedSemaphorePermit,
    ) {
        self.proxy.shared.metrics.fills.inc();
        let metrics = Arc::clone(&self.proxy.shared.metrics);
        let running = Running { metrics, permit };
        let budget = &self.proxy.shared.budget;
        let exchange = budget.take(Use::Exchanges, EXCHANGE_BYTES);
        tokio::spawn(async move {
            let rest = self.run(answer, client).await;
            // What goes to its client alone, at its pace, fills nothing any more.
            drop((self, running));
            if let Some(rest) = rest {
                rest.pump().await;
            }
            drop(exchange);
        });
    }

    async fn run(&mut self, answer: Option<Answer>, mut client: Option<Waiting>) -> Option<Rest> {
        let proxy = Arc::clone(&self.proxy);
        let route = proxy.shared.routes.iter().nth(self.route)?;
        let rule = route.cache.as_ref()?;
        if let Some(answer) = answer {
            return self.take(route, rule, answer, client).await;
        }
        for attempt in 1..=EXCHANGES_MAX {
            let answer = match self.exchange(route).await {
                Ok(answer) => answer,
                Err(error) => {
                    let (status, error) = (error.kind.status(), error.kind.proxy_status());
                    self.fail(client, status, error);
                    return None;
                }
            };
            if self.is_stood_in_for(&answer) {
                self.fail(client, answer.head.status, ORIGIN_ERROR);
                return None;
            }
            if answer.head.status == StatusCode::NOT_MODIFIED
                && let Some(live) = &answer.validated
            {
                let (exchange, head) = (answer.exchange, &answer.head);
                if let Some(live) = self.freshen(route, rule, live, exchange, head).await {
                    self.land_stored(live.entry());
                    let received = StatusCode::NOT_MODIFIED;
                    send(client.take(), Filled::Stored { live, received });
                    return None;
                }
                // It was purged meanwhile, or the 304 speaks of something else: fetch it whole.
                self.stored = None;
                if attempt < EXCHANGES_MAX {
                    self.client.trace = self.client.trace.with_new_span();
                    continue;
                }
                self.fail(client, StatusCode::BAD_GATEWAY, "http_protocol_error");
                return None;
            }
            let answer = if answer.is_partial() {
                match self.sort(route, rule, answer, &mut client) {
                    Sorted::Whole(answer) => *answer,
                    Sorted::Done => return None,
                    Sorted::Again => {
                        self.client.trace = self.client.trace.with_new_span();
                        continue;
                    }
                }
            } else {
                answer
            };
            // No condition was sent: nobody can make sense of it.
            if answer.head.status == StatusCode::NOT_MODIFIED {
                self.fail(client, StatusCode::BAD_GATEWAY, "http_protocol_error");
                return None;
            }
            return self.take(route, rule, answer, client).await;
        }
        None
    }

    /// The one place where the fence is read, what may be validated is checked under it, and the
    /// request leaves – in this order.
    async fn exchange(&self, route: &Route) -> Result<Answer, fetch::Error> {
        let shared = &self.proxy.shared;
        let fence = shared.purges.fence();
        let candidate = self
            .stored
            .as_ref()
            .and_then(|live| shared.purges.admit(Arc::clone(live.entry())));
        let mut request = ask::for_store(
            route,
            &self.target,
            self.language,
            &self.presented,
            self.client,
        );
        let validated = candidate.filter(|live| {
            validation::make_conditional(request.headers_mut(), &live.entry().head().origin())
        });
        let rest_of = self.narrow(request.headers_mut());
        let Some(upstream) = shared.upstream(route) else {
            return Err(fetch::Error::new(fetch::Kind::Resolve));
        };
        if let Some(relay) = &self.relay {
            request.extensions_mut().insert(relay.clone());
        }
        let forwarded = Forwarded::begin(shared.clock.now(), fence);
        let trace = self.client.trace;
        let presented = self.presented(route);
        let response = shared.send(upstream, request, presented, trace).await?;
        let exchange = shared.received(forwarded);
        let (mut head, body) = response.into_parts();
        connection::strip_hop_by_hop(&mut head.headers);
        date::supply(&mut head.headers, exchange.response_time().as_secs());
        Ok(Answer {
            received: head.status,
            exchange,
            head,
            body,
            validated,
            rest_of,
        })
    }

    /// A server error while something stored may answer instead (RFC 5861 §4).
    fn is_stood_in_for(&self, answer: &Answer) -> bool {
        is_failure(answer.head.status)
            && self.stored.as_ref().is_some_and(|live| {
                let now = self.proxy.shared.clock.now();
                let control = RequestControl {
                    stale_if_error: self.stale_if_error,
                    ..RequestControl::default()
                };
                reuse::may_stand_in(live, &control, now)
            })
    }

    /// A whole response: store it if it may be stored, and let the client have it either way. What
    /// turns out not to be for the store is left to be passed on.
    async fn take(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        answer: Answer,
        client: Option<Waiting>,
    ) -> Option<Rest> {
        let Answer {
            exchange,
            mut head,
            body,
            received,
            ..
        } = answer;
        let coding = ContentEncoding::parse(&head.headers);
        if ContentEncoding::is_junk(&head.headers) {
            head.headers.remove(CONTENT_ENCODING);
        }
        let (storable, coding) = match self.assess(route, rule, &head, exchange, coding) {
            Ok(assessed) => assessed,
            Err(reason) => {
                if !reason.is_about_request {
                    self.supersede(head.status).await;
                }
                self.pass_on(route, rule, head, body, reason.name, client);
                return None;
            }
        };
        let fields = head::of_storable(
            storable.headers(),
            head.version,
            storable.terms(),
            content_length::of(&head.headers).and_then(|length| usize::try_from(length).ok()),
            self.presented(route),
        );
        let budget = &self.proxy.shared.budget;
        let memory = budget.take(Use::Fills, 0);
        let mut kept = Kept {
            budget: Arc::clone(budget),
            storable,
            received,
            coding,
            is_accepted: AcceptEncoding::parse(&self.presented).accepts(coding),
            fields,
            client,
        };
        let mut start = |all| kept.begin_streaming(all);
        let gathered = gather::gather(body, rule.object_size_max, memory, &mut start).await;
        self.conclude(route, rule, kept, gathered).await
    }

    /// The content is there as far as it will be collected. What is left of it goes on to the
    /// client.
    async fn conclude(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        kept: Kept,
        gathered: Gathered,
    ) -> Option<Rest> {
        match gathered {
            Gathered::Whole {
                content,
                writer,
                memory,
            } => {
                self.complete(route, rule, kept, (content, memory)).await;
                // The client's last byte waits for the store, so that its next request finds the
                // response there.
                if let Some((writer, trailers)) = writer {
                    writer.finish(trailers);
                }
            }
            Gathered::TooLarge(rest) => {
                self.supersede(kept.storable.status()).await;
                self.not_shared(rule, TOO_LARGE);
                return Some(rest);
            }
            Gathered::NoMemory(rest) => {
                self.supersede(kept.storable.status()).await;
                // It says nothing about the next one.
                self.proxy.shared.budget.shed(Shed::Fill);
                self.proxy.shared.metrics.not_stored(NO_MEMORY);
                self.land(Landing::NotShared);
                return Some(rest);
            }
            Gathered::BrokenOff => {
                self.proxy.shared.metrics.not_stored("broken-off");
                self.fail(
                    kept.client,
                    StatusCode::BAD_GATEWAY,
                    "http_response_incomplete",
                );
            }
        }
        None
    }

    /// The content is there: seal it, store it, and tell those who wait.
    async fn complete(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        mut kept: Kept,
        (content, memory): (Bytes, Charge),
    ) {
        self.supersede(kept.storable.status()).await;
        self.rekey(route, kept.storable.headers()).await;
        if kept.storable.status() == StatusCode::OK {
            head::add_own_etag(&mut kept.fields, &content);
        }
        let sealed = if route.switch.caching() {
            self.seal(route, &kept, content.clone()).await
        } else {
            Err(SWITCHED_OFF)
        };
        let reason = match sealed {
            Ok(entry) => match self.put(Arc::clone(&entry)).await {
                Some((live, Ok(_))) => {
                    self.land_stored(live.entry());
                    let received = kept.received;
                    return send(kept.client, Filled::Stored { live, received });
                }
                // Whoever waits would look in vain, and so would the next.
                Some((_, Err(StoreError::TooLarge))) => {
                    self.not_shared(rule, NO_ROOM);
                    NO_ROOM
                }
                Some((_, Err(_))) => {
                    self.land(Landing::NotShared);
                    "store-error"
                }
                None => {
                    self.land(Landing::Overtaken(entry));
                    PURGED
                }
            },
            Err(reason) => {
                self.not_shared(rule, reason);
                reason
            }
        };
        self.land(Landing::Abandoned);
        let mut streaming = kept.streaming(Body::full(content).charged(memory));
        (streaming.not_stored, streaming.ttl) = (Some(reason), None);
        send(kept.client, Filled::Streaming(Box::new(streaming)));
    }

    /// Passes on what may not be stored, and lets those who wait go on their own.
    fn pass_on(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        head: response::Parts,
        body: OriginBody,
        reason: &'static str,
        client: Option<Waiting>,
    ) {
        if is_failure(head.status) {
            // One answer for all who wait, without its content: the origin in trouble is not asked
            // once for each of them. It says nothing about the next answer, so there is no mark.
            self.proxy.shared.metrics.not_stored(reason);
            self.pause();
            let (status, error) = (head.status, ORIGIN_ERROR);
            self.land(Landing::Failed { status, error });
        } else {
            self.not_shared(rule, reason);
        }
        let fields = head::of_passed(&head.headers, head.version, self.presented(route), false);
        let streaming = Streaming {
            status: head.status,
            received: head.status,
            fields,
            body: self.proxy.shared.passing(body, &head.headers),
            origin: head.headers,
            not_stored: Some(reason),
            ttl: None,
        };
        send(client, Filled::Streaming(Box::new(streaming)));
    }

    /// What was stored is replaced by an answer that is not an error of the origin's, nor of this
    /// request alone; by one that will be stored only when it is complete.
    async fn supersede(&self, status: StatusCode) {
        if status.is_server_error()
            || status == StatusCode::RANGE_NOT_SATISFIABLE
            || storability::is_about_request(status)
        {
            return;
        }
        self.proxy.shared.parts.remove(&self.key);
        if let Some(live) = &self.stored {
            self.proxy.store.remove(live.entry()).await;
        }
    }

    fn not_shared(&mut self, rule: &CacheRule, reason: &'static str) {
        let shared = &self.proxy.shared;
        shared.metrics.not_stored(reason);
        // A client's no-store says nothing about what others will be answered, nor does a range
        // or a POST.
        let is_own = self.no_store || matches!(self.wanted, Wanted::Range | Wanted::Nothing);
        if !is_own {
            let now = shared.clock.now();
            shared.marks.set(&self.flight_key, now, rule.hit_for_miss);
            self.claim_not_shared(rule.hit_for_miss);
        }
        self.land(Landing::NotShared);
    }

    /// Stale answers wait a moment before they ask again.
    fn pause(&self) {
        let shared = &self.proxy.shared;
        let now = shared.clock.now();
        shared.failed.set(&self.flight_key, now, VALIDATION_PAUSE);
    }

    pub(super) fn fail(
        &mut self,
        client: Option<Waiting>,
        status: StatusCode,
        error: &'static str,
    ) {
        self.pause();
        self.land(Landing::Failed { status, error });
        let stored = self.stored.take();
        send(
            client,
            Filled::Failed {
                status,
                error,
                stored,
            },
        );
    }

    /// Whoever followed finds it in the store, or is given it while nothing is served from there.
    fn land_stored(&mut self, entry: &Arc<StoredResponse>) {
        self.land(if self.proxy.shared.purges.may_serve() {
            Landing::Stored
        } else {
            Landing::Overtaken(Arc::clone(entry))
        });
    }

    pub(super) fn land(&mut self, landing: Landing) {
        // Whoever was told not to wait may ask again.
        if !matches!(landing, Landing::Failed { .. }) {
            self.proxy.shared.failed.clear(&self.flight_key);
        }
        self.claim_lands(&landing);
        if let Some(lead) = self.lead.take() {
            lead.land(landing);
        }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: &Method::GET,
            headers: &self.presented,
            no_store: self.no_store,
        }
    }

    pub(super) fn presented<'f>(&'f self, route: &'f Route) -> Presented<'f> {
        Presented {
            route,
            target: &self.target,
            language: self.language,
        }
    }
}

/// What a stored response may stand in for (RFC 5861 §4).
const fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// A client that has left misses nothing.
pub(super) fn send(client: Option<Waiting>, filled: Filled) {
    if let Some(client) = client {
        let _left = client.send(filled);
    }
}

/// Counts a running fill, and gives its place back.
struct Running {
    metrics: Arc<crate::telemetry::cache::CacheMetrics>,
    permit: OwnedSemaphorePermit,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.metrics.fills.dec();
        let _held_until_here = &self.permit;
    }
}
