//! `proxy.toml`, written from the record of the keys. Prose has a space after the `#`; a setting
//! that is commented out has none, and is right when the `#` is taken away.

use std::fmt::Write;

use super::describe::{KeyRecord, Presence, Record, Sample, SectionRecord, Style};
use super::key_path::Quoted;

/// Comments are wrapped at this column.
const COLUMNS: usize = 100;

const HEAD: &str = "\
The reference of cms-edge: every setting, its default, and what happens at either end. It is a \
configuration that runs as it stands: a cache on 127.0.0.1:8080 before a CMS on 127.0.0.1:8000.

`cms-edge check` names every mistake in a file at once, with its line, and nothing is applied by \
halves. An unknown key is a mistake. Keys that are left out have the default that stands here. \
Settings that are off by default are commented out with `#` and no space.

Durations are a number and a unit: \"250ms\", \"10s\", \"5m\", \"2h\", \"365d\". Sizes likewise: \
\"512B\", \"32KiB\", \"16MiB\", \"2GiB\". Relative paths start from the folder of this file.

An environment variable overrides a key: CMS_EDGE_ and the path, in upper case, with two \
underscores for each dot, e.g. CMS_EDGE_ADMIN__LISTEN=127.0.0.1:9191. A list is \
[\"a\", \"b\"] or a,b. Variables do not reach into [[…]] tables, and one that names no key is a \
mistake.

Some names that other programs have are understood, too, and give way to what is set otherwise: METRICS_PORT (the port of admin.listen), CACHE_TTL (seconds or a duration: the `ttl` of routes that set none), COMPRESSION_LEVEL (1 to 9: `gzip` and `brotli` of routes that set none), ENABLE_CACHING and ENABLE_COMPRESSION (false: off until it is turned on by the admin API). REDIS_URL is the `url` of [redis].

Tokens and secrets may be given as \"env:NAME\" (another variable, whose name does not begin with \
CMS_EDGE_) or \"file:/path\" (its content, e.g. a credential from systemd).";

pub(super) fn text(record: &Record) -> String {
    let mut out = String::new();
    for (at, paragraph) in HEAD.split("\n\n").enumerate() {
        if at > 0 {
            out.push_str("#\n");
        }
        comment(&mut out, paragraph);
    }
    for section in &record.sections {
        write_section(&mut out, section, is_off(record, section));
    }
    out
}

/// Whether the section, or one around it, is commented out.
fn is_off(record: &Record, section: &SectionRecord) -> bool {
    record.sections.iter().any(|outer| {
        section.path.starts_with(&outer.path)
            && matches!(outer.style, Style::Optional | Style::OptionalArray)
    })
}

fn write_section(out: &mut String, section: &SectionRecord, off: bool) {
    if !section.path.is_empty() {
        out.push('\n');
        comment(out, section.doc);
        let names: Vec<String> = section
            .path
            .iter()
            .map(|name| Quoted(name).to_string())
            .collect();
        let names = names.join(".");
        let header = match section.style {
            Style::Array | Style::OptionalArray => format!("[[{names}]]"),
            Style::Table | Style::Optional | Style::Named => format!("[{names}]"),
        };
        let hash = if off { "#" } else { "" };
        let _ = writeln!(out, "{hash}{header}");
    }
    for key in &section.keys {
        write_key(out, key, off);
    }
}

fn write_key(out: &mut String, key: &KeyRecord, off: bool) {
    out.push('\n');
    let presence = match key.presence {
        Presence::Default(_) => String::new(),
        Presence::Required(_) => " Required.".to_owned(),
        Presence::Either(_, other) => format!(" Required, unless `{other}` is given."),
        Presence::Optional(_) => " Not set by default.".to_owned(),
    };
    comment(out, key.doc);
    comment(out, &format!("Allowed: {}.{presence}", key.kind.allowed()));
    let off = off || matches!(key.presence, Presence::Optional(_));
    let hash = if off { "#" } else { "" };
    let sample = key.presence.sample();
    let one_line = format!("{} = {}", key.name, inline(sample));
    if hash.len() + one_line.len() <= COLUMNS {
        let _ = writeln!(out, "{hash}{one_line}");
        return;
    }
    if let Sample::List(texts) = sample {
        let _ = writeln!(out, "{hash}{} = [", key.name);
        for text in texts {
            let _ = writeln!(out, "{hash}  {text:?},");
        }
        let _ = writeln!(out, "{hash}]");
    } else {
        let _ = writeln!(out, "{hash}{one_line}");
    }
}

fn inline(sample: Sample) -> String {
    match sample {
        Sample::Boolean(truth) => truth.to_string(),
        Sample::Integer(number) => number.to_string(),
        Sample::Text(text) => format!("{text:?}"),
        Sample::List(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            format!("[{}]", texts.join(", "))
        }
        Sample::Table([]) => "{}".to_owned(),
        Sample::Table(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, sample)| format!("{} = {}", Quoted(key), inline(*sample)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn comment(out: &mut String, prose: &str) {
    let mut line = String::from("#");
    for word in prose.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::describe::Kind;

    #[test]
    fn prose_is_wrapped_and_settings_that_are_off_are_commented_out() {
        let record = Record {
            sections: vec![SectionRecord {
                path: vec!["thing".to_owned()],
                style: Style::Optional,
                doc: "A thing.",
                keys: vec![KeyRecord {
                    name: "many",
                    kind: Kind::Boolean,
                    presence: Presence::Required(Sample::Table(&[("a.b", Sample::List(&["c"]))])),
                    doc: "Long words. Long words. Long words. Long words. Long words. Long words. \
                          Long words. Long words. Long words.",
                }],
            }],
        };
        let text = text(&record);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        let end = "\n# A thing.\n#[thing]\n\n\
            # Long words. Long words. Long words. Long words. Long words. Long words. Long words. \
            Long words.\n# Long words.\n# Allowed: true or false. Required.\n\
            #many = { \"a.b\" = [\"c\"] }\n";
        assert!(text.ends_with(end), "{text}");
    }
}
