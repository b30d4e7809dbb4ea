//! Exchanges with the origin, stored values, and what is served of them.

use super::rules::{Rule, World};
use super::state::*;

impl State {
    /// Whether an instance may use what it holds, and what is in Redis.
    pub(crate) fn is_trusted(&self, world: &World, at: usize) -> bool {
        let instance = &self.instances[at];
        instance.mode == Mode::Tailing
            && (instance.trust > 0 || !world.keeps(Rule::LeaseAtHit))
            && instance.catch_up != NEVER
            && instance.applied >= instance.catch_up
    }

    /// Whether no hard purge that the instance knows of covers a value.
    pub(crate) fn admits(&self, world: &World, at: usize, key: usize, value: Value) -> bool {
        let instance = &self.instances[at];
        let is_ours = value.fence.generation == instance.generation
            || !world.keeps(Rule::ValuesOfThisGeneration);
        is_ours && instance.slots[key].hard <= value.fence.position
    }

    /// What a request would be answered with: memory, then Redis.
    pub(crate) fn served_by(&self, world: &World, at: usize, key: usize) -> Option<Value> {
        if !self.is_trusted(world, at) {
            return None;
        }
        [
            self.instances[at].memory[key],
            self.redis_of(at).values[key],
        ]
        .into_iter()
        .flatten()
        .find(|value| self.admits(world, at, key, *value))
    }

    pub(crate) fn may_put(
        &self,
        world: &World,
        old: Option<Value>,
        new: Value,
        rule: Rule,
    ) -> bool {
        old.is_none_or(|old| {
            !world.keeps(rule)
                || old.fence.generation != new.fence.generation
                || old.fence.position <= new.fence.position
        })
    }

    pub(crate) fn serve(
        &mut self,
        world: &World,
        at: usize,
        key: usize,
    ) -> Result<(), &'static str> {
        let Some(value) = self.served_by(world, at, key) else {
            return Ok(());
        };
        let served = &mut self.instances[at].served[key];
        if value.fence.position < *served {
            return Err(
                "what was fetched before a purge was served after what was fetched behind it",
            );
        }
        *served = value.fence.position;
        Ok(())
    }

    /// A conditional request is for what is stored. Where validators can be relied on, it matters
    /// only for the fence.
    pub(crate) fn may_validate(&self, world: &World, at: usize, key: usize) -> bool {
        if !world.coarse_validators && world.keeps(Rule::ValidatingFence) {
            return false;
        }
        let Some(value) = self.instances[at].memory[key] else {
            return false;
        };
        (self.admits(world, at, key, value) || !world.keeps(Rule::UnconditionalAfterPurge))
            && (self.is_trusted(world, at) || !world.keeps(Rule::UnconditionalWhileFenced))
            && (world.coarse_validators || value.version == self.versions[key])
    }

    pub(crate) fn fetch(&mut self, at: usize, key: usize, conditional: bool) {
        self.fetches_left -= 1;
        let instance = &self.instances[at];
        let stored = instance.memory[key].map_or(0, |value| value.version);
        let flight = Flight {
            instance: at as u8,
            key: key as u8,
            version: if conditional {
                stored
            } else {
                self.versions[key]
            },
            fence: Fence {
                generation: instance.generation,
                position: instance.applied,
            },
            is_conditional: conditional,
            owed: self.promised[key],
        };
        if let Some(free) = self.flights.iter_mut().find(|flight| flight.is_none()) {
            *free = Some(flight);
        }
    }

    pub(crate) fn may_follow(&self, world: &World, flight: &Flight) -> bool {
        let instance = &self.instances[flight.instance as usize];
        let is_open = flight.fence.generation == instance.generation
            && instance.slots[flight.key as usize].hard <= flight.fence.position;
        (is_open || !world.keeps(Rule::FlightsEndAtPurges))
            && (self.is_trusted(world, flight.instance as usize)
                || !world.keeps(Rule::FlightsNeedLease))
    }

    /// Whether a request for a key would follow rather than lead.
    pub(crate) fn is_collapsed(&self, world: &World, at: usize, key: usize) -> bool {
        self.flights.iter().flatten().any(|flight| {
            flight.instance as usize == at
                && flight.key as usize == key
                && self.may_follow(world, flight)
        })
    }

    pub(crate) fn follow(&mut self, flight: usize) {
        if let Some(flight) = &mut self.flights[flight] {
            flight.owed = self.promised[flight.key as usize];
        }
    }

    pub(crate) fn land(
        &mut self,
        world: &World,
        flight: usize,
        shared: bool,
    ) -> Result<(), &'static str> {
        let Some(flight) = self.flights[flight].take() else {
            return Ok(());
        };
        if flight.version < flight.owed {
            return Err("a request was given by an exchange what a complete receipt had ended");
        }
        let (at, key) = (flight.instance as usize, flight.key as usize);
        let rule = if flight.is_conditional {
            Rule::ValidatingFence
        } else {
            Rule::FenceBeforeFetch
        };
        let fence = if world.keeps(rule) {
            flight.fence
        } else {
            Fence {
                generation: self.instances[at].generation,
                position: self.instances[at].applied,
            }
        };
        let value = Value {
            version: flight.version,
            fence,
        };
        if fence.generation == 0 || !self.admits(world, at, key, value) {
            return Ok(());
        }
        let held = self.instances[at].memory[key];
        if world.memory && self.may_put(world, held, value, Rule::MemoryCompareAndSet) {
            self.instances[at].memory[key] = Some(value);
        }
        self.at_master_of(at, |state| {
            let held = state.redis.values[key];
            if shared && state.may_put(world, held, value, Rule::SharedCompareAndSet) {
                state.redis.values[key] = Some(value);
            }
        });
        Ok(())
    }

    /// What must be true in every state: nothing that may be served is older than promised.
    pub(crate) fn check(&self, world: &World) -> Result<(), &'static str> {
        for at in 0..world.instances {
            if !self.is_trusted(world, at) {
                continue;
            }
            for key in 0..world.keys {
                for value in [
                    self.instances[at].memory[key],
                    self.redis_of(at).values[key],
                ] {
                    if value.is_some_and(|value| {
                        value.version < self.promised[key] && self.admits(world, at, key, value)
                    }) {
                        return Err(
                            "a stored response was served that a complete receipt had ended",
                        );
                    }
                }
            }
        }
        Ok(())
    }
}
