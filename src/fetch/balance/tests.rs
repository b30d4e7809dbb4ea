//! Servers are chosen by weight and load, and those that fail are left out.

use std::time::Duration;

use super::*;
use crate::fetch::care::Share;

const SEED: u64 = 42;
const TIMEOUT: Duration = Duration::from_secs(10);
const CHOICES: [Choice; 3] = [
    Choice::PowerOfTwo,
    Choice::LeastConnections,
    Choice::RoundRobin,
];

fn balance(choice: Choice, shares: Vec<Share>, now: Instant) -> Balance {
    let count = shares.len();
    let care = Care {
        choice,
        shares,
        ..Care::default()
    };
    Balance::new(count, &care, SEED, now)
}

/// Servers of these weights.
fn weighted(choice: Choice, weights: &[u32], now: Instant) -> Balance {
    let share = |weight: &u32| Share {
        weight: *weight,
        fail_timeout: TIMEOUT,
        ..Share::default()
    };
    balance(choice, weights.iter().map(share).collect(), now)
}

/// One exchange after the other.
fn picks(balance: &mut Balance, count: usize, now: Instant) -> Vec<usize> {
    let mut picks = Vec::new();
    for _ in 0..count {
        let at = balance.pick(&[], now).unwrap();
        balance.release(at);
        picks.push(at);
    }
    picks
}

fn shares(picks: &[usize], servers: usize) -> Vec<usize> {
    let of = |at| picks.iter().filter(|picked| **picked == at).count();
    (0..servers).map(of).collect()
}

fn fail(balance: &mut Balance, at: usize, times: u32, now: Instant) -> bool {
    (0..times).any(|_| balance.failed(at, Evidence::Certain, now))
}

#[test]
fn servers_of_the_same_weight_take_turns() {
    let now = Instant::now();
    let mut three = weighted(Choice::RoundRobin, &[1, 1, 1], now);
    assert_eq!(picks(&mut three, 7, now), [0, 1, 2, 0, 1, 2, 0]);
    for choice in CHOICES {
        assert_eq!(
            picks(&mut weighted(choice, &[1], now), 3, now),
            [0, 0, 0],
            "{choice:?}"
        );
    }
}

