//! Keys to which something has just happened. Hit-for-miss: the last outcome could not be shared,
//! so that requests for it do not wait for each other. Failed: a validation came to nothing, so
//! that stale answers do not ask a failing origin each time.

use std::time::Duration;

use quick_cache::sync::Cache;

use crate::clock::Timestamp;
use crate::key::EntryKey;

/// Marks at a time; the least used ones go first. A mark that is lost costs one wait.
const MARKS_MAX: usize = 65_536;

pub struct Marks(Cache<EntryKey, Timestamp>);

impl Default for Marks {
    fn default() -> Self {
        Self(Cache::new(MARKS_MAX))
    }
}

impl Marks {
    pub fn set(&self, key: &EntryKey, now: Timestamp, lasts: Duration) {
        if !lasts.is_zero() {
            self.0.insert(key.clone(), now.after(lasts));
        }
    }

    pub fn clear(&self, key: &EntryKey) {
        self.0.remove(key);
    }

    pub fn is_set(&self, key: &EntryKey, now: Timestamp) -> bool {
        self.0.get(key).is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::fields::vary::Vary;
    use crate::key::{Folding, KeyRule, TargetUri};

    #[test]
    fn a_mark_lasts_as_long_as_it_was_set_for() {
        let target = TargetUri::parse("https", "a.example", "/a", None).unwrap();
        let key = KeyRule::default().key(&target, &HeaderMap::new()).key;
        let key = key.select(&Vary::default(), &HeaderMap::new(), Folding::Careful);
        let marks = Marks::default();
        let now = Timestamp::from_secs(1);
        marks.set(&key, now, Duration::from_secs(10));
        assert!(marks.is_set(&key, now.after(Duration::from_secs(9))));
        assert!(!marks.is_set(&key, now.after(Duration::from_secs(10))));
        marks.clear(&key);
        assert!(!marks.is_set(&key, now));
    }
}
