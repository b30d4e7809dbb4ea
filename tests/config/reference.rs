//! `proxy.toml` is the code's own: it says what the code does, and every key says what it is for.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cms_edge::config;
use cms_edge::server::HttpMode;

use crate::support::{LEAST, cache, read};

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

#[test]
fn proxy_toml_is_right_as_it_stands_and_holds_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let from_reference = config::load(&path, []).unwrap();
    let mut least = read(LEAST, &[]).unwrap();
    least.routes[0].name = "everything".into();
    assert_eq!(format!("{from_reference:#?}"), format!("{least:#?}"));
}

#[test]
fn proxy_toml_is_right_with_every_setting_that_is_commented_out() {
    let active: Vec<String> = config::reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    // Settings of another dialect, and a certificate without an https address, are mistakes.
    let text = active
        .join("\n")
        .replace("https = []", "https = [\"127.0.0.1:8443\"]")
        .replace("token_header = ", "# ");
    let (before, hmac) = text.split_once("[webhook.hmac]").unwrap();
    let (_, rule) = hmac.split_once("[[webhook.rule]]").unwrap();
    let text = format!("{before}[[webhook.rule]]{rule}");
    let secret = (
        "DEMO_WEBHOOK_SECRET",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    let config = read(&text, &[secret]).unwrap();
    assert_eq!(config.certificates.len(), 1);
    assert_eq!(config.webhooks[0].rules[0].tags.len(), 2);
    let language = config.routes[0].key.language.as_ref().unwrap();
    assert_eq!(language.supported().len(), 4);
}

#[test]
fn the_defaults_are_those_that_the_code_holds() {
    let config = read(LEAST, &[]).unwrap();
    assert_eq!(config.cache.memory.bytes_max, 256 << 20);
    assert_eq!(config.server.limits.drain, Duration::from_secs(30));
    assert_eq!(config.server.http_mode, HttpMode::Serve);
    assert_eq!(config.purge.allow_from.len(), 2);
    assert_eq!(cache(&config).ttl, Duration::from_secs(7200));
    let by_status = cache(&config).ttl_by_status.iter().map(|by| by.status);
    assert_eq!(by_status.collect::<Vec<_>>(), [301, 308, 404, 410]);
    assert!(cache(&config).request_directives);
    assert_eq!(config.routes[0].tags.fields.len(), 7);
    assert_eq!(config.routes[0].compress.types.len(), 15);
    assert!(config.routes[0].key.fields.is_empty());
    let cookies = &config.routes[0].key.cookies;
    for cookie in [
        "sessionid",
        "directus_session_token",
        "wordpress_logged_in_5c01",
    ] {
        let marks = cookies.bypass.iter().any(|pattern| pattern.matches(cookie));
        assert!(marks, "{cookie}");
    }
}

#[test]
fn every_key_says_what_it_is_for_and_what_is_allowed() {
    let record = config::describe();
    let keys: Vec<_> = record
        .sections
        .iter()
        .flat_map(|section| &section.keys)
        .collect();
    assert!(keys.len() > 90, "{}", keys.len());
    for key in keys {
        assert!(
            key.doc.ends_with('.') && !key.kind.allowed().is_empty(),
            "{}",
            key.name
        );
    }
}

#[test]
fn whatever_stands_at_a_key_is_one_mistake_at_its_line() {
    let text = config::reference();
    let lines: Vec<&str> = text.lines().collect();
    let is_setting =
        |line: &str| line.contains(" = ") && !line.starts_with('#') && !line.ends_with('[');
    let mut tried = 0;
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_setting(line))
    {
        let (key, _) = line.split_once(" = ").unwrap();
        let mut changed = lines.clone();
        let nonsense = format!("{key} = nan");
        changed[at] = &nonsense;
        let found = read(&changed.join("\n"), &[]).unwrap_err();
        assert_eq!(found.len(), 1, "{nonsense}: {found:#?}");
        let place = format!("proxy.toml:{}: ", at + 1);
        assert!(
            found[0].starts_with(&place) && found[0].contains(key),
            "{found:?}"
        );
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
}
