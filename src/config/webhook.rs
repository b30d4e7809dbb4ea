//! `[[webhook]]`: what the CMS reports when something was published, and what that purges.

use std::time::Duration;

use http::HeaderName;

use super::describe::{Presence, Sample, Style};
use super::getters::{HEADER_NAME, header_name};
use super::pattern::{PathPattern, Rest, Segment, Template};
use super::secrets::{Secret, standard};
use super::section::{Section, Wrong, default, required};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    pub name: String,
    /// Without captures.
    pub path: String,
    pub dialect: Dialect,
    /// Never empty.
    pub secrets: Vec<Secret>,
    pub tolerance: Duration,
    /// Bytes.
    pub body_max: usize,
    /// Dialect `hmac` only.
    pub hmac: Hmac,
    /// Dialect `strapi` only.
    pub token_header: HeaderName,
    pub rules: Vec<WebhookRule>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    Standard,
    Hmac,
    Strapi,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hmac {
    pub header: HeaderName,
    /// What stands before the code in the header.
    pub prefix: String,
    pub encoding: HmacEncoding,
    pub algorithm: HmacAlgorithm,
    pub timestamp_header: Option<HeaderName>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HmacEncoding {
    Hex,
    Base64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HmacAlgorithm {
    Sha256,
    Sha1,
    Sha512,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookRule {
    /// Exact, or with a `*`.
    pub events: Vec<String>,
    pub mode: RuleMode,
    pub tags: Vec<Template>,
    pub urls: Vec<Template>,
    pub prefixes: Vec<Template>,
    pub hosts: Vec<Template>,
    pub everything: bool,
    /// Payload path → required value.
    pub when: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RuleMode {
    Hard,
    Soft,
    Ignore,
}

const WEBHOOK: &str = "An address on the public listeners that a CMS calls when something was \
    published.";

/// In the order of the file.
pub(super) fn webhooks(parent: &Section<'_>) -> Vec<Webhook> {
    let sections = parent.array("webhook", Style::OptionalArray, WEBHOOK);
    sections.iter().map(read).collect()
}

fn read(s: &Section<'_>) -> Webhook {
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
    let dialect = dialect(s);
    let strong = match dialect {
        Dialect::Standard => standard,
        Dialect::Hmac | Dialect::Strapi => |_: &Secret| Ok(()),
    };
    let secrets = s.secrets(
        "secrets",
        &["env:DEMO_WEBHOOK_SECRET"],
        "What the CMS signs with (strapi: the value of its header). Several while one replaces \
         the other. For \"standard\" \"whsec_\" and base64 of at least 24 bytes.",
        strong,
    );
    let (tolerance, body_max) = limits(s);
    let token_header = token_header(s, dialect);
    let hmac = hmac(s, dialect);
    let rules = rules(s);
    Webhook {
        name: name.unwrap_or_default(),
        path: path.unwrap_or_default(),
        dialect,
        secrets,
        tolerance,
        body_max,
        hmac,
        token_header,
        rules,
    }
}

fn fixed_path(text: &str) -> Result<String, Wrong> {
    let pattern = PathPattern::parse(text).map_err(Wrong::because)?;
    let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    if *pattern.rest() != Rest::Nothing || !pattern.segments().iter().all(is_literal) {
        return Err(Wrong::because("it matches more than one path"));
    }
    if text == "/" {
        return Err(Wrong::because("it would hide the front page"));
    }
    Ok(text.to_owned())
}

fn dialect(s: &Section<'_>) -> Dialect {
    let dialects = [
        ("standard", Dialect::Standard),
        ("hmac", Dialect::Hmac),
        ("strapi", Dialect::Strapi),
    ];
    s.choice(
        "dialect",
        Dialect::Standard,
        &dialects,
        "How the CMS proves who it is: Standard Webhooks, a code over the body in a header, or a \
         fixed token in a header, which proves least.",
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
        "1KiB"..="256MiB",
        "Bytes of a delivery; larger ones are answered 413. Some CMSs send whole entries, of \
         several MiB.",
    );
    (tolerance, body_max)
}

fn token_header(s: &Section<'_>, dialect: Dialect) -> HeaderName {
    let header = s.text(
        "token_header",
        Presence::Optional(Sample::Text("Authorization")),
        HEADER_NAME,
        "Dialect \"strapi\" only: the header that carries one of `secrets`. Authorization where \
         it is not set.",
        header_name,
    );
    if header.is_some() && dialect != Dialect::Strapi {
        let allowed = "no token_header, or dialect \"strapi\"";
        s.object("token_header", "a setting of dialect \"strapi\"", allowed);
    }
    header.unwrap_or(http::header::AUTHORIZATION)
}

const HMAC: &str = "Dialect \"hmac\" only: what is in which header.";

fn hmac(parent: &Section<'_>, dialect: Dialect) -> Hmac {
    let section = parent.optional_section("hmac", HMAC);
    let Some(s) = section else {
        return Hmac::default();
    };
    if dialect != Dialect::Hmac {
        let allowed = "no hmac table, or dialect \"hmac\"";
        parent.object("hmac", "settings of dialect \"hmac\"", allowed);
    }
    let standard = Hmac::default();
    let header = s.text(
        "header",
        default("X-Signature"),
        HEADER_NAME,
        "The header with the code.",
        header_name,
    );
    let prefix = s.text(
        "prefix",
        default("sha256="),
        "a text of visible characters",
        "What stands before the code, often \"\".",
        |text| {
            let visible = text.bytes().all(|b| b.is_ascii_graphic());
            visible.then(|| text.to_owned()).ok_or_else(Wrong::default)
        },
    );
    let encodings = [("hex", HmacEncoding::Hex), ("base64", HmacEncoding::Base64)];
    let algorithms = [
        ("sha256", HmacAlgorithm::Sha256),
        ("sha1", HmacAlgorithm::Sha1),
        ("sha512", HmacAlgorithm::Sha512),
    ];
    let doc = "How the code is written.";
    let encoding = s.choice("encoding", standard.encoding, &encodings, doc);
    let doc = "sha1 is for CMSs that have nothing better.";
    let algorithm = s.choice("algorithm", standard.algorithm, &algorithms, doc);
    let timestamp_header = s.text(
        "timestamp_header",
        default(""),
        "\"\", or a header name like \"X-Timestamp\"",
        "The header with the signed time. Empty: deliveries have no age, and what somebody \
         recorded can be sent again at any time.",
        |text| match text {
            "" => Ok(None),
            text => header_name(text).map(Some),
        },
    );
    Hmac {
        header: header.unwrap_or(standard.header),
        prefix: prefix.unwrap_or(standard.prefix),
        encoding,
        algorithm,
        timestamp_header: timestamp_header.flatten(),
    }
}

/// What GitHub began and most follow.
impl Default for Hmac {
    fn default() -> Self {
        Self {
            header: HeaderName::from_static("x-signature"),
            prefix: "sha256=".to_owned(),
            encoding: HmacEncoding::Hex,
            algorithm: HmacAlgorithm::Sha256,
            timestamp_header: None,
        }
    }
}

const RULE: &str = "What an event purges. \
    {path} in a text is replaced from the payload, e.g. {data.id}; a delivery that lacks it is an \
    error, never \"nothing\" and never \"everything\".";

fn rules(webhook: &Section<'_>) -> Vec<WebhookRule> {
    let sections = webhook.array("rule", Style::Array, RULE);
    let rules: Vec<WebhookRule> = sections.iter().map(rule).collect();
    if rules.is_empty() {
        let allowed = "at least one [[webhook.rule]]";
        webhook.object("rule", "no rule", allowed);
    }
    rules
}

fn rule(s: &Section<'_>) -> WebhookRule {
    let events = s.list(
        "events",
        Presence::Required(Sample::List(&["article.published", "article.unpublished"])),
        "an event like \"article.published\" or \"article.*\"",
        "The events it is for, as the CMS names them; * is any text.",
        event,
    );
    let modes = [
        ("hard", RuleMode::Hard),
        ("soft", RuleMode::Soft),
        ("ignore", RuleMode::Ignore),
    ];
    let mode = s.choice(
        "mode",
        RuleMode::Hard,
        &modes,
        "hard: nothing older is ever served again. soft: it may be served while a new one is \
         fetched. ignore: the event purges nothing.",
    );
    let none = Presence::Default(Sample::List(&[]));
    let templates = |name, presence, form, doc, is_good: fn(&str) -> bool| {
        s.list(name, presence, form, doc, |text| {
            match Template::parse(text) {
                Ok(_) if !is_good(text) => Err(Wrong::default()),
                parsed => parsed.map_err(Wrong::because),
            }
        })
    };
    let doc = "Tags, e.g. [\"article:{data.id}:{data.language}\"], and those of the lists that \
        the entry may enter or leave.";
    let form = "a tag like \"article:{data.id}\"";
    let example = &[
        "article:{data.id}:{data.language}",
        "articles:{data.language}",
    ];
    let example = Presence::Optional(Sample::List(example));
    let tags = templates("tags", example, form, doc, |_| true);
    let doc = "URLs, with all their variants.";
    let form = "a URL like \"https://www.example.org/articles/{data.slug}\"";
    let urls = templates("urls", none, form, doc, is_url);
    let doc = "Everything below a path, by whole segments.";
    let form = "a URL like \"https://www.example.org/de/\"";
    let prefixes = templates("prefixes", none, form, doc, is_url);
    let doc = "Everything of a host.";
    let hosts = templates("hosts", none, "a host like \"de.example.org\"", doc, |_| {
        true
    });
    let rule = WebhookRule {
        events,
        mode,
        tags,
        urls,
        prefixes,
        hosts,
        everything: s.boolean(
            "everything",
            false,
            "All that this namespace has stored. The CMS is asked for everything again.",
        ),
        when: when(s),
    };
    check_rule(s, &rule);
    rule
}

fn event(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::default());
    }
    Ok(text.to_owned())
}

fn is_url(text: &str) -> bool {
    let behind = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    behind.is_some_and(|behind| !behind.is_empty() && !behind.starts_with('/'))
}

fn when(s: &Section<'_>) -> Vec<(String, String)> {
    s.table_of_text(
        "when",
        Presence::Default(Sample::Table(&[])),
        ("a path in the payload", "a text, number or truth value"),
        "Conditions: paths in the payload and their values, e.g. { \"entry.publishedAt\" = \
         \"!null\" } (there, and not null). All must hold.",
        |path, value| {
            if path.split('.').any(str::is_empty) {
                return Err(Wrong {
                    found: Some(format!("the path {path:?}")),
                    allowed: Some("a path like \"entry.publishedAt\"".to_owned()),
                    ..Wrong::default()
                });
            }
            Ok((path.to_owned(), value.to_owned()))
        },
    )
}

fn check_rule(s: &Section<'_>, rule: &WebhookRule) {
    if s.is_given("events") && rule.events.is_empty() {
        s.object("events", "an empty list", "at least one event");
    }
    let keys = ["tags", "urls", "prefixes", "hosts", "everything"];
    if keys.iter().any(|key| !s.reader.is_sound(&s.path.key(key))) {
        return;
    }
    let lists = [&rule.tags, &rule.urls, &rule.prefixes, &rule.hosts];
    let purges = rule.everything || lists.iter().any(|list| !list.is_empty());
    if rule.mode == RuleMode::Ignore && purges {
        let allowed = "a rule with mode \"ignore\" names nothing to purge";
        s.object(
            "mode",
            "\"ignore\" in a rule that names something to purge",
            allowed,
        );
    }
    if rule.mode != RuleMode::Ignore && !purges {
        let allowed = "at least one of tags, urls, prefixes, hosts, or everything = true";
        s.reader
            .object(&s.path, "a rule that purges nothing", allowed);
    }
}
