//! What a payload must be like for a rule to hold.

use serde_json::Value;

use crate::purge::template::{Path, TemplateError, scalar};

/// One field and what it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    path: Path,
    wanted: Wanted,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Wanted {
    Null,
    NotNull,
    Equal(Box<str>),
    NotEqual(Box<str>),
}

impl Condition {
    /// `value` is `null` (missing counts as null), `!null`, a text that the field must be, or `!`
    /// and a text that it must not be. Numbers and truth values are compared as they are written.
    ///
    /// # Errors
    /// When `path` does not lead to one value.
    pub fn parse(path: &str, value: &str) -> Result<Self, TemplateError> {
        let wanted = match (value, value.strip_prefix('!')) {
            ("null", _) => Wanted::Null,
            ("!null", _) => Wanted::NotNull,
            (_, Some(text)) => Wanted::NotEqual(text.into()),
            (text, None) => Wanted::Equal(text.into()),
        };
        Ok(Self {
            path: Path::parse_single(path)?,
            wanted,
        })
    }

    pub(super) fn holds(&self, payload: &Value) -> bool {
        let value = self.path.value(payload).filter(|value| !value.is_null());
        let is = |text: &str| value.and_then(scalar).as_deref() == Some(text);
        match &self.wanted {
            Wanted::Null => value.is_none(),
            Wanted::NotNull => value.is_some(),
            Wanted::Equal(text) => is(text),
            Wanted::NotEqual(text) => !is(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_null_or_not_or_a_text_or_not() {
        let payload = json!({"entry": {"publishedAt": null, "status": "live", "n": 3, "o": {}}});
        for (path, value, holds) in [
            ("entry.publishedAt", "null", true),
            ("entry.publishedAt", "!null", false),
            ("entry.missing", "null", true),
            ("entry.status", "!null", true),
            ("entry.o", "!null", true),
            ("entry.status", "live", true),
            ("entry.status", "draft", false),
            ("entry.status", "!draft", true),
            ("entry.missing", "!draft", true),
            ("entry.n", "3", true),
            ("entry.o", "{}", false),
        ] {
            let condition = Condition::parse(path, value).unwrap();
            assert_eq!(condition.holds(&payload), holds, "{path} {value}");
        }
        assert!(Condition::parse("a[*]", "null").is_err());
    }
}
