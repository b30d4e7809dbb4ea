//! What all sections share while a configuration is read: the merged values, the mistakes found so
//! far, and the record of the keys.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};

use super::describe::{KeyRecord, Record, SectionRecord};
use super::environment::{PREFIX, Variable, variable_name};
use super::interpolate;
use super::key_path::KeyPath;
use super::mistake::{Mistake, Mistakes, Place, Problem};
use super::operator::Operator;
use super::restart::Written;
use super::section::Section;
use super::spans::Text;

/// Whether files that the settings name (certificates, keys) are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Files {
    Check,
    Ignore,
}

pub(super) struct Reader {
    /// As it is shown to people.
    file: String,
    /// What relative paths start from.
    pub(super) folder: PathBuf,
    pub(super) files: Files,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) operator: Operator,
    /// Variables that the text names as `${NAME}`; they are no keys, whatever their names.
    named: BTreeSet<String>,
    text: Option<Text>,
    figment: Figment,
    values: Dict,
    mistakes: RefCell<Vec<(KeyPath, Mistake)>>,
    /// Only while describing.
    record: Option<RefCell<Record>>,
}

impl Reader {
    /// A reader over the text and the variables that begin with [`PREFIX`].
    pub(super) fn open(
        text: &str,
        file: &str,
        folder: &Path,
        environment: BTreeMap<String, String>,
        files: Files,
    ) -> Result<Self, Mistakes> {
        let named = interpolate::names(text).map(str::to_owned).collect();
        let text = Text::parse(text).map_err(|error| {
            Mistakes::from(Mistake {
                place: Place::Line {
                    file: file.to_owned(),
                    line: error.line,
                },
                problem: error.problem,
            })
        })?;
        let mut reader = Self {
            file: file.to_owned(),
            folder: folder.to_owned(),
            files,
            environment,
            operator: Operator::default(),
            named,
            figment: Figment::new().merge(&text),
            text: Some(text),
            values: Dict::new(),
            mistakes: RefCell::default(),
            record: None,
        };
        reader.merge_variables();
        reader.operator = Operator::read(&reader);
        // Sources that were built by hand cannot fail; an empty configuration lacks every
        // required key and says so.
        let mut profiles = reader.figment.data().unwrap_or_default();
        reader.values = profiles.remove(&Profile::Default).unwrap_or_default();
        Ok(reader)
    }

    /// A reader without any values, which records what is asked of it.
    pub(super) fn describing() -> Self {
        Self {
            file: String::new(),
            folder: PathBuf::new(),
            files: Files::Ignore,
            environment: BTreeMap::new(),
            operator: Operator::default(),
            named: BTreeSet::new(),
            text: None,
            figment: Figment::new(),
            values: Dict::new(),
            mistakes: RefCell::default(),
            record: Some(RefCell::default()),
        }
    }

