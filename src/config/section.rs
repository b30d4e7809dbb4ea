//! One table of the settings. Its getters never stop at a mistake: they report it, answer with the
//! default, and reading goes on. While describing they record what is asked for instead.
//!
//! When a section goes out of scope, every key that was not asked for is a mistake.

use std::cell::{Cell, RefCell};

use figment::value::{Dict, Value};

use super::describe::{KeyRecord, Kind, Presence, Sample, SectionRecord, Style};
use super::environment::PREFIX;
use super::key_path::KeyPath;
use super::mistake::nearest;
use super::reader::Reader;

/// How many tables of one kind a file may have: routes are compared with each other.
const TABLES_MAX: usize = 1000;

pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader,
    pub(super) path: KeyPath,
    /// The path in the record: without indices.
    names: Vec<String>,
    values: Option<&'r Dict>,
    known: RefCell<Vec<&'static str>>,
    /// Whether keys of the operator's choice are allowed.
    open: Cell<bool>,
}

/// Why a value is refused, beyond what its [`Kind`] says.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    /// What was found, where the value itself must or need not be shown.
    pub(super) found: Option<String>,
    /// Shown after the value, in parentheses.
    pub(super) because: Option<String>,
    pub(super) allowed: Option<String>,
    pub(super) meant: Option<String>,
}

impl Wrong {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self {
            because: Some(why.into()),
            ..Self::default()
        }
    }
}

/// What a getter asks for.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    pub(super) doc: &'static str,
}

impl<'r> Section<'r> {
    pub(super) fn root(reader: &'r Reader, values: &'r Dict) -> Self {
        let root = Self::new(reader, KeyPath::root(), Vec::new(), Some(values));
        root.describe(Style::Table, "");
        root
    }

    /// A table that is always there; without a line of its own in the file it has its defaults.
    pub(super) fn section(&self, key: &'static str, doc: &'static str) -> Self {
        self.table(key, Style::Table, doc)
    }

    /// A table that switches something on by being there.
    pub(super) fn optional_section(&self, key: &'static str, doc: &'static str) -> Option<Self> {
        let section = self.table(key, Style::Optional, doc);
        let is_there = section.values.is_some() || self.reader.is_describing();
        is_there.then_some(section)
    }

    /// Tables in the order of the file. Every element that the file has gives a section, so that
    /// the position in the answer is the index in the file.
    pub(super) fn array(&self, key: &'static str, style: Style, doc: &'static str) -> Vec<Self> {
        self.know(key);
        let path = self.path.key(key);
        if self.reader.is_describing() {
            let one = self.child(key, path.index(0), None);
            one.describe(style, doc);
            return vec![one];
        }
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(list) = value.as_array() else {
            self.refuse_shape(&path, value, format!("tables that begin with [[{key}]]"));
            return Vec::new();
        };
        if list.len() > TABLES_MAX {
            let found = format!("{} tables", list.len());
            let allowed = format!("at most {TABLES_MAX} tables");
            self.reader.report(&path, found, allowed, None);
        }
        list.iter()
            .take(TABLES_MAX)
            .enumerate()
            .map(|(index, value)| {
                let path = path.index(index);
                let values = value.as_dict();
                if values.is_none() {
                    self.refuse_shape(&path, value, "a table".to_owned());
                }
                self.child(key, path, values)
            })
            .collect()
    }

    /// `[key.NAME]` tables, in the order of their names.
    pub(super) fn named_sections(
        &self,
        key: &'static str,
        example: &'static str,
        doc: &'static str,
    ) -> Vec<(String, Self)> {
        self.know(key);
        let path = self.path.key(key);
        if self.reader.is_describing() {
            let mut one = self.child(key, path.key(example), None);
            one.names.push(example.to_owned());
            one.describe(Style::Named, doc);
            return vec![(example.to_owned(), one)];
        }
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(tables) = value.as_dict() else {
            self.refuse_shape(&path, value, format!("tables like [{key}.{example}]"));
            return Vec::new();
        };
        tables
            .iter()
            .map(|(name, value)| {
                let path = path.key(name);
                let values = value.as_dict();
                if values.is_none() {
                    self.refuse_shape(&path, value, format!("a table like [{key}.{example}]"));
                }
                (name.clone(), self.child(key, path, values))
            })
            .collect()
    }

    /// The value of a key, or what its default says; `None` where there is neither or where both
    /// are refused.
    pub(super) fn take<T>(
        &self,
        key: Key,
        parse: impl Fn(&Value, &KeyPath) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.know(key.name);
        let path = self.path.key(key.name);
        let given = match self.value(key.name) {
            Some(value) => match parse(value, &path) {
                Ok(parsed) => Some(parsed),
                Err(wrong) => {
                    self.refuse(&path, value, &key.kind, wrong);
                    None
                }
            },
            None => {
                self.refuse_lack(&path, &key);
                None
            }
        };
        let taken = match (given, key.presence) {
            (None, Presence::Default(sample)) => parse(&sample.value(), &path).ok(),
            (given, _) => given,
        };
        self.reader.describe_key(
            &self.names,
            KeyRecord {
                name: key.name,
                kind: key.kind,
                presence: key.presence,
                doc: key.doc,
            },
        );
        taken
    }

    /// Allows keys of the operator's choice and gives those that no getter asked for so far.
    pub(super) fn rest(&self) -> Vec<(&'r str, &'r Value)> {
        self.open.set(true);
        let known = self.known.borrow();
        let values = self.values.into_iter().flatten();
        values
            .map(|(key, value)| (key.as_str(), value))
            .filter(|(key, _)| !known.contains(key))
            .collect()
    }

