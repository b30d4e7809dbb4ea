//! What can happen next.

use super::rules::{Rule, World};
use super::state::*;

/// One thing that happens, at one place. The names are what a counter-example is told with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// An editor publishes, and the instance `by` appends the purge.
    Purge {
        key: usize,
        hard: bool,
        by: usize,
    },
    /// Reads the next record of the log, and applies it.
    Tail(usize),
    /// Says too early that the next record was applied.
    AcknowledgeEarly(usize),
    /// Renews the lease.
    Renew(usize),
    /// Renews it, and never hears the answer.
    RenewUnheard(usize),
    /// The answer comes, where it does not come at once.
    Answered(usize),
    AnswerLost(usize),
    /// One step of reading the log anew.
    Read(usize),
    /// A request that nothing stored can answer, or a validation in the background.
    Fetch {
        at: usize,
        key: usize,
        conditional: bool,
    },
    /// Another request waits for an exchange that is under way.
    Follow(usize),
    /// An exchange ends, and what it brought is put into memory, and into Redis too.
    Land {
        flight: usize,
        shared: bool,
    },
    /// Takes what is in Redis into memory.
    Promote {
        at: usize,
        key: usize,
    },
    Serve {
        at: usize,
        key: usize,
    },
    Tick,
    /// A tick that one instance's clock does not count.
    TickBut(usize),
    /// An instance that was silent for too long is declared gone.
    DeclareGone(usize),
    /// Something happens at the master that was replaced.
    Behind(Behind),
    /// Another server is promoted while some still talk to this one.
    Split,
    /// An instance finds the new master.
    Move(usize),
    /// A purge is appended again, to the new generation.
    PurgeAgain(usize),
    /// From here on nothing reaches the replica any more.
    ReplicaStops,
    Failover,
    Flush,
    Trim,
    Kill(usize),
}

/// What nobody in particular does at the master that was replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Behind {
    Purge { key: usize },
    DeclareGone(usize),
}

impl State {
    /// All that can happen next.
    pub(crate) fn steps(&self, world: &World, steps: &mut Vec<Step>) {
        steps.clear();
        for key in 0..world.keys {
            let by = if world.keeps(Rule::Contiguous) {
                1
            } else {
                world.instances
            };
            for by in 0..by {
                if self.hard_left > 0 {
                    steps.push(Step::Purge {
                        key,
                        hard: true,
                        by,
                    });
                }
                if self.soft_left > 0 {
                    steps.push(Step::Purge {
                        key,
                        hard: false,
                        by,
                    });
                }
            }
        }
        for at in 0..world.instances {
            self.steps_of(world, at, steps);
        }
        for (flight, open) in self.flights.iter().enumerate() {
            if let Some(open) = open {
                steps.push(Step::Land {
                    flight,
                    shared: false,
                });
                steps.push(Step::Land {
                    flight,
                    shared: true,
                });
                if self.may_follow(world, open) && open.owed < self.promised[open.key as usize] {
                    steps.push(Step::Follow(flight));
                }
            }
        }
        steps.push(Step::Tick);
        self.steps_of_split(world, steps);
        let left = self.faults_left;
        if left.failovers > 0 {
            steps.push(match self.replica {
                None => Step::ReplicaStops,
                Some(_) => Step::Failover,
            });
        }
        if left.flushes > 0 {
            steps.push(Step::Flush);
        }
        if left.trims > 0 && self.redis.trimmed < self.redis.head {
            steps.push(Step::Trim);
        }
    }

    fn steps_of(&self, world: &World, at: usize, steps: &mut Vec<Step>) {
        let instance = &self.instances[at];
        match instance.mode {
            Mode::Fenced | Mode::Reading(_) => steps.push(Step::Read(at)),
            Mode::Tailing => {
                if instance.applied < self.redis_of(at).head {
                    steps.push(Step::Tail(at));
                    if !world.keeps(Rule::AcknowledgeAfterApplying) {
                        steps.push(Step::AcknowledgeEarly(at));
                    }
                }
                match instance.renewal {
                    None => steps.extend([Step::Renew(at), Step::RenewUnheard(at)]),
                    Some(_) => steps.extend([Step::Answered(at), Step::AnswerLost(at)]),
                }
            }
        }
        if (world.drift && !instance.has_lagged) || !world.keeps(Rule::ClockRunsOn) {
            steps.push(Step::TickBut(at));
        }
        let gone = if world.keeps(Rule::GoneAfterLease) {
            world.gone
        } else {
            world.gone - 1
        };
        if self.redis.registry[at].is_some_and(|known| known.silent >= gone) {
            steps.push(Step::DeclareGone(at));
        }
        if self.faults_left.kills > 0 {
            steps.push(Step::Kill(at));
        }
        let has_room = self.fetches_left > 0 && self.flights.iter().any(Option::is_none);
        for key in 0..world.keys {
            if has_room && !self.is_collapsed(world, at, key) {
                steps.push(Step::Fetch {
                    at,
                    key,
                    conditional: false,
                });
                if self.may_validate(world, at, key) {
                    steps.push(Step::Fetch {
                        at,
                        key,
                        conditional: true,
                    });
                }
            }
            if world.memory
                && self.is_trusted(world, at)
                && let Some(value) = self.redis_of(at).values[key]
                && self.admits(world, at, key, value)
                && self.may_put(
                    world,
                    instance.memory[key],
                    value,
                    Rule::MemoryCompareAndSet,
                )
                && instance.memory[key] != Some(value)
            {
                steps.push(Step::Promote { at, key });
            }
            if world.monotone && self.served_by(world, at, key).is_some() {
                steps.push(Step::Serve { at, key });
            }
        }
    }

