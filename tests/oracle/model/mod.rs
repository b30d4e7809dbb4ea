//! The model: it keeps all that is stored and all that was purged, and decides by looking through
//! both. Slow, and meant to be read beside RFC 9111. Times are in milliseconds.

mod answers;

use cms_edge::entry::purges::Mode;
use cms_edge::fields::cache_control::MaxStale;

use super::asked::Asked;
use super::rules::Rule;
use super::script::{self, Ask, Lines, Reply, START, Seen, Setup, URLS, What};
use super::terms::{self, Received, Rules};
use super::words;

pub(crate) struct Model {
    pub(super) rules: Rules,
    pub(super) setup: Setup,
    pub(super) now: u64,
    /// In the order in which they were asked for.
    pub(super) purges: Vec<(What, Mode)>,
    pub(super) stored: Vec<Stored>,
    /// What has ever been put; the next one's number.
    pub(super) puts: usize,
    exchanges: usize,
    pending: Vec<Fill>,
}

/// One stored response.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) put: usize,
    /// The exchange that its content came with.
    pub(super) content: usize,
    pub(super) url: usize,
    pub(super) language: Option<&'static str>,
    pub(super) response: Received,
    pub(super) initial_age: u64,
    pub(super) tags: Vec<String>,
    /// The nominated fields that count, and what was presented for them.
    pub(super) vary: Vec<(String, Option<String>)>,
    /// Purges that were applied before its exchange began.
    pub(super) fence: usize,
}

/// An exchange that is under way.
#[derive(Clone)]
struct Fill {
    number: usize,
    url: usize,
    language: Option<&'static str>,
    request: Lines,
    asked: Asked,
    stored: Option<Stored>,
    validated: Option<Stored>,
    if_none_match: Option<String>,
    is_observed: bool,
    reply: Reply,
    request_time: u64,
    fence: usize,
}

/// What may be done with the stored response that was found.
enum Use {
    AsItIs,
    WhileValidating,
    AfterValidation(&'static str),
}

impl Model {
    pub(crate) const fn new(setup: Setup, left_out: Option<Rule>) -> Self {
        Self {
            rules: Rules { left_out },
            setup,
            now: START,
            purges: Vec::new(),
            stored: Vec::new(),
            puts: 0,
            exchanges: 0,
            pending: Vec::new(),
        }
    }

    pub(crate) const fn advance(&mut self, millis: u64) {
        self.now += millis;
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.rules.keeps(rule)
    }

    /// §4.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Vec<Seen> {
        let own = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        let request: Lines = ask.fields.iter().map(own).collect();
        let language = self.negotiated(&request);
        let asked = self.asked(&request);
        let open = self.pending.iter().map(|fill| self.is_open(fill, ask.url));
        let mut seen = vec![Seen::Open(open.collect())];
        let under_key = self.under(ask.url, language);
        let found = self.found(&under_key, &request);
        let mut is_observed = true;
        let why = match &found {
            _ if found.is_none() && asked.only_if_cached => {
                seen.push(Seen::GatewayTimeout);
                return seen;
            }
            None if under_key.is_empty() || self.select(&under_key, &request).is_some() => {
                "uri-miss"
            }
            None => "vary-miss",
            Some(stored) => match self.usable(stored, asked) {
                Use::AsItIs => {
                    seen.push(self.served("hit", stored, &request));
                    return seen;
                }
                Use::WhileValidating => {
                    seen.push(self.served("stale", stored, &request));
                    is_observed = false;
                    "stale"
                }
                Use::AfterValidation(_) if asked.only_if_cached => {
                    seen.push(Seen::GatewayTimeout);
                    return seen;
                }
                Use::AfterValidation(why) => why,
            },
        };
        if ask.head && is_observed {
            seen.push(Seen::Passed(why));
            return seen;
        }
        let mut fill = Fill {
            number: 0,
            url: ask.url,
            language,
            asked,
            request,
            stored: found,
            validated: None,
            if_none_match: None,
            is_observed,
            reply: ask.reply.clone(),
            request_time: 0,
            fence: 0,
        };
        seen.push(self.send(&mut fill, why));
        self.pending.push(fill);
        seen
    }

