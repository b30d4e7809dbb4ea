//! Which states are the same: those that differ in what cannot matter any more, and those that
//! are each other's image when instances or keys change places.

use std::hash::{Hash, Hasher};

use super::rules::{Rule, World};
use super::state::*;

impl State {
    /// Drops what no step will ever look at again. Only the whole protocol is known to look at so
    /// little.
    pub(crate) fn forget_what_cannot_matter(&mut self, world: &World) {
        if world.keeps(Rule::LeaseFromSending) {
            for instance in &mut self.instances {
                instance.renewal = None;
            }
        }
        if world.without.is_none() {
            if world.split == 0 {
                self.forget_lost_logs();
                self.forget_values();
            }
            for instance in &mut self.instances {
                forget_of(instance);
            }
            self.forget_flights();
            self.forget_of_onlooker();
        }
        self.flights.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// A log that the next script will begin anew, and whoever has followed it and has no lease.
    fn forget_lost_logs(&mut self) {
        let redis = &mut self.redis;
        if !redis.is_stamped {
            *redis = Redis {
                values: redis.values,
                ..Redis::default()
            };
        }
        if let Some(replica) = &mut self.replica {
            *replica = Redis {
                values: replica.values,
                ..Redis::default()
            };
        }
        let current = redis.generation;
        for (instance, known) in self.instances.iter_mut().zip(&mut redis.registry) {
            if let Mode::Reading(reading) = instance.mode
                && reading.generation != current
            {
                instance.mode = Mode::Fenced;
            }
            if instance.generation != current {
                instance.last = 0;
                if instance.trust == 0 && !matches!(instance.mode, Mode::Reading(_)) {
                    *instance = Instance {
                        catch_up: NEVER,
                        ..Instance::default()
                    };
                }
            }
            if let Some(known) = known
                && instance.generation == current
                && known.since <= instance.applied
            {
                known.since = 0;
            }
        }
    }

    /// What is covered for all who could ever serve it.
    fn forget_values(&mut self) {
        let (current, snapshot) = (self.redis.generation, self.redis.snapshot);
        let instances = self.instances;
        let is_dead = |key: usize, value: &Value| {
            let Fence {
                generation,
                position,
            } = value.fence;
            let is_read = |one: &Instance| matches!(one.mode, Mode::Reading(reading) if reading.generation == generation);
            (generation != current || snapshot[key].hard > position)
                && instances.iter().all(|one| {
                    !is_read(one)
                        && (one.generation != generation || one.slots[key].hard > position)
                })
        };
        for redis in [Some(&mut self.redis), self.replica.as_mut()]
            .into_iter()
            .flatten()
        {
            for (key, value) in redis.values.iter_mut().enumerate() {
                *value = value.filter(|value| !is_dead(key, value));
            }
        }
    }

    fn forget_of_onlooker(&mut self) {
        for purge in self.purges.iter_mut().flatten() {
            if purge.is_complete {
                purge.version = 0;
                purge.place = Fence::default();
            }
        }
    }

    /// An exchange that nobody can follow, that nobody will store, and that owes nothing.
    fn forget_flights(&mut self) {
        for open in &mut self.flights {
            *open = open.filter(|flight| {
                let instance = &self.instances[flight.instance as usize];
                let is_usable = flight.fence.generation == instance.generation
                    && instance.slots[flight.key as usize].hard <= flight.fence.position;
                is_usable || flight.version < flight.owed
            });
        }
    }

    /// One of all states that are this one's images.
    pub(crate) fn canonical(&self, world: &World) -> Self {
        // A counter-example is easier to follow when everybody keeps their number.
        if world.without.is_some() {
            return *self;
        }
        let sorted = self.with_instances_sorted(world);
        if world.keys < 2 {
            return sorted;
        }
        sorted.min(self.with_keys_swapped().with_instances_sorted(world))
    }

    fn with_instances_sorted(&self, world: &World) -> Self {
        let mut order: [usize; N] = std::array::from_fn(|at| at);
        let key = |at: usize| {
            let flights: [Option<Flight>; F] = self.flights.map(|flight| {
                flight
                    .filter(|flight| flight.instance as usize == at)
                    .map(|flight| Flight {
                        instance: 0,
                        ..flight
                    })
            });
            let replica = self.replica.and_then(|replica| replica.registry[at]);
            let replica = (replica, self.old.and_then(|(old, _)| old.registry[at]));
            (
                self.instances[at],
                self.redis.registry[at],
                replica,
                flights,
            )
        };
        order[..world.instances].sort_by_cached_key(|at| key(*at));
        if order.is_sorted() {
            return *self;
        }
        let mut next = *self;
        let mut place = [0_u8; N];
        for (to, from) in order.into_iter().enumerate() {
            place[from] = to as u8;
            next.instances[to] = self.instances[from];
            next.redis.registry[to] = self.redis.registry[from];
            if let (Some(to_replica), Some(replica)) = (&mut next.replica, &self.replica) {
                to_replica.registry[to] = replica.registry[from];
            }
            if let (Some((to_old, _)), Some((old, _))) = (&mut next.old, &self.old) {
                to_old.registry[to] = old.registry[from];
            }
        }
        for flight in next.flights.iter_mut().flatten() {
            flight.instance = place[flight.instance as usize];
        }
        next.flights.sort_unstable_by(|a, b| b.cmp(a));
        next
    }

    fn with_keys_swapped(&self) -> Self {
        let mut next = *self;
        let old = next.old.as_mut().map(|(old, _)| old);
        for redis in [Some(&mut next.redis), next.replica.as_mut(), old]
            .into_iter()
            .flatten()
        {
            redis.snapshot.swap(0, 1);
            redis.values.swap(0, 1);
        }
        for instance in &mut next.instances {
            instance.slots.swap(0, 1);
            instance.memory.swap(0, 1);
            instance.served.swap(0, 1);
            // What is half read is not symmetric: its keys are read in order.
        }
        for flight in next.flights.iter_mut().flatten() {
            flight.key = 1 - flight.key;
        }
        next.flights.sort_unstable_by(|a, b| b.cmp(a));
        next.versions.swap(0, 1);
        next.promised.swap(0, 1);
        for purge in next.purges.iter_mut().flatten() {
            purge.key = 1 - purge.key;
        }
        let is_reading = |one: &Instance| matches!(one.mode, Mode::Reading(_));
        if self.instances.iter().any(is_reading) {
            return *self;
        }
        next
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = Mix(0);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

fn forget_of(instance: &mut Instance) {
    let (generation, slots) = (instance.generation, instance.slots);
    for (value, slot) in instance.memory.iter_mut().zip(slots) {
        *value = value.filter(|value| {
            value.fence.generation == generation && slot.hard <= value.fence.position
        });
    }
    if instance.catch_up <= instance.applied {
        instance.catch_up = 0;
    }
    if instance.trust == 0 {
        instance.catch_up = NEVER;
        instance.has_lagged = false;
    }
}

/// 64 bits for one state. With ten million states the chance that two share them is one in 400,000.
struct Mix(u64);

impl Mix {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.mix(word as u64);
    }
}
