//! What an operator says about a webhook, checked.

use std::time::Duration;

use http::header::HeaderName;
use thiserror::Error;

use super::event::EventSource;
use super::hmac::HmacRule;
use super::rule::{Action, Rule};
use super::strapi;
use super::token::TokenRule;
use crate::purge::secret::Secret;
use crate::purge::template::{Path, TemplateError};

/// One webhook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names it in logs, metrics and delivery ids.
    pub name: Box<str>,
    /// On the public listeners; compared as it is.
    pub path: Box<str>,
    pub dialect: Dialect,
    /// How far a delivery's timestamp may be from now, either way.
    pub tolerance: Duration,
    /// Bytes of a body.
    pub body_max: usize,
    /// Where the event's name is; `None`: where the dialect has it.
    pub events: Option<EventSource>,
    /// Names the delivery where the dialect does not, such as `X-GitHub-Delivery`.
    pub delivery_header: Option<HeaderName>,
    /// Empty: those of the dialect, which only Strapi has.
    pub rules: Vec<Rule>,
}

/// How a sender proves who it is.
#[derive(Clone, Debug)]
pub enum Dialect {
    Standard {
        secrets: Vec<Secret>,
    },
    Hmac {
        rule: HmacRule,
        secrets: Vec<Secret>,
    },
    Strapi(TokenRule),
    Token(TokenRule),
}

/// A webhook that cannot be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SettingsError {
    #[error("webhook `{0}` has no secret, and would believe nobody")]
    NoSecret(Box<str>),
    #[error("webhook `{0}` has no rule, and would purge nothing")]
    NoRule(Box<str>),
    #[error("rule {rule} of webhook `{name}` has no events")]
    NoEvents { name: Box<str>, rule: usize },
    #[error("rule {rule} of webhook `{name}` names nothing to purge")]
    NothingToPurge { name: Box<str>, rule: usize },
    #[error("the path `{path}` of webhook `{name}` does not begin with `/`")]
    Path { name: Box<str>, path: Box<str> },
    #[error("webhooks `{first}` and `{second}` have the same path")]
    SamePath { first: Box<str>, second: Box<str> },
    #[error("webhooks {first} and {second} have the same name `{name}`")]
    SameName {
        name: Box<str>,
        first: usize,
        second: usize,
    },
    #[error("a built-in template of the dialect: {0}")]
    BuiltIn(#[from] TemplateError),
}

impl Dialect {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Standard { .. } => "standard",
            Self::Hmac { .. } => "hmac",
            Self::Strapi(_) => "strapi",
            Self::Token(_) => "token",
        }
    }

    fn has_secret(&self) -> bool {
        match self {
            Self::Standard { secrets } | Self::Hmac { secrets, .. } => !secrets.is_empty(),
            Self::Strapi(rule) | Self::Token(rule) => !rule.tokens.is_empty(),
        }
    }

    pub(super) fn events(&self) -> Result<EventSource, TemplateError> {
        let paths: &[&str] = match self {
            Self::Strapi(_) => return strapi::events(),
            Self::Standard { .. } => &["type"],
            Self::Hmac { .. } | Self::Token(_) => &["event", "type"],
        };
        Ok(EventSource {
            paths: paths
                .iter()
                .map(|path| Path::parse_single(path))
                .collect::<Result<_, _>>()?,
            header: None,
        })
    }
}

impl Settings {
    /// Puts the dialect's rules where there are none, and finds what cannot work.
    pub(super) fn checked(mut self) -> Result<Self, SettingsError> {
        let name = || self.name.clone();
        if !self.path.starts_with('/') {
            let path = self.path.clone();
            return Err(SettingsError::Path { name: name(), path });
        }
        if !self.dialect.has_secret() {
            return Err(SettingsError::NoSecret(name()));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let rule_number = index + 1;
            if rule.events.is_empty() {
                return Err(SettingsError::NoEvents {
                    name: name(),
                    rule: rule_number,
                });
            }
            if rule.action != Action::Ignore && !rule.names_something() {
                return Err(SettingsError::NothingToPurge {
                    name: name(),
                    rule: rule_number,
                });
            }
        }
        if self.rules.is_empty() {
            if !matches!(self.dialect, Dialect::Strapi(_)) {
                return Err(SettingsError::NoRule(name()));
            }
            self.rules = strapi::default_rules()?;
        }
        Ok(self)
    }
}

/// # Errors
/// Names and paths that are not unique.
pub(super) fn unique<'a>(
    webhooks: impl Iterator<Item = &'a Settings> + Clone,
) -> Result<(), SettingsError> {
    for (second, webhook) in webhooks.clone().enumerate() {
        for (first, other) in webhooks.clone().take(second).enumerate() {
            if webhook.name == other.name {
                return Err(SettingsError::SameName {
                    name: webhook.name.clone(),
                    first: first + 1,
                    second: second + 1,
                });
            }
            if webhook.path == other.path {
                return Err(SettingsError::SamePath {
                    first: other.name.clone(),
                    second: webhook.name.clone(),
                });
            }
        }
    }
    Ok(())
}
