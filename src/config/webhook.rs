//! `[[webhook]]`: what the CMS reports when something was published, and how it proves who it is.

use std::time::Duration;

use http::HeaderName;

use super::describe::{Presence, Sample, Style};
use super::getters::{HEADER_NAME, header_name};
use super::secrets::Secret as Text;
use super::section::{Section, Wrong, default, required};
use super::webhook_rule::rules;
use crate::purge::secret::{Secret, Token};
use crate::purge::template::Path;
use crate::purge::webhook::event::EventSource;
use crate::purge::webhook::hmac::{HmacRule, Signed, TimestampRule, TimestampUnit};
use crate::purge::webhook::settings::{Dialect, Settings};
use crate::purge::webhook::signature::{Algorithm, Encoding};
use crate::purge::webhook::standard;
use crate::purge::webhook::token::TokenRule;
use crate::route::PathPattern;

/// What `dialect` says.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Kind {
    Standard,
    Hmac,
    Strapi,
    Token,
}

const WEBHOOK: &str = "An address on the public listeners that a CMS calls when something was \
    published.";

/// In the order of the file.
pub(super) fn webhooks(parent: &Section<'_>) -> Vec<Settings> {
    let sections = parent.array("webhook", Style::OptionalArray, WEBHOOK);
    sections.iter().map(read).collect()
}

fn read(s: &Section<'_>) -> Settings {
    let name = s.text(
        "name",
        required("demo"),
        super::NAME,
        "What logs and metrics call it. Unique.",
        super::name,
    );
    let path = s.text(
        "path",
        required("/_cms-edge/webhook/demo"),
        "a path like \"/_cms-edge/webhook/demo\", without captures",
        "The path that the CMS calls, on every host. No route sees it.",
        fixed_path,
    );
    let kind = kind(s);
    let secrets = secrets(s, kind);
    let (tolerance, body_max) = limits(s);
    let token_header = token_header(s, kind);
    let events = events(s);
    let delivery_header = delivery_header(s, kind);
    let hmac = hmac(s, kind);
    Settings {
        name: name.unwrap_or_default().into(),
        path: path.unwrap_or_default(),
        dialect: dialect(kind, &secrets, hmac, token_header),
        tolerance,
        body_max,
        events,
        delivery_header,
        rules: rules(s, kind),
    }
}

fn fixed_path(text: &str) -> Result<Box<str>, Wrong> {
    let pattern = PathPattern::parse(text).map_err(|error| Wrong::because(error.to_string()))?;
    if pattern.is_open() || pattern.names().next().is_some() {
        return Err(Wrong::because("it matches more than one path"));
    }
    if text == "/" {
        return Err(Wrong::because("it would hide the front page"));
    }
    Ok(text.into())
}

fn kind(s: &Section<'_>) -> Kind {
    let kinds = [
        ("standard", Kind::Standard),
        ("hmac", Kind::Hmac),
        ("strapi", Kind::Strapi),
        ("token", Kind::Token),
    ];
    s.choice(
        "dialect",
        Kind::Standard,
        &kinds,
        "How the CMS proves who it is: \"standard\" is Standard Webhooks, \"hmac\" a code over the \
         body in a header, \"token\" a fixed token in a header, which proves least (Directus flows, \
         ButterCMS), \"strapi\" the same with Strapi's events and rules.",
    )
}

fn secrets(s: &Section<'_>, kind: Kind) -> Vec<Text> {
    let strong = match kind {
        Kind::Standard => |text: &str| standard::secret(text).err().map(|why| why.to_string()),
        Kind::Hmac | Kind::Strapi | Kind::Token => |_: &str| None,
    };
    s.secrets(
        "secrets",
        &["env:DEMO_WEBHOOK_SECRET"],
        "What the CMS signs with (strapi, token: the value of its header). Several while one \
         replaces the other. For \"standard\" \"whsec_\" and base64 of at least 24 bytes.",
        strong,
    )
}

fn limits(s: &Section<'_>) -> (Duration, usize) {
    let tolerance = s.duration(
        "tolerance",
        "5m",
        "1s"..="24h",
        "How old (or early) a signed time may be. Short: a CMS whose clock is off is refused. \
         Long: what somebody recorded can be sent again for longer.",
    );
    let body_max = s.size(
        "body_max",
        "16MiB",
        "1KiB"..="128MiB",
        "Bytes of a delivery; larger ones are answered 413. Some CMSs send whole entries, of \
         several MiB.",
    );
    (tolerance, body_max)
}

fn token_header(s: &Section<'_>, kind: Kind) -> HeaderName {
    let header = s.text(
        "token_header",
        Presence::Optional(Sample::Text("Authorization")),
        HEADER_NAME,
        "Dialects \"strapi\" and \"token\" only: the header that carries one of `secrets`, with or \
         without \"Bearer\". Authorization where it is not set.",
        header_name,
    );
    if header.is_some() && !matches!(kind, Kind::Strapi | Kind::Token) {
        s.object(
            "token_header",
            "a setting of dialects \"strapi\" and \"token\"",
            "no token_header, or dialect \"strapi\" or \"token\"",
        );
    }
    header.unwrap_or(http::header::AUTHORIZATION)
}

