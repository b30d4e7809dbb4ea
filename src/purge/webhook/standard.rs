//! The dialect `standard`: Standard Webhooks 1.0 with symmetric secrets. The code is HMAC-SHA256
//! over `id.timestamp.body`; the id names the delivery.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;
use thiserror::Error;

use super::signature::{Algorithm, Encoding, Rejected, SIGNATURES_MAX, is_signed, number, within};
use crate::clock::Timestamp;
use crate::purge::secret::Secret;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// What every delivery has.
pub(super) const HEADERS: [HeaderName; 3] = [ID, TIMESTAMP, SIGNATURE];

const PREFIX: &str = "whsec_";
/// What the specification asks for is 24 to 64 bytes.
const KEY_BYTES_MIN: usize = 24;

/// A secret that is not one of Standard Webhooks. It never says what was found.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a secret of Standard Webhooks is `whsec_` and the base64 of at least {KEY_BYTES_MIN} bytes"
)]
pub struct NotASecret;

/// The secret in `whsec_…`; the prefix may be left out.
///
/// # Errors
/// What is not base64, or too short.
pub fn secret(text: &str) -> Result<Secret, NotASecret> {
    let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
    Encoding::Base64
        .decode(encoded.as_bytes())
        .filter(|key| key.len() >= KEY_BYTES_MIN)
        .and_then(Secret::new)
        .ok_or(NotASecret)
}

/// The delivery's id, when the sender knows one of `secrets` and the time is right. Whether it is
/// in time is told only to who signed.
pub(super) fn verify<'h>(
    headers: &'h HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    tolerance: Duration,
    now: Timestamp,
) -> Result<&'h str, Rejected> {
    let id = text(headers, &ID)?;
    let timestamp = text(headers, &TIMESTAMP)?;
    let signatures = text(headers, &SIGNATURE)?;
    let seconds = number(timestamp).ok_or(Rejected::Malformed)?;
    if id.is_empty() {
        return Err(Rejected::Malformed);
    }
    let codes = codes(signatures);
    if codes.is_empty() {
        return Err(Rejected::Malformed);
    }
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    if !is_signed(Algorithm::Sha256, secrets, &parts, &codes) {
        return Err(Rejected::WrongSignature);
    }
    within(tolerance, Timestamp::from_secs(seconds), now)?;
    Ok(id)
}

/// The codes of version `v1`; other versions are not for symmetric secrets.
fn codes(signatures: &str) -> Vec<Vec<u8>> {
    signatures
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(|signature| Encoding::Base64.decode(signature.strip_prefix("v1,")?.as_bytes()))
        .collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Rejected> {
    let value = headers.get(name).ok_or(Rejected::Missing)?;
    value.to_str().map_err(|_| Rejected::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that the specification's own libraries are tested with.
    const VECTORS: [[&str; 5]; 2] = [
        [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ],
        [
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ],
    ];
    const TOLERANCE: Duration = Duration::from_secs(300);

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn check(signature: &str, body: &str, at: u64) -> Result<String, Rejected> {
        let [text, id, timestamp, _, _] = VECTORS[0];
        verify(
            &headers(id, timestamp, signature),
            body.as_bytes(),
            &[secret(text).unwrap()],
            TOLERANCE,
            Timestamp::from_secs(at),
        )
        .map(str::to_owned)
    }

    #[test]
    fn the_vectors_of_the_specification_are_believed() {
        for [text, id, timestamp, body, signature] in VECTORS {
            let found = verify(
                &headers(id, timestamp, signature),
                body.as_bytes(),
                &[secret(text).unwrap()],
                TOLERANCE,
                Timestamp::from_secs(timestamp.parse().unwrap()),
            )
            .map(str::to_owned);
            assert_eq!(found, Ok(id.to_owned()));
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let [_, id, _, body, signature] = VECTORS[0];
        let other = VECTORS[1][4];
        for signatures in [
            format!("{other} {signature}"),
            format!("v1a,AAAA v1,not+base64! {signature}"),
        ] {
            assert_eq!(check(&signatures, body, 1_614_265_330), Ok(id.to_owned()));
        }
        let late = format!("{} {signature}", vec![other; SIGNATURES_MAX].join(" "));
        assert_eq!(
            check(&late, body, 1_614_265_330),
            Err(Rejected::WrongSignature)
        );
    }

    #[test]
    fn a_changed_delivery_is_not_believed() {
        let [_, _, _, body, signature] = VECTORS[0];
        let at = 1_614_265_330;
        let changed = body.replace('2', "3");
        for (signature, body, why) in [
            (signature, &*changed, Rejected::WrongSignature),
            (VECTORS[1][4], body, Rejected::WrongSignature),
            (
                "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                body,
                Rejected::Malformed,
            ),
            ("", body, Rejected::Malformed),
        ] {
            assert_eq!(check(signature, body, at), Err(why), "{signature}");
        }
    }

    #[test]
    fn a_replay_outside_the_tolerance_is_not_believed() {
        let [_, _, _, body, signature] = VECTORS[0];
        assert!(check(signature, body, 1_614_265_330 + 300).is_ok());
        assert_eq!(
            check(signature, body, 1_614_265_330 + 301),
            Err(Rejected::Expired)
        );
        assert_eq!(
            check(signature, body, 1_614_265_330 - 301),
            Err(Rejected::Future)
        );
        assert_eq!(
            check(VECTORS[1][4], body, 1_614_265_330 + 301),
            Err(Rejected::WrongSignature),
            "who did not sign learns nothing about the time"
        );
    }

    #[test]
    fn every_field_is_needed() {
        let [text, id, timestamp, body, signature] = VECTORS[0];
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut headers = headers(id, timestamp, signature);
            headers.remove(name);
            let secrets = [secret(text).unwrap()];
            let now = Timestamp::from_secs(1_614_265_330);
            let found = verify(&headers, body.as_bytes(), &secrets, TOLERANCE, now);
            assert_eq!(found, Err(Rejected::Missing), "{name}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY=",
            "whsec_not base64",
        ] {
            assert_eq!(secret(text).err(), Some(NotASecret), "{text}");
        }
    }
}
