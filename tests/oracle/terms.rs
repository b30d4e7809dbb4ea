//! What the model thinks of one response: RFC 9111 §3 and §4.2, with the route's rule where the
//! design lets it decide. Times are in milliseconds.

use cms_edge::policy::{Profile, TtlMode};

use super::rules::Rule;
use super::script::{Lines, Setup};
use super::words::{self, Words};

/// The rules that hold.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) left_out: Option<Rule>,
}

/// A response as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) fields: Lines,
    pub(crate) request_time: u64,
    pub(crate) response_time: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decided {
    Origin,
    Route,
    Heuristic,
    Nobody,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) lifetime: u64,
    pub(crate) decided: Decided,
    pub(crate) no_cache: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) stale_while_revalidate: u64,
    pub(crate) stale_if_error: u64,
    pub(crate) immutable: bool,
}

/// The design: a lifetime of the route's own has this window unless the route says otherwise.
const OWN_STALE_WINDOW: u64 = 30_000;

impl Rules {
    pub(crate) fn keeps(self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// RFC 9213 §2.2.
    fn words(self, fields: &Lines) -> Words {
        for name in ["cms-edge-cache-control", "cdn-cache-control"] {
            let mut found = Words::targeted(fields, name);
            if found.is_none()
                && words::has(fields, name)
                && !self.keeps(Rule::BrokenTargetedIgnored)
            {
                let mut broken = Words::plain(fields, name);
                broken.is_targeted = true;
                found = Some(broken);
            }
            if let Some(found) = found.filter(|_| self.keeps(Rule::TargetedWins)) {
                return found;
            }
        }
        Words::plain(fields, "cache-control")
    }

    /// §4.2.3, when it was received.
    pub(crate) fn initial_age(self, response: &Received) -> u64 {
        let mut age_value = words::age(&response.fields) * 1000;
        if !self.keeps(Rule::AgeField) {
            age_value = 0;
        }
        let mut response_delay = response.response_time - response.request_time;
        if !self.keeps(Rule::ResponseDelay) {
            response_delay = 0;
        }
        let date_value =
            words::date(&response.fields, "date").filter(|_| self.keeps(Rule::ApparentAge));
        // Dates have whole seconds, so the clock has for this.
        let seconds = response.response_time / 1000;
        let apparent_age = date_value.map_or(0, |date| seconds.saturating_sub(date) * 1000);
        apparent_age.max(age_value + response_delay)
    }

    pub(crate) fn terms(self, setup: &Setup, response: &Received) -> Terms {
        let words = self.words(&response.fields);
        let (lifetime, decided) = self.lifetime(setup, response, &words);
        // §5.2.2.4; a qualified form is taken for the other.
        let mut no_cache = words.has("no-cache");
        if !self.keeps(Rule::NoCache)
            || !words.has_bare("no-cache") && !self.keeps(Rule::QualifiedNoCache)
        {
            no_cache = false;
        }
        // The design: these modes replace it where the route decides.
        if decided == Decided::Route && matches!(setup.mode, TtlMode::Floor | TtlMode::Override) {
            no_cache = false;
        }
        // §5.2.2.2, §5.2.2.8, §5.2.2.10. The route's own lifetime ends as the route says.
        let must = words.has("must-revalidate") && self.keeps(Rule::MustRevalidate);
        let is_bound = match decided {
            Decided::Route => false,
            Decided::Heuristic => self.keeps(Rule::HeuristicIsRevalidated),
            Decided::Origin | Decided::Nobody => true,
        };
        let must_revalidate = is_bound
            && (must
                || words.has("proxy-revalidate") && self.keeps(Rule::ProxyRevalidate)
                || words.has("s-maxage") && self.keeps(Rule::SharedMaxAgeRevalidates));
        let window = |name, own: u64| {
            let said = words.seconds(name, Some(0));
            // The design: explicit windows stand beside s-maxage, except in profile `rfc`.
            let forbidden = must || must_revalidate && setup.profile == Profile::Rfc;
            match said {
                Some(seconds) if !forbidden => seconds * 1000,
                _ if must_revalidate => 0,
                _ => own,
            }
        };
        let own = setup.stale_while_revalidate.map(|seconds| seconds * 1000);
        let own = own.unwrap_or(if decided == Decided::Route {
            OWN_STALE_WINDOW
        } else {
            0
        });
        Terms {
            stale_while_revalidate: window("stale-while-revalidate", own),
            stale_if_error: window("stale-if-error", setup.stale_if_error * 1000),
            immutable: words.has_bare("immutable") && self.keeps(Rule::Immutable),
            lifetime,
            decided,
            no_cache,
            must_revalidate,
        }
    }

    fn lifetime(self, setup: &Setup, response: &Received, words: &Words) -> (u64, Decided) {
        let own = own_ttl(setup, response.status);
        let said = self.said(response, words);
        let mode = if self.keeps(Rule::Mode) {
            setup.mode
        } else {
            TtlMode::Default
        };
        let (seconds, decided) = match (said, mode) {
            (Some(said), TtlMode::Default) => (said, Decided::Origin),
            (Some(said), TtlMode::Cap) if said <= own => (said, Decided::Origin),
            (Some(said), TtlMode::Floor) if said >= own => (said, Decided::Origin),
            (Some(_), _) => (own, Decided::Route),
            (None, _) if own > 0 => (own, Decided::Route),
            (None, _) => match self.guess(setup, response, words) {
                Some(guess) => (guess, Decided::Heuristic),
                None => (0, Decided::Nobody),
            },
        };
        let ceiling = if self.keeps(Rule::Ceiling) {
            setup.ttl_max
        } else {
            u64::MAX
        };
        (seconds.min(ceiling) * 1000, decided)
    }

    /// §4.2.1, in seconds.
    fn said(self, response: &Received, words: &Words) -> Option<u64> {
        let broken = self.keeps(Rule::BrokenNumberIsZero).then_some(0);
        let shared = words.seconds("s-maxage", broken);
        let general = words.seconds("max-age", broken);
        let (first, second) = if self.keeps(Rule::SharedMaxAgeFirst) {
            (shared, general)
        } else {
            (general, shared)
        };
        if first.is_some() || second.is_some() || words.is_targeted {
            return first.or(second);
        }
        let expires = words::expires(&response.fields)?;
        let mut date = words::date(&response.fields, "date")?;
        if !self.keeps(Rule::ExpiresMinusDate) {
            date = response.response_time / 1000;
        }
        Some(expires.saturating_sub(date))
    }

    /// §4.2.2, in seconds: a tenth, for at most a day.
    fn guess(self, setup: &Setup, response: &Received, words: &Words) -> Option<u64> {
        // RFC 9110 §15.1.
        let heuristically = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];
        let may = heuristically.contains(&response.status) || words.has_bare("public");
        if setup.profile != Profile::Rfc || !may || !self.keeps(Rule::Heuristics) {
            return None;
        }
        let modified = words::date(&response.fields, "last-modified")?;
        let unchanged = words::date(&response.fields, "date")?.checked_sub(modified)?;
        Some((unchanged / 10).min(86_400))
    }

