//! The scripts in Redis, and what an instance does with their answers.

use super::rules::{Rule, World};
use super::state::*;

impl State {
    /// Before any script does its work: a log that is missing, or was begun on another server,
    /// begins anew.
    fn ensure(&mut self, world: &World) {
        let redis = &mut self.redis;
        let is_strange = !redis.is_stamped && world.keeps(Rule::ServerIdentity);
        if redis.generation != 0 && !is_strange {
            return;
        }
        self.generations += 1;
        *redis = Redis {
            generation: self.generations,
            is_stamped: true,
            values: redis.values,
            ..Redis::default()
        };
    }

    /// Publishing and appending in one: what is fetched in between is newer than its fence says.
    pub(crate) fn purge(&mut self, world: &World, key: usize, hard: bool, by: usize) {
        self.ensure(world);
        let number = self.purges.iter().flatten().count();
        self.versions[key] += 1;
        let redis = &mut self.redis;
        redis.head += 1;
        redis.records[redis.head as usize - 1] = number as u8 + 1;
        redis.snapshot[key].raise(hard, redis.head);
        let place = Fence {
            generation: redis.generation,
            position: redis.head,
        };
        self.purges[number] = Some(Purge {
            key: key as u8,
            is_hard: hard,
            version: self.versions[key],
            place,
            is_complete: false,
        });
        if hard {
            self.hard_left -= 1;
        } else {
            self.soft_left -= 1;
        }
        let is_own = self.instances[by].mode == Mode::Tailing
            && self.instances[by].generation == place.generation;
        if !world.keeps(Rule::Contiguous) && is_own {
            self.apply(world, by, place.position);
        }
    }

    /// Whoever has appended a purge appends it again when a new generation begins before its
    /// receipt is complete.
    pub(crate) fn purge_again(&mut self, world: &World, number: usize) {
        self.ensure(world);
        let redis = &mut self.redis;
        if let Some(purge) = &mut self.purges[number] {
            redis.head += 1;
            redis.records[redis.head as usize - 1] = number as u8 + 1;
            redis.snapshot[purge.key as usize].raise(purge.is_hard, redis.head);
            purge.place = Fence {
                generation: redis.generation,
                position: redis.head,
            };
        }
    }

    /// Reads the next record.
    pub(crate) fn tail(&mut self, world: &World, at: usize) {
        let instance = &self.instances[at];
        let is_strange = instance.generation != self.redis.generation
            && world.keeps(Rule::RecordsOfThisGeneration);
        let Some(next) = self.redis.next_after(instance.applied) else {
            // Behind a head whose records are gone.
            return self.fence(world, at);
        };
        let has_gap = self.redis.id_at(next - 1) != instance.last && world.keeps(Rule::Predecessor);
        if is_strange || has_gap {
            return self.fence(world, at);
        }
        self.apply(world, at, next);
    }

    /// Raises the slot, counts the record as applied, and says so.
    fn apply(&mut self, world: &World, at: usize, position: u8) {
        let id = self.redis.id_at(position);
        let Some(purge) = self.purges[id as usize - 1] else {
            return;
        };
        let instance = &mut self.instances[at];
        instance.slots[purge.key as usize].raise(purge.is_hard, position);
        instance.applied = position;
        instance.last = id;
        self.acknowledge(world, at, position);
    }

    /// Said as soon as it is so: later, receipts would only wait.
    pub(crate) fn acknowledge(&mut self, world: &World, at: usize, position: u8) {
        let is_same = self.instances[at].generation == self.redis.generation
            || !world.keeps(Rule::RecordsOfThisGeneration);
        if let Some(known) = &mut self.redis.registry[registration(world, at)]
            && is_same
        {
            known.applied = position.max(known.applied);
        }
    }

