//! Which server of an upstream is next: by weight and by what each has to do, leaving out those
//! that fail. Decides only; time and randomness are arguments.

use tokio::time::Instant;

use super::care::{Care, Choice};
use super::health::{Health, Thresholds};

/// How many in a hundred servers may be left out at a time for failures that may have been those
/// of the requests: a page that hangs everywhere does not take every server out.
const DOUBTFUL_PERCENT_MAX: usize = 50;

/// The servers of one upstream, by their place in the configuration.
#[derive(Debug)]
pub(super) struct Balance {
    choice: Choice,
    members: Vec<Member>,
    random: Random,
}

#[derive(Debug)]
struct Member {
    weight: u32,
    backup: bool,
    health: Health,
    /// Exchanges under way.
    in_flight: u64,
    /// What it is owed of its turns.
    credit: i64,
}

/// What a failure says of its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evidence {
    /// It is not there.
    Certain,
    /// It, or this one request, is in trouble.
    Doubtful,
}

/// Splitmix64: good enough to spread load, and the same for the same seed.
#[derive(Debug)]
struct Random(u64);

impl Balance {
    pub(super) fn new(servers: usize, care: &Care, seed: u64, now: Instant) -> Self {
        let member = |at| {
            let share = care.share_of(at);
            Member {
                weight: share.weight,
                backup: share.backup,
                health: Health::new(share, care.slow_start, now),
                in_flight: 0,
                credit: 0,
            }
        };
        Self {
            choice: care.choice,
            members: (0..servers).map(member).collect(),
            random: Random(seed),
        }
    }

    /// The next server that is not in `tried`, with one exchange more under way until it is
    /// [released](Self::release). Backups follow the others; what is left out is asked only when
    /// there is nothing else. None when every server was tried.
    pub(super) fn pick(&mut self, tried: &[usize], now: Instant) -> Option<usize> {
        let candidates = self.candidates(tried, now);
        let picked = match self.choice {
            Choice::RoundRobin => self.in_turn(&candidates),
            Choice::LeastConnections => {
                let least = self.least_loaded(&candidates);
                self.in_turn(&least)
            }
            Choice::PowerOfTwo => self.of_two(&candidates),
        }?;
        let member = self.members.get_mut(picked)?;
        member.health.picked(now);
        member.in_flight += 1;
        Some(picked)
    }

    /// An exchange with the server has ended.
    pub(super) fn release(&mut self, at: usize) {
        if let Some(member) = self.members.get_mut(at) {
            member.in_flight = member.in_flight.saturating_sub(1);
        }
    }

    /// Server `at` has answered. Says whether it is back by that.
    pub(super) fn succeeded(&mut self, at: usize, now: Instant) -> bool {
        let member = self.members.get_mut(at);
        member.is_some_and(|member| member.health.succeeded(now))
    }

    /// Server `at` has failed. Says whether it is left out from now on. The last one that is left
    /// never is, nor more than half of all where it may not be the server's fault.
    pub(super) fn failed(&mut self, at: usize, evidence: Evidence, now: Instant) -> bool {
        let count = self.members.len();
        let out = self.members.iter().enumerate();
        let out = out.filter(|(other, member)| *other != at && member.health.is_out(now));
        let out = out.count() + 1;
        let may_go = match evidence {
            Evidence::Certain => out < count,
            Evidence::Doubtful => out * 100 <= count * DOUBTFUL_PERCENT_MAX,
        };
        let member = self.members.get_mut(at);
        member.is_some_and(|member| member.health.failed(now, may_go))
    }

    /// A check of server `at` has ended. Says what it is from now on, if that is something else.
    pub(super) fn checked(
        &mut self,
        at: usize,
        is_good: bool,
        now: Instant,
        of: Thresholds,
    ) -> Option<bool> {
        let member = self.members.get_mut(at)?;
        member.health.checked(is_good, now, of)
    }

    pub(super) fn is_up(&self, at: usize) -> bool {
        let member = self.members.get(at);
        member.is_some_and(|member| member.health.is_up())
    }

    /// Those to choose from, with what their weights count now.
    fn candidates(&self, tried: &[usize], now: Instant) -> Vec<(usize, u64)> {
        let those = |fits: &dyn Fn(&Member) -> bool| {
            let members = self.members.iter().enumerate();
            let members = members.filter(|(at, member)| !tried.contains(at) && fits(member));
            members
                .map(|(at, member)| (at, member.health.weigh(member.weight, now)))
                .collect::<Vec<_>>()
        };
        let is_in = |member: &Member| !member.health.is_out(now);
        let tiers: [&dyn Fn(&Member) -> bool; 3] = [
            &|member| is_in(member) && !member.backup,
            &|member| is_in(member),
            &|_| true,
        ];
        let mut tiers = tiers.into_iter().map(those);
        tiers.find(|tier| !tier.is_empty()).unwrap_or_default()
    }

    /// Smooth weighted round robin: each is owed its weight, and who is owed most pays for all.
    fn in_turn(&mut self, candidates: &[(usize, u64)]) -> Option<usize> {
        let mut total = 0;
        let mut next: Option<(usize, i64)> = None;
        for (at, weight) in candidates {
            let weight = i64::try_from(*weight).unwrap_or(i64::MAX);
            let member = self.members.get_mut(*at)?;
            total += weight;
            member.credit += weight;
            if next.is_none_or(|(_, most)| member.credit > most) {
                next = Some((*at, member.credit));
            }
        }
        let (at, _) = next?;
        self.members.get_mut(at)?.credit -= total;
        Some(at)
    }

    fn least_loaded(&self, candidates: &[(usize, u64)]) -> Vec<(usize, u64)> {
        let mut least: Vec<(usize, u64)> = Vec::new();
        for one in candidates {
            let order = least.first().map(|best| self.by_load(one, best));
            match order {
                Some(std::cmp::Ordering::Greater) => {}
                Some(std::cmp::Ordering::Equal) => least.push(*one),
                Some(std::cmp::Ordering::Less) | None => least = vec![*one],
            }
        }
        least
    }

    fn of_two(&mut self, candidates: &[(usize, u64)]) -> Option<usize> {
        let first = self.random.by_weight(candidates)?;
        let others = candidates.iter().filter(|(at, _)| *at != first.0);
        let others: Vec<(usize, u64)> = others.copied().collect();
        let Some(second) = self.random.by_weight(&others) else {
            return Some(first.0);
        };
        let has_less = self.by_load(&second, &first).is_lt();
        Some(if has_less { second.0 } else { first.0 })
    }

    /// Which has more to do for its weight.
    fn by_load(&self, one: &(usize, u64), other: &(usize, u64)) -> std::cmp::Ordering {
        let load = |at: usize| self.members.get(at).map_or(0, |member| member.in_flight);
        let one_of_other = u128::from(load(one.0)) * u128::from(other.1);
        one_of_other.cmp(&(u128::from(load(other.0)) * u128::from(one.1)))
    }
}

impl Random {
    fn by_weight(&mut self, candidates: &[(usize, u64)]) -> Option<(usize, u64)> {
        let total: u64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = self.next().checked_rem(total)?;
        for one in candidates {
            match left.checked_sub(one.1) {
                Some(less) => left = less,
                None => return Some(*one),
            }
        }
        None
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
