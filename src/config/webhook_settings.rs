//! From `[[webhook]]` to the settings of the room `purge`.

use super::file::{self, Config};
use super::settings::token;
use crate::entry::purges::Mode;
use crate::purge::secret::Secret;
use crate::purge::template::{Template, TemplateError};
use crate::purge::webhook::condition::Condition;
use crate::purge::webhook::event::EventPattern;
use crate::purge::webhook::hmac::{HmacRule, Signed, TimestampRule, TimestampUnit};
use crate::purge::webhook::rule::{Action, Rule, UrlTemplate};
use crate::purge::webhook::settings::{Dialect, Settings};
use crate::purge::webhook::signature::{Algorithm, Encoding};
use crate::purge::webhook::token::TokenRule;
use crate::purge::webhook::{standard, strapi};

impl Config {
    /// # Errors
    /// A template or secret that its room refuses, named with its webhook.
    pub fn webhooks(&self) -> Result<Vec<Settings>, String> {
        self.webhooks
            .iter()
            .map(|webhook| {
                settings(webhook).map_err(|reason| format!("webhook `{}`: {reason}", webhook.name))
            })
            .collect()
    }
}

fn settings(webhook: &file::Webhook) -> Result<Settings, String> {
    let mut rules: Vec<Rule> = webhook
        .rules
        .iter()
        .map(rule)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if rules.is_empty() && webhook.dialect == file::Dialect::Strapi {
        rules = strapi::default_rules().map_err(|error| error.to_string())?;
    }
    Ok(Settings {
        name: webhook.name.as_str().into(),
        path: webhook.path.as_str().into(),
        dialect: dialect(webhook)?,
        tolerance: webhook.tolerance,
        body_max: webhook.body_max,
        events: None,
        delivery_header: None,
        rules,
    })
}

fn dialect(webhook: &file::Webhook) -> Result<Dialect, String> {
    let raw = || {
        webhook
            .secrets
            .iter()
            .filter_map(|secret| Secret::new(secret.expose().as_bytes()))
            .collect()
    };
    Ok(match webhook.dialect {
        file::Dialect::Standard => Dialect::Standard {
            secrets: webhook
                .secrets
                .iter()
                .map(|secret| standard::secret(secret.expose()))
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?,
        },
        file::Dialect::Hmac => Dialect::Hmac {
            rule: hmac(&webhook.hmac)?,
            secrets: raw(),
        },
        file::Dialect::Strapi => Dialect::Strapi(TokenRule {
            header: webhook.token_header.clone(),
            tokens: webhook.secrets.iter().filter_map(token).collect(),
        }),
    })
}

fn hmac(hmac: &file::Hmac) -> Result<HmacRule, String> {
    Ok(HmacRule {
        header: hmac.header.clone(),
        prefix: hmac.prefix.as_str().into(),
        encoding: match hmac.encoding {
            file::HmacEncoding::Hex => Encoding::Hex,
            file::HmacEncoding::Base64 => Encoding::Base64,
        },
        algorithm: match hmac.algorithm {
            file::HmacAlgorithm::Sha256 => Algorithm::Sha256,
            file::HmacAlgorithm::Sha1 => Algorithm::Sha1,
            file::HmacAlgorithm::Sha512 => return Err("sha512 is not spoken".to_owned()),
        },
        timestamp: hmac.timestamp_header.as_ref().map(|header| TimestampRule {
            header: header.clone(),
            unit: TimestampUnit::Seconds,
            signed: Signed::TimestampDotBody,
        }),
    })
}

fn rule(rule: &file::WebhookRule) -> Result<Rule, TemplateError> {
    let templates = |texts: &[file::Template]| {
        texts
            .iter()
            .map(|template| Template::parse(template.text()))
            .collect::<Result<Vec<_>, _>>()
    };
    let tags = templates(&rule.tags)?;
    Ok(Rule {
        events: rule
            .events
            .iter()
            .filter_map(|event| EventPattern::new(event))
            .collect(),
        when: rule
            .when
            .iter()
            .map(|(path, value)| Condition::parse(path, value))
            .collect::<Result<_, _>>()?,
        action: match rule.mode {
            file::RuleMode::Hard => Action::Purge(Mode::Hard),
            file::RuleMode::Soft => Action::Purge(Mode::Soft),
            file::RuleMode::Ignore => Action::Ignore,
        },
        urls: rule
            .urls
            .iter()
            .map(|template| UrlTemplate::url(template.text()))
            .collect::<Result<_, _>>()?,
        prefixes: rule
            .prefixes
            .iter()
            .map(|template| UrlTemplate::prefix(template.text()))
            .collect::<Result<_, _>>()?,
        hosts: templates(&rule.hosts)?,
        everything: rule.everything,
        // What a payload without a usable entry widens to: the rule's own tags without fields.
        collections: tags
            .iter()
            .filter(|template| template.is_constant())
            .cloned()
            .collect(),
        tags,
    })
}
