//! Two masters for a while: another server was promoted, and the old one still takes writes from
//! whoever reaches it.

use super::rules::World;
use super::state::*;
use super::steps::{Behind, Step};

impl State {
    /// The server that an instance talks to.
    pub fn redis_of(&self, at: usize) -> &Redis {
        match &self.old {
            Some((old, _)) if self.instances[at].is_behind => old,
            _ => &self.redis,
        }
    }

    pub(super) fn steps_of_split(&self, world: &World, steps: &mut Vec<Step>) {
        if self.faults_left.splits > 0 {
            steps.push(match self.replica {
                None => Step::ReplicaStops,
                Some(_) => Step::Split,
            });
        }
        let Some((old, _)) = &self.old else {
            for (number, purge) in self.purges.iter().enumerate() {
                if world.split > 0 && purge.is_some_and(|purge| self.is_lost(&purge)) {
                    steps.push(Step::PurgeAgain(number));
                }
            }
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

    /// Whether a purge without a complete receipt is in a log that is gone.
    pub(super) fn is_lost(&self, purge: &Purge) -> bool {
        !purge.is_complete
            && (purge.place.generation != self.redis.generation || !self.redis.is_stamped)
    }

    /// Does something at the master that `at` talks to.
    pub(super) fn at_master_of(&mut self, at: usize, step: impl FnOnce(&mut Self)) {
        self.at_master(self.instances[at].is_behind, step);
    }

    pub(super) fn behind(&mut self, world: &World, step: Behind) {
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

    pub(super) fn split(&mut self, world: &World) {
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
    pub(super) fn complete_everywhere(&mut self, world: &World) {
        self.complete(world);
        if self.old.is_some() {
            self.at_master(true, |state| state.complete(world));
        }
    }

    pub(super) fn tick_of_split(&mut self) {
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
