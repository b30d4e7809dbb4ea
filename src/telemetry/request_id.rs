//! Request ids: unique without a random number for each.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes ids of 24 hexadecimal digits: eight that name this process, sixteen that count.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        // Without randomness the ids are unique in this process only, which the log survives.
        Self {
            process: getrandom::u32().unwrap_or_default(),
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    pub fn next(&self) -> RequestId {
        RequestId {
            process: self.process,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// One request's id; formatted only where it is shown.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    process: u32,
    number: u64,
}

/// Hexadecimal digits of an id.
pub const DIGITS: usize = 24;

impl RequestId {
    /// The id as text: every response has it, so it is written without the formatter.
    pub fn digits(self) -> [u8; DIGITS] {
        let bits = (u128::from(self.process) << 64) | u128::from(self.number);
        let mut digits = [b'0'; DIGITS];
        for (at, digit) in digits.iter_mut().rev().enumerate() {
            let nibble = u8::try_from((bits >> (4 * at)) & 0xf).unwrap_or_default();
            *digit = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'a' + (nibble - 10),
            };
        }
        digits
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.digits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_process_and_number() {
        let id = RequestId {
            process: 0xab12_0001,
            number: 0x1f,
        };
        assert_eq!(id.to_string(), "ab120001000000000000001f");
    }
}
