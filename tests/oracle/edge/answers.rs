//! What the product's functions make of an answer.

use std::sync::Arc;

use bytes::Bytes;
use cms_edge::clock::{Clock, Timestamp};
use cms_edge::entry::head::Head;
use cms_edge::entry::purges::Live;
use cms_edge::entry::{Content, StoredResponse, Tags};
use cms_edge::exchange::Exchange;
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::fields::cache_control::RequestControl;
use cms_edge::fields::{content_language, forwarded, tags};
use cms_edge::policy::reuse;
use cms_edge::policy::storability::{self, Asked, NEVER_STORED, Storable};
use cms_edge::policy::validation;
use cms_edge::store::{Put, Store};
use http::header::HeaderName;
use http::{HeaderMap, Method, StatusCode};

use super::{Edge, Fill, Sent, header_map, now};
use crate::oracle::script::{self, Lines, Reply, Seen};

const TAG_FIELD: HeaderName = HeaderName::from_static("cache-tag");

impl Edge {
    pub(super) fn is_stood_in_for(&self, fill: &Fill, status: StatusCode) -> bool {
        let control = RequestControl {
            stale_if_error: fill.control.stale_if_error,
            ..RequestControl::default()
        };
        matches!(status.as_u16(), 500 | 502 | 503 | 504)
            && fill
                .stored
                .as_ref()
                .is_some_and(|live| reuse::may_stand_in(live, &control, self.clock.now()))
    }

    pub(super) fn stand_in(&self, fill: &Fill) -> Seen {
        let stored = fill.stored.as_ref().filter(|_| fill.is_observed);
        let live = stored
            .and_then(|live| self.purges.admit(Arc::clone(live.entry())))
            .filter(|live| reuse::may_stand_in(live, &fill.control, self.clock.now()));
        match live {
            Some(live) => self.serve("on-error", &live, &Method::GET, &fill.presented),
            None => Seen::Failed,
        }
    }

    pub(super) fn freshen(
        &self,
        fill: &Fill,
        validated: &Live,
        exchange: Exchange,
        answer: &HeaderMap,
    ) -> Option<Live> {
        let entry = validated.entry();
        let origin = entry.head().origin();
        if !validation::selects(&origin, answer) {
            return None;
        }
        let merged = validation::freshened(&origin, answer, self.rule.profile);
        let storable =
            storability::assess(fill.asked(), entry.status(), merged, exchange, &self.rule).ok()?;
        let names = [TAG_FIELD];
        let declared = tags::declared(storable.headers(), &names);
        let fresh = StoredResponse::seal(
            entry.entry_key().clone(),
            entry.vary().clone(),
            &storable,
            head(&storable),
            Tags::new(declared.tags).and(entry.tags()),
            entry.content().clone(),
        );
        self.put(Arc::new(fresh)).map(|(live, _)| live)
    }

    pub(super) fn take(
        &self,
        fill: &Fill,
        status: StatusCode,
        headers: HeaderMap,
        exchange: Exchange,
    ) -> Seen {
        let storable =
            storability::assess(fill.asked(), status, headers.clone(), exchange, &self.rule);
        let reason = match &storable {
            Err(reason) => Some((reason.as_str(), reason.is_about_request())),
            Ok(storable) => self
                .forbids(fill, storable, &headers)
                .map(|name| (name, false)),
        };
        if !reason.is_some_and(|(_, is_about_request)| is_about_request)
            && !status.is_server_error()
            && !storability::is_about_request(status)
            && let Some(live) = &fill.stored
        {
            now(self.store.remove(live.entry()));
        }
        let (Ok(storable), None) = (storable, reason) else {
            return Seen::NotStored(reason.iter().map(|(name, _)| *name).collect());
        };
        let vary = self.vary.counting(storable.vary());
        let keyed = self.key.key(&fill.target, &fill.presented);
        let names = [TAG_FIELD];
        let declared = tags::declared(storable.headers(), &names);
        let text = Bytes::from(fill.number.to_string());
        let entry = StoredResponse::seal(
            keyed.key.select(&vary, &fill.presented, self.vary.folding),
            vary,
            &storable,
            head(&storable),
            Tags::new(declared.tags),
            Content::new(text, Coding::Identity, false),
        );
        match self.put(Arc::new(entry)) {
            None => Seen::Purged,
            Some((live, Put::Stored)) => self.serve("stored", &live, &Method::GET, &fill.presented),
            Some((live, Put::Outdated)) => {
                self.serve("outdated", &live, &Method::GET, &fill.presented)
            }
        }
    }

    /// What forbids storing besides the policy, as `proxy::seal` has it.
    fn forbids(
        &self,
        fill: &Fill,
        storable: &Storable,
        headers: &HeaderMap,
    ) -> Option<&'static str> {
        let counting = self.vary.counting(storable.vary());
        if counting.names().iter().any(forwarded::names_client) {
            return Some("vary-client");
        }
        let (rule, negotiated) = self.key.language.as_ref().zip(fill.language)?;
        let mut languages = content_language::tags(headers).peekable();
        let drifted =
            languages.peek().is_some() && !languages.any(|tag| rule.admits(negotiated, tag));
        drifted.then_some("language-drift")
    }

    fn put(&self, entry: Arc<StoredResponse>) -> Option<(Live, Put)> {
        let live = self.purges.admit(Arc::clone(&entry))?;
        let put = now(self.store.put(entry, self.purges.generation())).unwrap();
        Some((live, put))
    }
}

impl Fill {
    fn asked(&self) -> Asked<'_> {
        Asked {
            method: &Method::GET,
            headers: &self.presented,
            no_store: self.control.no_store,
        }
    }
}

pub(super) fn answer(
    reply: &Reply,
    sent: &Sent,
    now: Timestamp,
) -> Option<(StatusCode, HeaderMap)> {
    let now = now.as_millis();
    let echo = sent.if_none_match.as_deref();
    let (status, fields) = match &reply.not_modified {
        Some(fields) if sent.validated.is_some() => (304, fields),
        _ => (reply.status, &reply.fields),
    };
    let status = StatusCode::from_u16(status).ok()?;
    let lines: Lines = script::lines(fields, now, echo);
    Some((
        status,
        header_map(lines.iter().map(|(name, value)| (*name, &**value))),
    ))
}

fn head(storable: &Storable) -> Head {
    let mut client = storable.headers().clone();
    for name in &NEVER_STORED {
        client.remove(name);
    }
    Head::new(&client, storable.headers())
}
