//! Takes a case through both sides, and makes a difference small.

use std::fmt::{self, Write};
use std::sync::Arc;

use cms_edge::entry::purges::Purges;
use cms_edge::exchange::Generation;

use super::edge::Edge;
use super::generate;
use super::model::Model;
use super::random::Random;
use super::rules::Rule;
use super::script::{self, Case, Seen, Step};

/// What all cases share: the table of purges is large.
pub(crate) struct Bench {
    purges: Arc<Purges>,
}

/// A case that the two sides do not agree on.
pub(crate) struct Difference {
    seed: u64,
    case: Case,
    /// What was seen, up to the step that differs.
    trace: String,
}

/// The number in an environment variable, or `default`.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            purges: Arc::new(Purges::new(Generation::new(1))),
        }
    }

    /// The first difference within so many steps, if there is one.
    pub(crate) fn run(&self, seed: u64, steps: u64, left_out: Option<Rule>) -> Option<Difference> {
        let mut random = Random::new(seed);
        let mut taken = 0;
        while taken < steps {
            let case = generate::case(&mut random);
            taken += case.steps.len() as u64;
            if !self.agrees(&case, left_out, None) {
                // A rule that was left out on purpose is not looked into.
                let case = if left_out.is_none() {
                    self.smallest(case)
                } else {
                    case
                };
                let mut trace = String::new();
                self.agrees(&case, left_out, Some(&mut trace));
                return Some(Difference { seed, case, trace });
            }
        }
        None
    }

    /// Whether both sides see the same in every step.
    pub(crate) fn agrees(
        &self,
        case: &Case,
        left_out: Option<Rule>,
        mut trace: Option<&mut String>,
    ) -> bool {
        let mut edge = Edge::new(&case.setup, &self.purges);
        let mut model = Model::new(case.setup.clone(), left_out);
        for step in &case.steps {
            for (product, model) in take(step, &mut edge, &mut model) {
                if let Some(trace) = trace.as_deref_mut() {
                    let _ = writeln!(
                        trace,
                        "{step:?}\n  product {product:?}\n  model   {model:?}"
                    );
                }
                if !script::agree(&product, &model) {
                    return false;
                }
            }
        }
        true
    }

    /// The same difference, or another one, with fewer steps and fields.
    fn smallest(&self, mut case: Case) -> Case {
        loop {
            let smaller = smaller(&case);
            match smaller
                .into_iter()
                .find(|case| !self.agrees(case, None, None))
            {
                Some(smaller) => case = smaller,
                None => return case,
            }
        }
    }
}

/// What both see of a step, and of the exchange that it begins and ends.
fn take(step: &Step, edge: &mut Edge, model: &mut Model) -> Vec<(Vec<Seen>, Vec<Seen>)> {
    match step {
        Step::Ask(ask) => {
            let before = edge.pending();
            let asked = (edge.ask(ask), model.ask(ask));
            match ask.takes {
                Some(millis) if edge.pending() > before && script::agree(&asked.0, &asked.1) => {
                    edge.advance(millis);
                    model.advance(millis);
                    vec![asked, (edge.land(before), model.land(before))]
                }
                _ => vec![asked],
            }
        }
        Step::Land(at) if edge.pending() > 0 => {
            let at = at % edge.pending();
            vec![(edge.land(at), model.land(at))]
        }
        Step::Land(_) => Vec::new(),
        Step::Write {
            method,
            url,
            status,
            fields,
        } => {
            edge.write((method, *url), *status, fields);
            model.write((method, *url), *status, fields);
            Vec::new()
        }
        Step::Purge { scope, mode } => {
            edge.purge(*scope, *mode);
            model.purge(*scope, *mode);
            Vec::new()
        }
        Step::Clock(millis) => {
            edge.advance(*millis);
            model.advance(*millis);
            Vec::new()
        }
        Step::Inspect => vec![(edge.inspect(), model.inspect())],
    }
}

/// The case less one step, or less one field.
fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for at in 0..case.steps.len() {
        let mut fewer = case.clone();
        fewer.steps.remove(at);
        all.push(fewer);
    }
    for at in 0..case.steps.len() {
        let Step::Ask(ask) = &case.steps[at] else {
            continue;
        };
        let mut without = |change: &dyn Fn(&mut script::Ask)| {
            let mut fewer = case.clone();
            if let Step::Ask(ask) = &mut fewer.steps[at] {
                change(ask);
            }
            all.push(fewer);
        };
        for field in 0..ask.fields.len() {
            without(&|ask| {
                ask.fields.remove(field);
            });
        }
        for field in 0..ask.reply.fields.len() {
            without(&|ask| {
                ask.reply.fields.remove(field);
            });
        }
        for field in 0..ask.reply.not_modified.as_ref().map_or(0, Vec::len) {
            without(&|ask| {
                if let Some(fields) = &mut ask.reply.not_modified {
                    fields.remove(field);
                }
            });
        }
        if ask.reply.not_modified.is_some() {
            without(&|ask| ask.reply.not_modified = None);
        }
        if ask.takes.is_some_and(|takes| takes > 0) {
            without(&|ask| ask.takes = Some(0));
        }
    }
    all
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}\n{:?}\n{}",
            self.seed, self.case.setup, self.trace
        )
    }
}
