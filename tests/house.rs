//! The house rules, read from the source: who may import whom, which rooms stay pure, how long a
//! file may grow, be it of the program or of its tests and benches. ARCHITECTURE.md says the same in
//! prose; this file makes it true.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

struct Room {
    name: &'static str,
    rank: u8,
    pure: Purity,
}

#[derive(Clone, Copy, PartialEq)]
enum Purity {
    /// No I/O, no clock, no log, no waiting.
    Pure,
    Impure,
}

use Purity::{Impure, Pure};

const fn room(name: &'static str, rank: u8, pure: Purity) -> Room {
    Room { name, rank, pure }
}

/// Ranks as in ARCHITECTURE.md: a room imports rooms of a lower rank, and within rank 0 to 3 those
/// that stand before it in this list.
const HOUSE: &[Room] = &[
    room("atomics", 0, Pure),
    room("locks", 0, Impure),
    room("clock", 0, Impure),
    room("sabotage", 0, Impure),
    room("lease", 0, Impure),
    room("budget", 0, Impure),
    room("exchange", 0, Pure),
    room("fields", 0, Pure),
    room("interim", 0, Impure),
    room("connection", 0, Pure),
    room("body", 0, Impure),
    room("telemetry", 0, Impure),
    room("switches", 0, Impure),
    room("outage", 0, Impure),
    room("tunnel", 0, Impure),
    room("key", 1, Pure),
    room("policy", 1, Pure),
    room("route", 1, Pure),
    room("entry", 2, Pure),
    room("store", 3, Impure),
    room("fetch", 3, Impure),
    room("transform", 3, Impure),
    room("respond", 3, Pure),
    room("purge", 4, Impure),
    room("proxy", 5, Impure),
    room("admin", 5, Impure),
    room("server", 6, Impure),
    room("config", 7, Impure),
    room("app", 8, Impure),
    room("demo", 8, Impure),
    room("health", 8, Impure),
    room("drill", 8, Impure),
    room("run", 8, Impure),
    room("cli", 8, Impure),
];

/// Pairs that the ranks would allow or forbid, and why they are otherwise.
const NEVER: &[(&str, &str, &str)] = &[
    ("proxy", "purge", "they meet in `entry::Purges` and `store`"),
    (
        "policy",
        "key",
        "what may be stored does not depend on the key",
    ),
];

const FORBIDDEN_IN_PURE: &[&str] = &[
    "async ",
    ".await",
    "tokio::",
    "hyper::",
    "redis::",
    "tracing::",
    "std::fs",
    "SystemTime::now",
    "Instant::now",
    "getrandom",
    "SystemClock",
    "dyn Clock",
];

const LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn every_file_keeps_the_house_rules() {
    let mut broken = Vec::new();
    for (relative, text) in rust_files("src") {
        check(&relative, &text, &mut broken);
    }
    assert_kept(&broken);
}

/// Tests and benches are of no room, but as easy to read as what they are about.
#[test]
fn every_file_of_tests_and_benches_is_short_and_says_what_it_is_for() {
    let mut broken = Vec::new();
    for folder in ["tests", "benches"] {
        let files = rust_files(folder);
        assert!(!files.is_empty(), "there is nothing in {folder}/");
        for (relative, text) in files {
            let relative = format!("{folder}/{relative}");
            check_length(&relative, &text, &mut broken);
            check_functions(&relative, &text, &mut broken);
        }
    }
    assert_kept(&broken);
}

#[test]
fn the_rules_catch_what_they_are_for() {
    let mut broken = Vec::new();
    check(
        "policy/bad.rs",
        "//! x\nuse crate::proxy::Proxy;\nasync fn f() {}\n",
        &mut broken,
    );
    check("attic.rs", "//! x\n", &mut broken);
    check(
        "fields/long.rs",
        &format!("//! x\n{}", "\n".repeat(601)),
        &mut broken,
    );
    let lines = "    g();\n".repeat(71);
    let long_function = format!("//! x\npub(crate) async fn f() {{\n{lines}}}\n");
    check("store/function.rs", &long_function, &mut broken);
    check("fields/mute.rs", "use std::fmt;\n", &mut broken);
    assert_eq!(broken.len(), 6, "{broken:#?}");
}

