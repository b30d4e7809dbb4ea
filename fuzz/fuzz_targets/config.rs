//! Configuration: any text is a configuration or a list of mistakes, each with its line in the
//! text, and a text without a mistake has none when it is read again.

#![no_main]

use std::path::Path;

use cms_edge::config::{MISTAKES_MAX, Place, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Secrets may be kept in files and variables; nobody's files are read here.
    if text.contains("file:") {
        return;
    }
    let read = || parse(text, "proxy.toml", Path::new("/nonexistent"), []);
    let Err(mistakes) = read() else {
        assert!(read().is_ok());
        return;
    };
    assert!(mistakes.count() > 0 && mistakes.iter().count() <= MISTAKES_MAX);
    assert!(!mistakes.to_string().is_empty());
    for mistake in mistakes.iter() {
        match &mistake.place {
            Place::Line { file, line } => {
                assert_eq!(file, "proxy.toml");
                assert!(
                    (1..=text.lines().count().max(1) + 1).contains(line),
                    "{mistake}"
                );
            }
            // What is missing altogether stands nowhere.
            Place::File { file } => assert_eq!(file, "proxy.toml"),
            Place::Variable { .. } => panic!("there are no variables: {mistake}"),
        }
    }
});
