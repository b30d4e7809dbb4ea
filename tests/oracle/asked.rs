//! What the model reads in a request: RFC 9111 §5.2.1, and the language.

use cms_edge::fields::cache_control::MaxStale;

use super::model::Model;
use super::rules::Rule;
use super::script::{LANGUAGES, Lines};
use super::words::{self, Words};

/// §5.2.1; seconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) no_cache: bool,
    pub(super) no_store: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<u64>,
    pub(super) max_stale: Option<MaxStale>,
    pub(super) min_fresh: Option<u64>,
    pub(super) stale_if_error: Option<u64>,
}

impl Model {
    pub(super) fn asked(&self, request: &Lines) -> Asked {
        if !self.setup.request_directives {
            return Asked::default();
        }
        let words = Words::plain(request, "cache-control");
        let has = |name, rule| words.has(name) && self.keeps(rule);
        let seconds = |name, rule| words.seconds(name, None).filter(|_| self.keeps(rule));
        let stale = words.seconds("max-stale", None).map(MaxStale::Seconds);
        let any = words.has_bare("max-stale").then_some(MaxStale::Any);
        // §5.4: Pragma, where there is no Cache-Control.
        let pragma = words::has(request, "pragma") && !words::has(request, "cache-control");
        Asked {
            no_cache: has("no-cache", Rule::RequestNoCache) || pragma,
            no_store: words.has("no-store"),
            only_if_cached: has("only-if-cached", Rule::OnlyIfCached),
            max_age: seconds("max-age", Rule::RequestMaxAge),
            max_stale: stale.or(any).filter(|_| self.keeps(Rule::MaxStale)),
            min_fresh: seconds("min-fresh", Rule::MinFresh),
            stale_if_error: seconds("stale-if-error", Rule::RequestStaleIfError),
        }
    }

    /// RFC 4647 §3.4, for lists without `*`.
    pub(super) fn negotiated(&self, request: &Lines) -> Option<&'static str> {
        if !self.setup.has_languages {
            return None;
        }
        for (range, _) in words::languages(request) {
            let mut wanted = range.as_str();
            loop {
                if let Some(found) = LANGUAGES.iter().find(|language| **language == wanted) {
                    return Some(found);
                }
                match wanted.rsplit_once('-') {
                    Some((shorter, _)) if self.keeps(Rule::LanguageLookup) => wanted = shorter,
                    _ => break,
                }
            }
        }
        Some(LANGUAGES[0])
    }
}
