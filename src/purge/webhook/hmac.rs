//! The dialect `hmac`: a code in a field of the operator's choice, over the body and, where the
//! sender sends one, a timestamp. GitHub, Storyblok, Kontent.ai and most home-made senders.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use super::signature::{Algorithm, Encoding, Rejected, SIGNATURES_MAX, is_signed, number, within};
use crate::clock::Timestamp;
use crate::purge::secret::Secret;

/// How the sender signs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HmacRule {
    /// The field with the code.
    pub header: HeaderName,
    /// What stands before the code, such as `sha256=`; may be empty.
    pub prefix: Box<str>,
    pub encoding: Encoding,
    pub algorithm: Algorithm,
    pub timestamp: Option<TimestampRule>,
}

/// Where the sender says when it sent. Without one, a delivery can be replayed for ever: what a
/// replay can do is purge again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimestampRule {
    pub header: HeaderName,
    pub unit: TimestampUnit,
    pub signed: Signed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimestampUnit {
    Seconds,
    Milliseconds,
}

/// What the code is made over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signed {
    /// The body alone: the timestamp is checked, but whoever replays can change it.
    Body,
    /// `<timestamp>.<body>`
    TimestampDotBody,
    /// `<body><timestamp>`
    BodyTimestamp,
}

/// Whether the sender knows one of `secrets` and the time is right.
pub(super) fn verify(
    rule: &HmacRule,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    tolerance: Duration,
    now: Timestamp,
) -> Result<(), Rejected> {
    let codes = codes(rule, headers)?;
    let Some(timestamp) = &rule.timestamp else {
        return believed(rule, secrets, &[body], &codes);
    };
    let written = headers.get(&timestamp.header).ok_or(Rejected::Missing)?;
    let written = written.to_str().map_err(|_| Rejected::Malformed)?;
    let sent = timestamp.read(written).ok_or(Rejected::Malformed)?;
    let written = written.as_bytes();
    match timestamp.signed {
        Signed::Body => believed(rule, secrets, &[body], &codes),
        Signed::TimestampDotBody => believed(rule, secrets, &[written, b".", body], &codes),
        Signed::BodyTimestamp => believed(rule, secrets, &[body, written], &codes),
    }?;
    within(tolerance, sent, now)
}

fn believed(
    rule: &HmacRule,
    secrets: &[Secret],
    parts: &[&[u8]],
    codes: &[Vec<u8>],
) -> Result<(), Rejected> {
    if is_signed(rule.algorithm, secrets, parts, codes) {
        Ok(())
    } else {
        Err(Rejected::WrongSignature)
    }
}

/// One code for each line of the field.
fn codes(rule: &HmacRule, headers: &HeaderMap) -> Result<Vec<Vec<u8>>, Rejected> {
    if !headers.contains_key(&rule.header) {
        return Err(Rejected::Missing);
    }
    let codes: Vec<Vec<u8>> = headers
        .get_all(&rule.header)
        .iter()
        .take(SIGNATURES_MAX)
        .filter_map(|value| {
            let code = value.as_bytes().strip_prefix(rule.prefix.as_bytes())?;
            rule.encoding.decode(code)
        })
        .collect();
    if codes.is_empty() {
        return Err(Rejected::Malformed);
    }
    Ok(codes)
}

