//! What responses have last said of the queries of their paths (`No-Vary-Search`). It is a guess about
//! the next response, as that a URL varies by what it varied by: what a response says itself is in
//! the key it is stored under. A guess that is lost, or that another path left, costs a miss. Instances
//! that share a Redis learn each from the first response of a path that it fetches itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_64;

use super::Proxy;
use super::fill::Fill;
use crate::fields::no_vary_search::NoVarySearch;
use crate::key::{CacheKey, Keyed, TargetUri, Variation};
use crate::route::Route;
use crate::store::Store;

/// Paths of which something is known; the least used ones go first.
const PATHS_MAX: usize = 16_384;

pub(super) struct Variations {
    /// Whether there has ever been any: without, nobody looks.
    is_used: AtomicBool,
    paths: Cache<u64, Arc<Variation>>,
}

impl Default for Variations {
    fn default() -> Self {
        Self {
            is_used: AtomicBool::new(false),
            paths: Cache::new(PATHS_MAX),
        }
    }
}

impl Variations {
    fn of(&self, target: &TargetUri) -> Option<Arc<Variation>> {
        if !self.is_used.load(Ordering::Relaxed) {
            return None;
        }
        self.paths.get(&path(target))
    }

    /// §7: the most recent value that is none of nothing counts. A response without one, an error
    /// perhaps, says nothing of the others of its path.
    fn learn(&self, target: &TargetUri, variation: &Arc<Variation>) {
        let path = path(target);
        if self
            .paths
            .peek(&path)
            .is_none_or(|known| known != *variation)
        {
            self.paths.insert(path, Arc::clone(variation));
            self.is_used.store(true, Ordering::Relaxed);
        }
    }
}

/// The draft's "target URI, excluding the query".
fn path(target: &TargetUri) -> u64 {
    let parts = [target.scheme(), "://", target.authority(), target.path()];
    xxh3_64(parts.concat().as_bytes())
}

impl<S: Store> Proxy<S> {
    /// The key under which a request finds what is stored for it: that of its own URL, and where
    /// nothing is there and responses of its path have told which parameters count, that of all
    /// equivalent URLs.
    pub(super) fn keyed(&self, route: &Route, target: &TargetUri, presented: &HeaderMap) -> Keyed {
        let exact = route.key.key(target, presented);
        if !route.key.query.no_vary_search {
            return exact;
        }
        let Some(variation) = self.shared.variations.of(target) else {
            return exact;
        };
        let stored = self.store.local(&exact.key);
        if stored.select(presented, route.vary.folding).is_some() {
            return exact;
        }
        route.key.key_by(target, presented, Some(&variation))
    }
}

/// The key for a response with these fields, and what it says of queries. Nothing it says counts where
/// the route does not hear it, nor where a tag is made of a parameter that makes no difference: a purge
/// by that tag would miss those who asked with another one.
pub(super) fn key_of(
    route: &Route,
    target: &TargetUri,
    presented: &HeaderMap,
    response: &HeaderMap,
) -> (CacheKey, Option<Arc<Variation>>) {
    let is_tagged = |said: &NoVarySearch| route.tags.queries().any(|name| !said.counts(name));
    let is_heard = route.key.query.no_vary_search;
    let said = NoVarySearch::of(response).filter(|said| is_heard && !is_tagged(said));
    let variation = said.map(|said| Arc::new(Variation::new(said)));
    let keyed = route.key.key_by(target, presented, variation.as_deref());
    (keyed.key, variation)
}

impl<S: Store> Fill<S> {
    /// Whether a response with these fields is stored where this request was looked up.
    pub(super) fn is_keyed_by(&self, route: &Route, response: &HeaderMap) -> bool {
        !route.key.query.no_vary_search
            || key_of(route, &self.target, &self.presented, response).0 == self.key
    }

    /// Moves to the key that the response itself wants. What is stored for this URL elsewhere goes: it
    /// is older.
    pub(super) async fn rekey(&mut self, route: &Route, response: &HeaderMap) {
        if !route.key.query.no_vary_search {
            return;
        }
        let (key, variation) = key_of(route, &self.target, &self.presented, response);
        if let Some(variation) = variation {
            self.proxy.shared.variations.learn(&self.target, &variation);
        }
        if key == self.key && !key.is_varied() {
            return;
        }
        let exact = route.key.key(&self.target, &self.presented).key;
        let known = std::mem::replace(&mut self.key, key);
        let store = &self.proxy.store;
        for other in [exact, known].iter().filter(|other| **other != self.key) {
            for entry in store
                .local(other)
                .matching(&self.presented, route.vary.folding)
            {
                store.remove(entry).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::no_vary_search::NO_VARY_SEARCH;

    fn variation(value: &str) -> Arc<Variation> {
        let headers = HeaderMap::from_iter([(NO_VARY_SEARCH, value.parse().unwrap())]);
        Arc::new(Variation::new(NoVarySearch::of(&headers).unwrap()))
    }

    #[test]
    fn the_last_that_was_said_of_a_path_is_known() {
        let target = |uri: &str, query| TargetUri::parse("https", "a.example", uri, query).unwrap();
        let (one, other) = (target("/a", Some("x=1")), target("/a", None));
        let variations = Variations::default();
        assert!(variations.of(&one).is_none());
        for value in ["params=(\"x\")", "params=(\"x\")", "key-order"] {
            variations.learn(&one, &variation(value));
            assert_eq!(variations.of(&other), Some(variation(value)));
        }
        assert!(variations.of(&target("/b", None)).is_none());
    }
}