    /// The world after a step. An error is what was promised otherwise.
    pub(crate) fn after(&self, world: &World, step: Step) -> Result<Self, &'static str> {
        let mut next = *self;
        match step {
            Step::Purge { key, hard, by } => next.purge(world, key, hard, by),
            Step::Tail(at) => next.at_master_of(at, |next| next.tail(world, at)),
            Step::AcknowledgeEarly(at) => {
                next.acknowledge(world, at, self.instances[at].applied + 1)
            }
            Step::Renew(at) => next.at_master_of(at, |next| next.renew(world, at, true)),
            Step::RenewUnheard(at) => next.at_master_of(at, |next| next.renew(world, at, false)),
            Step::Answered(at) => next.answered(world, at),
            Step::AnswerLost(at) => next.instances[at].renewal = None,
            Step::Read(at) => next.at_master_of(at, |next| next.read(world, at)),
            Step::Fetch {
                at,
                key,
                conditional,
            } => next.fetch(at, key, conditional),
            Step::Follow(flight) => next.follow(flight),
            Step::Land { flight, shared } => next.land(world, flight, shared)?,
            Step::Promote { at, key } => {
                next.instances[at].memory[key] = self.redis_of(at).values[key]
            }
            Step::Serve { at, key } => next.serve(world, at, key)?,
            Step::Tick => next.tick(world, None),
            Step::TickBut(at) => next.tick(world, Some(at)),
            Step::DeclareGone(at) => next.redis.registry[at] = None,
            Step::ReplicaStops => next.replica = Some(next.redis),
            Step::Failover => next.fail_over(),
            Step::Flush => {
                next.redis = Redis::default();
                next.faults_left.flushes -= 1;
            }
            Step::Trim => {
                next.redis.trimmed += 1;
                next.faults_left.trims -= 1;
            }
            Step::Kill(at) => next.kill(world, at),
            Step::Behind(step) => next.behind(world, step),
            Step::Split => next.split(world),
            Step::Move(at) => next.instances[at].is_behind = false,
            Step::PurgeAgain(number) => next.purge_again(world, number),
        }
        next.complete_everywhere(world);
        next.check(world)?;
        next.forget_what_cannot_matter(world);
        Ok(next)
    }

    fn tick(&mut self, world: &World, but: Option<usize>) {
        self.tick_of_split();
        for (at, instance) in self.instances.iter_mut().enumerate() {
            if but == Some(at) {
                instance.has_lagged = true;
                continue;
            }
            instance.trust = instance.trust.saturating_sub(1);
            if let Some(renewal) = &mut instance.renewal {
                renewal.age = world.lease.min(renewal.age + 1);
            }
        }
        let old = self.old.as_mut().map(|(old, _)| old);
        for redis in [Some(&mut self.redis), self.replica.as_mut(), old]
            .into_iter()
            .flatten()
        {
            if redis.generation > 0 {
                redis.age = world.quarantine().max(world.split).min(redis.age + 1);
            }
            for known in redis.registry.iter_mut().flatten() {
                known.silent = world.gone.min(known.silent + 1);
            }
        }
    }

    pub(crate) fn fail_over(&mut self) {
        if let Some(replica) = self.replica.take() {
            self.redis = replica;
            self.redis.is_stamped = false;
        }
        self.faults_left.failovers -= 1;
    }

    /// The registration goes at once: were it to stay, receipts would only wait for it.
    fn kill(&mut self, world: &World, at: usize) {
        self.faults_left.kills -= 1;
        let memory = self.instances[at].memory;
        self.instances[at] = Instance {
            catch_up: NEVER,
            ..Instance::default()
        };
        if !world.keeps(Rule::RestartForgets) {
            self.instances[at].memory = memory;
        }
        if !world.keeps(Rule::JoinerReads) {
            let instance = &mut self.instances[at];
            instance.mode = Mode::Tailing;
            instance.generation = self.redis.generation;
            instance.applied = self.redis.head;
            instance.last = self.redis.id_at(self.redis.head);
        }
        if world.keeps(Rule::OneProcessOneLease) {
            self.redis.registry[at] = None;
        }
        for flight in &mut self.flights {
            if flight.is_some_and(|open| open.instance as usize == at) {
                *flight = None;
            }
        }
    }

    /// A receipt is given as soon as it can be: later it would promise the same to fewer.
    pub(crate) fn complete(&mut self, world: &World) {
        let redis = &self.redis;
        let is_known = redis.generation != 0
            && (redis.is_stamped || !world.keeps(Rule::ServerIdentity))
            && redis.age >= world.quarantine();
        if !is_known {
            return;
        }
        for purge in self.purges.iter_mut().flatten() {
            let all_have = redis
                .registry
                .iter()
                .flatten()
                .all(|known| known.applied >= purge.place.position);
            // What was fetched under a later generation left after this purge was appended, unless
            // both generations are alive at once.
            let is_superseded = world.split == 0 && redis.generation != purge.place.generation;
            let is_here = redis.generation == purge.place.generation
                && redis.head >= purge.place.position
                && (all_have || !world.keeps(Rule::ReceiptWaits));
            if is_superseded || is_here {
                purge.is_complete = true;
                if purge.is_hard {
                    let promised = &mut self.promised[purge.key as usize];
                    *promised = purge.version.max(*promised);
                }
            }
        }
    }
}
