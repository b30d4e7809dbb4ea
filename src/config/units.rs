//! Durations and sizes as people write them: "250ms", "5m", "365d"; "16MiB".

use std::time::Duration;

/// A whole number and a unit (`ms`, `s`, `m`, `h`, `d`), nothing between them.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

/// Bytes: a whole number and a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`), nothing between them.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(duration("365d"), Some(Duration::from_secs(31_536_000)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "5", "m", "5 m", "5M", "-5m", "1.5h", "5parsecs", "1h30m",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration("18446744073709551615d"), None);
        assert_eq!(duration("99999999999999999999s"), None);
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("0B"), Some(0));
        assert_eq!(size("16MiB"), Some(16 << 20));
        assert_eq!(size("1KiB"), Some(1024));
        assert_eq!(size("2TiB"), Some(2 << 40));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "16", "16MB", "16mib", "16 MiB", "-1B", "99999999TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
