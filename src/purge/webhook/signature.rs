//! Message authentication codes over the raw bytes of a delivery, and the window in which a
//! delivery counts.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::purge::secret::{Secret, equal};

/// Why a delivery is not believed. Each is answered 401 and counted by its name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Rejected {
    #[error("the request carries no signature or token")]
    Missing,
    #[error("the signature or its timestamp is malformed")]
    Malformed,
    #[error("no secret of this webhook made this signature")]
    WrongSignature,
    #[error("this is no token of this webhook")]
    WrongToken,
    #[error("the delivery is older than the webhook's tolerance")]
    Expired,
    #[error("the delivery is dated further ahead than the webhook's tolerance")]
    Future,
}

impl Rejected {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing-signature",
            Self::Malformed => "malformed-signature",
            Self::WrongSignature => "wrong-signature",
            Self::WrongToken => "wrong-token",
            Self::Expired => "expired",
            Self::Future => "future",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    Sha256,
    Sha512,
    /// For senders that know nothing better. HMAC does not need the hash to resist collisions.
    Sha1,
}

/// How a sender writes its code. Base64 is taken with and without padding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    Hex,
    Base64,
    Base64Url,
}

/// Signatures in one delivery. A sender that rotates its secret sends two.
pub(super) const SIGNATURES_MAX: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT);
const INDIFFERENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

impl Encoding {
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64Url => BASE64_URL.decode(text).ok(),
        }
    }
}

/// Whether one of `secrets` made one of `codes` over `parts`, one after the other. Every secret is
/// tried against every code, so that the time does not tell which one it was.
pub(super) fn is_signed(
    algorithm: Algorithm,
    secrets: &[Secret],
    parts: &[&[u8]],
    codes: &[Vec<u8>],
) -> bool {
    let mut signed = false;
    for secret in secrets {
        let expected = code(algorithm, secret, parts);
        for presented in codes {
            signed |= equal(expected.as_ref(), presented);
        }
    }
    signed
}

/// The code of `parts` under `secret`.
pub(super) fn code(algorithm: Algorithm, secret: &Secret, parts: &[&[u8]]) -> hmac::Tag {
    let algorithm = match algorithm {
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret.key()));
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// # Errors
/// When `sent` is further from `now` than `tolerance`, either way.
pub(super) fn within(tolerance: Duration, sent: Timestamp, now: Timestamp) -> Result<(), Rejected> {
    if now.since(sent) > tolerance {
        return Err(Rejected::Expired);
    }
    if sent.since(now) > tolerance {
        return Err(Rejected::Future);
    }
    Ok(())
}

/// A run of digits, as timestamps are written.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(key: &[u8]) -> Secret {
        Secret::new(key).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfcs() {
        // RFC 4231 §4.3 and RFC 2202 §3, second test case of each.
        let parts: &[&[u8]] = &[b"what do ya want ", b"for nothing?"];
        let jefe = secret(b"Jefe");
        assert_eq!(
            hex::encode(code(Algorithm::Sha256, &jefe, parts)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex::encode(code(Algorithm::Sha512, &jefe, parts)),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
        assert_eq!(
            hex::encode(code(Algorithm::Sha1, &jefe, parts)),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
    }

    #[test]
    fn any_secret_and_any_code_will_do_but_one_must() {
        let secrets = [secret(b"old"), secret(b"new")];
        let of = |key: &[u8]| {
            let code = code(Algorithm::Sha256, &secret(key), &[b"body"]);
            code.as_ref().to_vec()
        };
        let signed = |codes: &[Vec<u8>]| is_signed(Algorithm::Sha256, &secrets, &[b"body"], codes);
        assert!(signed(&[of(b"old")]));
        assert!(signed(&[of(b"strange"), of(b"new")]));
        assert!(!signed(&[of(b"strange")]));
        assert!(!signed(&[]));
        assert!(!signed(&[of(b"new")[..31].to_vec()]), "cut short");
        assert!(!signed(&[Vec::new()]));
    }

    #[test]
    fn encodings_are_read_with_and_without_padding() {
        assert_eq!(Encoding::Hex.decode(b"0aFF"), Some(vec![0x0a, 0xff]));
        for text in ["+/8=", "+/8"] {
            assert_eq!(
                Encoding::Base64.decode(text.as_bytes()),
                Some(vec![0xfb, 0xff])
            );
        }
        assert_eq!(Encoding::Base64Url.decode(b"-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(Encoding::Hex.decode(b"0"), None);
        assert_eq!(Encoding::Base64.decode(b"-_8"), None);
    }

    #[test]
    fn the_window_has_two_ends() {
        let at = Timestamp::from_secs;
        let tolerance = Duration::from_secs(300);
        assert_eq!(within(tolerance, at(1000), at(1300)), Ok(()));
        assert_eq!(within(tolerance, at(1300), at(1000)), Ok(()));
        assert_eq!(within(tolerance, at(999), at(1300)), Err(Rejected::Expired));
        assert_eq!(within(tolerance, at(1301), at(1000)), Err(Rejected::Future));
    }

    #[test]
    fn a_timestamp_is_a_run_of_digits() {
        assert_eq!(number("1614265330"), Some(1_614_265_330));
        for text in ["", "+1", "-1", "1.0", " 1", "99999999999999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
