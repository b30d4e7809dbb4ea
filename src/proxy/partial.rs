//! Parts of representations (RFC 9111 §3.3, §3.4): asked for, stored, completed, and served.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{AGE, IF_RANGE, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Proxy;
use super::cached::Ask;
use super::fill::{self, Answer, Fill, Filled, Streaming, Waiting};
use super::outcome::Outcome;
use super::passing::Passing;
use super::seal::UNTAGGED;
use crate::body::{Body, BodyError};
use crate::budget::{Charge, Pressure, Shed, Use};
use crate::entry::Tags;
use crate::entry::head::Head;
use crate::entry::partial::{Incomplete, LivePart};
use crate::entry::purges::Live;
use crate::fetch::OriginBody;
use crate::fetch::flight::Landing;
use crate::fields::cache_status::Fwd;
use crate::fields::range::{self, Ranges};
use crate::fields::vary::Vary;
use crate::key::EntryKey;
use crate::policy::partial::{self, Part, StorablePart};
use crate::policy::reuse::{self, Disposition, Found};
use crate::policy::storability::NotStorable;
use crate::policy::{CacheRule, Profile, validation};
use crate::respond::{self, head, stored};
use crate::route::Route;
use crate::store::Store;
use crate::telemetry::cache::Answer as Answered;

/// How much of a representation a fill asks for.
pub(super) enum Wanted {
    Whole,
    /// The range that the client asks for.
    Range,
    /// What this part lacks of the whole.
    Rest(LivePart),
    /// The answer is there.
    Nothing,
}

/// What a 206 is.
pub(super) enum Sorted {
    /// The rest of what was stored: the whole is there.
    Whole(Box<Answer>),
    /// It goes with nothing: the whole must be asked for.
    Again,
    /// The client has it, or nobody can make sense of it.
    Done,
}

impl<S: Store> Proxy<S> {
    /// The answer from a stored part; else why the request goes forward.
    pub(super) fn serve_part(
        &self,
        ask: &Ask<'_>,
        why: Fwd,
    ) -> Result<(Response<Body>, Outcome), Fwd> {
        if ask.parts.method != Method::GET {
            return Err(why);
        }
        let Some(part) = self.part(ask) else {
            return Err(why);
        };
        let now = self.shared.clock.now();
        let Disposition::Reuse(part) = reuse::decide(Found::Entry(part), &ask.control, now) else {
            return Err(why);
        };
        // RFC 9211 §2.2: "The cache was able to select a partial response for the request, but it did
        // not contain all of the requested ranges".
        let response = respond::partial::response(&part, &ask.parts.headers, now);
        let ttl = stored::ttl(&part, now);
        response
            .map(|response| (response, Outcome::hit(Answered::Hit, ttl)))
            .ok_or(Fwd::Partial)
    }

    /// What to ask the origin for, where `stored` is what there is of the whole.
    pub(super) fn wanted(&self, ask: &Ask<'_>, stored: Option<&Live>) -> Wanted {
        let rule = ask.route.cache.as_ref();
        let Some(rule) = rule.filter(|rule| rule.profile == Profile::Rfc && stored.is_none())
        else {
            return Wanted::Whole;
        };
        let presented = &ask.parts.headers;
        if presented.contains_key(RANGE) {
            let is_plain = !respond::partial::has_precondition(presented);
            return match is_plain && range::is_single(presented) {
                true => Wanted::Range,
                false => Wanted::Whole,
            };
        }
        let most = rule.object_size_max as u64;
        let fits = |live: &LivePart| {
            let part = live.incomplete().part();
            part.missing_from().is_some() && part.complete() <= most
        };
        self.part(ask)
            .filter(fits)
            .map_or(Wanted::Whole, Wanted::Rest)
    }

    fn part(&self, ask: &Ask<'_>) -> Option<LivePart> {
        let (key, presented) = (&ask.keyed.key, &ask.parts.headers);
        let incomplete = self.shared.parts.get(key)?;
        if !incomplete.is_selected_by(presented, ask.folding()) {
            return None;
        }
        let live = self.shared.purges.admit_part(incomplete);
        if live.is_none() && self.shared.purges.may_serve() {
            self.shared.parts.remove(key);
        }
        live
    }
}

