//! Language negotiation: the result, not the browser's header, is in the key.
//!
//! RFC 4647 §3.4 lookup over the route's supported languages, extended by the operator's aliases
//! and by two derived kinds: a base language of which one regional variant alone is supported
//! (`pt`, and so `pt-PT`, means `pt-BR` where that is the only Portuguese), and languages that go by
//! several names (`zh-TW` and `zh-Hant`, `no` and `nb`).

mod related;

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE, HeaderName};

use super::query;
use super::target::TargetUri;
use crate::fields::{accept_language, cookie};

/// Where a request says which language it wants, in the order of the route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The first segment of the path.
    Path,
    /// The query parameter of this name.
    Query(Box<str>),
    /// The cookie of this name.
    Cookie(Box<str>),
    /// The rule's table of hosts.
    Host,
    /// `Accept-Language`.
    Header,
}

/// One route's rule. Made by [`LanguageRule::new`], which checks it.
#[derive(Clone, Debug)]
pub struct LanguageRule {
    /// In the operator's spelling.
    supported: Vec<Box<str>>,
    default: usize,
    sources: Vec<Source>,
    /// Lower-case tag or alias → index into `supported`, sorted for binary search.
    lookup: Vec<(Box<str>, usize)>,
    /// Other names, where `lookup` has nothing; sorted. A segment of a path is none of them: `/no/`
    /// need not be Norwegian.
    related: Vec<(&'static str, usize)>,
    hosts: Vec<(Box<str>, usize)>,
    /// What else may be stored under a language: the languages it falls back to, in order.
    fallback: Vec<Vec<usize>>,
    drift_guard: bool,
}

/// What an operator writes.
#[derive(Clone, Debug, Default)]
pub struct LanguageSettings {
    pub supported: Vec<Box<str>>,
    /// Empty: the first supported one.
    pub default: Box<str>,
    pub sources: Vec<Source>,
    pub aliases: Vec<(Box<str>, Box<str>)>,
    pub fallback: Vec<(Box<str>, Vec<Box<str>>)>,
    pub hosts: Vec<(Box<str>, Box<str>)>,
    pub drift_guard: bool,
}

/// A language that is not in the list of supported ones.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not among the supported languages")]
pub struct NotSupported(pub Box<str>);

/// The outcome of a negotiation: an index into the rule's supported languages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Negotiated(usize);

impl Negotiated {
    /// Its place among [`LanguageRule::supported`]; metrics are kept by it.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// Longest language tag that is looked up, in bytes (RFC 5646 §4.4.1 asks for at least 35).
pub const TAG_BYTES_MAX: usize = 35;

impl LanguageRule {
    /// # Errors
    /// Names the first language that is given as default, alias, fallback or host and is not
    /// supported.
    pub fn new(settings: LanguageSettings) -> Result<Self, NotSupported> {
        let supported = settings.supported;
        let index = |tag: &str| {
            supported
                .iter()
                .position(|other| other.eq_ignore_ascii_case(tag))
                .ok_or_else(|| NotSupported(tag.into()))
        };
        let default = if settings.default.is_empty() {
            0
        } else {
            index(&settings.default)?
        };
        let mut lookup: Vec<(Box<str>, usize)> = Vec::new();
        for (alias, tag) in &settings.aliases {
            lookup.push((alias.to_ascii_lowercase().into(), index(tag)?));
        }
        for (at, tag) in supported.iter().enumerate() {
            lookup.push((tag.to_ascii_lowercase().into(), at));
        }
        for (base, at) in sole_variants(&supported) {
            lookup.push((base, at));
        }
        // Earlier entries win: given aliases over tags, tags over derived aliases.
        lookup.sort_by(|(a, _), (b, _)| a.cmp(b));
        lookup.dedup_by(|(a, _), (b, _)| a == b);
        let related = related::names(|tag| index(tag).ok());
        let mut fallback = vec![Vec::new(); supported.len()];
        for (tag, chain) in &settings.fallback {
            let chain: Result<Vec<usize>, NotSupported> =
                chain.iter().map(|tag| index(tag)).collect();
            if let Some(slot) = fallback.get_mut(index(tag)?) {
                *slot = chain?;
            }
        }
        let mut hosts = Vec::new();
        for (host, tag) in &settings.hosts {
            hosts.push((host.to_ascii_lowercase().into(), index(tag)?));
        }
        Ok(Self {
            default,
            sources: settings.sources,
            lookup,
            related,
            hosts,
            fallback,
            drift_guard: settings.drift_guard,
            supported,
        })
    }

    pub fn negotiate(&self, target: &TargetUri, presented: &HeaderMap) -> Negotiated {
        let found = self.sources.iter().find_map(|source| match source {
            Source::Header => self.by_header(presented),
            Source::Cookie(name) => cookie::get(presented, name).and_then(|value| self.best(value)),
            of_target => self.by_target(of_target, target),
        });
        Negotiated(found.unwrap_or(self.default))
    }

    /// The language's tag in the operator's spelling: what the origin receives.
    pub fn tag(&self, negotiated: Negotiated) -> &str {
        self.supported
            .get(negotiated.0)
            .map_or("", |language| language)
    }