    /// An exchange comes to its end.
    pub(crate) fn land(&mut self, at: usize) -> Vec<Seen> {
        let mut fill = self.pending.remove(at);
        let mut seen = Vec::new();
        loop {
            let is_conditional = fill.validated.is_some();
            let (status, fields) = match &fill.reply.not_modified {
                Some(fields) if is_conditional => (304, fields),
                _ => (fill.reply.status, &fill.reply.fields),
            };
            let mut fields = script::lines(fields, self.now, fill.if_none_match.as_deref());
            if words::date(&fields, "date").is_none() {
                // RFC 9110 §6.6.1: whoever has a clock supplies it.
                fields.retain(|(name, _)| *name != "date");
                fields.push(("date", script::date(self.now / 1000)));
            }
            let response = Received {
                status,
                fields,
                request_time: fill.request_time,
                response_time: self.now,
            };
            // RFC 5861 §4; §4.3.3 leaves the choice.
            let failed = [0, 500, 502, 503, 504].contains(&status);
            if failed && (status == 0 || self.may_stand_in_for(&fill)) {
                seen.push(self.stand_in(&fill));
            } else if status == 304 && is_conditional {
                if let Some(fresh) = self.freshened(&fill, &response) {
                    seen.push(self.served("validated", &fresh, &fill.request));
                } else {
                    fill.stored = None;
                    seen.push(self.send(&mut fill, "again"));
                    continue;
                }
            } else if status == 304 {
                // Nobody asked for that.
                seen.push(self.stand_in(&fill));
            } else {
                seen.push(self.take(&fill, response));
            }
            break;
        }
        let under_key = self.under(fill.url, fill.language);
        seen.push(Seen::Holds(
            under_key.iter().map(|stored| stored.content).collect(),
        ));
        seen
    }