    /// §3: all that speaks against storing the response to a GET with these fields.
    pub(crate) fn against(
        self,
        setup: &Setup,
        request: &Lines,
        no_store: bool,
        response: &Received,
    ) -> Vec<&'static str> {
        let words = self.words(&response.fields);
        let terms = self.terms(setup, response);
        let status = response.status;
        let mut against = Vec::new();
        let mut object = |is, reason| {
            if is {
                against.push(reason);
            }
        };
        object(!may_store_status(setup, status), "status");
        object(
            no_store && self.keeps(Rule::RequestNoStore),
            "request-no-store",
        );
        let types = words::all(&response.fields, "content-type");
        object(types.contains(&"text/event-stream"), "event-stream");
        // The design: `strict_private` hears Cache-Control beside a targeted field.
        let mut both = vec![&words];
        let plain = Words::plain(&response.fields, "cache-control");
        if words.is_targeted && setup.strict_private && self.keeps(Rule::StrictPrivate) {
            both.push(&plain);
        }
        for words in both {
            // §5.2.2.3.
            let no_store = if words.has_bare("must-understand") && self.keeps(Rule::MustUnderstand)
            {
                !is_understood(status)
            } else {
                words.has("no-store")
            };
            object(no_store && self.keeps(Rule::NoStore), "no-store");
            let qualified = words.has("private") && !words.has_bare("private");
            let private =
                words.has("private") && (!qualified || self.keeps(Rule::QualifiedPrivate));
            object(private && self.keeps(Rule::Private), "private");
        }
        // §3.5, and §5.2.2.2: "subject to the above requirement on revalidation". Where the route
        // replaces the lifetime it replaces that requirement, too, and only `public` is left.
        let revalidated = words.has("must-revalidate") || words.has("s-maxage");
        let is_kept =
            terms.decided != Decided::Route || !self.keeps(Rule::AuthorizationIsRevalidated);
        let allowed = words.has_bare("public") || revalidated && is_kept;
        let is_authorized = words::has(request, "authorization") && self.keeps(Rule::Authorization);
        object(is_authorized && !allowed, "authorization");
        let sets_cookie = words::has(&response.fields, "set-cookie") && self.keeps(Rule::SetCookie);
        object(sets_cookie && setup.profile == Profile::Cms, "set-cookie");
        let vary = words::members(&words::all(&response.fields, "vary"));
        object(
            vary.contains(&"*".to_owned()) && self.keeps(Rule::VaryStar),
            "vary-star",
        );
        // Nothing says for how long, or what is stale at once cannot be validated.
        let useless = terms.lifetime == 0 || terms.no_cache;
        let silent = terms.decided == Decided::Nobody && !terms.no_cache;
        object(
            silent || useless && !has_validator(&response.fields),
            "no-lifetime",
        );
        against
    }
}

