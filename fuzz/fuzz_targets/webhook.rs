//! Webhooks: whoever does not know the secret is not believed, whatever is sent; and whatever a
//! sender that is believed says, nothing panics.

#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use cms_edge::clock::{Clock, ManualClock, Timestamp};
use cms_edge::entry::purges::Purges;
use cms_edge::exchange::Generation;
use cms_edge::purge::local::LocalLog;
use cms_edge::purge::secret::{Secret, Token};
use cms_edge::purge::target::{self, SortedQuery, Targets};
use cms_edge::purge::template::Template;
use cms_edge::purge::webhook::event::EventPattern;
use cms_edge::purge::webhook::hmac::{HmacRule, Signed, TimestampRule, TimestampUnit};
use cms_edge::purge::webhook::rule::{Rule, UrlTemplate};
use cms_edge::purge::webhook::settings::{Dialect, Settings};
use cms_edge::purge::webhook::signature::{Algorithm, Encoding};
use cms_edge::purge::webhook::token::TokenRule;
use cms_edge::purge::webhook::{Shared, Webhook};
use cms_edge::telemetry::purge::PurgeMetrics;
use cms_edge_fuzz::selected;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_700_000_000;
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
const TOKEN: HeaderName = HeaderName::from_static("x-purge-token");

/// Compared in constant time, so that coverage does not lead to them either.
static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"fuzz");
    hmac::sign(&key, b"the secret of the webhooks")
        .as_ref()
        .to_vec()
});
static SECRET: LazyLock<String> =
    LazyLock::new(|| KEY.iter().map(|byte| format!("{byte:02x}")).collect());

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = selected(data) else {
        return;
    };
    // Fields, an empty line, the body; or only a body that is signed as it should be.
    let is_believed = which & 0x80 != 0;
    let dialect = dialect(which & 0x0f);
    let (headers, body) = match is_believed {
        true => (credentials(&dialect, data), data),
        false => unsigned(data),
    };
    let purges = Arc::new(Purges::new(Generation::new(1)));
    let Some(webhook) = webhook(dialect, which & 0x40 != 0, Arc::clone(&purges)) else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    let peer = IpAddr::from([192, 0, 2, 1]);
    let answer = webhook.receive(&Method::POST, &headers, body.clone(), peer);
    let status = answer.now_or_never().unwrap().status().as_u16();
    let purged = purges.fence().position.ordinal();
    if is_believed {
        assert_ne!(status, 401);
        assert!(status < 500, "{status}");
        let again = webhook.receive(&Method::POST, &headers, body, peer);
        assert_eq!(
            again.now_or_never().unwrap().status().as_u16(),
            status,
            "the second time"
        );
    } else {
        assert_eq!((status, purged), (401, 0));
    }
});

fn dialect(which: u8) -> Dialect {
    let secrets = || vec![Secret::new(&KEY[..]).unwrap()];
    let token = |header| TokenRule {
        header,
        tokens: vec![Token::new(&SECRET).unwrap()],
    };
    let timestamp = |signed, unit| {
        Some(TimestampRule {
            header: TIMESTAMP,
            unit,
            signed,
        })
    };
    let rule = |encoding, algorithm, timestamp| HmacRule {
        header: SIGNATURE,
        prefix: "v1=".into(),
        encoding,
        algorithm,
        timestamp,
    };
    match which % 7 {
        0 => Dialect::Standard { secrets: secrets() },
        1 => Dialect::Strapi(token(http::header::AUTHORIZATION)),
        2 => Dialect::Token(token(TOKEN)),
        3 => Dialect::Hmac {
            rule: rule(Encoding::Hex, Algorithm::Sha256, None),
            secrets: secrets(),
        },
        4 => Dialect::Hmac {
            rule: rule(
                Encoding::Base64,
                Algorithm::Sha512,
                timestamp(Signed::TimestampDotBody, TimestampUnit::Seconds),
            ),
            secrets: secrets(),
        },
        5 => Dialect::Hmac {
            rule: rule(
                Encoding::Base64Url,
                Algorithm::Sha1,
                timestamp(Signed::BodyTimestamp, TimestampUnit::Milliseconds),
            ),
            secrets: secrets(),
        },
        _ => Dialect::Hmac {
            rule: rule(
                Encoding::Hex,
                Algorithm::Sha256,
                timestamp(Signed::Body, TimestampUnit::Seconds),
            ),
            secrets: secrets(),
        },
    }
}

