//! What happens in one case: the route's rule, and steps that both sides take.

use std::time::{Duration, UNIX_EPOCH};

use cms_edge::entry::purges::Mode;
use cms_edge::policy::{Profile, TtlMode};

/// Host, path, query.
pub(crate) const URLS: [(&str, &str, &str); 7] = [
    ("a.example", "/news", ""),
    ("a.example", "/news/a", ""),
    ("a.example", "/newsletter", ""),
    ("a.example", "/news", "x=1"),
    ("a.example", "/", ""),
    ("b.example", "/news", ""),
    ("a.example:8443", "/news", ""),
];

/// Where the clock stands first: Sat, 21 Nov 2026 12:00:00 GMT, in milliseconds.
pub(crate) const START: u64 = 1_795_262_400_000;

/// Of languages, where a route negotiates them. The first is the default.
pub(crate) const LANGUAGES: [&str; 2] = ["en", "de"];

/// One route; times in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    pub(crate) mode: TtlMode,
    pub(crate) ttl: u64,
    pub(crate) ttl_max: u64,
    pub(crate) ttl_by_status: &'static [(u16, u64)],
    pub(crate) stale_while_revalidate: Option<u64>,
    pub(crate) stale_if_error: u64,
    pub(crate) strict_private: bool,
    pub(crate) request_directives: bool,
    pub(crate) has_languages: bool,
    pub(crate) variants_max: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(Ask),
    /// One of the exchanges that are under way comes to its end.
    Land(usize),
    /// An unsafe request, and what came of it.
    Write {
        method: &'static str,
        url: usize,
        status: u16,
        fields: Vec<(&'static str, &'static str)>,
    },
    Purge {
        scope: What,
        mode: Mode,
    },
    /// Milliseconds pass.
    Clock(u64),
    /// Look which stored responses are covered by purges.
    Inspect,
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) url: usize,
    pub(crate) head: bool,
    pub(crate) fields: Vec<(&'static str, &'static str)>,
    pub(crate) reply: Reply,
    /// Milliseconds that the exchange takes; nothing: until a later step.
    pub(crate) takes: Option<u64>,
}

/// What the origin answers, if it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// 0: it cannot be reached.
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// The fields of the 304 that a conditional request is answered with.
    pub(crate) not_modified: Option<Vec<(&'static str, Value)>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Text(&'static str),
    /// A date: seconds from the moment of the answer.
    At(i64),
    /// What `If-None-Match` said, if it was there.
    Echo,
}

/// What a purge names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Everything,
    Host(&'static str),
    Prefix(&'static str, &'static str),
    Path(&'static str, &'static str),
    Url(&'static str, &'static str, &'static str),
    Tag(&'static str),
}

/// Field lines as they are sent.
pub(crate) type Lines = Vec<(&'static str, String)>;

/// The lines at `now`, in milliseconds.
pub(crate) fn lines(fields: &[(&'static str, Value)], now: u64, echo: Option<&str>) -> Lines {
    let line = |(name, value): &(&'static str, Value)| {
        let value = match value {
            Value::Text(text) => (*text).to_owned(),
            Value::At(seconds) => date((now / 1000).saturating_add_signed(*seconds)),
            Value::Echo => echo?.to_owned(),
        };
        Some((*name, value))
    };
    fields.iter().filter_map(line).collect()
}

pub(crate) fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// What is seen of a step, on either side.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// A stored response, by the number of the exchange that its content came with, and the status
    /// that the client got. Age and freshness left are in seconds.
    Served {
        how: &'static str,
        content: usize,
        status: u16,
        age: u64,
        ttl: i64,
    },
    /// The request that left for the origin.
    Asked {
        why: &'static str,
        validates: Option<usize>,
        if_none_match: Option<String>,
        if_modified_since: Option<String>,
    },
    Passed(&'static str),
    GatewayTimeout,
    /// The product has the first reason it finds, the model all there are.
    NotStored(Vec<&'static str>),
    Failed,
    Purged,
    /// Contents under one key, in the order in which they are considered.
    Holds(Vec<usize>),
    /// Whether the exchanges under way may be waited for.
    Open(Vec<bool>),
    /// Each stored response: dropped, stale or untouched by purges.
    Covered(Vec<(usize, &'static str)>),
}

/// Whether both saw the same.
pub(crate) fn agree(product: &[Seen], model: &[Seen]) -> bool {
    product.len() == model.len()
        && product.iter().zip(model).all(|pair| match pair {
            (Seen::NotStored(found), Seen::NotStored(all)) => {
                found.iter().all(|reason| all.contains(reason))
            }
            (one, other) => one == other,
        })
}