/// The design: an `ETag: ""` is none.
pub(crate) fn validating_tag(fields: &Lines) -> Option<String> {
    words::entity_tag(fields).filter(|tag| tag != "\"\"")
}

fn has_validator(fields: &Lines) -> bool {
    validating_tag(fields).is_some() || words::has(fields, "last-modified")
}

/// The route's lifetime for a status, in seconds: for exactly it, for its class, else for 200.
fn own_ttl(setup: &Setup, status: u16) -> u64 {
    for wanted in [status, status / 100] {
        for (listed, ttl) in setup.ttl_by_status {
            if *listed == wanted {
                return *ttl;
            }
        }
    }
    if status == 200 || status == 203 {
        setup.ttl
    } else {
        0
    }
}

fn may_store_status(setup: &Setup, status: u16) -> bool {
    if [206, 226, 304, 416].contains(&status) {
        return false;
    }
    // The design: errors of the origin, and what speaks of one request, only where the route
    // names them.
    let is_special = [401, 403].contains(&status) || status >= 500 || is_about_request(status);
    setup.profile == Profile::Rfc || !is_special || own_ttl(setup, status) > 0
}

pub(crate) fn is_about_request(status: u16) -> bool {
    [
        400, 406, 407, 408, 411, 412, 413, 414, 415, 417, 421, 422, 425, 426, 428, 429, 431,
    ]
    .contains(&status)
}

/// RFC 9110 §15, less what is not stored anyway.
fn is_understood(status: u16) -> bool {
    let redirections = [300, 301, 302, 303, 305, 307, 308];
    (200..=205).contains(&status)
        || redirections.contains(&status)
        || (400..=415).contains(&status)
        || [417, 421, 422, 426].contains(&status)
        || (500..=505).contains(&status)
}
