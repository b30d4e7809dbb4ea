//! What the model makes of an answer: it freshens, is stored, or is stood in for.

use cms_edge::entry::purges::Mode;
use cms_edge::policy::Profile;

use super::{Fill, Model, Stored};
use crate::oracle::asked::Asked;
use crate::oracle::rules::Rule;
use crate::oracle::script::{Lines, Seen};
use crate::oracle::terms::{self, Received};
use crate::oracle::words;

impl Model {
    /// §4.2.4 and RFC 5861 §4.
    fn may_stand_in(&self, stored: &Stored, asked: Asked) -> bool {
        let terms = self.rules.terms(&self.setup, &stored.response);
        let staleness = self.age(stored).saturating_sub(terms.lifetime);
        let own = if self.keeps(Rule::StaleIfError) {
            terms.stale_if_error
        } else {
            0
        };
        // §5.2.2.2: what must be validated is not for the client to allow.
        let theirs = asked.stale_if_error.unwrap_or(0) * 1000;
        let is_bound = terms.must_revalidate && self.keeps(Rule::ClientCannotLiftRevalidation);
        let theirs = if is_bound { 0 } else { theirs };
        if terms.no_cache || terms.must_revalidate && own == 0 {
            return false;
        }
        staleness == 0 || staleness < own.max(theirs)
    }

    pub(super) fn may_stand_in_for(&self, fill: &Fill) -> bool {
        let stored = fill.stored.as_ref();
        stored.is_some_and(|stored| self.may_stand_in(stored, fill.asked))
    }

    pub(super) fn stand_in(&self, fill: &Fill) -> Seen {
        match &fill.stored {
            Some(stored)
                if fill.is_observed
                    && self.covered(stored) != Some(Mode::Hard)
                    && self.may_stand_in(stored, fill.asked) =>
            {
                self.served("on-error", stored, &fill.request)
            }
            _ => Seen::Failed,
        }
    }

    /// §4.3.4. Nothing: it cannot be, and the content must be fetched.
    pub(super) fn freshened(&mut self, fill: &Fill, answer: &Received) -> Option<Stored> {
        let old = fill.validated.as_ref()?;
        // The design: a weak comparison is enough, because one response was asked about.
        let same = match words::entity_tag(&answer.fields) {
            None => true,
            Some(theirs) => match terms::validating_tag(&old.response.fields) {
                None => theirs == "\"\"",
                Some(ours) => ours == theirs,
            },
        };
        if !same && self.keeps(Rule::OtherEntityTag) {
            return None;
        }
        let mut fields = old.response.fields.clone();
        // The design: before a CMS the type stays.
        let kept = match self.setup.profile {
            Profile::Cms => &["etag", "vary", "content-type"][..],
            Profile::Rfc => &["etag", "vary"],
        };
        if self.keeps(Rule::Freshening) {
            fields.retain(|(name, _)| kept.contains(name) || !words::has(&answer.fields, name));
            let new = answer
                .fields
                .iter()
                .filter(|(name, _)| !kept.contains(name));
            fields.extend(new.cloned());
        }
        // §5.1: Age is "the time since the response was generated or successfully validated at the
        // origin server": that of an earlier answer says nothing any more.
        if !words::has(&answer.fields, "age") && self.keeps(Rule::ValidationResetsAge) {
            fields.retain(|(name, _)| *name != "age");
        }
        let response = Received {
            status: old.response.status,
            fields,
            ..answer.clone()
        };
        let no_store = fill.asked.no_store;
        if !self
            .rules
            .against(&self.setup, &fill.request, no_store, &response)
            .is_empty()
        {
            return None;
        }
        let mut tags = old.tags.clone();
        if self.keeps(Rule::TagsOfValidation) {
            tags.extend(tags_of(&response.fields));
        }
        let fence = if self.keeps(Rule::ValidationMovesFence) {
            fill.fence
        } else {
            old.fence
        };
        let fresh = Stored {
            initial_age: self.rules.initial_age(&response),
            response,
            tags,
            fence,
            ..old.clone()
        };
        if self.covered(&fresh) == Some(Mode::Hard) {
            return None;
        }
        self.put(fresh.clone());
        Some(fresh)
    }

    /// §3: a whole answer.
    pub(super) fn take(&mut self, fill: &Fill, response: Received) -> Seen {
        let no_store = fill.asked.no_store;
        let mut against = self
            .rules
            .against(&self.setup, &fill.request, no_store, &response);
        // What says something of this request alone leaves what is stored alone. The first reason
        // counts, in the order of §3.
        let is_own = ["authorization", "request-no-store"];
        let says_nothing = against
            .first()
            .is_some_and(|reason| is_own.contains(reason));
        against.extend(self.against_storing(fill, &response));
        let is_error = response.status >= 500 || terms::is_about_request(response.status);
        if !is_error
            && !says_nothing
            && self.keeps(Rule::Supersedes)
            && let Some(old) = &fill.stored
        {
            self.stored.retain(|stored| stored.put != old.put);
        }
        if !against.is_empty() {
            return Seen::NotStored(against);
        }
        let new = Stored {
            put: 0,
            content: fill.number,
            url: fill.url,
            language: fill.language,
            initial_age: self.rules.initial_age(&response),
            tags: tags_of(&response.fields),
            vary: self.nominated(&response.fields, &fill.request),
            fence: if self.keeps(Rule::FenceBeforeRequest) {
                fill.fence
            } else {
                self.purges.len()
            },
            response,
        };
        if self.covered(&new) == Some(Mode::Hard) {
            return Seen::Purged;
        }
        let how = if self.put(new.clone()) {
            "stored"
        } else {
            "outdated"
        };
        self.served(how, &new, &fill.request)
    }

    fn against_storing(&self, fill: &Fill, response: &Received) -> Option<&'static str> {
        let vary = words::members(&words::all(&response.fields, "vary"));
        if vary
            .iter()
            .any(|name| name.eq_ignore_ascii_case("x-forwarded-for"))
        {
            return Some("vary-client");
        }
        let language = fill.language.filter(|_| self.keeps(Rule::LanguageDrift))?;
        let said = words::members(&words::all(&response.fields, "content-language"));
        let wider = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}-"));
        let is_ours = |tag: &String| {
            let tag = tag.to_lowercase();
            wider(&tag, language) || wider(language, &tag)
        };
        (!said.is_empty() && !said.iter().any(is_ours)).then_some("language-drift")
    }
}

fn tags_of(fields: &Lines) -> Vec<String> {
    let lines = words::all(fields, "cache-tag");
    let tags = lines.iter().flat_map(|line| line.split([' ', ',']));
    tags.map(str::to_owned).collect()
}
