//! Deliveries as CMSs sign them.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The fields of a Standard Webhooks delivery. `secret` is `whsec_` and base64.
pub(crate) fn standard(
    secret: &str,
    id: &str,
    timestamp: u64,
    body: &str,
) -> Vec<(&'static str, String)> {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let code = sign(&key, &format!("{id}.{timestamp}.{body}"));
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", format!("v1,{}", STANDARD.encode(code))),
    ]
}

/// `sha256=` and the code over the body in hexadecimal digits, as GitHub has it.
pub(crate) fn hub(secret: &str, body: &str) -> String {
    format!("sha256={}", hex::encode(sign(secret.as_bytes(), body)))
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}
