//! What a moment of the modelled world is made of.

use super::rules::{Faults, World};

/// Bounds of the world: instances, keys, purges, exchanges under way.
pub(crate) const N: usize = 3;
pub(crate) const K: usize = 2;
pub(crate) const P: usize = 3;
pub(crate) const F: usize = 3;

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Fence {
    /// 0: none.
    pub(crate) generation: u8,
    pub(crate) position: u8,
}

/// A stored response: which version of the key's content it is, and its fence.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Value {
    pub(crate) version: u8,
    pub(crate) fence: Fence,
}

/// One key's slot: the newest hard and the newest soft purge.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Slot {
    pub(crate) hard: u8,
    pub(crate) soft: u8,
}

/// An instance as the log knows it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Registered {
    /// The position it says it has applied.
    pub(crate) applied: u8,
    /// The head of the log when it was registered.
    pub(crate) since: u8,
    /// Ticks since its last renewal, up to the number that makes it gone.
    pub(crate) silent: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Redis {
    /// 0: there is no log.
    pub(crate) generation: u8,
    /// Whether the log was begun on this very server.
    pub(crate) is_stamped: bool,
    /// Ticks since the generation began, up to the number that makes an instance gone.
    pub(crate) age: u8,
    /// The purge at each position, counted from 1. Where nothing is, 0.
    pub(crate) records: [u8; P],
    /// Records that were trimmed.
    pub(crate) trimmed: u8,
    pub(crate) head: u8,
    pub(crate) snapshot: [Slot; K],
    pub(crate) registry: [Option<Registered>; N],
    pub(crate) values: [Option<Value>; K],
}

/// The state of an instance towards the log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Mode {
    /// It has to read the log anew.
    #[default]
    Fenced,
    /// It does, and has done so many steps of it.
    Reading(Reading),
    /// It follows the tail.
    Tailing,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Reading {
    pub(crate) steps: u8,
    pub(crate) generation: u8,
    pub(crate) head: u8,
    pub(crate) head_id: u8,
    pub(crate) slots: [Slot; K],
}

/// The answer to a renewal, on its way.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Renewal {
    /// Ticks since it was sent, by the clock of the instance.
    pub(crate) age: u8,
    pub(crate) since: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Instance {
    pub(crate) mode: Mode,
    pub(crate) generation: u8,
    pub(crate) applied: u8,
    /// The purge it has applied last.
    pub(crate) last: u8,
    pub(crate) slots: [Slot; K],
    /// Ticks until its lease runs out, by its own clock.
    pub(crate) trust: u8,
    /// Whether its clock has lost a tick of this lease.
    pub(crate) has_lagged: bool,
    /// The position it has to reach before it serves. [`NEVER`]: it has no lease.
    pub(crate) catch_up: u8,
    pub(crate) renewal: Option<Renewal>,
    /// Whether it still talks to the master that was replaced.
    pub(crate) is_behind: bool,
    pub(crate) memory: [Option<Value>; K],
    /// The newest fence that was served of each key.
    pub(crate) served: [u8; K],
}

pub(crate) const NEVER: u8 = u8::MAX;

/// An exchange with the origin. The version is read when the request leaves: an origin that
/// answers later answers with something newer, which does less harm.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Flight {
    pub(crate) instance: u8,
    pub(crate) key: u8,
    pub(crate) version: u8,
    pub(crate) fence: Fence,
    /// Whether it validates what is stored.
    pub(crate) is_conditional: bool,
    /// The oldest version that may be given to those who wait for it.
    pub(crate) owed: u8,
}

/// A purge that was asked for, as an onlooker sees it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Purge {
    pub(crate) key: u8,
    pub(crate) is_hard: bool,
    /// The version that was published before it.
    pub(crate) version: u8,
    pub(crate) place: Fence,
    pub(crate) is_complete: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    /// What the replica has that will be promoted.
    pub(crate) replica: Option<Redis>,
    /// The master that was replaced, and the ticks it goes on.
    pub(crate) old: Option<(Redis, u8)>,
    pub(crate) instances: [Instance; N],
    pub(crate) flights: [Option<Flight>; F],
    /// What the origin has.
    pub(crate) versions: [u8; K],
    /// The version of each key that a complete receipt has promised.
    pub(crate) promised: [u8; K],
    pub(crate) purges: [Option<Purge>; P],
    pub(crate) generations: u8,
    pub(crate) hard_left: u8,
    pub(crate) soft_left: u8,
    pub(crate) fetches_left: u8,
    pub(crate) faults_left: Faults,
}

impl State {
    /// All who have joined hold the first version of everything, and so does Redis.
    pub(crate) fn first(world: &World) -> Self {
        let fence = Fence {
            generation: 1,
            position: 0,
        };
        let value = Some(Value { version: 0, fence });
        let mut state = Self {
            generations: 1,
            hard_left: world.hard,
            soft_left: world.soft,
            fetches_left: world.fetches,
            faults_left: world.faults,
            ..Self::default()
        };
        state.redis.generation = 1;
        state.redis.is_stamped = true;
        state.redis.age = world.gone + world.split;
        for key in 0..world.keys {
            state.redis.values[key] = value;
        }
        for at in 0..world.instances {
            let instance = &mut state.instances[at];
            instance.catch_up = NEVER;
            if at + world.late >= world.instances {
                continue;
            }
            instance.mode = Mode::Tailing;
            instance.generation = 1;
            instance.trust = world.lease;
            instance.catch_up = 0;
            if world.memory {
                instance.memory[..world.keys].fill(value);
            }
            state.redis.registry[at] = Some(Registered::default());
        }
        state
    }
}

impl Redis {
    /// The purge at a position; 0 before the first.
    pub(crate) fn id_at(&self, position: u8) -> u8 {
        match position {
            0 => 0,
            _ => self.records[position as usize - 1],
        }
    }

    /// The first record after a position that is still there.
    pub(crate) fn next_after(&self, position: u8) -> Option<u8> {
        let next = position.max(self.trimmed) + 1;
        (next <= self.head).then_some(next)
    }
}

impl Slot {
    pub(crate) fn merge(&mut self, other: Self) {
        self.hard = self.hard.max(other.hard);
        self.soft = self.soft.max(other.soft);
    }

    pub(crate) fn raise(&mut self, is_hard: bool, position: u8) {
        let slot = if is_hard {
            &mut self.hard
        } else {
            &mut self.soft
        };
        *slot = position.max(*slot);
    }
}
