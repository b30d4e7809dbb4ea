//! Every metric is registered, exposed under its name, and stands in docs/metrics.md with its
//! labels; and what stands there is exposed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod stage;
}

use support::origin::{Origin, Reply};
use support::stage::Stage;

#[test]
fn the_paper_names_what_the_source_registers_and_nothing_else() {
    let mut registered = BTreeSet::new();
    for (_, text) in sources() {
        registered.extend(names_in(&text).into_iter().map(|name| stem(&name)));
    }
    assert!(registered.len() > 40, "{registered:?}");
    let told: BTreeSet<String> = paper().keys().map(|name| stem(name)).collect();
    let missing: Vec<_> = registered.difference(&told).collect();
    assert!(
        missing.is_empty(),
        "write into docs/metrics.md: {missing:?}"
    );
    let gone: Vec<_> = told.difference(&registered).collect();
    assert!(gone.is_empty(), "take out of docs/metrics.md: {gone:?}");
}

#[tokio::test]
async fn what_is_exposed_stands_in_the_paper_with_its_labels() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/private" => Reply::ok("x").header("cache-control", "private"),
            "/gone" => Reply::hang_up(),
            _ => Reply::ok("text ".repeat(1000)).header("content-type", "text/plain"),
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for path in ["/a", "/a", "/private", "/gone", "/%zz"] {
        let _any = stage.get(path, &[("accept-encoding", "br")]).await;
    }
    stage.purge(r#"{"tags": ["a"]}"#).await;
    let text = stage.admin("/metrics").await.text();
    let paper = paper();
    let labels: BTreeMap<String, &BTreeSet<String>> = paper
        .iter()
        .map(|(name, labels)| (stem(name), labels))
        .collect();
    let mut series = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).expect(line);
        let told = labels.get(&stem(name)).copied();
        let told = told.unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
        let rest = if line.contains('{') { rest } else { "" };
        let found: BTreeSet<String> = rest
            .split("\",")
            .filter_map(|pair| pair.trim_start_matches(',').split_once("=\""))
            .map(|(label, _)| label.to_owned())
            .filter(|label| label != "le")
            .collect();
        assert_eq!(&found, told, "labels of {name} in {line}");
        series += 1;
    }
    assert!(series > 60, "{text}");
}

#[test]
fn every_metric_in_the_source_is_registered() {
    let mut forgotten = Vec::new();
    let mut fields = 0;
    for (path, text) in sources() {
        for field in metrics_fields(&text) {
            fields += 1;
            let registered = ["metrics", "self"].iter().any(|of| {
                let whole = format!("{of}.{field}.clone()");
                let part = format!("&{of}.{field},");
                text.contains(&whole) || text.contains(&part)
            });
            // One series of a family that is registered.
            let is_part = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix(&format!("{field}: ")))
                .any(|made| made.contains("get_or_create") || made.contains("of("));
            if !registered && !is_part {
                forgotten.push(format!("{}: {field}", path.display()));
            }
        }
    }
    assert!(fields > 30, "only {fields} were found");
    assert!(forgotten.is_empty(), "not registered: {forgotten:?}");
}

/// Fields of structs called `…Metrics` that are metrics.
fn metrics_fields(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("pub struct ") || line.starts_with("struct ") {
            inside = line.contains("Metrics {");
        } else if line.starts_with('}') {
            inside = false;
        }
        let field = line.trim().trim_start_matches("pub ").split_once(": ");
        if let (true, Some((name, kind))) = (inside, field)
            && [
                "Counter",
                "Gauge",
                "Family<",
                "Histogram",
                "Durations",
                "Count,",
            ]
            .iter()
            .any(|metric| kind.starts_with(metric))
        {
            found.push(name.to_owned());
        }
    }
    found
}

/// Names that are registered: a text of small letters that is followed by its description.
fn names_in(text: &str) -> Vec<String> {
    let pieces: Vec<&str> = text.split('"').collect();
    let mut found = Vec::new();
    for at in (1..pieces.len()).step_by(2) {
        let (name, between) = (pieces[at], pieces.get(at + 1).map(|text| text.trim()));
        let help = pieces.get(at + 2).copied().unwrap_or_default();
        let is_name = name.len() > 3 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_help = help.starts_with(|c: char| c.is_ascii_uppercase() || c == '1');
        let is_let = between == Some(";\n            let help =");
        if is_name && is_help && (between == Some(",") || is_let) {
            found.push(name.to_owned());
        }
    }
    found
}

/// A name without our prefix and without what its type adds.
fn stem(name: &str) -> String {
    let mut name = name.trim_start_matches("cms_edge_");
    for suffix in ["_bucket", "_count", "_sum", "_info", "_total", "_seconds"] {
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    name.to_owned()
}

/// Every metric of the paper, and its labels.
fn paper() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let mut told = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells.as_slice() else {
            panic!("{line}");
        };
        if !["counter", "gauge", "histogram", "info"].contains(kind) {
            continue;
        }
        let labels = labels
            .split(',')
            .map(|label| label.trim_matches([' ', '`']));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        told.insert(name.trim_matches('`').to_owned(), labels.collect());
    }
    told
}

/// The files that have metrics in them, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let folder = fs::read_dir(root().join("src/telemetry")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join("src/switches.rs"));
    paths.push(root().join("src/outage.rs"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        (path, code.to_owned())
    };
    paths.into_iter().map(read).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