#[test]
fn turns_are_spread_by_weight_without_bursts() {
    let now = Instant::now();
    let mut balance = weighted(Choice::RoundRobin, &[5, 1, 1], now);
    assert_eq!(picks(&mut balance, 7, now), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn over_a_thousand_requests_each_server_gets_its_weight() {
    let now = Instant::now();
    for choice in CHOICES {
        let mut balance = weighted(choice, &[1, 2, 7], now);
        let shares = shares(&picks(&mut balance, 1000, now), 3);
        for (share, expected) in shares.iter().zip([100, 200, 700]) {
            assert!(share.abs_diff(expected) < 50, "{choice:?}: {shares:?}");
        }
    }
}

#[test]
fn what_is_under_way_is_spread_by_weight_too() {
    let now = Instant::now();
    for choice in [Choice::PowerOfTwo, Choice::LeastConnections] {
        let mut balance = weighted(choice, &[1, 3], now);
        let picks: Vec<_> = (0..400).filter_map(|_| balance.pick(&[], now)).collect();
        let shares = shares(&picks, 2);
        assert!(
            shares[0].abs_diff(100) <= 1,
            "{choice:?}: {shares:?} of 400 that never end"
        );
    }
}

#[test]
fn a_server_that_is_slow_to_answer_is_asked_less() {
    let now = Instant::now();
    for choice in [Choice::PowerOfTwo, Choice::LeastConnections] {
        let mut balance = weighted(choice, &[1, 1], now);
        let mut picked = Vec::new();
        for _ in 0..100 {
            let at = balance.pick(&[], now).unwrap();
            if at == 1 {
                balance.release(at); // The other never ends.
            }
            picked.push(at);
        }
        assert!(shares(&picked, 2)[0] <= 2, "{choice:?}: {picked:?}");
    }
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let now = Instant::now();
    let picks = |seed| {
        let care = Care::default();
        picks(&mut Balance::new(4, &care, seed, now), 50, now)
    };
    assert_eq!(picks(1), picks(1));
    assert_ne!(picks(1), picks(2));
}

#[test]
fn a_server_that_was_tried_is_not_picked_again() {
    let now = Instant::now();
    for choice in CHOICES {
        let mut balance = weighted(choice, &[1, 1], now);
        assert_eq!(balance.pick(&[0], now), Some(1), "{choice:?}");
        assert_eq!(balance.pick(&[0, 1], now), None, "{choice:?}");
    }
}

#[test]
fn a_server_that_fails_is_left_out_for_a_while_and_then_tried_by_one() {
    let now = Instant::now();
    for choice in CHOICES {
        let mut balance = weighted(choice, &[1, 1], now);
        assert!(!fail(&mut balance, 0, 2, now));
        assert!(fail(&mut balance, 0, 1, now));
        assert_eq!(picks(&mut balance, 20, now), [1; 20], "{choice:?}");
        let later = now + TIMEOUT;
        let after = picks(&mut balance, 20, later);
        assert_eq!(shares(&after, 2)[0], 1, "{choice:?}: {after:?}");
        assert!(balance.succeeded(0, later));
        let after = picks(&mut balance, 100, later);
        assert!(shares(&after, 2)[0] > 20, "{choice:?}: {after:?}");
    }
}

#[test]
fn the_last_server_is_never_left_out() {
    let now = Instant::now();
    let mut balance = weighted(Choice::RoundRobin, &[1, 1], now);
    assert!(fail(&mut balance, 0, 3, now));
    assert!(!fail(&mut balance, 1, 10, now));
    assert_eq!(picks(&mut balance, 2, now), [1, 1]);
    let mut alone = weighted(Choice::RoundRobin, &[1], now);
    assert!(!fail(&mut alone, 0, 10, now));
}

#[test]
fn failures_that_may_be_the_requests_leave_out_half_of_the_servers_at_most() {
    let now = Instant::now();
    let mut balance = weighted(Choice::RoundRobin, &[1; 5], now);
    let out: Vec<usize> = (0..5)
        .filter(|at| (0..10).any(|_| balance.failed(*at, Evidence::Doubtful, now)))
        .collect();
    assert_eq!(out, [0, 1]);
    let out = (2..5).filter(|at| fail(&mut balance, *at, 10, now)).count();
    assert_eq!(out, 2, "all but one, if they are surely not there");
}

#[test]
fn a_server_that_is_left_out_is_the_last_resort_of_a_retry() {
    let now = Instant::now();
    let mut balance = weighted(Choice::RoundRobin, &[1, 1], now);
    assert!(fail(&mut balance, 0, 3, now));
    assert_eq!(balance.pick(&[1], now), Some(0));
}

#[test]
fn with_every_server_down_all_are_tried() {
    let now = Instant::now();
    let thresholds = Thresholds {
        healthy: 1,
        unhealthy: 1,
    };
    for choice in CHOICES {
        let mut balance = weighted(choice, &[1, 1], now);
        for at in [0, 1] {
            assert_eq!(balance.checked(at, false, now, thresholds), Some(false));
        }
        let picks = picks(&mut balance, 50, now);
        assert!(shares(&picks, 2).iter().all(|share| *share > 10));
    }
}

#[test]
fn a_backup_is_asked_only_while_none_of_the_others_can_be() {
    let now = Instant::now();
    for choice in CHOICES {
        let backup = Share {
            backup: true,
            ..Share::default()
        };
        let mut balance = balance(choice, vec![backup, Share::default()], now);
        assert_eq!(picks(&mut balance, 10, now), [1; 10], "{choice:?}");
        assert_eq!(balance.pick(&[1], now), Some(0), "for a retry");
        balance.release(0);
        assert!(fail(&mut balance, 1, 3, now));
        assert_eq!(picks(&mut balance, 10, now), [0; 10], "{choice:?}");
    }
}

#[test]
fn a_server_that_is_back_is_asked_little_at_first() {
    let start = Instant::now();
    for choice in [Choice::PowerOfTwo, Choice::RoundRobin] {
        let care = Care {
            choice,
            slow_start: Duration::from_secs(100),
            ..Care::default()
        };
        let mut balance = Balance::new(2, &care, SEED, start);
        assert!(fail(&mut balance, 0, 3, start));
        balance.succeeded(0, start);
        let mut share = |seconds| {
            let now = start + Duration::from_secs(seconds);
            shares(&picks(&mut balance, 1000, now), 2)[0]
        };
        let (first, middle, full) = (share(1), share(50), share(100));
        assert!(first < 30, "{choice:?}: {first}");
        assert!(middle.abs_diff(333) < 60, "{choice:?}: {middle}");
        assert!(full.abs_diff(500) < 60, "{choice:?}: {full}");
    }
}
