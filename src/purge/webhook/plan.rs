//! What all rules of a webhook together make of one event. Pure.

use std::collections::HashSet;

use serde_json::Value;

use super::rule::{Action, Rule, Unresolved, Widened};
use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::purge::SCOPES_MAX;
use crate::purge::target::Targets;

/// What is to be done about an event.
#[derive(Debug)]
pub(super) enum Plan {
    /// No rule holds.
    Unmatched,
    /// A rule says that nothing is to be done.
    Ignored,
    Purge(Planned),
}

#[derive(Debug)]
pub(super) struct Planned {
    /// Each once. Empty only when something failed.
    pub(super) scopes: Vec<Scope>,
    /// Hard when one of the rules says so: it promises more.
    pub(super) mode: Mode,
    /// What could not be named and was made up for by purging a collection.
    pub(super) widened: Vec<Failure>,
    /// What could not be named, and nothing makes up for it.
    pub(super) failed: Vec<Failure>,
}

/// A rule, counted from 1, that could not name all it should.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) rule: usize,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    Unresolved(Unresolved),
    TooMany(usize),
}

/// Reads the rules in order up to the first that says to ignore the event; all that hold count.
pub(super) fn plan(rules: &[Rule], event: &str, payload: &Value, targets: &Targets) -> Plan {
    let holding = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.holds(event, payload));
    let mut purging = Vec::new();
    let mut ignored = false;
    for (index, rule) in holding {
        match rule.action {
            Action::Ignore => {
                ignored = true;
                break;
            }
            Action::Purge(mode) => purging.push((index + 1, rule, mode)),
        }
    }
    if purging.is_empty() {
        return if ignored {
            Plan::Ignored
        } else {
            Plan::Unmatched
        };
    }
    Plan::Purge(planned(&purging, payload, targets))
}

fn planned(purging: &[(usize, &Rule, Mode)], payload: &Value, targets: &Targets) -> Planned {
    let mut planned = Planned {
        scopes: Vec::new(),
        mode: Mode::Soft,
        widened: Vec::new(),
        failed: Vec::new(),
    };
    for (number, rule, mode) in purging {
        if *mode == Mode::Hard {
            planned.mode = Mode::Hard;
        }
        let resolution = rule.resolve(payload, targets);
        planned.scopes.extend(resolution.scopes);
        if let Some((error, widened)) = resolution.unresolved {
            let failures = match widened {
                Widened::Yes => &mut planned.widened,
                Widened::No => &mut planned.failed,
            };
            failures.push(Failure {
                rule: *number,
                why: Why::Unresolved(error),
            });
        }
    }
    let mut seen = HashSet::new();
    planned.scopes.retain(|scope| seen.insert(scope.clone()));
    if planned.scopes.len() > SCOPES_MAX {
        planned.narrow_to_collections(purging, payload);
    }
    planned
}

impl Planned {
    /// Together the rules name more than one purge takes: their collections cover it. Where a rule
    /// has none, as much is purged as one purge takes, and the rest is reported.
    fn narrow_to_collections(&mut self, purging: &[(usize, &Rule, Mode)], payload: &Value) {
        let found = self.scopes.len();
        let mut scopes = Vec::new();
        for (number, rule, _) in purging {
            let collections = rule.collections(payload);
            let failures = if collections.is_empty() {
                &mut self.failed
            } else {
                &mut self.widened
            };
            failures.push(Failure {
                rule: *number,
                why: Why::TooMany(found),
            });
            scopes.extend(collections);
        }
        // The collections first, then what fits of the rest.
        scopes.append(&mut self.scopes);
        let mut seen = HashSet::new();
        scopes.retain(|scope| seen.insert(scope.clone()));
        scopes.truncate(SCOPES_MAX);
        self.scopes = scopes;
    }
}

impl Failure {
    /// One sentence that names the rule, the template and the field.
    pub(super) fn detail(&self) -> String {
        let number = self.rule;
        match &self.why {
            Why::Unresolved(error) => format!("rule {number}: {error}"),
            Why::TooMany(found) => format!(
                "rule {number}: the event names {found} scopes, of which one purge takes at most \
                 {SCOPES_MAX}"
            ),
        }
    }