fn events(s: &Section<'_>) -> Option<EventSource> {
    let path = s.text(
        "event_path",
        default(""),
        "\"\", or a path in the payload like \"type\" or \"data.event\"",
        "Where the payload names the event. Empty, with no event_header: where the dialect has it \
         (\"type\" in standard, \"event\" or \"type\" in hmac and token, \"event\" or X-Strapi-Event in \
         strapi).",
        |text| match text {
            "" => Ok(None),
            text => Path::parse_single(text)
                .map(Some)
                .map_err(|error| Wrong::because(error.to_string())),
        },
    );
    let header = optional_header(
        s,
        "event_header",
        default(""),
        "The header that names the event where the payload does not, e.g. X-GitHub-Event. Few \
         CMSs sign it: who changes it on the way chooses among the rules.",
    );
    let path = path.flatten();
    (path.is_some() || header.is_some()).then(|| EventSource {
        paths: path.into_iter().collect(),
        header,
    })
}

fn delivery_header(s: &Section<'_>, kind: Kind) -> Option<HeaderName> {
    let header = optional_header(
        s,
        "delivery_header",
        default(""),
        "The header that names the delivery, e.g. X-GitHub-Delivery: a second one of that name \
         and body purges nothing and is answered like the first. Empty: every delivery counts. \
         Dialect \"standard\" has its own.",
    );
    if header.is_some() && kind == Kind::Standard {
        s.object(
            "delivery_header",
            "a header beside webhook-id, which dialect \"standard\" has",
            "\"\", or another dialect",
        );
    }
    header
}

const HMAC: &str = "Dialect \"hmac\" only: what is in which header.";

fn hmac(parent: &Section<'_>, kind: Kind) -> HmacRule {
    let Some(s) = parent.optional_section("hmac", HMAC) else {
        return HmacRule {
            header: SIGNATURE,
            prefix: PREFIX.into(),
            encoding: Encoding::Hex,
            algorithm: Algorithm::Sha256,
            timestamp: None,
        };
    };
    if kind != Kind::Hmac {
        let allowed = "no hmac table, or dialect \"hmac\"";
        parent.object("hmac", "settings of dialect \"hmac\"", allowed);
    }
    let header = s.text(
        "header",
        default("X-Signature"),
        HEADER_NAME,
        "The header with the code.",
        header_name,
    );
    let prefix = s.text(
        "prefix",
        default(PREFIX),
        "a text of visible characters",
        "What stands before the code, often \"\".",
        |text| {
            let visible = text.bytes().all(|b| b.is_ascii_graphic());
            visible.then(|| text.into()).ok_or_else(Wrong::default)
        },
    );
    let encodings = [
        ("hex", Encoding::Hex),
        ("base64", Encoding::Base64),
        ("base64url", Encoding::Base64Url),
    ];
    let algorithms = [
        ("sha256", Algorithm::Sha256),
        ("sha1", Algorithm::Sha1),
        ("sha512", Algorithm::Sha512),
    ];
    HmacRule {
        header: header.unwrap_or(SIGNATURE),
        prefix: prefix.unwrap_or_default(),
        encoding: s.choice(
            "encoding",
            Encoding::Hex,
            &encodings,
            "How the code is written. Base64 may have its padding or not.",
        ),
        algorithm: s.choice(
            "algorithm",
            Algorithm::Sha256,
            &algorithms,
            "sha1 is for CMSs that have nothing better.",
        ),
        timestamp: timestamp(&s),
    }
}

/// What GitHub began and most follow.
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const PREFIX: &str = "sha256=";

fn timestamp(s: &Section<'_>) -> Option<TimestampRule> {
    let header = optional_header(
        s,
        "timestamp_header",
        Presence::Optional(Sample::Text("X-Timestamp")),
        "The header with the signed time. Without it deliveries have no age, and what somebody \
         recorded can be sent again at any time.",
    );
    let units = [
        ("s", TimestampUnit::Seconds),
        ("ms", TimestampUnit::Milliseconds),
    ];
    let doc = "What that time counts since 1970.";
    let unit = s.choice("timestamp_unit", TimestampUnit::Seconds, &units, doc);
    let forms = [
        ("body", Signed::Body),
        ("timestamp.body", Signed::TimestampDotBody),
        ("body+timestamp", Signed::BodyTimestamp),
    ];
    let signed = s.choice(
        "signed",
        Signed::TimestampDotBody,
        &forms,
        "What the code is made over, where there is a timestamp_header; the body alone otherwise. \
         \"body\": who sends a recorded delivery again can give it another time.",
    );
    let Some(header) = header else {
        for key in ["timestamp_unit", "signed"] {
            if s.is_given(key) {
                let allowed = "a timestamp_header beside it, or nothing";
                s.object(key, "a setting of timestamp_header", allowed);
            }
        }
        return None;
    };
    Some(TimestampRule {
        header,
        unit,
        signed,
    })
}

/// "" is none.
fn optional_header(
    s: &Section<'_>,
    name: &'static str,
    presence: Presence,
    doc: &'static str,
) -> Option<HeaderName> {
    let form = "\"\", or a header name like \"X-Token\"";
    let taken = s.text(name, presence, form, doc, |text| match text {
        "" => Ok(None),
        text => header_name(text).map(Some),
    });
    taken.flatten()
}

fn dialect(kind: Kind, secrets: &[Text], hmac: HmacRule, header: HeaderName) -> Dialect {
    let texts = || secrets.iter().map(Text::expose);
    let token = || TokenRule {
        header: header.clone(),
        tokens: texts().filter_map(Token::new).collect(),
    };
    match kind {
        Kind::Standard => Dialect::Standard {
            secrets: texts()
                .filter_map(|text| standard::secret(text).ok())
                .collect(),
        },
        Kind::Hmac => Dialect::Hmac {
            rule: hmac,
            secrets: texts()
                .filter_map(|text| Secret::new(text.as_bytes()))
                .collect(),
        },
        Kind::Strapi => Dialect::Strapi(token()),
        Kind::Token => Dialect::Token(token()),
    }
}
