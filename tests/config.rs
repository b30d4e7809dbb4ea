//! The configuration as an operator meets it: `proxy.toml` is the code's own, every mistake is
//! named with its line, and nothing is applied by halves.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::path::Path;

use cms_edge::config;

#[test]
fn proxy_toml_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let written = fs::read_to_string(path).unwrap();
    assert!(
        written == config::reference(),
        "write it anew: cargo test --test config -- --ignored write_proxy_toml"
    );
}

#[test]
#[ignore = "writes proxy.toml"]
fn write_proxy_toml() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    fs::write(&path, config::reference()).unwrap();
    assert!(path.exists());
}
