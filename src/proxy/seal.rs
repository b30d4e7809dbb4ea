//! What a fill makes for the store of an origin's answers: stored responses, sealed or freshened.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, TRAILER};
use http::{HeaderMap, response};

use super::fill::{Fill, TOO_LARGE};
use super::kept::{Kept, Reason, offer_ranges};
use crate::entry::head::Head;
use crate::entry::purges::Live;
use crate::entry::scope;
use crate::entry::{Content, StoredResponse, Tags};
use crate::exchange::Exchange;
use crate::fields::accept_encoding::Coding;
use crate::fields::content_encoding::ContentEncoding;
use crate::fields::vary::Vary;
use crate::fields::{content_language, content_length, forwarded, tags};
use crate::policy::storability::{self, Storable};
use crate::policy::{CacheRule, validation};
use crate::respond::head;
use crate::route::Route;
use crate::route::tags::Request as TagRequest;
use crate::store::{Put, Store, StoreError};

impl<S: Store> Fill<S> {
    /// §4.3.4: the stored response with the fields of the 304 and the fence of the validating
    /// exchange. Nothing if a hard purge came meanwhile.
    pub(super) async fn freshen(
        &mut self,
        route: &Route,
        rule: &CacheRule,
        live: &Live,
        exchange: Exchange,
        answer: &response::Parts,
    ) -> Option<Live> {
        let entry = live.entry();
        let origin = entry.head().origin();
        if !validation::selects(&origin, &answer.headers) {
            return None;
        }
        let merged = validation::freshened(&origin, &answer.headers, rule.profile);
        let storable = storability::assess(self.asked(), entry.status(), merged, exchange, rule);
        let storable = storable.ok()?;
        if !self.is_keyed_by(route, storable.headers()) {
            return None;
        }
        // A 304 may name tags that the 200 did not; those in the body, and by template, stay.
        let declared = tags::declared(storable.headers(), &route.tags.fields);
        if declared.overflow {
            return None;
        }
        let groups = self.groups(storable.headers()).ok()?;
        let groups = groups.iter().map(String::as_str);
        let mut fields = head::of_storable(
            storable.headers(),
            answer.version,
            storable.terms(),
            Some(entry.content().original().len()),
            self.presented(route),
        );
        if !fields.contains_key(ETAG)
            && let Some(own) = entry.head().client().get(ETAG)
        {
            fields.insert(ETAG, own.clone());
        }
        offer_ranges(
            &mut fields,
            entry.status(),
            entry.content().original_coding(),
        );
        let fresh = Arc::new(StoredResponse::seal(
            entry.entry_key().clone(),
            entry.vary().clone(),
            &storable,
            Head::new(&fields, storable.headers()),
            Tags::new(declared.tags.into_iter().chain(groups)).and(entry.tags()),
            entry.content().clone(),
        ));
        self.put(fresh).await.map(|(live, _)| live)
    }

    /// Offers a sealed response to the store, which may have no place for it. Nothing if a hard
    /// purge already covers it.
    pub(super) async fn put(
        &mut self,
        entry: Arc<StoredResponse>,
    ) -> Option<(Live, Result<Put, StoreError>)> {
        let shared = &self.proxy.shared;
        let Some(live) = shared.purges.admit_fetched(Arc::clone(&entry)) else {
            shared.metrics.purged_in_flight.inc();
            return None;
        };
        let store = &self.proxy.store;
        let claim = self.claim.take();
        let current = shared.purges.generation();
        let outcome = store.put_claimed(entry, current, claim).await;
        match outcome {
            Ok(Put::Stored) => shared.marks.clear(&self.flight_key),
            Ok(Put::Outdated) => shared.metrics.not_stored("outdated"),
            Err(_) => shared.metrics.store_error("put"),
        }
        Some((live, outcome))
    }

    pub(super) fn assess(
        &self,
        route: &Route,
        rule: &CacheRule,
        head: &response::Parts,
        exchange: Exchange,
        coding: ContentEncoding,
    ) -> Result<(Storable, Coding), Reason> {
        let fields = head.headers.clone();
        let storable = storability::assess(self.asked(), head.status, fields, exchange, rule)?;
        self.check(route, storable.vary(), &head.headers)?;
        let most = rule.object_size_max as u64;
        if content_length::of(&head.headers).is_some_and(|length| length > most) {
            return Err(TOO_LARGE.into());
        }
        match coding {
            ContentEncoding::Identity => Ok((storable, Coding::Identity)),
            ContentEncoding::One(coding) => Ok((storable, coding)),
            // Unknown codings stay as they are: the origin chose one although it was asked for none,
            // and says that it chooses it for everybody.
            ContentEncoding::Other
                if !storable.vary().contains(&ACCEPT_ENCODING) && !route.tags.reads_body() =>
            {
                Ok((storable, Coding::Identity))
            }
            ContentEncoding::Other => Err("coding".into()),
        }
    }