    /// What it holds may not be used until it has read the log and has a lease again.
    fn fence(&mut self, world: &World, at: usize) {
        let instance = &mut self.instances[at];
        instance.mode = Mode::Fenced;
        if world.keeps(Rule::LeaseAnew) {
            instance.trust = 0;
            instance.has_lagged = false;
            instance.renewal = None;
            instance.catch_up = NEVER;
        }
    }

    /// The log has the renewal at once: if it came later, the instance would be gone later. Its
    /// answer comes at once or never, for the same reason, unless what is at stake is when a lease
    /// begins.
    pub(crate) fn renew(&mut self, world: &World, at: usize, is_answered: bool) {
        self.ensure(world);
        let instance = &self.instances[at];
        if instance.generation != self.redis.generation
            && world.keeps(Rule::RecordsOfThisGeneration)
        {
            return self.fence(world, at);
        }
        let head = self.redis.head;
        let known = &mut self.redis.registry[registration(world, at)];
        let was_known = known.is_some();
        let known = known.get_or_insert(Registered {
            since: head,
            ..Registered::default()
        });
        known.applied = instance.applied.max(known.applied);
        known.silent = 0;
        let is_told = !was_known || world.keeps(Rule::CatchUpRemembered);
        let since = if is_told && world.keeps(Rule::CatchUp) {
            known.since
        } else {
            0
        };
        self.instances[at].renewal = Some(Renewal { age: 0, since });
        if world.keeps(Rule::LeaseFromSending) {
            if is_answered {
                self.answered(world, at);
            } else {
                self.instances[at].renewal = None;
            }
        }
    }

    pub(crate) fn answered(&mut self, world: &World, at: usize) {
        let instance = &mut self.instances[at];
        let Some(renewal) = instance.renewal.take() else {
            return;
        };
        instance.trust = if world.keeps(Rule::LeaseFromSending) {
            world.lease - renewal.age
        } else {
            world.lease
        };
        instance.has_lagged = false;
        instance.catch_up = renewal.since;
    }

    /// Reads the head, then the snapshot key by key, and takes over what it has read.
    pub(crate) fn read(&mut self, world: &World, at: usize) {
        let reading = match self.instances[at].mode {
            Mode::Reading(reading) => reading,
            Mode::Fenced | Mode::Tailing => Reading::default(),
        };
        let keys = world.keys as u8;
        let head_at = if world.keeps(Rule::HeadFirst) {
            0
        } else {
            keys
        };
        let mut reading = reading;
        if reading.steps == head_at {
            self.ensure(world);
            let is_other = self.instances[at].generation != self.redis.generation;
            if is_other && self.redis.age < world.split && world.keeps(Rule::WaitOutTheOther) {
                return;
            }
            reading.generation = self.redis.generation;
            reading.head = self.redis.head;
            reading.head_id = self.redis.id_at(self.redis.head);
        } else {
            let key = reading.steps - u8::from(head_at == 0);
            if world.keeps(Rule::SnapshotMerged) {
                reading.slots[key as usize].merge(self.redis.snapshot[key as usize]);
            }
        }
        reading.steps += 1;
        let instance = &mut self.instances[at];
        if reading.steps <= keys {
            instance.mode = Mode::Reading(reading);
            if !world.keeps(Rule::FenceInOnePiece) && head_at == 0 {
                instance.generation = reading.generation;
            }
            return;
        }
        let is_same = instance.generation == reading.generation;
        for (slot, read) in instance.slots.iter_mut().zip(reading.slots) {
            if !is_same {
                *slot = Slot::default();
            }
            slot.merge(read);
        }
        if !is_same {
            instance.served = [0; K];
        }
        instance.generation = reading.generation;
        instance.applied = reading.head;
        instance.last = reading.head_id;
        instance.mode = Mode::Tailing;
        self.acknowledge(world, at, reading.head);
    }
}

fn registration(world: &World, at: usize) -> usize {
    if world.keeps(Rule::OneProcessOneLease) {
        at
    } else {
        0
    }
}