    /// A mistake about a value that could be read.
    pub(super) fn object(&self, key: &str, found: &str, allowed: &str) {
        if !self.reader.is_describing() {
            self.reader.object(&self.path.key(key), found, allowed);
        }
    }

    pub(super) fn is_given(&self, key: &str) -> bool {
        self.values.is_some_and(|values| values.contains_key(key))
    }

    pub(super) fn is_empty_text(&self, key: &str) -> bool {
        let value = self.values.and_then(|values| values.get(key));
        value.and_then(Value::as_str) == Some("")
    }

    /// Whether a variable gives it.
    pub(super) fn is_by_variable(&self, key: &str) -> bool {
        let value = self.values.and_then(|values| values.get(key));
        value.is_some_and(|value| self.reader.variable(value).is_some())
    }

    /// Reports a value of the wrong form.
    pub(super) fn refuse(&self, path: &KeyPath, value: &Value, kind: &Kind, wrong: Wrong) {
        let mut found = wrong.found.unwrap_or_else(|| {
            if kind.is_secret() {
                hidden(value)
            } else {
                shown(value)
            }
        });
        if let Some(why) = wrong.because {
            found = format!("{found} ({why})");
        }
        let allowed = wrong.allowed.unwrap_or_else(|| kind.allowed());
        self.reader.report(path, found, allowed, wrong.meant);
    }

    fn new(
        reader: &'r Reader,
        path: KeyPath,
        names: Vec<String>,
        values: Option<&'r Dict>,
    ) -> Self {
        Self {
            reader,
            path,
            names,
            values,
            known: RefCell::default(),
            open: Cell::new(false),
        }
    }

    fn child(&self, key: &str, path: KeyPath, values: Option<&'r Dict>) -> Self {
        let mut names = self.names.clone();
        names.push(key.to_owned());
        Self::new(self.reader, path, names, values)
    }

    fn table(&self, key: &'static str, style: Style, doc: &'static str) -> Self {
        self.know(key);
        let path = self.path.key(key);
        let value = self.value(key);
        let values = value.and_then(Value::as_dict);
        if let (Some(value), None) = (value, values) {
            self.refuse_shape(&path, value, "a table".to_owned());
        }
        let section = self.child(key, path, values);
        section.describe(style, doc);
        section
    }

    fn value(&self, key: &str) -> Option<&'r Value> {
        self.values?.get(key)
    }

    fn know(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
    }

    fn describe(&self, style: Style, doc: &'static str) {
        self.reader.describe_section(SectionRecord {
            path: self.names.clone(),
            style,
            doc,
            keys: Vec::new(),
        });
    }

    fn refuse_shape(&self, path: &KeyPath, value: &Value, allowed: String) {
        self.reader.report(path, hidden(value), allowed, None);
    }

    /// A section that is there only for its defaults, or that is itself a mistake, lacks nothing.
    fn refuse_lack(&self, path: &KeyPath, key: &Key) {
        let is_required = match key.presence {
            Presence::Required(_) => true,
            Presence::Either(_, other) => !self.is_given(other),
            Presence::Default(_) | Presence::Optional(_) => false,
        };
        if is_required && self.values.is_some() {
            let found = "nothing".to_owned();
            self.reader.report(path, found, key.kind.allowed(), None);
        }
    }

    fn refuse_unknown(&self, key: &str, value: &Value) {
        let known = self.known.borrow();
        let path = self.path.key(key);
        let meant = nearest(key, known.iter().copied()).map(|near| {
            let variable = self.reader.variable(value);
            let variable = variable.and_then(|_| self.path.key(near).variable(PREFIX));
            variable.unwrap_or_else(|| format!("\"{near}\""))
        });
        let found = "an unknown key".to_owned();
        self.reader.report(&path, found, known.join(", "), meant);
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.open.get() {
            return;
        }
        for (key, value) in self.values.into_iter().flatten() {
            if !self.known.borrow().contains(&key.as_str()) {
                self.refuse_unknown(key, value);
            }
        }
    }
}

/// What a default, an example or the requirement of a key is made of.
pub(super) const fn required(example: &'static str) -> Presence {
    Presence::Required(Sample::Text(example))
}

pub(super) const fn default(text: &'static str) -> Presence {
    Presence::Default(Sample::Text(text))
}

/// Longest piece of a value that is shown, in characters.
const SHOWN_MAX: usize = 80;

/// A value as it is shown to people.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => quoted(text),
        Value::Char(_, c) => quoted(&c.to_string()),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => {
            let whole = number.to_i128().map(|number| number.to_string());
            let whole = whole.or_else(|| number.to_u128().map(|number| number.to_string()));
            let float = || number.to_f64().map(|number| number.to_string());
            whole
                .or_else(float)
                .unwrap_or_else(|| "a number".to_owned())
        }
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(_, list) => match list.as_slice() {
            [] => "an empty list".to_owned(),
            [_] => "a list of one value".to_owned(),
            more => format!("a list of {} values", more.len()),
        },
    }
}

/// A value without what is in it.
pub(super) fn hidden(value: &Value) -> String {
    match value {
        Value::String(_, text) => hidden_text(text),
        Value::Char(..) => hidden_text("-"),
        Value::Bool(..) => "true or false".to_owned(),
        Value::Num(..) => "a number".to_owned(),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => shown(value),
    }
}

pub(super) fn hidden_text(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty text".to_owned(),
        1 => "a text of 1 character".to_owned(),
        count => format!("a text of {count} characters"),
    }
}

pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or(text)),
        None => format!("{text:?}"),
    }
}
