//! What is known of every key: the record from which `proxy.toml` is written, and whatever else
//! wants to know the keys without reading a file.

use figment::value::{Dict, Value};

/// All sections and keys, in the order in which they are read.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub sections: Vec<SectionRecord>,
}

#[derive(Clone, Debug)]
pub struct SectionRecord {
    /// Table names from the top; empty for the top itself. Below [`Style::Named`] the last one is
    /// an example.
    pub path: Vec<String>,
    pub style: Style,
    pub doc: &'static str,
    pub keys: Vec<KeyRecord>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// `[server]`: always there, with its defaults where the file does not name it.
    Table,
    /// `[route.language]`: may be left out, and then means that the thing is off.
    Optional,
    /// `[upstream.NAME]`: any number, each with a name of the operator's choice.
    Named,
    /// `[[route]]`: any number, in the order of the file.
    Array,
    /// `[[certificate]]`: like `Array`, and none is needed.
    OptionalArray,
}

#[derive(Clone, Debug)]
pub struct KeyRecord {
    pub name: &'static str,
    pub kind: Kind,
    pub presence: Presence,
    /// What it is for, and the consequence at either end.
    pub doc: &'static str,
}

/// What a value may be.
#[derive(Clone, Debug)]
pub enum Kind {
    Boolean,
    Integer {
        min: u64,
        max: u64,
    },
    /// `or_empty`: "" is allowed and means "not set".
    Duration {
        min: &'static str,
        max: &'static str,
        or_empty: bool,
    },
    Size {
        min: &'static str,
        max: &'static str,
    },
    Choice(Vec<&'static str>),
    /// A text of the form that the sentence names.
    Text(&'static str),
    /// A text that is never shown.
    Secret(&'static str),
    List(Box<Self>),
    /// A table with keys of the operator's choice.
    Table {
        keys: &'static str,
        values: Box<Self>,
    },
}

/// What holds where the file does not name the key.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    Default(Sample),
    /// The key must be given; the sample is an example.
    Required(Sample),
    /// The key, or another of this name in its place, must be given; the sample is an example.
    Either(Sample, &'static str),
    /// The key may be left out; the sample is an example.
    Optional(Sample),
}

/// A value as it stands in the source.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    Boolean(bool),
    Integer(u64),
    Text(&'static str),
    List(&'static [&'static str]),
    Table(&'static [(&'static str, Self)]),
}

impl Kind {
    /// What is allowed, as the end of a sentence.
    pub fn allowed(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration { min, max, or_empty } => {
                let empty = if *or_empty { "\"\", or " } else { "" };
                format!("{empty}a duration from \"{min}\" to \"{max}\"")
            }
            Self::Size { min, max } => format!("a size from \"{min}\" to \"{max}\""),
            Self::Choice(words) => one_of(words),
            Self::Text(form) | Self::Secret(form) => (*form).to_owned(),
            Self::List(each) => format!("a list, each {}", each.allowed()),
            Self::Table { keys, values } => {
                format!("a table, each key {keys}, each value {}", values.allowed())
            }
        }
    }

    /// Whether values of this kind are never shown.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(each) => each.is_secret(),
            Self::Table { values, .. } => values.is_secret(),
            Self::Boolean
            | Self::Integer { .. }
            | Self::Duration { .. }
            | Self::Size { .. }
            | Self::Choice(_)
            | Self::Text(_) => false,
        }
    }
}

/// `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

impl Sample {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Boolean(truth) => Value::from(truth),
            Self::Integer(number) => Value::from(number),
            Self::Text(text) => Value::from(text),
            Self::List(texts) => texts
                .iter()
                .map(|text| Value::from(*text))
                .collect::<Vec<_>>()
                .into(),
            Self::Table(entries) => entries
                .iter()
                .map(|(key, sample)| ((*key).to_owned(), sample.value()))
                .collect::<Dict>()
                .into(),
        }
    }
}

impl Presence {
    pub(super) const fn sample(self) -> Sample {
        match self {
            Self::Default(sample)
            | Self::Required(sample)
            | Self::Either(sample, _)
            | Self::Optional(sample) => sample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_reads_as_a_sentence() {
        let choice = Kind::Choice(vec!["a", "b", "c"]);
        assert_eq!(choice.allowed(), r#""a", "b" or "c""#);
        let list = Kind::List(Box::new(Kind::Text("a name")));
        assert_eq!(list.allowed(), "a list, each a name");
        let window = Kind::Duration {
            min: "0s",
            max: "1h",
            or_empty: true,
        };
        assert_eq!(window.allowed(), r#""", or a duration from "0s" to "1h""#);
    }
}
