//! What the log in the process remembers of its records: receipts, and the deliveries they came
//! with. Bounded in number and in bytes. Forgetting a delivery is safe: it would be purged again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aws_lc_rs::digest;

use super::receipt::Receipt;
use crate::clock::Timestamp;
use crate::exchange::Position;

/// Receipts that can be asked for.
const RECEIPTS_MAX: usize = 10_000;
/// Bytes of scope names in these receipts.
const RECEIPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Deliveries that are known as such.
const DELIVERIES_MAX: usize = 10_000;
/// How long a delivery is known: longer than any sender repeats one.
const DELIVERY_AGE_MAX: Duration = Duration::from_hours(24);

/// The newest receipts, by position. Positions are dense, so they are an index.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    newest: VecDeque<Receipt>,
    bytes: usize,
}

impl Receipts {
    pub(super) fn add(&mut self, receipt: Receipt) {
        self.bytes = self.bytes.saturating_add(weight(&receipt));
        self.newest.push_back(receipt);
        while self.newest.len() > RECEIPTS_MAX || self.bytes > RECEIPT_BYTES_MAX {
            let Some(oldest) = self.newest.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(weight(&oldest));
        }
    }

    pub(super) fn at(&self, position: Position) -> Option<&Receipt> {
        let first = self.newest.front()?.id.position.ordinal();
        let index = position.ordinal().checked_sub(first)?;
        self.newest.get(usize::try_from(index).ok()?)
    }
}

fn weight(receipt: &Receipt) -> usize {
    let names: usize = receipt.scopes.iter().map(String::len).sum();
    names + receipt.scopes.len() * size_of::<String>()
}

/// Which deliveries have been appended, and where. Names are kept as digests, so that their
/// length is no matter.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    known: HashMap<[u8; 32], Position>,
    oldest_first: VecDeque<([u8; 32], Timestamp)>,
}

impl Deliveries {
    pub(super) fn position(&mut self, delivery: &str, now: Timestamp) -> Option<Position> {
        self.expire(now);
        self.known.get(&digest_of(delivery)).copied()
    }

    pub(super) fn add(&mut self, delivery: &str, position: Position, now: Timestamp) {
        let digest = digest_of(delivery);
        if self.known.insert(digest, position).is_none() {
            self.oldest_first.push_back((digest, now));
        }
        self.expire(now);
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((digest, since)) = self.oldest_first.front() {
            let expired = now.since(*since) > DELIVERY_AGE_MAX;
            if !expired && self.oldest_first.len() <= DELIVERIES_MAX {
                break;
            }
            self.known.remove(digest);
            self.oldest_first.pop_front();
        }
    }
}

fn digest_of(delivery: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = digest::digest(&digest::SHA256, delivery.as_bytes());
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::purges::Mode;
    use crate::exchange::Generation;
    use crate::purge::receipt::{ReceiptId, State};

    fn receipt(position: u64, scope: &str) -> Receipt {
        Receipt {
            id: ReceiptId {
                generation: Generation::new(1),
                position: Position::new(position),
            },
            state: State::Complete,
            mode: Mode::Hard,
            scopes: vec![scope.to_owned()],
            instances: Vec::new(),
            duplicate: false,
        }
    }

    #[test]
    fn the_newest_receipts_are_found_by_position() {
        let mut receipts = Receipts::default();
        assert!(receipts.at(Position::new(1)).is_none());
        for position in 1..=10_001 {
            receipts.add(receipt(position, "tag:a"));
        }
        assert!(receipts.at(Position::new(1)).is_none(), "forgotten");
        for position in [2, 5000, 10_001] {
            let found = receipts.at(Position::new(position)).unwrap();
            assert_eq!(found.id.position.ordinal(), position);
        }
        assert!(receipts.at(Position::new(10_002)).is_none());
    }

    #[test]
    fn long_receipts_are_forgotten_sooner() {
        let mut receipts = Receipts::default();
        let long = "x".repeat(RECEIPT_BYTES_MAX / 4);
        for position in 1..=8 {
            receipts.add(receipt(position, &long));
        }
        assert!(receipts.bytes <= RECEIPT_BYTES_MAX);
        assert!(receipts.at(Position::new(8)).is_some());
        assert!(receipts.at(Position::new(4)).is_none());
    }

    #[test]
    fn a_delivery_is_known_for_a_day() {
        let mut deliveries = Deliveries::default();
        let start = Timestamp::from_secs(1_000);
        deliveries.add("a", Position::new(1), start);
        let day = start.after(DELIVERY_AGE_MAX);
        assert_eq!(deliveries.position("a", day), Some(Position::new(1)));
        let later = day.after(Duration::from_millis(1));
        assert_eq!(deliveries.position("a", later), None);
    }

    #[test]
    fn the_oldest_deliveries_make_room() {
        let mut deliveries = Deliveries::default();
        let now = Timestamp::from_secs(1_000);
        for at in 0..=DELIVERIES_MAX {
            deliveries.add(&format!("d{at}"), Position::new(at as u64 + 1), now);
        }
        assert_eq!(deliveries.known.len(), DELIVERIES_MAX);
        assert_eq!(deliveries.position("d0", now), None);
        assert_eq!(deliveries.position("d1", now), Some(Position::new(2)));
    }
}