fn webhook(
    dialect: Dialect,
    has_own_rules: bool,
    purges: Arc<Purges>,
) -> Option<Webhook<LocalLog>> {
    let has_own_rules = has_own_rules || !matches!(dialect, Dialect::Strapi(_));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(Timestamp::from_secs(NOW)));
    let metrics = PurgeMetrics::unregistered();
    let log = LocalLog::new(purges, Arc::clone(&clock), "fuzz", metrics.clone());
    let settings = Settings {
        name: "fuzz".into(),
        path: "/hook".into(),
        dialect,
        tolerance: Duration::from_secs(300),
        body_max: 64 * 1024,
        events: None,
        delivery_header: Some(HeaderName::from_static("x-delivery")),
        rules: if has_own_rules { rules()? } else { Vec::new() },
    };
    let shared = Shared {
        log: Arc::new(log),
        targets: Targets::new(target::Settings::default(), Arc::new(SortedQuery)),
        clock,
        metrics,
    };
    Some(Webhook::new(settings, shared).unwrap())
}

fn rules() -> Option<Vec<Rule>> {
    Some(vec![Rule {
        events: vec![EventPattern::new("*")?],
        tags: vec![
            Template::parse("{data.type}:{data.id}:{data.language}").ok()?,
            Template::parse("{keys[*]}").ok()?,
        ],
        urls: vec![
            UrlTemplate::url("/{data.slug}").ok()?,
            UrlTemplate::url("{urls[*]}").ok()?,
        ],
        prefixes: vec![UrlTemplate::prefix("/assets/{key}/*").ok()?],
        collections: vec![Template::parse("articles").ok()?],
        ..Rule::default()
    }])
}

fn unsigned(data: &[u8]) -> (HeaderMap, &[u8]) {
    let end = data
        .windows(2)
        .position(|two| two == b"\n\n")
        .unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(32) {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    let body = body.get(2..).unwrap_or_default();
    (headers, &body[..body.len().min(64 * 1024)])
}

/// The fields that a sender adds that knows the secret.
fn credentials(dialect: &Dialect, body: &[u8]) -> HeaderMap {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: String| {
        headers.insert(name, value.parse().unwrap());
    };
    let sign = |algorithm, parts: &[&[u8]]| {
        let key = hmac::Key::new(algorithm, &KEY);
        hmac::sign(&key, &parts.concat()).as_ref().to_vec()
    };
    let hex = |code: Vec<u8>| {
        code.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (seconds, millis) = (NOW.to_string(), (NOW * 1000).to_string());
    match dialect {
        Dialect::Standard { .. } => {
            let code = sign(hmac::HMAC_SHA256, &[b"id.", seconds.as_bytes(), b".", body]);
            add("webhook-id", "id".to_owned());
            add("webhook-timestamp", seconds);
            add(
                "webhook-signature",
                format!("v1,{}", BASE64_STANDARD.encode(code)),
            );
        }
        Dialect::Strapi(_) => add("authorization", format!("Bearer {}", *SECRET)),
        Dialect::Token(_) => add("x-purge-token", SECRET.clone()),
        Dialect::Hmac { rule, .. } => match rule.timestamp.as_ref().map(|rule| rule.signed) {
            None | Some(Signed::Body) => {
                add(
                    "x-signature",
                    format!("v1={}", hex(sign(hmac::HMAC_SHA256, &[body]))),
                );
                add("x-timestamp", seconds);
            }
            Some(Signed::TimestampDotBody) => {
                let code = sign(hmac::HMAC_SHA512, &[seconds.as_bytes(), b".", body]);
                add(
                    "x-signature",
                    format!("v1={}", BASE64_STANDARD.encode(code)),
                );
                add("x-timestamp", seconds);
            }
            Some(Signed::BodyTimestamp) => {
                let code = sign(
                    hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                    &[body, millis.as_bytes()],
                );
                add(
                    "x-signature",
                    format!("v1={}", BASE64_URL_SAFE.encode(code)),
                );
                add("x-timestamp", millis);
            }
        },
    }
    headers
}
