//! Getting back: from any state, without further faults, to all instances serving hits.

use super::rules::World;
use super::state::{Mode, State};
use super::steps::Step;

/// Rounds of everybody doing what there is to do. A lease runs out in one of them, a generation
/// comes of age, whoever was declared gone is registered again.
const ROUNDS_MAX: usize = 4;

impl State {
    /// Whether all get back to serving, with every receipt complete, when nothing fails any more.
    pub(crate) fn settles(&self, world: &World) -> bool {
        let mut now = *self;
        now.faults_left = Default::default();
        now.replica = None;
        for _ in 0..ROUNDS_MAX {
            if now.round(world).is_none() {
                return false;
            }
            if now.is_settled(world) {
                return true;
            }
        }
        false
    }

    fn round(&mut self, world: &World) -> Option<()> {
        for flight in 0..self.flights.len() {
            // They move up when one has landed.
            let flight = self.flights.len() - 1 - flight;
            if self.flights[flight].is_some() {
                self.take(
                    world,
                    Step::Land {
                        flight,
                        shared: true,
                    },
                )?;
            }
        }
        for _ in 0..world.gone + world.split {
            self.take(world, Step::Tick)?;
        }
        for number in 0..self.purges.len() {
            if self.is_lost(world, number) {
                self.take(world, Step::PurgeAgain(number))?;
            }
        }
        for at in 0..world.instances {
            self.round_of(world, at)?;
        }
        Some(())
    }

    fn round_of(&mut self, world: &World, at: usize) -> Option<()> {
        if self.instances[at].renewal.is_some() {
            self.take(world, Step::AnswerLost(at))?;
        }
        // It may find out only now that it has to read the log anew.
        if self.instances[at].mode == Mode::Tailing {
            self.take(world, Step::Renew(at))?;
        }
        self.read_through(world, at)?;
        while self.instances[at].mode == Mode::Tailing
            && self.instances[at].applied < self.redis.head
        {
            self.take(world, Step::Tail(at))?;
        }
        self.read_through(world, at)?;
        match self.instances[at].mode {
            Mode::Tailing => self.take(world, Step::Renew(at)),
            Mode::Fenced | Mode::Reading(_) => Some(()),
        }
    }

    fn read_through(&mut self, world: &World, at: usize) -> Option<()> {
        // The head and each key's slot; it may have to begin again, or to wait.
        for _ in 0..2 * (world.keys + 1) {
            if self.instances[at].mode != Mode::Tailing {
                self.take(world, Step::Read(at))?;
            }
        }
        Some(())
    }

    fn take(&mut self, world: &World, step: Step) -> Option<()> {
        *self = self.after(world, step).ok()?;
        Some(())
    }

    /// Everybody serves, and what is fetched now will be a hit for everybody.
    fn is_settled(&self, world: &World) -> bool {
        let all_serve = (0..world.instances).all(|at| {
            self.is_trusted(world, at)
                && self.instances[at].applied == self.redis.head
                && self.instances[at].generation == self.redis.generation
        });
        let all_complete = self.purges.iter().flatten().all(|purge| purge.is_complete);
        let all_hit = (0..world.keys).all(|key| self.is_hit_after_fetch(world, key));
        all_serve && all_complete && all_hit
    }

    fn is_hit_after_fetch(&self, world: &World, key: usize) -> bool {
        let mut now = *self;
        now.fetches_left = 1;
        now.fetch(0, key, false);
        let Some(flight) = now.flights.iter().position(Option::is_some) else {
            return false;
        };
        let shared = true;
        let has_landed = now.take(world, Step::Land { flight, shared }).is_some();
        let is_hit = |at: usize| {
            now.served_by(world, at, key).is_some_and(|value| {
                // What is softly purged is served while it is validated.
                let soft = now.instances[at].slots[key].soft;
                value.version == now.versions[key] || soft > value.fence.position
            })
        };
        has_landed && (0..world.instances).all(is_hit)
    }
}