    /// §4.4.
    pub(crate) fn write(
        &mut self,
        (method, url): (&str, usize),
        status: u16,
        fields: &[(&'static str, &'static str)],
    ) {
        let is_error = !(200..400).contains(&status) && self.keeps(Rule::ErrorsDoNotInvalidate);
        let is_safe = ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method);
        if is_safe || is_error || !self.keeps(Rule::UnsafeInvalidates) {
            return;
        }
        let (authority, path, query) = URLS[url];
        let host = authority.split(':').next().unwrap();
        self.purges.push((What::Url(host, path, query), Mode::Hard));
        // One record with all its scopes: the same for whatever is fetched after it.
        for (name, value) in fields {
            if *name == "location" && !self.keeps(Rule::LocationInvalidates) {
                continue;
            }
            let (named, rest) = match value.strip_prefix("https://") {
                None => (authority, *value),
                Some(rest) => rest.split_at(rest.find('/').unwrap()),
            };
            if named.eq_ignore_ascii_case(authority) || !self.keeps(Rule::SameOriginOnly) {
                let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
                self.purges.push((What::Url(host, path, query), Mode::Hard));
            }
        }
    }

    pub(crate) fn purge(&mut self, what: What, mode: Mode) {
        self.purges.push((what, mode));
    }

    pub(crate) fn inspect(&self) -> Vec<Seen> {
        let cover = |stored: &Stored| match self.covered(stored) {
            Some(Mode::Hard) => "dropped",
            Some(Mode::Soft) => "stale",
            None => "untouched",
        };
        let all = self
            .stored
            .iter()
            .map(|stored| (stored.content, cover(stored)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        vec![Seen::Covered(all)]
    }

    /// What the request found, unless a hard purge covers it.
    fn found(&mut self, under_key: &[Stored], request: &Lines) -> Option<Stored> {
        let selected = self.select(under_key, request)?;
        if self.covered(&selected) != Some(Mode::Hard) {
            return Some(selected);
        }
        // What it had superseded goes with it: who has seen it must not see older ones again.
        let matching = under_key
            .iter()
            .filter(|stored| self.matches(stored, request));
        let gone: Vec<usize> = matching.map(|stored| stored.put).collect();
        self.stored.retain(|stored| !gone.contains(&stored.put));
        None
    }

    /// §4.2, §4.2.4 and §5.2.1.
    fn usable(&self, stored: &Stored, asked: Asked) -> Use {
        let terms = self.rules.terms(&self.setup, &stored.response);
        let age = self.age(stored);
        let is_purged = self.covered(stored) == Some(Mode::Soft) && self.keeps(Rule::SoftPurge);
        let is_within = if self.keeps(Rule::FreshIsGreater) {
            terms.lifetime > age
        } else {
            terms.lifetime >= age
        };
        let is_fresh = is_within && !is_purged;
        let staleness = age.saturating_sub(terms.lifetime);
        if terms.no_cache {
            return Use::AfterValidation("stale");
        }
        // RFC 8246 §2: no reload is a reason to validate it while it is fresh.
        let ends = is_purged && self.keeps(Rule::SoftPurgeEndsImmutable);
        let is_immutable = is_within && !ends && terms.immutable;
        if asked.no_cache && !is_immutable {
            return Use::AfterValidation("request");
        }
        let is_too_old = asked.max_age.is_some_and(|most| age / 1000 > most) && !is_immutable;
        // §5.2.1.3: "freshness lifetime is no less than its current age plus the specified time".
        let stays = |least: u64| terms.lifetime >= age + least * 1000;
        if is_fresh {
            let is_long_enough = asked.min_fresh.is_none_or(stays);
            return if is_too_old || !is_long_enough {
                Use::AfterValidation("request")
            } else {
                Use::AsItIs
            };
        }
        // It is stale. §5.2.1.1: "Unless the max-stale request directive is also present, the client
        // does not wish to receive a stale response." Nor does who asked for freshness to come.
        let no_stale = asked.max_age.is_some()
            && asked.max_stale.is_none()
            && self.keeps(Rule::MaxAgeExcludesStale);
        if is_too_old || no_stale || asked.min_fresh.is_some() {
            return Use::AfterValidation("stale");
        }
        // RFC 5861 §3: up to so many seconds after it became stale. What a soft purge made stale
        // has none of its own time used up.
        let in_window =
            staleness < terms.stale_while_revalidate && self.keeps(Rule::StaleWhileRevalidate);
        if in_window || is_purged && is_within {
            return Use::WhileValidating;
        }
        // §5.2.1.2, which a purge does not know of.
        let is_accepted = match asked.max_stale {
            None => false,
            Some(MaxStale::Any) => true,
            Some(MaxStale::Seconds(most)) => staleness <= most * 1000,
        };
        if is_accepted && !terms.must_revalidate && !is_purged {
            return Use::AsItIs;
        }
        Use::AfterValidation("stale")
    }

    /// §4.3.1.
    fn send(&mut self, fill: &mut Fill, why: &'static str) -> Seen {
        let usable = |stored: &&Stored| self.covered(stored) != Some(Mode::Hard);
        let candidate = fill.stored.as_ref().filter(usable).cloned();
        let fields = candidate.as_ref().map(|stored| &stored.response.fields);
        let weak = |fields: &Lines| words::one(fields, "etag").map(str::to_owned);
        fill.if_none_match = fields.and_then(|fields| {
            terms::validating_tag(fields)?;
            weak(fields)
        });
        let if_modified_since = fields
            .and_then(|fields| words::one(fields, "last-modified").map(str::to_owned))
            .filter(|_| self.keeps(Rule::IfModifiedSince));
        let has_validator = fill.if_none_match.is_some() || if_modified_since.is_some();
        fill.validated = candidate.filter(|_| has_validator);
        fill.number = self.exchanges;
        self.exchanges += 1;
        fill.request_time = self.now;
        fill.fence = self.purges.len();
        Seen::Asked {
            why,
            validates: fill.validated.as_ref().map(|stored| stored.content),
            if_none_match: fill.if_none_match.clone(),
            if_modified_since,
        }
    }

    /// Whether a request may wait for the exchange: no hard purge since it began could cover what it
    /// brings. Its tags are not known yet.
    fn is_open(&self, fill: &Fill, url: usize) -> bool {
        let mut since = self.purges.iter().skip(fill.fence);
        !since.any(|(what, mode)| {
            let could = matches!(what, What::Tag(_)) || self.names(*what, url, &[]);
            *mode == Mode::Hard && could
        })
    }

    fn served(&self, how: &'static str, stored: &Stored, request: &Lines) -> Seen {
        let terms = self.rules.terms(&self.setup, &stored.response);
        let age = self.age(stored) / 1000;
        let seconds = |value: u64| i64::try_from(value).unwrap();
        let mut status = stored.response.status;
        // RFC 9110 §13.1.2, with the weak comparison.
        let asked = words::members(&words::all(request, "if-none-match"));
        let tag = words::entity_tag(&stored.response.fields);
        let has = |tag: &String| {
            asked
                .iter()
                .any(|asked| asked.trim_start_matches("W/") == tag)
        };
        if status == 200 && (asked == ["*"] || tag.as_ref().is_some_and(has)) {
            status = 304;
        }
        Seen::Served {
            how,
            content: stored.content,
            status,
            age,
            ttl: seconds(terms.lifetime / 1000) - seconds(age),
        }
    }

    /// §4.2.3.
    fn age(&self, stored: &Stored) -> u64 {
        stored.initial_age + self.now.saturating_sub(stored.response.response_time)
    }
}