    pub(super) fn root(&self) -> Section<'_> {
        Section::root(self, &self.values)
    }

    pub(super) fn written(&self) -> Written {
        Written::of(&self.values)
    }

    pub(super) const fn is_describing(&self) -> bool {
        self.record.is_some()
    }

    pub(super) fn finish(self) -> (Vec<Mistake>, Record) {
        let mistakes = self.mistakes.into_inner();
        let record = self.record.map(RefCell::into_inner).unwrap_or_default();
        (mistakes.into_iter().map(|(_, one)| one).collect(), record)
    }

    /// Adds a mistake at a key.
    pub(super) fn report(
        &self,
        path: &KeyPath,
        found: String,
        allowed: String,
        meant: Option<String>,
    ) {
        let mistake = Mistake {
            place: self.place(path),
            problem: Problem::Key {
                key: path.to_string(),
                found,
                allowed,
                meant,
            },
        };
        self.mistakes.borrow_mut().push((path.clone(), mistake));
    }

    /// Adds a mistake in a variable that has a name of its own.
    pub(super) fn report_variable(&self, name: &str, found: String, allowed: &str) {
        let mistake = Mistake {
            place: Place::Variable {
                name: name.to_owned(),
            },
            problem: Problem::Variable {
                found,
                allowed: allowed.to_owned(),
            },
        };
        self.mistakes.borrow_mut().push((KeyPath::root(), mistake));
    }

    /// Adds a mistake about a value that could be read, unless something is wrong with it or with
    /// what is in it already: one slip is one mistake.
    pub(super) fn object(&self, path: &KeyPath, found: &str, allowed: &str) {
        if self.is_sound(path) {
            self.report(path, found.to_owned(), allowed.to_owned(), None);
        }
    }

    pub(super) fn is_sound(&self, path: &KeyPath) -> bool {
        let mistakes = self.mistakes.borrow();
        !mistakes.iter().any(|(at, _)| at.starts_with(path))
    }

    /// The name of the variable that a value came from.
    pub(super) fn variable(&self, value: &Value) -> Option<&str> {
        variable_name(self.figment.get_metadata(value.tag())?)
    }

    pub(super) fn describe_section(&self, section: SectionRecord) {
        if let Some(record) = &self.record {
            record.borrow_mut().sections.push(section);
        }
    }

    pub(super) fn describe_key(&self, section: &[String], key: KeyRecord) {
        if let Some(record) = &self.record {
            let mut record = record.borrow_mut();
            let found = record.sections.iter_mut().find(|one| one.path == section);
            if let Some(found) = found {
                found.keys.push(key);
            }
        }
    }

    /// The line of the value, or of the nearest table around it; a variable where the value, or
    /// the whole table around it, came from one.
    fn place(&self, path: &KeyPath) -> Place {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(name) = self.variable_of(&path) {
                return Place::Variable { name };
            }
            if let Some(line) = self.text.as_ref().and_then(|text| text.line(&path)) {
                let file = self.file.clone();
                return Place::Line { file, line };
            }
            at = path.parent();
        }
        Place::File {
            file: self.file.clone(),
        }
    }

    fn variable_of(&self, path: &KeyPath) -> Option<String> {
        let value = path.find(&self.values)?;
        // A table that the file names stays the file's when a variable adds a key to it.
        let in_file = || {
            self.text
                .as_ref()
                .is_some_and(|text| text.line(path).is_some())
        };
        if value.as_dict().is_some() && in_file() {
            return None;
        }
        self.variable(value).map(str::to_owned)
    }

    /// Variables change single values and lists. What would reach into a list, or make a table of
    /// a value, is a mistake and left out, so that the file's own value is still checked.
    fn merge_variables(&mut self) {
        let environment = std::mem::take(&mut self.environment);
        for (name, value) in &environment {
            if self.named.contains(name) {
                continue;
            }
            let Some(variable) = Variable::new(name, value) else {
                continue;
            };
            if let Some((path, found)) = self.obstacle(&variable) {
                let mistake = Mistake {
                    place: Place::Variable { name: name.clone() },
                    problem: Problem::Key {
                        key: path.to_string(),
                        found: found.to_owned(),
                        allowed: format!("{PREFIX}TABLE__KEY for keys outside [[…]] tables"),
                        meant: None,
                    },
                };
                self.mistakes.borrow_mut().push((path, mistake));
            } else {
                let figment = std::mem::take(&mut self.figment);
                self.figment = figment.merge(variable);
            }
        }
        self.environment = environment;
    }

    fn obstacle(&self, variable: &Variable<'_>) -> Option<(KeyPath, &'static str)> {
        let mut table = self.text.as_ref()?.values();
        let mut path = KeyPath::root();
        let (last, above) = variable.keys.split_last()?;
        for key in above {
            path = path.key(key);
            table = match table.get(key) {
                Some(Value::Dict(_, inner)) => inner,
                Some(Value::Array(..)) => {
                    return Some((path, "a variable that reaches into a list"));
                }
                Some(_) => return Some((path, "a variable that reaches into a single value")),
                None => return None,
            };
        }
        let of_tables = table
            .get(last)
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().any(|value| value.as_dict().is_some()));
        of_tables.then(|| (path.key(last), "a variable that replaces a list of tables"))
    }
}