fn check(relative: &str, text: &str, broken: &mut Vec<String>) {
    let name = relative.split(['/', '.']).next().unwrap();
    if ["lib", "main"].contains(&name) {
        return;
    }
    let Some(at) = HOUSE.iter().position(|room| room.name == name) else {
        broken.push(format!(
            "{relative}: `{name}` has no place in tests/house.rs"
        ));
        return;
    };
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    check_length(relative, code, broken);
    if !relative.ends_with("tests.rs") {
        check_functions(relative, code, broken);
    }
    for (number, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap();
        let mut complain = |what: String| broken.push(format!("{relative}:{}: {what}", number + 1));
        for import in imports(line) {
            if let Some(why) = forbidden(at, &import) {
                complain(format!("`{name}` may not import `{import}`: {why}"));
            }
        }
        let at_room_root =
            relative.matches('/').count() == 0 || relative == format!("{name}/mod.rs");
        if line.contains("super::super::") || (at_room_root && line.contains("super::")) {
            complain("`super::` leaves the room; write `crate::`".to_owned());
        }
        if HOUSE[at].pure == Pure {
            for word in FORBIDDEN_IN_PURE
                .iter()
                .filter(|word| line.contains(**word))
            {
                complain(format!("`{word}` in a pure room"));
            }
        }
    }
}

fn imports(line: &str) -> Vec<String> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

fn forbidden(importer: usize, imported: &str) -> Option<&'static str> {
    let importing = &HOUSE[importer];
    if importing.name == imported {
        return None;
    }
    if let Some((_, _, why)) = NEVER
        .iter()
        .find(|(from, to, _)| *from == importing.name && *to == imported)
    {
        return Some(why);
    }
    let Some(at) = HOUSE.iter().position(|room| room.name == imported) else {
        return Some("no such room");
    };
    let downwards =
        HOUSE[at].rank < importing.rank || (HOUSE[at].rank == importing.rank && at < importer);
    (!downwards).then_some("arrows go down only")
}

fn check_length(relative: &str, code: &str, broken: &mut Vec<String>) {
    if !code.starts_with("//!") {
        broken.push(format!("{relative}: the file does not say what it is for"));
    }
    let length = code.lines().count();
    if length > LINES_MAX {
        broken.push(format!("{relative}: {length} lines, limit {LINES_MAX}"));
    }
}

/// Functions as rustfmt lays them out: they end at a brace in the column where `fn` stands.
fn check_functions(relative: &str, code: &str, broken: &mut Vec<String>) {
    let lines: Vec<&str> = code.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        if !is_function(words) || words.ends_with(';') {
            continue;
        }
        let indent = line.len() - words.len();
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|line| **line == closing) else {
            continue;
        };
        if length > FUNCTION_LINES_MAX {
            broken.push(format!(
                "{relative}:{}: a function of {length} lines, limit {FUNCTION_LINES_MAX}",
                start + 1
            ));
        }
    }
}

/// Whether a line begins a function, whoever may call it.
fn is_function(line: &str) -> bool {
    let mut line = line;
    if let Some(rest) = line.strip_prefix("pub(") {
        line = rest.split_once(") ").map_or("", |(_, rest)| rest);
    }
    for word in ["pub ", "const ", "async "] {
        line = line.strip_prefix(word).unwrap_or(line);
    }
    line.starts_with("fn ")
}

#[track_caller]
fn assert_kept(broken: &[String]) {
    assert!(
        broken.is_empty(),
        "house rules broken:\n{}",
        broken.join("\n")
    );
}

/// The paths below a folder of the repository, and what is in the files.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let named = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        (relative.to_string_lossy().into_owned(), text)
    };
    paths(&root).into_iter().map(named).collect()
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(paths(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
