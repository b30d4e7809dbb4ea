//! `proxy.toml` and environment variables → a checked [`Config`], or every mistake in them at once.
//!
//! The text is parsed for values and their lines (`spans`), variables are merged over it by
//! figment (`environment`), and sections are read by getters that report and go on
//! (`section`). The same getter calls, without values, write down what every key is
//! (`describe`); from that record `proxy.toml` is written (`reference_text`).

mod care;
mod check;
mod clients;
mod connecting;
pub mod describe;
mod environment;
pub mod file;
mod getters;
mod interpolate;
mod key_path;
mod language;
pub mod lifecycle;
mod limits;
mod log;
mod mistake;
mod operation;
mod operator;
mod profile;
mod purge_log;
mod reach;
mod reader;
pub mod redis;
mod reference_text;
mod restart;
mod route;
mod rules;
mod schema;
mod secrets;
mod section;
mod server;
pub mod settings;
mod shadow;
mod spans;
mod tls;
mod told;
mod units;
mod upstream;
mod webhook;
mod webhook_rule;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

pub use environment::{PREFIX, process_environment};
pub use file::Config;
pub use mistake::{MISTAKES_MAX, Mistake, Mistakes, Place, Problem};
pub use reach::is_redis_url;

use describe::Record;
use reader::{Files, Reader};
use section::Wrong;

/// Bytes of a configuration file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads and checks the file, the variables of [`PREFIX`] in `environment` (see
/// [`process_environment`]), and the files that both name. Nothing is in force before all of it is
/// right.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Mistakes> {
    let file = path.display().to_string();
    let text = text_of(path).map_err(|reason| Mistake {
        place: Place::File { file: file.clone() },
        problem: Problem::Unreadable { reason },
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let environment = environment.into_iter().collect();
    read(&text, &file, folder, environment, Files::Check)
}

/// As [`load`], from a text, without a look into the certificates and keys it names. `file` is what
/// mistakes call it; relative paths start from `folder`.
pub fn parse(
    text: &str,
    file: &str,
    folder: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Mistakes> {
    let environment = environment.into_iter().collect();
    read(text, file, folder, environment, Files::Ignore)
}

/// The text of `proxy.toml`: every key, its default, and the consequence at either end.
pub fn reference() -> String {
    reference_text::text(&describe())
}

/// A JSON Schema of `proxy.toml`, as indented JSON.
pub fn schema() -> String {
    format!("{:#}\n", schema::schema(&describe()))
}

/// What every key is, in the order of `proxy.toml`.
pub fn describe() -> Record {
    let reader = Reader::describing();
    Config::read(&reader.root());
    reader.finish().1
}

fn read(
    text: &str,
    file: &str,
    folder: &Path,
    environment: BTreeMap<String, String>,
    files: Files,
) -> Result<Config, Mistakes> {
    let reader = Reader::open(text, file, folder, environment, files)?;
    // The root goes out of scope before the checks, so that unknown keys are known by then.
    let mut config = Config::read(&reader.root());
    config.written = reader.written();
    check::check(&config, &reader);
    let (mistakes, _) = reader.finish();
    if mistakes.is_empty() {
        Ok(config)
    } else {
        Err(Mistakes::new(mistakes))
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| reason(&error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The system's reason, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Longest name of a route, upstream, tier, webhook or namespace, in characters.
const NAME_MAX: usize = 64;

const NAME: &str = "a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\"";

/// Names stand in keys, logs and metric labels.
fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(good)
}

fn name(text: &str) -> Result<String, Wrong> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::default())
    }
}
