//! A JSON Schema of `proxy.toml`, for editors that complete and check as one types. It knows the
//! shape; `cms-edge check` knows the rest.

use serde_json::{Map, Value, json};

use super::describe::{KeyRecord, Kind, Presence, Record, Sample, SectionRecord, Style};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
const DURATION_OR_EMPTY: &str = "^([0-9]+(ms|s|m|h|d))?$";
const SIZE: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

pub(super) fn schema(record: &Record) -> Value {
    let mut root = object("", record, &[]);
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), DIALECT.into());
        root.insert("title".to_owned(), "proxy.toml of cms-edge".into());
    }
    root
}

/// The table at `path`, with the tables in it.
fn object(doc: &str, record: &Record, path: &[String]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut either = Vec::new();
    let keys = record.sections.iter().filter(|s| s.path == path);
    for key in keys.flat_map(|section| &section.keys) {
        match key.presence {
            Presence::Required(_) => required.push(key.name),
            Presence::Either(_, other) => either.extend([key.name, other]),
            Presence::Default(_) | Presence::Optional(_) => {}
        }
        properties.insert(key.name.to_owned(), property(key));
    }
    for section in &record.sections {
        if let Some(name) = child(path, section) {
            properties.insert(name.to_owned(), table(section, record));
        }
    }
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(table) = table.as_object_mut() {
        if !doc.is_empty() {
            table.insert("description".to_owned(), doc.into());
        }
        if !required.is_empty() {
            table.insert("required".to_owned(), required.into());
        }
        if !either.is_empty() {
            let one = |name: &&str| json!({ "required": [name] });
            let any = either.iter().map(one).collect::<Vec<_>>();
            table.insert("anyOf".to_owned(), any.into());
        }
    }
    table
}

/// The name under which a section stands in the table at `path`, if it stands in that.
fn child<'s>(path: &[String], section: &'s SectionRecord) -> Option<&'s str> {
    let below = section.path.strip_prefix(path)?;
    match (below, section.style) {
        ([name, _example], Style::Named) => Some(name),
        ([name], style) if style != Style::Named => Some(name),
        _ => None,
    }
}

fn table(section: &SectionRecord, record: &Record) -> Value {
    let one = object(section.doc, record, &section.path);
    match section.style {
        Style::Table | Style::Optional => one,
        Style::Named => json!({
            "type": "object",
            "description": section.doc,
            "additionalProperties": one,
        }),
        Style::Array | Style::OptionalArray => json!({
            "type": "array",
            "description": section.doc,
            "items": one,
        }),
    }
}

fn property(key: &KeyRecord) -> Value {
    let mut property = kind(&key.kind);
    if let Some(property) = property.as_object_mut() {
        let allowed = key.kind.allowed();
        let doc = format!("{} Allowed: {allowed}.", key.doc);
        property.insert("description".to_owned(), doc.into());
        match key.presence {
            Presence::Default(sample) => property.insert("default".to_owned(), value(sample)),
            Presence::Required(sample)
            | Presence::Either(sample, _)
            | Presence::Optional(sample) => {
                property.insert("examples".to_owned(), json!([value(sample)]))
            }
        };
    }
    property
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Duration { or_empty, .. } => {
            let pattern = if *or_empty {
                DURATION_OR_EMPTY
            } else {
                DURATION
            };
            json!({ "type": "string", "pattern": pattern })
        }
        Kind::Size { .. } => json!({ "type": "string", "pattern": SIZE }),
        Kind::Choice(words) => json!({ "enum": words }),
        // The form is a sentence, which stands in the description.
        Kind::Text(_) | Kind::Secret(_) => json!({ "type": "string" }),
        Kind::List(each) => json!({ "type": "array", "items": self::kind(each) }),
        // The getter takes numbers and truth values for texts here.
        Kind::Table { values, .. } if matches!(**values, Kind::Text(_)) => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "integer", "boolean"] },
        }),
        Kind::Table { values, .. } => {
            json!({ "type": "object", "additionalProperties": self::kind(values) })
        }
    }
}

fn value(sample: Sample) -> Value {
    match sample {
        Sample::Boolean(truth) => truth.into(),
        Sample::Integer(number) => number.into(),
        Sample::Text(text) => text.into(),
        Sample::List(texts) => texts.into(),
        Sample::Table(entries) => entries
            .iter()
            .map(|(key, sample)| ((*key).to_owned(), value(*sample)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The schema of a table by its path in the record.
    fn at<'v>(schema: &'v Value, section: &SectionRecord) -> &'v Value {
        let depth = section.path.len() - usize::from(section.style == Style::Named);
        let names = section.path.iter().take(depth);
        let table = names.fold(schema, |table, name| {
            let table = table.get("items").unwrap_or(table);
            &table["properties"][name]
        });
        match section.style {
            Style::Named => &table["additionalProperties"],
            Style::Array | Style::OptionalArray => &table["items"],
            Style::Table | Style::Optional => table,
        }
    }

    #[test]
    fn every_key_is_in_the_schema_of_its_table() {
        let record = config::describe();
        let schema = schema(&record);
        let mut keys = 0;
        for section in record.sections.iter().filter(|s| s.path.len() < 3) {
            let table = at(&schema, section);
            for key in &section.keys {
                let property = &table["properties"][key.name];
                assert!(
                    property["description"].is_string(),
                    "{:?} {key:?}",
                    section.path
                );
                keys += 1;
            }
        }
        assert!(keys > 80, "{keys}");
    }

    #[test]
    fn what_must_be_given_is_required_and_nothing_unknown_is_taken() {
        let schema = schema(&config::describe());
        let upstream = &schema["properties"]["upstream"]["additionalProperties"];
        let either = json!([{ "required": ["servers"] }, { "required": ["server"] }]);
        assert_eq!(upstream["anyOf"], either);
        assert_eq!(upstream["additionalProperties"], json!(false));
        let language = &schema["properties"]["route"]["items"]["properties"]["language"];
        assert_eq!(language["required"], json!(["supported", "default"]));
    }
}
