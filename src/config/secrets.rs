//! Tokens and shared secrets: where they come from, and how weak they may be.

use std::fmt;
use std::io::Read;
use std::path::Path;

use figment::value::Value;

use super::describe::{Kind, Presence, Sample};
use super::section::{Key, Section, Wrong, hidden_text, quoted};
use crate::purge::secret::Token;

/// Fewer characters can be guessed.
const SECRET_CHARACTERS_MIN: usize = 16;

/// A file with a secret is a line, not a book.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A text that is never printed.
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

const TOKEN: &str = "\"\", a text of at least 16 characters, \"env:NAME\" or \"file:/path\"";
const SECRET: &str = "a text of at least 16 characters, \"env:NAME\" or \"file:/path\"";

impl Section<'_> {
    /// "" means that there is none.
    pub(super) fn token(&self, name: &'static str, doc: &'static str) -> Option<Token> {
        let key = Key {
            name,
            kind: Kind::Secret(TOKEN),
            presence: Presence::Default(Sample::Text("")),
            doc,
        };
        let taken = self.take(key, |value, _| {
            match value.as_str().ok_or_else(Wrong::default)? {
                "" => Ok(None),
                text => self.resolve(text).and_then(long_enough).map(Some),
            }
        });
        Token::new(taken.flatten()?.expose())
    }

    /// At least one secret, each long enough and such that `strong` has nothing to say against it.
    pub(super) fn secrets(
        &self,
        name: &'static str,
        example: &'static [&'static str],
        doc: &'static str,
        strong: fn(&str) -> Option<String>,
    ) -> Vec<Secret> {
        let each = Kind::Secret(SECRET);
        let key = Key {
            name,
            kind: Kind::List(Box::new(each.clone())),
            presence: Presence::Required(Sample::List(example)),
            doc,
        };
        let taken = self.take(key, |value, path| {
            let parse = |text: &str| {
                let secret = self.resolve(text).and_then(long_enough)?;
                match strong(secret.expose()) {
                    None => Ok(secret),
                    Some(because) => Err(Wrong {
                        found: Some(hidden_text(secret.expose())),
                        because: Some(because),
                        ..Wrong::default()
                    }),
                }
            };
            match value {
                Value::Array(_, list) if list.is_empty() => Err(Wrong::default()),
                value => self.elements(value, path, &each, &parse),
            }
        });
        taken.unwrap_or_default()
    }

    /// The text itself, or what `env:NAME` or `file:/path` (for credentials that systemd or an
    /// orchestrator mounts) hold.
    pub(super) fn resolve(&self, text: &str) -> Result<String, Wrong> {
        let refuse = |why: String| Wrong {
            found: Some(format!("{} ({why})", quoted(text))),
            ..Wrong::default()
        };
        if let Some(name) = text.strip_prefix("env:") {
            let value = self.reader.environment.get(name);
            return value
                .map(|value| value.trim().to_owned())
                .ok_or_else(|| refuse("there is no such variable".to_owned()));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return secret_in(&self.reader.folder.join(path)).map_err(refuse);
        }
        Ok(text.to_owned())
    }
}

fn secret_in(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(super::reason(&error)),
    }
}

fn long_enough(text: String) -> Result<Secret, Wrong> {
    if text.chars().count() < SECRET_CHARACTERS_MIN {
        return Err(Wrong {
            found: Some(hidden_text(&text)),
            ..Wrong::default()
        });
    }
    Ok(Secret(text))
}
