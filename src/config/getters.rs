//! The getters of a section, one per kind of value.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::Value;
use http::HeaderName;
use ipnet::IpNet;

use super::describe::{Kind, Presence, Sample};
use super::key_path::KeyPath;
use super::section::{Key, Section, Wrong};
use super::units;

impl Section<'_> {
    pub(super) fn boolean(&self, name: &'static str, default: bool, doc: &'static str) -> bool {
        let key = Key {
            name,
            kind: Kind::Boolean,
            presence: Presence::Default(Sample::Boolean(default)),
            doc,
        };
        let taken = self.take(key, |value, _| {
            let text = self.variable_text(value);
            let truth = value.to_bool();
            truth
                .or_else(|| text?.parse().ok())
                .ok_or_else(Wrong::default)
        });
        taken.unwrap_or(default)
    }

    pub(super) fn integer(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        doc: &'static str,
    ) -> u64 {
        let key = Key {
            name,
            kind: Kind::Integer {
                min: *range.start(),
                max: *range.end(),
            },
            presence: Presence::Default(Sample::Integer(default)),
            doc,
        };
        let taken = self.take(key, |value, _| {
            let text = self.variable_text(value);
            let number = value.to_num().and_then(|number| number.to_u128_lossy());
            number
                .or_else(|| text?.parse().ok())
                .and_then(|number| u64::try_from(number).ok())
                .filter(|number| range.contains(number))
                .ok_or_else(Wrong::default)
        });
        taken.unwrap_or(default)
    }

    /// As [`Section::integer`], for what is counted in memory.
    pub(super) fn count(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        doc: &'static str,
    ) -> usize {
        saturated(self.integer(name, default, range, doc))
    }

    pub(super) fn duration(
        &self,
        name: &'static str,
        default: &'static str,
        range: RangeInclusive<&'static str>,
        doc: &'static str,
    ) -> Duration {
        let key = Key {
            name,
            kind: Kind::Duration {
                min: range.start(),
                max: range.end(),
                or_empty: false,
            },
            presence: Presence::Default(Sample::Text(default)),
            doc,
        };
        let taken = self.take(key, |value, _| {
            let text = value.as_str().ok_or_else(Wrong::default)?;
            duration_in(text, &range)
        });
        taken.unwrap_or_default()
    }

    /// A duration that is not set unless the file sets it.
    pub(super) fn optional_duration(
        &self,
        name: &'static str,
        range: RangeInclusive<&'static str>,
        doc: &'static str,
    ) -> Option<Duration> {
        let key = Key {
            name,
            kind: Kind::Duration {
                min: range.start(),
                max: range.end(),
                or_empty: true,
            },
            presence: Presence::Default(Sample::Text("")),
            doc,
        };
        let taken = self.take(key, |value, _| {
            let text = value.as_str().ok_or_else(Wrong::default)?;
            match text {
                "" => Ok(None),
                text => duration_in(text, &range).map(Some),
            }
        });
        taken.flatten()
    }

    /// Bytes.
    pub(super) fn size(
        &self,
        name: &'static str,
        default: &'static str,
        range: RangeInclusive<&'static str>,
        doc: &'static str,
    ) -> usize {
        let key = Key {
            name,
            kind: Kind::Size {
                min: range.start(),
                max: range.end(),
            },
            presence: Presence::Default(Sample::Text(default)),
            doc,
        };
        let bounds = units::size(range.start()).zip(units::size(range.end()));
        let taken = self.take(key, |value, _| {
            let text = value.as_str().ok_or_else(Wrong::default)?;
            units::size(text)
                .filter(|size| bounds.is_none_or(|(min, max)| (min..=max).contains(size)))
                .ok_or_else(Wrong::default)
        });
        saturated(taken.unwrap_or_default())
    }

    pub(super) fn choice<T: Copy + PartialEq>(
        &self,
        name: &'static str,
        default: T,
        choices: &[(&'static str, T)],
        doc: &'static str,
    ) -> T {
        let words: Vec<&'static str> = choices.iter().map(|(word, _)| *word).collect();
        let word = choices.iter().find(|(_, choice)| *choice == default);
        let key = Key {
            name,
            kind: Kind::Choice(words.clone()),
            presence: Presence::Default(Sample::Text(word.map_or("", |(word, _)| word))),
            doc,
        };
        let taken = self.take(key, |value, _| {
            let text = value.as_str().ok_or_else(Wrong::default)?;
            let chosen = choices.iter().find(|(word, _)| *word == text);
            chosen.map(|(_, choice)| *choice).ok_or_else(|| Wrong {
                meant: near(text, words.iter().copied()),
                ..Wrong::default()
            })
        });
        taken.unwrap_or(default)
    }

    /// A text of a form that `form` names as the end of a sentence.
    pub(super) fn text<T>(
        &self,
        name: &'static str,
        presence: Presence,
        form: &'static str,
        doc: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let key = Key {
            name,
            kind: Kind::Text(form),
            presence,
            doc,
        };
        self.take(key, |value, _| {
            parse(value.as_str().ok_or_else(Wrong::default)?)
        })
    }

    /// A list of texts. Elements that are refused are reported one by one and left out.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        presence: Presence,
        form: &'static str,
        doc: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let each = Kind::Text(form);
        let key = Key {
            name,
            kind: Kind::List(Box::new(each.clone())),
            presence,
            doc,
        };
        self.take(key, |value, path| self.elements(value, path, &each, &parse))
            .unwrap_or_default()
    }

    pub(super) fn addresses(
        &self,
        name: &'static str,
        default: &'static [&'static str],
        doc: &'static str,
    ) -> Vec<SocketAddr> {
        let presence = Presence::Default(Sample::List(default));
        self.list(name, presence, ADDRESS, doc, address)
    }

    pub(super) fn networks(
        &self,
        name: &'static str,
        default: &'static [&'static str],
        doc: &'static str,
    ) -> Vec<IpNet> {
        let presence = Presence::Default(Sample::List(default));
        let form = "an address or network like \"10.0.0.0/8\" or \"::1\"";
        self.list(name, presence, form, doc, network)
    }

    pub(super) fn header_names(
        &self,
        name: &'static str,
        default: &'static [&'static str],
        doc: &'static str,
    ) -> Vec<HeaderName> {
        let presence = Presence::Default(Sample::List(default));
        self.list(name, presence, HEADER_NAME, doc, header_name)
    }

    /// A table from texts to texts, in the order of its keys.
    pub(super) fn table_of_text<T>(
        &self,
        name: &'static str,
        presence: Presence,
        (keys, values): (&'static str, &'static str),
        doc: &'static str,
        parse: impl Fn(&str, &str) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let each = Kind::Text(values);
        let kind = Kind::Table {
            keys,
            values: Box::new(each.clone()),
        };
        let key = Key {
            name,
            kind,
            presence,
            doc,
        };
        let taken = self.take(key, |value, path| {
            let mut entries = Vec::new();
            for (key, value) in value.as_dict().ok_or_else(Wrong::default)? {
                let text = Self::scalar_of(value).ok_or_else(Wrong::default);
                match text.and_then(|text| parse(key, &text)) {
                    Ok(entry) => entries.push(entry),
                    Err(wrong) => self.refuse(&path.key(key), value, &each, wrong),
                }
            }
            Ok(entries)
        });
        taken.unwrap_or_default()
    }

    /// A table from texts to lists of texts, in the order of its keys.
    pub(super) fn table_of_lists<T>(
        &self,
        name: &'static str,
        presence: Presence,
        (keys, values): (&'static str, &'static str),
        doc: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<(String, Vec<T>)> {
        let each = Kind::Text(values);
        let list = Kind::List(Box::new(each.clone()));
        let kind = Kind::Table {
            keys,
            values: Box::new(list.clone()),
        };
        let key = Key {
            name,
            kind,
            presence,
            doc,
        };
        let taken = self.take(key, |value, path| {
            let mut entries = Vec::new();
            for (key, value) in value.as_dict().ok_or_else(Wrong::default)? {
                let path = path.key(key);
                match self.elements(value, &path, &each, &parse) {
                    Ok(elements) => entries.push((key.clone(), elements)),
                    Err(wrong) => self.refuse(&path, value, &list, wrong),
                }
            }
            Ok(entries)
        });
        taken.unwrap_or_default()
    }

    /// The elements of a list that `parse` takes. One text from a variable is a list with commas.
    pub(super) fn elements<T>(
        &self,
        value: &Value,
        path: &KeyPath,
        each: &Kind,
        parse: &impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let split;
        let list = match (value, self.variable_text(value)) {
            (Value::Array(_, list), _) => list.as_slice(),
            (_, Some(text)) => {
                let pieces = text.split(',').map(str::trim);
                let pieces = pieces.filter(|piece| !piece.is_empty());
                split = pieces
                    .map(|piece| Value::String(value.tag(), piece.to_owned()))
                    .collect::<Vec<_>>();
                split.as_slice()
            }
            _ => return Err(Wrong::default()),
        };
        let mut elements = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let text = value.as_str().ok_or_else(Wrong::default);
            match text.and_then(parse) {
                Ok(element) => elements.push(element),
                Err(wrong) => self.refuse(&path.index(index), value, each, wrong),
            }
        }
        Ok(elements)
    }

    /// A number or truth value as a text, too.
    fn scalar_of(value: &Value) -> Option<String> {
        match value {
            Value::Bool(..) | Value::Num(..) => Some(super::section::shown(value)),
            _ => value.as_str().map(str::to_owned),
        }
    }

    /// The text of a variable: there numbers and truth values are texts, so that a token of digits
    /// keeps its zeros.
    fn variable_text<'a>(&self, value: &'a Value) -> Option<&'a str> {
        self.reader.variable(value)?;
        value.as_str()
    }
}

pub(super) const ADDRESS: &str = "an address with a port like \"127.0.0.1:8080\" or \"[::]:443\"";
pub(super) const HEADER_NAME: &str = "a header name like \"X-Token\"";

pub(super) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| Wrong::default())
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, Wrong> {
    text.parse().map_err(|_| Wrong::default())
}

/// An address stands for itself alone. A network with bits behind its prefix is a slip that would
/// let in more than was meant.
fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| Wrong::default())?;
    if network.addr() == network.network() {
        return Ok(network);
    }
    Err(Wrong {
        because: Some("it has bits behind its prefix".to_owned()),
        meant: Some(format!("\"{}\"", network.trunc())),
        ..Wrong::default()
    })
}

pub(super) fn duration_in(
    text: &str,
    range: &RangeInclusive<&'static str>,
) -> Result<Duration, Wrong> {
    let bounds = units::duration(range.start()).zip(units::duration(range.end()));
    units::duration(text)
        .filter(|length| bounds.is_none_or(|(min, max)| (min..=max).contains(length)))
        .ok_or_else(Wrong::default)
}

/// The nearest of some words, quoted.
pub(super) fn near<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    super::mistake::nearest(word, words).map(|word| format!("{word:?}"))
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