impl<S: Store> Fill<S> {
    /// Makes the request one for the range that is wanted. Returns the part that is to be completed,
    /// admitted past the purges once more: the fence has been read.
    pub(super) fn narrow(&self, request: &mut HeaderMap) -> Option<LivePart> {
        match &self.wanted {
            Wanted::Whole | Wanted::Nothing => None,
            Wanted::Range => {
                for name in [RANGE, IF_RANGE] {
                    if let Some(value) = self.presented.get(&name) {
                        request.insert(name, value.clone());
                    }
                }
                None
            }
            Wanted::Rest(live) => {
                let shared = &self.proxy.shared;
                let live = shared.purges.admit_part(Arc::clone(live.incomplete()))?;
                let from = live.incomplete().part().missing_from()?;
                let etag = validation::etag(&live.incomplete().head().origin());
                request.insert(RANGE, range::from(from));
                // RFC 9110 §13.1.5: "A client MUST NOT generate an If-Range header field containing an
                // entity tag that is marked as weak."
                if let Some(etag) = etag.filter(|etag| !etag.weak) {
                    request.insert(IF_RANGE, etag.to_value());
                }
                Some(live)
            }
        }
    }

    /// Takes a 206, or what says that there is no rest.
    pub(super) fn sort(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        answer: Answer,
        client: &mut Option<Waiting>,
    ) -> Sorted {
        if let Some(live) = &answer.rest_of {
            let incomplete = Arc::clone(live.incomplete());
            return self.complete_part(&incomplete, answer);
        }
        let is_asked_for = match self.wanted {
            Wanted::Range => true,
            // Neither a condition nor a range was sent. What the client asked for is its own; nobody
            // can make sense of anything else.
            Wanted::Whole | Wanted::Rest(_) | Wanted::Nothing => {
                self.asked_for(&answer.head.headers)
            }
        };
        if is_asked_for {
            self.pass_part(route, rule, answer, client.take());
        } else {
            self.fail(
                client.take(),
                StatusCode::BAD_GATEWAY,
                "http_protocol_error",
            );
        }
        Sorted::Done
    }

    /// §3.4.
    fn complete_part(&mut self, incomplete: &Incomplete, mut answer: Answer) -> Sorted {
        let (stored, part) = (incomplete.head().origin(), incomplete.part());
        let is_partial = answer.head.status == StatusCode::PARTIAL_CONTENT;
        let whole = is_partial
            .then(|| partial::completed(&stored, part, &answer.head.headers))
            .flatten();
        let Some(fields) = whole else {
            self.proxy.shared.parts.remove(&self.key);
            self.wanted = Wanted::Whole;
            return Sorted::Again;
        };
        answer.head.status = StatusCode::OK;
        answer.head.headers = fields;
        answer.body = answer.body.preceded_by(incomplete.content().clone());
        Sorted::Whole(Box::new(answer))
    }

    /// Whether a 206 is just what the client asked for.
    fn asked_for(&self, answer: &HeaderMap) -> bool {
        let presented = &self.presented;
        !presented.contains_key(IF_RANGE)
            && Part::of(answer).is_some_and(|part| {
                let Ranges::One { first, last } = range::resolve(presented, part.complete()) else {
                    return false;
                };
                part.is(first, last)
            })
    }

    /// Passes a 206 on, and keeps it on its way if it may be kept. Those who wait for the whole go on
    /// their own.
    fn pass_part(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        answer: Answer,
        client: Option<Waiting>,
    ) {
        let assessed = self.assess_part(route, rule, &answer);
        self.land(Landing::NotShared);
        let presented = self.presented(route);
        let (head, content) = (answer.head, Passing::new(answer.body));
        let status = head.status;
        let streaming = match assessed {
            Ok((fields, keeper)) => {
                let terms = keeper.storable.terms();
                let (fresh, age) = (terms.lifetime.fresh, terms.corrected_initial_age);
                Streaming {
                    status,
                    received: status,
                    fields,
                    body: Body::stream(Keeping::new(content, keeper)),
                    origin: head.headers,
                    not_stored: None,
                    ttl: Some(stored::seconds(fresh) - stored::seconds(age)),
                }
            }
            Err(reason) => {
                self.proxy.shared.metrics.not_stored(reason);
                Streaming {
                    status,
                    received: status,
                    fields: head::of_passed(&head.headers, head.version, presented, false),
                    body: Body::stream(content),
                    origin: head.headers,
                    not_stored: Some(reason),
                    ttl: None,
                }
            }
        };
        fill::send(client, Filled::Streaming(Box::new(streaming)));
    }

