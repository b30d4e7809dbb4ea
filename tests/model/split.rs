//! Two masters for a while: another server was promoted, and the old one still takes writes from
//! whoever reaches it.

use super::rules::{Rule, World};
use super::state::*;
use super::steps::{Behind, Step};

impl State {
    /// The server that an instance talks to.
    pub(crate) fn redis_of(&self, at: usize) -> &Redis {
        match &self.old {
            Some((old, _)) if self.instances[at].is_behind => old,
            _ => &self.redis,
        }
    }

    pub(crate) fn steps_of_split(&self, world: &World, steps: &mut Vec<Step>) {
        if self.faults_left.splits > 0 {
            steps.push(match self.replica {
                None => Step::ReplicaStops,
                Some(_) => Step::Split,
            });
        }
        let Some((old, _)) = &self.old else {
            let is_lost = |number: &usize| self.is_lost(world, *number);
            steps.extend((0..P).filter(is_lost).map(Step::PurgeAgain));
            return;
        };
        for key in 0..world.keys {
            if self.hard_left > 0 {
                steps.push(Step::Behind(Behind::Purge { key }));
            }
        }
        for at in 0..world.instances {
            if old.registry[at].is_some_and(|known| known.silent >= world.gone) {
                steps.push(Step::Behind(Behind::DeclareGone(at)));
            }
            if self.instances[at].is_behind {
                steps.push(Step::Move(at));
            }
        }
    }

    /// Whether a purge without a complete receipt is in a log that is gone. Where no two masters
    /// can be, the new generation has purged everything.
    pub(crate) fn is_lost(&self, world: &World, number: usize) -> bool {
        let is_lost = |purge: Purge| {
            !purge.is_complete
                && (purge.place.generation != self.redis.generation || !self.redis.is_stamped)
        };
        world.split > 0
            && world.keeps(Rule::AppendAgain)
            && self.purges[number].is_some_and(is_lost)
    }

    /// Does something at the master that `at` talks to.
    pub(crate) fn at_master_of(&mut self, at: usize, step: impl FnOnce(&mut Self)) {
        self.at_master(self.instances[at].is_behind, step);
    }

    pub(crate) fn behind(&mut self, world: &World, step: Behind) {
        self.at_master(true, |state| match step {
            Behind::Purge { key } => state.purge(world, key, true, 0),
            Behind::DeclareGone(at) => state.redis.registry[at] = None,
        });
    }

    fn at_master(&mut self, is_behind: bool, step: impl FnOnce(&mut Self)) {
        self.face(is_behind);
        step(self);
        self.face(is_behind);
    }

    fn face(&mut self, is_behind: bool) {
        if let Some((old, _)) = &mut self.old
            && is_behind
        {
            std::mem::swap(&mut self.redis, old);
        }
    }

    pub(crate) fn split(&mut self, world: &World) {
        let old = self.redis;
        self.faults_left.splits -= 1;
        self.faults_left.failovers += 1;
        self.fail_over();
        self.old = Some((old, world.split));
        for instance in &mut self.instances {
            instance.is_behind = true;
        }
    }

    /// Receipts are given by either master.
    pub(crate) fn complete_everywhere(&mut self, world: &World) {
        self.complete(world);
        if self.old.is_some() {
            self.at_master(true, |state| state.complete(world));
        }
    }

    pub(crate) fn tick_of_split(&mut self) {
        if let Some((_, left)) = &mut self.old {
            *left -= 1;
            if *left == 0 {
                self.old = None;
                for instance in &mut self.instances {
                    instance.is_behind = false;
                }
            }
        }
    }
}
