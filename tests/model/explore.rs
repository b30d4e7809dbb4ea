//! Breadth first through all that can happen; the first violation is one of the shortest.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::rules::World;
use super::state::State;
use super::steps::Step;

/// What an exploration has found.
#[derive(Debug)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    pub(crate) violation: Option<Violation>,
}

/// What happened, step by step, until a promise was broken.
pub(crate) struct Violation {
    pub(crate) what: &'static str,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:2}. {step:?}", number + 1)?;
        }
        Ok(())
    }
}

/// Each state's fingerprint, and that of the state it was first reached from.
type Seen = HashMap<u64, u64, BuildHasherDefault<Whole>>;

/// Explores up to `states_max` states; without an end within them there is no result.
pub(crate) fn explore(world: &World, states_max: usize, progress: bool) -> Option<Explored> {
    let first = State::first(world).canonical(world);
    let mut seen = Seen::default();
    seen.insert(first.fingerprint(), first.fingerprint());
    let (mut level, mut next) = (vec![(first.fingerprint(), first)], Vec::new());
    let mut steps = Vec::new();
    let mut depth = 0;
    let mut violation = None;
    while !level.is_empty() && violation.is_none() {
        for (from, state) in level.drain(..) {
            if progress && !state.settles(world) {
                violation = Some(("it does not get back to serving hits", state, None));
                break;
            }
            state.steps(world, &mut steps);
            for step in &steps {
                match state.after(world, *step) {
                    Ok(after) => {
                        let after = after.canonical(world);
                        let print = after.fingerprint();
                        if let Entry::Vacant(free) = seen.entry(print) {
                            free.insert(from);
                            next.push((print, after));
                        }
                    }
                    Err(what) => {
                        violation = Some((what, state, Some(*step)));
                        break;
                    }
                }
            }
            if violation.is_some() {
                break;
            }
        }
        if seen.len() > states_max {
            return None;
        }
        std::mem::swap(&mut level, &mut next);
        depth += 1;
    }
    Some(Explored {
        states: seen.len(),
        depth,
        violation: violation.map(|(what, state, last)| Violation {
            what,
            steps: way_to(world, &seen, &state)
                .into_iter()
                .chain(last)
                .collect(),
        }),
    })
}

/// The steps from the first state to this one.
fn way_to(world: &World, seen: &Seen, state: &State) -> Vec<Step> {
    let mut prints = vec![state.fingerprint()];
    while let Some(print) = prints.last()
        && let Some(from) = seen.get(print)
        && from != print
    {
        prints.push(*from);
    }
    prints.reverse();
    let mut way = Vec::new();
    let mut steps = Vec::new();
    let mut here = State::first(world).canonical(world);
    for print in prints.iter().skip(1) {
        here.steps(world, &mut steps);
        let found = steps.iter().find_map(|step| {
            let after = here.after(world, *step).ok()?.canonical(world);
            (after.fingerprint() == *print).then_some((*step, after))
        });
        let Some((step, after)) = found else { break };
        way.push(step);
        here = after;
    }
    way
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Whole(u64);

impl Hasher for Whole {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}