    /// The field of the payload that is at fault.
    pub(super) fn field(&self) -> Option<&str> {
        match &self.why {
            Why::Unresolved(Unresolved::Unfilled(unfilled)) => unfilled.problem.field(),
            Why::Unresolved(Unresolved::Target { .. }) | Why::TooMany(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::target::{Settings, SortedQuery};
    use crate::purge::template::Template;
    use crate::purge::webhook::event::EventPattern;
    use serde_json::json;
    use std::sync::Arc;

    fn rule(events: &str, action: Action, tags: &[&str], collections: &[&str]) -> Rule {
        let templates = |texts: &[&str]| -> Vec<Template> {
            let parsed = texts.iter().map(|text| Template::parse(text).unwrap());
            parsed.collect()
        };
        Rule {
            events: vec![EventPattern::new(events).unwrap()],
            action,
            tags: templates(tags),
            collections: templates(collections),
            ..Rule::default()
        }
    }

    fn run(rules: &[Rule], event: &str, payload: Value) -> Plan {
        let targets = Targets::new(Settings::default(), Arc::new(SortedQuery));
        plan(rules, event, &payload, &targets)
    }

    fn purge(plan: Plan) -> Planned {
        match plan {
            Plan::Purge(planned) => planned,
            other => panic!("{other:?}"),
        }
    }

    const HARD: Action = Action::Purge(Mode::Hard);
    const SOFT: Action = Action::Purge(Mode::Soft);

    #[test]
    fn all_rules_that_hold_count_and_the_harder_mode_wins() {
        let rules = [
            rule("a.*", SOFT, &["x:{id}", "all"], &[]),
            rule("*.new", HARD, &["y:{id}", "all"], &[]),
        ];
        let both = purge(run(&rules, "a.new", json!({"id": 1})));
        let shown: Vec<String> = both.scopes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["tag:x:1", "tag:all", "tag:y:1"]);
        assert_eq!(both.mode, Mode::Hard);
        let one = purge(run(&rules, "a.old", json!({"id": 1})));
        assert_eq!(one.mode, Mode::Soft);
        assert!(matches!(run(&rules, "b.old", json!({})), Plan::Unmatched));
    }

    #[test]
    fn a_rule_that_ignores_ends_the_reading() {
        let rules = [
            rule("a.*", HARD, &["x"], &[]),
            rule("*.draft", Action::Ignore, &[], &[]),
            rule("*", HARD, &["y"], &[]),
        ];
        assert!(matches!(run(&rules, "b.draft", json!({})), Plan::Ignored));
        assert_eq!(purge(run(&rules, "a.draft", json!({}))).scopes.len(), 1);
        assert_eq!(purge(run(&rules, "a.live", json!({}))).scopes.len(), 2);
    }

    #[test]
    fn failures_name_rule_and_field() {
        let rules = [
            rule("*", HARD, &["x:{data.id}"], &["xs"]),
            rule("*", HARD, &["y:{data.id}"], &[]),
        ];
        let planned = purge(run(&rules, "e", json!({})));
        assert_eq!(planned.scopes, [Scope::tag("xs")]);
        assert_eq!(planned.widened[0].rule, 1);
        assert_eq!(
            planned.failed[0].detail(),
            "rule 2: template `y:{data.id}`: the payload has no `data.id`"
        );
        assert_eq!(planned.failed[0].field(), Some("data.id"));
    }

    #[test]
    fn more_than_one_purge_takes_widens_to_the_collections() {
        let keys: Vec<usize> = (0..SCOPES_MAX).collect();
        let payload = json!({"keys": keys});
        let rules = |collections: &[&str]| {
            [
                rule("*", HARD, &["a:{keys[*]}"], &["as"]),
                rule("*", HARD, &["b:{keys[*]}"], collections),
            ]
        };
        let covered = purge(run(&rules(&["bs"]), "e", payload.clone()));
        assert_eq!(covered.scopes.len(), SCOPES_MAX);
        assert_eq!(covered.scopes[..2], [Scope::tag("as"), Scope::tag("bs")]);
        assert!(covered.failed.is_empty() && covered.widened.len() == 2);
        let uncovered = purge(run(&rules(&[]), "e", payload));
        assert_eq!(uncovered.failed[0].rule, 2);
    }
}