    pub fn supported(&self) -> &[Box<str>] {
        &self.supported
    }

    /// The request fields that a response to `target` depends on, for its `Vary`: those consulted
    /// before the target itself decides, if it does. They are the same for all requests of one URL.
    pub fn consulted(&self, target: &TargetUri) -> Vec<HeaderName> {
        let mut names = Vec::new();
        for source in &self.sources {
            match source {
                Source::Header => names.push(ACCEPT_LANGUAGE),
                Source::Cookie(_) => names.push(COOKIE),
                of_target if self.by_target(of_target, target).is_some() => break,
                _ => {}
            }
        }
        names
    }

    /// Whether a response that calls itself `content_language` may be stored under `negotiated`:
    /// it is that language, a wider or narrower form of it, or one it falls back to. True where
    /// the guard is off.
    pub fn admits(&self, negotiated: Negotiated, content_language: &str) -> bool {
        if !self.drift_guard {
            return true;
        }
        let allowed = self
            .fallback
            .get(negotiated.0)
            .into_iter()
            .flatten()
            .chain(std::iter::once(&negotiated.0));
        allowed
            .filter_map(|at| self.supported.get(*at))
            .any(|tag| extends(tag, content_language) || extends(content_language, tag))
    }

    fn by_target(&self, source: &Source, target: &TargetUri) -> Option<usize> {
        match source {
            Source::Path => {
                let segment = target.path().split('/').nth(1)?;
                self.exact(segment)
            }
            Source::Query(name) => {
                query::parameter(target.query(), name).and_then(|value| self.best(&value))
            }
            Source::Host => self
                .hosts
                .iter()
                .find(|(host, _)| **host == *target.host())
                .map(|(_, at)| *at),
            Source::Cookie(_) | Source::Header => None,
        }
    }

    fn by_header(&self, presented: &HeaderMap) -> Option<usize> {
        let mut lines = presented.get_all(ACCEPT_LANGUAGE).iter();
        let first = lines.next()?.to_str().ok()?;
        let joined;
        let value = match lines.next() {
            None => first,
            Some(_) => {
                joined = presented
                    .get_all(ACCEPT_LANGUAGE)
                    .iter()
                    .filter_map(|line| line.to_str().ok())
                    .collect::<Vec<_>>()
                    .join(",");
                &joined
            }
        };
        let ranges = accept_language::ranges(value);
        let is_excluded = |at: usize| {
            !ranges.excluded.is_empty()
                && self.supported.get(at).is_some_and(|tag| {
                    let mut excluded = ranges.excluded.iter();
                    excluded.any(|range| range.eq_ignore_ascii_case(tag))
                })
        };
        ranges
            .iter()
            .filter_map(|(range, _)| self.best(range))
            .find(|at| !is_excluded(*at))
    }

    /// RFC 4647 §3.4: the range is shortened from its end until something matches.
    fn best(&self, range: &str) -> Option<usize> {
        let mut buffer = [0_u8; TAG_BYTES_MAX];
        let lower = buffer.get_mut(..range.len())?;
        lower.copy_from_slice(range.as_bytes());
        lower.make_ascii_lowercase();
        let mut range = std::str::from_utf8(lower).ok()?;
        loop {
            if let Some(at) = self.find(range).or_else(|| self.find_related(range)) {
                return Some(at);
            }
            range = range.rsplit_once('-')?.0;
            // "If the truncated range ends in a single-letter subtag, that is removed as well."
            while let Some((shorter, subtag)) = range.rsplit_once('-')
                && subtag.len() == 1
            {
                range = shorter;
            }
        }
    }

    fn exact(&self, tag: &str) -> Option<usize> {
        if tag.len() > TAG_BYTES_MAX {
            return None;
        }
        self.find(&tag.to_ascii_lowercase())
    }

    fn find(&self, lower: &str) -> Option<usize> {
        let at = self
            .lookup
            .binary_search_by(|(tag, _)| (**tag).cmp(lower))
            .ok()?;
        self.lookup.get(at).map(|(_, index)| *index)
    }

    fn find_related(&self, lower: &str) -> Option<usize> {
        let at = self
            .related
            .binary_search_by(|(name, _)| (**name).cmp(lower))
            .ok()?;
        self.related.get(at).map(|(_, index)| *index)
    }
}

/// Base languages of which exactly one variant, and not the base itself, is supported.
fn sole_variants(supported: &[Box<str>]) -> Vec<(Box<str>, usize)> {
    let base = |tag: &str| {
        tag.split('-')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let mut found = Vec::new();
    for (at, tag) in supported.iter().enumerate() {
        let own = base(tag);
        let is_sole = supported.iter().filter(|other| base(other) == own).count() == 1;
        if is_sole && !own.eq_ignore_ascii_case(tag) {
            found.push((own.into(), at));
        }
    }
    found
}

/// Whether `longer` is `tag` or `tag` with further subtags.
fn extends(tag: &str, longer: &str) -> bool {
    longer
        .get(..tag.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        && matches!(longer.as_bytes().get(tag.len()), None | Some(b'-'))
}

#[cfg(test)]
mod browser_tests;
#[cfg(test)]
mod tests;
