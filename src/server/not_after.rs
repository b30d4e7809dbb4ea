//! Until when a certificate is valid, read from its DER: the five elements up to `validity`
//! (RFC 5280 §4.1).

use crate::fields::date;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
const VERSION: u8 = 0xa0;

/// `notAfter` in seconds since the Unix epoch; `None` where there is none to be found.
pub(super) fn not_after(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (rest, _) = element(certificate, SEQUENCE)?;
    let rest = element(rest, VERSION).map_or(rest, |(_, rest)| rest);
    let (_serial, rest) = element(rest, INTEGER)?;
    let (_signature, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_not_before, rest) = time(validity)?;
    time(rest).and_then(|(not_after, _)| not_after)
}

/// The content of the element of this type at the front, and what follows the element.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, der) = der.split_first()?;
    let (first, der) = der.split_first()?;
    let (length, der) = match first {
        short @ 0..=0x7f => (usize::from(*short), der),
        // Certificates have fewer than 2^24 bytes.
        0x81..=0x83 => {
            let (bytes, der) = der.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| (length << 8) | usize::from(*byte));
            (length, der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    (*found == tag).then_some((content, rest))
}

/// §4.1.2.5: UTCTime through the year 2049, GeneralizedTime from 2050, both in UTC and with seconds.
fn time(der: &[u8]) -> Option<(Option<u64>, &[u8])> {
    if let Some((digits, rest)) = element(der, GENERALIZED_TIME) {
        let seconds = digits.strip_suffix(b"Z").and_then(date::of_digits);
        return Some((seconds, rest));
    }
    let (digits, rest) = element(der, UTC_TIME)?;
    let century = match digits.first()? {
        // "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY".
        b'5'..=b'9' => "19",
        _ => "20",
    };
    let digits = [century.as_bytes(), digits].concat();
    Some((digits.strip_suffix(b"Z").and_then(date::of_digits), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 2, 28);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        assert_eq!(not_after(&certificate(2027)), Some(1_803_772_800));
        assert_eq!(not_after(&certificate(2049)), Some(2_498_083_200));
        assert_eq!(not_after(&certificate(2050)), Some(2_529_619_200));
        assert_eq!(not_after(&certificate(1999)), Some(920_160_000));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2027);
        for end in 0..100 {
            assert_eq!(not_after(&whole[..end]), None);
        }
        assert_eq!(not_after(b"\x30\x80\x00\x00"), None);
        assert_eq!(not_after(b"\x30\x84\xff\xff\xff\xff"), None);
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(at in 0_usize..200, byte: u8) {
            static WHOLE: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| certificate(2027));
            let mut damaged = WHOLE.clone();
            damaged[at] = byte;
            let read = not_after(&damaged);
            prop_assert!(read.is_none_or(|seconds| seconds < 253_402_300_800));
        }
    }
}
