//! Where a value stands in the settings: `route[1].language.hosts."de.example.org"`.

use std::fmt;

use figment::value::{Dict, Value};

/// One step from a value to one inside it. Elements of a list are counted from 0.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Key(String),
    Index(usize),
}

/// The way from the top of the file to a value.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(super) fn root() -> Self {
        Self::default()
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The path of what this value stands in; nothing above the top.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    pub(super) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The name of the variable that sets this value, if a variable can: no variable reaches into
    /// a list.
    pub(super) fn variable(&self, prefix: &str) -> Option<String> {
        let mut names = Vec::with_capacity(self.0.len());
        for step in &self.0 {
            match step {
                Step::Key(key) => names.push(key.to_ascii_uppercase()),
                Step::Index(_) => return None,
            }
        }
        Some(format!("{prefix}{}", names.join("__")))
    }

    /// The value at this path.
    pub(super) fn find<'a>(&self, values: &'a Dict) -> Option<&'a Value> {
        let (first, steps) = self.0.split_first()?;
        let Step::Key(key) = first else {
            return None;
        };
        let mut value = values.get(key)?;
        for step in steps {
            value = match (step, value) {
                (Step::Key(key), Value::Dict(_, dict)) => dict.get(key)?,
                (Step::Index(index), Value::Array(_, array)) => array.get(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    write!(f, "{dot}{}", Quoted(key))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it: bare where it may be, quoted otherwise.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !self.0.is_empty() && self.0.chars().all(bare) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_file() {
        let path = KeyPath::root().key("route").index(1).key("language");
        let path = path.key("hosts").key("de.example.org");
        assert_eq!(
            path.to_string(),
            r#"route[1].language.hosts."de.example.org""#
        );
    }

    #[test]
    fn a_path_through_a_list_has_no_variable() {
        let listen = KeyPath::root().key("admin").key("listen");
        assert_eq!(listen.variable("P_").as_deref(), Some("P_ADMIN__LISTEN"));
        assert_eq!(KeyPath::root().key("route").index(0).variable("P_"), None);
    }
}