    /// The fields for the client, and what keeps the content; else why it is not kept.
    fn assess_part(
        &self,
        route: &Route,
        rule: &CacheRule,
        answer: &Answer,
    ) -> Result<(HeaderMap, Keeper<S>), &'static str> {
        if !route.switch.caching() {
            return Err(fill::SWITCHED_OFF);
        }
        let budget = &self.proxy.shared.budget;
        if budget.pressure() > Pressure::Low {
            budget.shed(Shed::Fill);
            return Err(fill::NO_MEMORY);
        }
        let headers = &answer.head.headers;
        let storable = partial::assess(self.asked(), headers.clone(), answer.exchange, rule)
            .map_err(NotStorable::as_str)?;
        if storable.part().length() > rule.object_size_max as u64 {
            return Err(fill::TOO_LARGE);
        }
        self.check(route, storable.vary(), headers)?;
        if !self.is_keyed_by(route, headers) {
            return Err(OTHER_URLS);
        }
        // What is tagged by its content must be read as a whole.
        if route.tags.reads_body() {
            return Err(UNTAGGED);
        }
        let tags = self.tags(route, headers, &[])?;
        let vary = route.vary.counting(storable.vary());
        let (version, terms) = (answer.head.version, storable.terms());
        let presented = self.presented(route);
        let mut fields = head::of_storable(headers, version, terms, None, presented);
        let head = Head::new(&fields, headers);
        fields.insert(AGE, terms.corrected_initial_age.as_secs().into());
        let keeper = Keeper {
            proxy: Arc::clone(&self.proxy),
            key: self.key.select(&vary, &self.presented, route.vary.folding),
            vary,
            storable,
            head,
            tags,
        };
        Ok((fields, keeper))
    }
}

/// Why a part is not kept that is one of more URLs, or fewer, than was thought.
const OTHER_URLS: &str = "no-vary-search";

/// All of a part but its content.
struct Keeper<S> {
    proxy: Arc<Proxy<S>>,
    key: EntryKey,
    vary: Vary,
    storable: StorablePart,
    head: Head,
    tags: Tags,
}

impl<S> Keeper<S> {
    fn keep(self, content: Bytes) {
        let shared = &self.proxy.shared;
        let Self {
            key,
            vary,
            storable,
            head,
            tags,
            ..
        } = self;
        let sealed = Incomplete::seal(key, vary, &storable, head, tags, content).map(Arc::new);
        // A purge that came on the way covers it.
        let live = sealed.and_then(|incomplete| shared.purges.admit_part(incomplete));
        let is_kept = live.is_some_and(|live| {
            let incomplete = Arc::clone(live.incomplete());
            shared.parts.put(incomplete, shared.purges.generation())
        });
        if !is_kept {
            shared.metrics.not_stored("partial");
        }
    }
}

/// A part on its way to its client, collected for the cache. Where the client leaves before the end,
/// nothing is kept.
struct Keeping<S> {
    content: Passing<OriginBody>,
    pieces: BytesMut,
    memory: Charge,
    /// Bytes that must still come.
    left: u64,
    /// Nothing: there is more content than the part should have, or all of it was kept.
    keeper: Option<Keeper<S>>,
}

impl<S> Keeping<S> {
    fn new(content: Passing<OriginBody>, keeper: Keeper<S>) -> Self {
        Self {
            content,
            pieces: BytesMut::new(),
            memory: keeper.proxy.shared.budget.take(Use::Fills, 0),
            left: keeper.storable.part().length(),
            keeper: Some(keeper),
        }
    }

    fn collect(&mut self, piece: &Bytes) {
        match self.left.checked_sub(piece.len() as u64) {
            Some(left) => {
                self.left = left;
                self.memory.add(piece.len() as u64);
                self.pieces.extend_from_slice(piece);
            }
            None => {
                self.keeper = None;
                self.pieces = BytesMut::new();
            }
        }
    }

    fn keep(&mut self) {
        if self.left == 0
            && let Some(keeper) = self.keeper.take()
        {
            keeper.keep(std::mem::take(&mut self.pieces).freeze());
        }
    }
}

impl<S: Store> HttpBody for Keeping<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.content).poll_frame(cx));
        match &frame {
            None => self.keep(),
            Some(Err(_)) => self.keeper = None,
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref()
                    && self.keeper.is_some()
                {
                    self.collect(piece);
                }
                // Before the client has the last byte: its next request finds the part.
                if self.content.is_end_stream() {
                    self.keep();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
