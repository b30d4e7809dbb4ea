//! The product's own functions, called in the order in which `proxy` calls them, without sockets.

mod answers;

use std::sync::Arc;
use std::time::Duration;

use cms_edge::clock::{Clock, ManualClock, Timestamp};
use cms_edge::entry::StoredResponse;
use cms_edge::entry::purges::{Live, Mode, Purges};
use cms_edge::entry::scope::Scope;
use cms_edge::exchange::{Fence, Forwarded};
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::fields::cache_control::RequestControl;
use cms_edge::fields::cache_status::Fwd;
use cms_edge::fields::date;
use cms_edge::key::language::{LanguageSettings, Source};
use cms_edge::key::{Folding, KeyRule, LanguageRule, Negotiated, TargetUri, VaryRule};
use cms_edge::policy::reuse::{self, Disposition, Found};
use cms_edge::policy::{CacheRule, Profile, StatusTtl, invalidation, validation};
use cms_edge::purge::local::LocalLog;
use cms_edge::purge::{Cause, Purge};
use cms_edge::respond::stored;
use cms_edge::store::memory::{Memory, Settings};
use cms_edge::store::{Store, Variants};
use cms_edge::telemetry::purge::PurgeMetrics;
use futures_util::FutureExt;
use http::header::{ACCEPT_LANGUAGE, DATE, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use self::answers::answer;
use super::script::{self, Ask, Reply, START, Seen, Setup, URLS, What};

/// Exchanges of one fill, as in `proxy`.
const EXCHANGES_MAX: usize = 3;

pub(crate) struct Edge {
    rule: CacheRule,
    key: KeyRule,
    vary: VaryRule,
    clock: Arc<ManualClock>,
    purges: Arc<Purges>,
    log: LocalLog,
    store: Memory,
    exchanges: usize,
    pending: Vec<Fill>,
}

/// An exchange that is under way.
struct Fill {
    number: usize,
    target: TargetUri,
    language: Option<Negotiated>,
    presented: HeaderMap,
    control: RequestControl,
    stored: Option<Live>,
    is_observed: bool,
    reply: Reply,
    sent: Option<Sent>,
}

struct Sent {
    forwarded: Forwarded,
    fence: Fence,
    validated: Option<Live>,
    if_none_match: Option<String>,
}

impl Edge {
    /// `purges` is made once and used by many: it is large. What earlier cases purged is older than
    /// all that this one stores.
    pub(crate) fn new(setup: &Setup, purges: &Arc<Purges>) -> Self {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_millis(START)));
        let seconds = Duration::from_secs;
        let settings = Settings {
            bytes_max: 1 << 20,
            variants_max: setup.variants_max,
        };
        let by_status = |(status, ttl): &(u16, u64)| StatusTtl {
            status: *status,
            ttl: seconds(*ttl),
        };
        let language = setup.has_languages.then(|| {
            let settings = LanguageSettings {
                supported: script::LANGUAGES.map(Into::into).into(),
                sources: vec![Source::Header],
                drift_guard: true,
                ..LanguageSettings::default()
            };
            LanguageRule::new(settings).unwrap()
        });
        Self {
            vary: VaryRule {
                ignored: language.iter().map(|_| ACCEPT_LANGUAGE).collect(),
                folding: match setup.profile {
                    Profile::Cms => Folding::Careful,
                    Profile::Rfc => Folding::Full,
                },
            },
            key: KeyRule {
                language,
                ..KeyRule::default()
            },
            rule: CacheRule {
                ttl: seconds(setup.ttl),
                mode: setup.mode,
                ttl_max: seconds(setup.ttl_max),
                ttl_by_status: setup.ttl_by_status.iter().map(by_status).collect(),
                stale_while_revalidate: setup.stale_while_revalidate.map(seconds),
                stale_if_error: seconds(setup.stale_if_error),
                strict_private: setup.strict_private,
                request_directives: setup.request_directives,
                profile: setup.profile,
                ..CacheRule::default()
            },
            log: LocalLog::new(
                Arc::clone(purges),
                Arc::clone(&clock) as Arc<dyn Clock>,
                "oracle",
                PurgeMetrics::unregistered(),
            ),
            purges: Arc::clone(purges),
            store: Memory::new(settings),
            clock,
            exchanges: 0,
            pending: Vec::new(),
        }
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    pub(crate) const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// A GET or HEAD, until it is answered from the store or its exchange is under way.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Vec<Seen> {
        let target = target(ask.url);
        let presented = header_map(ask.fields.iter().map(|(name, value)| (*name, *value)));
        let control = if self.rule.request_directives {
            RequestControl::parse(&presented)
        } else {
            RequestControl::default()
        };
        let keyed = self.key.key(&target, &presented);
        let sent = self.pending.iter().filter_map(|fill| fill.sent.as_ref());
        let open = sent.map(|sent| self.purges.still_open(sent.fence, &keyed.key));
        let mut seen = vec![Seen::Open(open.collect())];
        let found = self.found(&self.store.get(&keyed.key), &presented);
        let now = self.clock.now();
        let method = if ask.head { Method::HEAD } else { Method::GET };
        let disposition = reuse::decide(found, &control, now);
        let mut fill = Fill {
            number: 0,
            target,
            language: keyed.language,
            presented,
            control,
            stored: None,
            is_observed: true,
            reply: ask.reply.clone(),
            sent: None,
        };
        let why = match disposition {
            Disposition::Reuse(live) => {
                seen.push(self.serve("hit", &live, &method, &fill.presented));
                return seen;
            }
            Disposition::ReuseWhileRevalidating(live) => {
                seen.push(self.serve("stale", &live, &method, &fill.presented));
                fill.stored = Some(live);
                fill.is_observed = false;
                Fwd::Stale
            }
            Disposition::GatewayTimeout => {
                seen.push(Seen::GatewayTimeout);
                return seen;
            }
            Disposition::Validate(why, live) => {
                fill.stored = Some(live);
                why
            }
            Disposition::Forward(why) => why,
        };
        if ask.head && fill.is_observed {
            seen.push(Seen::Passed(why.token()));
            return seen;
        }
        seen.push(self.send(&mut fill, why.token()));
        self.pending.push(fill);
        seen
    }

    /// Ends the exchange that is under way at this place.
    pub(crate) fn land(&mut self, at: usize) -> Vec<Seen> {
        let mut fill = self.pending.remove(at);
        let mut seen = Vec::new();
        for attempt in 1..=EXCHANGES_MAX {
            let Some(sent) = fill.sent.take() else { break };
            let now = self.clock.now();
            let answered = answer(&fill.reply, &sent, now);
            let exchange = sent.forwarded.received(now);
            let Some((status, mut headers)) = answered else {
                seen.push(self.stand_in(&fill));
                break;
            };
            if date::of(&headers, &DATE).is_none() {
                headers.insert(DATE, date::format(exchange.response_time().as_secs()));
            }
            if self.is_stood_in_for(&fill, status) {
                seen.push(self.stand_in(&fill));
                break;
            }
            if status == StatusCode::NOT_MODIFIED
                && let Some(validated) = sent.validated
            {
                if let Some(live) = self.freshen(&fill, &validated, exchange, &headers) {
                    seen.push(self.serve("validated", &live, &Method::GET, &fill.presented));
                    break;
                }
                fill.stored = None;
                if attempt < EXCHANGES_MAX {
                    seen.push(self.send(&mut fill, "again"));
                    continue;
                }
            }
            if status == StatusCode::NOT_MODIFIED {
                seen.push(self.stand_in(&fill));
                break;
            }
            seen.push(self.take(&fill, status, headers, exchange));
            break;
        }
        let keyed = self.key.key(&fill.target, &fill.presented);
        let variants = self.store.get(&keyed.key);
        seen.push(Seen::Holds(
            variants.iter().map(|entry| content(entry)).collect(),
        ));
        seen
    }

    /// An unsafe request was answered.
    pub(crate) fn write(
        &self,
        (method, url): (&str, usize),
        status: u16,
        fields: &[(&'static str, &'static str)],
    ) {
        let target = target(url);
        let method: Method = method.parse().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let fields = header_map(fields.iter().copied());
        let here = |reference: &str| target.named_here(reference);
        let Some(named) = invalidation::invalidated(&method, status, &fields, here) else {
            return;
        };
        let scopes = std::iter::once(&target)
            .chain(&named)
            .map(|uri| Scope::Url {
                host: target.host().into(),
                path: uri.path().into(),
                query: uri.query().unwrap_or_default().into(),
            });
        let purge = Purge::new(scopes.collect(), Mode::Hard, Cause::Invalidation);
        self.log.record(&purge.unwrap());
    }

    pub(crate) fn purge(&self, what: What, mode: Mode) {
        let scope = match what {
            What::Everything => Scope::Everything,
            What::Host(host) => Scope::Host(host.into()),
            What::Tag(tag) => Scope::tag(tag),
            What::Prefix(host, path) => Scope::Prefix {
                host: host.into(),
                path: path.into(),
            },
            What::Path(host, path) => Scope::Path {
                host: host.into(),
                path: path.into(),
            },
            What::Url(host, path, query) => Scope::Url {
                host: host.into(),
                path: path.into(),
                query: query.into(),
            },
        };
        let purge = Purge::new(vec![scope], mode, Cause::Admin).unwrap();
        self.log.record(&purge);
    }

    /// What the purges make of all that is stored.
    pub(crate) fn inspect(&self) -> Vec<Seen> {
        let mut all = Vec::new();
        let languages: &[&str] = match self.key.language {
            Some(_) => &script::LANGUAGES,
            None => &["en"],
        };
        for (url, language) in
            (0..URLS.len()).flat_map(|url| languages.iter().map(move |l| (url, l)))
        {
            let presented = header_map(std::iter::once(("accept-language", *language)));
            let keyed = self.key.key(&target(url), &presented);
            for entry in self.store.get(&keyed.key).iter() {
                let covered = match self.purges.admit(Arc::clone(entry)) {
                    None => "dropped",
                    Some(live) if live.is_softly_purged() => "stale",
                    Some(_) => "untouched",
                };
                all.push((content(entry), covered));
            }
        }
        all.sort_unstable();
        vec![Seen::Covered(all)]
    }

    fn found(&self, variants: &Variants, presented: &HeaderMap) -> Found<Live> {
        let Some(entry) = variants.select(presented, self.vary.folding) else {
            return if variants.is_empty() {
                Found::Nothing
            } else {
                Found::OtherVariants
            };
        };
        match self.purges.admit(Arc::clone(entry)) {
            Some(live) => Found::Entry(live),
            None => {
                for superseded in variants.matching(presented, self.vary.folding) {
                    now(self.store.remove(superseded));
                }
                Found::Nothing
            }
        }
    }

    fn serve(&self, how: &'static str, live: &Live, method: &Method, request: &HeaderMap) -> Seen {
        let now = self.clock.now();
        let response = stored::response(live, method, request, Coding::Identity, now);
        let age = response.headers().get("age").map(HeaderValue::to_str);
        Seen::Served {
            how,
            content: content(live.entry()),
            status: response.status().as_u16(),
            age: age.map_or_else(
                || reuse::current_age(live, now).as_secs(),
                |age| age.unwrap().parse().unwrap(),
            ),
            ttl: stored::ttl(live, now),
        }
    }

    /// Reads the fence, checks what may be validated under it, and sends – in this order.
    fn send(&mut self, fill: &mut Fill, why: &'static str) -> Seen {
        let fence = self.purges.fence();
        let stored = fill.stored.as_ref();
        let candidate = stored.and_then(|live| self.purges.admit(Arc::clone(live.entry())));
        let mut request = HeaderMap::new();
        let validated = candidate.filter(|live| {
            validation::make_conditional(&mut request, &live.entry().head().origin())
        });
        let text = |name| {
            let value: Option<&HeaderValue> = request.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        fill.number = self.exchanges;
        self.exchanges += 1;
        let seen = Seen::Asked {
            why,
            validates: validated.as_ref().map(|live| content(live.entry())),
            if_none_match: text(IF_NONE_MATCH),
            if_modified_since: text(IF_MODIFIED_SINCE),
        };
        fill.sent = Some(Sent {
            forwarded: Forwarded::begin(self.clock.now(), fence),
            fence,
            validated,
            if_none_match: text(IF_NONE_MATCH),
        });
        seen
    }
}

fn content(entry: &StoredResponse) -> usize {
    let text = std::str::from_utf8(entry.content().original()).unwrap();
    text.parse().unwrap()
}

fn target(url: usize) -> TargetUri {
    let (authority, path, query) = URLS[url];
    let query = (!query.is_empty()).then_some(query);
    TargetUri::parse("https", authority, path, query).unwrap()
}

fn header_map<'l>(lines: impl Iterator<Item = (&'static str, &'l str)>) -> HeaderMap {
    lines
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        })
}

/// The memory store waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}
