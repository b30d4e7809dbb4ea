//! The text of the file: its values, and the line of each.

use std::collections::BTreeMap;
use std::ops::Range;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use toml_edit::{Array, ArrayOfTables, Document, Item, TableLike, Value as TomlValue};

use super::key_path::KeyPath;
use super::mistake::Problem;

/// The file after parsing: what figment merges, and the line where each value stands.
pub(super) struct Text {
    values: Dict,
    lines: BTreeMap<KeyPath, usize>,
}

/// Where the text stops being TOML, and why.
pub(super) struct SyntaxError {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) problem: Problem,
}

impl Text {
    /// Values and lines come from one parser, so that a file cannot be right for one of two.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let document = Document::parse(text).map_err(|error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            // The message alone: the parser's full text quotes the line, which may hold a secret.
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            SyntaxError {
                line,
                problem: Problem::Syntax { column, message },
            }
        })?;
        let mut walk = Walk {
            starts: line_starts(text),
            lines: BTreeMap::new(),
        };
        let values = walk.table(&KeyPath::root(), document.as_table());
        Ok(Self {
            values,
            lines: walk.lines,
        })
    }

    /// Counted from 1.
    pub(super) fn line(&self, path: &KeyPath) -> Option<usize> {
        self.lines.get(path).copied()
    }

    pub(super) fn values(&self) -> &Dict {
        &self.values
    }
}

impl Provider for &Text {
    fn metadata(&self) -> Metadata {
        Metadata::named("file")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

struct Walk {
    /// The offset of the first byte of every line.
    starts: Vec<usize>,
    lines: BTreeMap<KeyPath, usize>,
}

impl Walk {
    fn table(&mut self, path: &KeyPath, table: &dyn TableLike) -> Dict {
        let mut values = Dict::new();
        for (name, item) in table.iter() {
            let path = path.key(name);
            let key = table.key(name).and_then(|key| key.span());
            // A table that is only named in the headers of others stands where its first does.
            self.note(&path, key.or_else(|| item.span()));
            if let Some(value) = self.item(&path, item) {
                values.insert(name.to_owned(), value);
            }
        }
        values
    }

    fn item(&mut self, path: &KeyPath, item: &Item) -> Option<Value> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(path, value)),
            Item::Table(table) => {
                self.note(path, table.span());
                Some(Value::from(self.table(path, table)))
            }
            Item::ArrayOfTables(tables) => Some(self.tables(path, tables)),
        }
    }

    fn tables(&mut self, path: &KeyPath, tables: &ArrayOfTables) -> Value {
        let mut values = Vec::with_capacity(tables.len());
        for (index, table) in tables.iter().enumerate() {
            let path = path.index(index);
            self.note(&path, table.span());
            values.push(Value::from(self.table(&path, table)));
        }
        Value::from(values)
    }

    fn value(&mut self, path: &KeyPath, value: &TomlValue) -> Value {
        match value {
            TomlValue::String(text) => Value::from(text.value().as_str()),
            TomlValue::Integer(number) => Value::from(*number.value()),
            TomlValue::Float(number) => Value::from(*number.value()),
            TomlValue::Boolean(truth) => Value::from(*truth.value()),
            // No setting is a date; as a text it is refused where it stands.
            TomlValue::Datetime(date) => Value::from(date.value().to_string()),
            TomlValue::Array(array) => self.array(path, array),
            TomlValue::InlineTable(table) => Value::from(self.table(path, table)),
        }
    }

    fn array(&mut self, path: &KeyPath, array: &Array) -> Value {
        let mut values = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let path = path.index(index);
            self.note(&path, value.span());
            values.push(self.value(&path, value));
        }
        Value::from(values)
    }

    fn note(&mut self, path: &KeyPath, span: Option<Range<usize>>) {
        if let Some(span) = span {
            let line = self.starts.partition_point(|start| *start <= span.start);
            self.lines.insert(path.clone(), line);
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after_newlines).collect()
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count());
    (line, column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text =
            "a = 1\n\n[b.c]\nd = [\n  1,\n  2,\n]\n[[e]]\nf = 1\n[[e]]\nf.g = 1\nh = { i = 2 }\n";
        let parsed = Text::parse(text).map_err(|error| error.problem).unwrap();
        let root = KeyPath::root();
        let line = |path: &KeyPath| parsed.line(path);
        assert_eq!(line(&root.key("a")), Some(1));
        assert_eq!(line(&root.key("b").key("c")), Some(3));
        assert_eq!(line(&root.key("b").key("c").key("d")), Some(4));
        assert_eq!(line(&root.key("b").key("c").key("d").index(1)), Some(6));
        assert_eq!(line(&root.key("e").index(1)), Some(10));
        let second = root.key("e").index(1);
        assert_eq!(line(&second.key("f").key("g")), Some(11));
        assert_eq!(line(&second.key("h").key("i")), Some(12));
    }

    #[test]
    fn text_that_is_not_toml_is_placed_and_not_quoted() {
        let error = Text::parse("a = 1\nsecret = \"abc\n").err().unwrap();
        assert_eq!(error.line, 2);
        assert!(!format!("{:?}", error.problem).contains("abc"));
    }
}
