//! `Accept-Language` (RFC 9110 §12.5.4): the ranges in the order in which they count.

use super::accept;

/// Ranges that are considered; browsers send at most about ten.
pub const LANGUAGE_RANGES_MAX: usize = 32;
/// Bytes of a range that is considered.
const RANGE_BYTES_MAX: usize = 35;

/// The language ranges of one value. Held on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Ranges<'v> {
    ranges: [(&'v str, u16); LANGUAGE_RANGES_MAX],
    length: usize,
}

/// Ranges by descending weight, those of equal weight in the order they came in. What is no range
/// is skipped.
pub fn ranges(value: &str) -> Ranges<'_> {
    let mut found = Ranges {
        ranges: [("", 0); LANGUAGE_RANGES_MAX],
        length: 0,
    };
    let valid = accept::qualities(value).filter(|(range, _)| is_range(range));
    for (slot, range) in found.ranges.iter_mut().zip(valid) {
        *slot = range;
        found.length += 1;
    }
    if let Some(ranges) = found.ranges.get_mut(..found.length)
        && !ranges.is_sorted_by(|(_, a), (_, b)| a >= b)
    {
        ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    }
    found
}

impl<'v> Ranges<'v> {
    /// Best first.
    pub fn accepted(&self) -> impl Iterator<Item = &'v str> {
        self.weighted(|weight| weight > 0)
    }

    /// Those of weight 0: not acceptable.
    pub fn excluded(&self) -> impl Iterator<Item = &'v str> {
        self.weighted(|weight| weight == 0)
    }

    fn weighted(&self, wanted: impl Fn(u16) -> bool) -> impl Iterator<Item = &'v str> {
        self.ranges
            .iter()
            .take(self.length)
            .filter(move |(_, weight)| wanted(*weight))
            .map(|(range, _)| *range)
    }
}

/// RFC 4647 §2.1, and `*`.
fn is_range(range: &str) -> bool {
    range == "*"
        || (range.len() <= RANGE_BYTES_MAX
            && range.split('-').all(|s| {
                (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric())
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_by_weight_then_by_place() {
        let ranges = ranges("da, en-gb;q=0.8, en;q=0.8, fr;q=0, *;q=0.9, b@d, x_y");
        assert_eq!(
            ranges.accepted().collect::<Vec<_>>(),
            ["da", "*", "en-gb", "en"]
        );
        assert_eq!(ranges.excluded().collect::<Vec<_>>(), ["fr"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let ranges_of_many = "en,".repeat(1000);
        assert_eq!(
            ranges(&ranges_of_many).accepted().count(),
            LANGUAGE_RANGES_MAX
        );
    }
}