impl TimestampRule {
    fn read(&self, written: &str) -> Option<Timestamp> {
        let number = number(written)?;
        Some(match self.unit {
            TimestampUnit::Seconds => Timestamp::from_secs(number),
            TimestampUnit::Milliseconds => Timestamp::from_millis(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::webhook::signature::code;
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    const NOW: u64 = 1_000_000;

    fn rule(timestamp: Option<TimestampRule>) -> HmacRule {
        HmacRule {
            header: HeaderName::from_static("x-signature"),
            prefix: "sha256=".into(),
            encoding: Encoding::Hex,
            algorithm: Algorithm::Sha256,
            timestamp,
        }
    }

    fn timestamp(unit: TimestampUnit, signed: Signed) -> TimestampRule {
        TimestampRule {
            header: HeaderName::from_static("x-timestamp"),
            unit,
            signed,
        }
    }

    fn secret(key: &str) -> Secret {
        Secret::new(key.as_bytes()).unwrap()
    }

    fn sign(rule: &HmacRule, parts: &[&[u8]]) -> String {
        let code = code(rule.algorithm, &secret("a secret"), parts);
        let text = match rule.encoding {
            Encoding::Hex => hex::encode(code),
            Encoding::Base64 => BASE64_STANDARD.encode(code),
            Encoding::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(code),
        };
        format!("{}{text}", rule.prefix)
    }

    fn check(rule: &HmacRule, fields: &[(&'static str, &str)]) -> Result<(), Rejected> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let secrets = [secret("another"), secret("a secret")];
        let (tolerance, now) = (Duration::from_secs(300), Timestamp::from_secs(NOW));
        verify(rule, &headers, b"body", &secrets, tolerance, now)
    }

    #[test]
    fn a_signature_is_believed_in_every_writing_and_algorithm() {
        for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url] {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha1] {
                let rule = HmacRule {
                    encoding,
                    algorithm,
                    ..rule(None)
                };
                let signature = sign(&rule, &[b"body"]);
                assert_eq!(check(&rule, &[("x-signature", &signature)]), Ok(()));
                let other = sign(&rule, &[b"other"]);
                let wrong = check(&rule, &[("x-signature", &other)]);
                assert_eq!(wrong, Err(Rejected::WrongSignature));
            }
        }
    }

    #[test]
    fn a_signature_that_is_missing_or_malformed_has_a_name_of_its_own() {
        let rule = rule(None);
        assert_eq!(check(&rule, &[]), Err(Rejected::Missing));
        let plain = sign(&rule, &[b"body"]).replace("sha256=", "");
        for text in ["", "sha256=", "sha256=xyz", "sha1=00", &plain] {
            let found = check(&rule, &[("x-signature", text)]);
            assert!(
                matches!(found, Err(Rejected::Malformed | Rejected::WrongSignature)),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn the_signed_forms_with_a_timestamp() {
        let written = NOW.to_string();
        let forms: [(Signed, Vec<&[u8]>); 3] = [
            (Signed::Body, vec![b"body"]),
            (
                Signed::TimestampDotBody,
                vec![written.as_bytes(), b".", b"body"],
            ),
            (Signed::BodyTimestamp, vec![b"body", written.as_bytes()]),
        ];
        for (signed, parts) in forms {
            let rule = rule(Some(timestamp(TimestampUnit::Seconds, signed)));
            let signature = sign(&rule, &parts);
            let both = [("x-signature", &*signature), ("x-timestamp", &*written)];
            assert_eq!(check(&rule, &both), Ok(()), "{signed:?}");
            let alone = [("x-signature", &*signature)];
            assert_eq!(check(&rule, &alone), Err(Rejected::Missing), "{signed:?}");
        }
    }

    #[test]
    fn the_window_is_checked_in_the_unit_of_the_rule() {
        for (unit, sent, expected) in [
            (TimestampUnit::Seconds, NOW - 300, Ok(())),
            (TimestampUnit::Seconds, NOW - 301, Err(Rejected::Expired)),
            (TimestampUnit::Seconds, NOW + 301, Err(Rejected::Future)),
            (TimestampUnit::Milliseconds, NOW * 1000 - 300_000, Ok(())),
            (
                TimestampUnit::Milliseconds,
                NOW * 1000 - 300_001,
                Err(Rejected::Expired),
            ),
            (TimestampUnit::Seconds, NOW * 1000, Err(Rejected::Future)),
        ] {
            let rule = rule(Some(timestamp(unit, Signed::TimestampDotBody)));
            let written = sent.to_string();
            let signature = sign(&rule, &[written.as_bytes(), b".", b"body"]);
            let fields = [("x-signature", &*signature), ("x-timestamp", &*written)];
            assert_eq!(check(&rule, &fields), expected, "{unit:?} {sent}");
        }
    }
}
