//! How many requests the CMS has answered per path: what shows that the edge spares it work.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// Distinct paths counted by themselves; further ones share [`OTHER`].
const PATHS_MAX: usize = 10_000;
/// Bytes of a path that is counted by itself.
const PATH_BYTES_MAX: usize = 256;
const OTHER: &str = "(other)";

/// Requests answered per path, without query.
#[derive(Default)]
pub(super) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Counts one answered request.
    pub(super) fn add(&self, path: &str) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(path) {
            *count += 1;
            return;
        }
        let own_line = counts.len() < PATHS_MAX && path.len() <= PATH_BYTES_MAX;
        let name = if own_line { path } else { OTHER };
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    /// `{"total": 4, "paths": {"/api/articles/1": 3, …}}`
    pub(super) fn to_json(&self) -> Value {
        let counts = self.counts.lock();
        json!({ "total": counts.values().sum::<u64>(), "paths": *counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_paths_is_bounded_and_none_is_lost() {
        let tally = Tally::default();
        let requests = PATHS_MAX as u64 + 5;
        for number in 0..requests {
            tally.add(&format!("/{number}"));
        }
        tally.add(&"/long".repeat(PATH_BYTES_MAX));
        tally.add("/1");
        let counted = tally.to_json();
        assert_eq!(counted["total"], requests + 2);
        assert_eq!(counted["paths"]["/1"], 2);
        assert_eq!(counted["paths"][OTHER], 6);
        assert!(tally.counts.lock().len() <= PATHS_MAX + 1);
    }
}
