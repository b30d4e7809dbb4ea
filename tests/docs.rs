//! What the papers say is so: configurations in them are right, and their links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use cms_edge::config;

/// Enough for `env:` in examples; 24 bytes in base64.
const SECRET: (&str, &str) = (
    "CMS_WEBHOOK_SECRET",
    "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
);

#[test]
fn the_quick_start_is_a_right_configuration() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = fenced(&readme, "toml");
    assert_eq!(blocks.len(), 2, "the configuration, and what is added");
    assert_right(&blocks[0], "the first block of README.md");
    assert_right(&blocks.concat(), "both blocks of README.md");
}

#[test]
fn the_configurations_for_cmss_are_right() {
    let papers = files(&root().join("docs/cms"), "md");
    assert!(!papers.is_empty());
    for paper in papers {
        let text = fs::read_to_string(&paper).unwrap();
        let blocks = fenced(&text, "toml");
        let whole = blocks.iter().find(|block| block.contains("[[route]]"));
        assert_right(whole.unwrap(), &paper.display().to_string());
    }
    for file in files(&root().join("examples"), "toml") {
        let text = fs::read_to_string(&file).unwrap();
        assert_right(&text, &file.display().to_string());
    }
}

#[test]
fn the_wagtail_paper_shows_the_files_of_its_example() {
    let paper = fs::read_to_string(root().join("docs/cms/wagtail.md")).unwrap();
    let shown = [fenced(&paper, "toml"), fenced(&paper, "python")].concat();
    for name in ["proxy.toml", "articles/signals.py", "articles/apps.py"] {
        let path = root().join("examples/wagtail").join(name);
        let text = fs::read_to_string(path).unwrap();
        let is_shown = shown.iter().any(|block| block.trim() == text.trim());
        assert!(is_shown, "{name} is another in the paper");
    }
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for paper in papers() {
        let text = fs::read_to_string(&paper).unwrap();
        for link in links(&text) {
            checked += 1;
            let target = link.split('#').next().unwrap();
            if !paper.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", paper.display()));
            }
        }
    }
    assert!(checked > 10, "only {checked} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_file_that_architecture_names_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.ends_with(".rs") && !code.contains(['*', '{', ' ']))
        .collect();
    assert!(named.len() > 20, "only {} files are named", named.len());
    let there = |name: &str| root().join("src").join(name).exists() || root().join(name).exists();
    let gone: Vec<_> = named.into_iter().filter(|name| !there(name)).collect();
    assert!(gone.is_empty(), "named, but not there: {gone:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn assert_right(text: &str, name: &str) {
    let environment = [(SECRET.0.to_owned(), SECRET.1.to_owned())];
    if let Err(mistakes) = config::parse(text, name, Path::new(""), environment) {
        panic!("{mistakes}");
    }
}

/// The contents of the fenced blocks in this language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line == opening) {
        let block = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(block.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

/// Targets of `[…](…)` outside of code that are neither URLs nor anchors of the same page.
fn links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let targets = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let relative = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
        found.extend(relative.map(str::to_owned));
    }
    found
}

/// The Markdown files of the project: those at the top, and all below these folders.
fn papers() -> Vec<PathBuf> {
    let at_top = fs::read_dir(root()).unwrap();
    let mut papers: Vec<PathBuf> = at_top
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect();
    for folder in ["docs", "systemd", "benches", "examples", "tests"] {
        papers.extend(files(&root().join(folder), "md"));
    }
    papers
}

/// All files below `folder` with this extension, but for what examples install.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let installed = path
            .file_name()
            .is_some_and(|name| name == "venv" || name == "node_modules");
        if path.is_dir() && !installed {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ext| ext == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