    /// What besides the RFC's own rules forbids storing a response for this request.
    pub(super) fn check(
        &self,
        route: &Route,
        vary: &Vary,
        headers: &HeaderMap,
    ) -> Result<(), &'static str> {
        let counting = route.vary.counting(vary);
        if counting.names().iter().any(forwarded::names_client) {
            return Err("vary-client");
        }
        if let (Some(rule), Some(negotiated)) = (&route.key.language, self.language) {
            let mut languages = content_language::tags(headers).peekable();
            if languages.peek().is_some() && !languages.any(|tag| rule.admits(negotiated, tag)) {
                self.proxy.shared.metrics.language_drift.inc();
                return Err("language-drift");
            }
        }
        Ok(())
    }

    pub(super) async fn seal(
        &self,
        route: &Route,
        kept: &Kept,
        content: Bytes,
    ) -> Result<Arc<StoredResponse>, &'static str> {
        let (storable, coding) = (&kept.storable, kept.coding);
        let mut fields = kept.fields.clone();
        let mut origin = storable.headers().clone();
        for map in [&mut fields, &mut origin] {
            map.remove(CONTENT_LENGTH);
            // Stored content has none.
            map.remove(TRAILER);
        }
        offer_ranges(&mut fields, storable.status(), coding);
        let is_opaque = coding == Coding::Identity && origin.contains_key(CONTENT_ENCODING);
        let may_encode = route.compress.suits(&origin, Some(usize::MAX)) && !is_opaque;
        let transformable =
            !storable.terms().no_transform && (may_encode || coding != Coding::Identity);
        let content = Content::new(content, coding, transformable);
        let in_body = self.tags_in_body(route, &content).await?;
        let tags = self.tags(route, &origin, &in_body)?;
        let vary = route.vary.counting(storable.vary());
        Ok(Arc::new(StoredResponse::seal(
            self.key.select(&vary, &self.presented, route.vary.folding),
            vary,
            storable,
            Head::new(&fields, &origin),
            tags,
            content,
        )))
    }

    /// The names that a purge can hit the response by.
    pub(super) fn tags(
        &self,
        route: &Route,
        origin: &HeaderMap,
        in_body: &[String],
    ) -> Result<Tags, &'static str> {
        let captures = route.path.captures(self.target.path());
        let language = self.language.zip(route.key.language.as_ref());
        let request = TagRequest {
            target: &self.target,
            captures: &captures,
            language: language.map(|(negotiated, rule)| rule.tag(negotiated)),
        };
        let tags = route.tags.tags(request, origin).map_err(|_| UNTAGGED)?;
        let own = format!("route:{}", route.name);
        let tags = tags.iter().chain(in_body).map(String::as_str);
        let groups = self.groups(origin)?;
        let groups = groups.iter().map(String::as_str);
        Ok(Tags::new(std::iter::once(&*own).chain(tags).chain(groups)))
    }

    /// The groups that the response belongs to (RFC 9875 §2), as tags.
    fn groups(&self, origin: &HeaderMap) -> Result<Vec<String>, &'static str> {
        let found = tags::cache_groups(origin);
        if found.overflow {
            return Err(UNTAGGED);
        }
        let tag = |group: String| scope::group_tag(&self.target, &group);
        Ok(found.into_iter().map(tag).collect())
    }

    /// Tags that the content shows, read off the async threads where it is large.
    async fn tags_in_body(
        &self,
        route: &Route,
        content: &Content,
    ) -> Result<Vec<String>, &'static str> {
        if !route.tags.reads_body() {
            return Ok(Vec::new());
        }
        let deriver = &self.proxy.shared.deriver;
        let body = deriver.decoded(content).await.map_err(|_| UNTAGGED)?;
        if body.len() <= READ_INLINE_BYTES_MAX {
            return route.tags.tags_in(&body).map_err(|_| UNTAGGED);
        }
        let (proxy, index) = (Arc::clone(&self.proxy), self.route);
        let read = deriver.off_thread(move || {
            let route = proxy.shared.routes.iter().nth(index)?;
            route.tags.tags_in(&body).ok()
        });
        read.await.ok().flatten().ok_or(UNTAGGED)
    }
}

/// Why a response is not stored whose tags are not known.
pub(super) const UNTAGGED: &str = "untagged";
/// JSON that is parsed where it is: less than a tenth of a millisecond.
const READ_INLINE_BYTES_MAX: usize = 16 * 1024;
