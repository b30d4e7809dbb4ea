//! `[[webhook]]`: dialects, secrets, rules.

use cms_edge::purge::webhook::condition::Condition;
use cms_edge::purge::webhook::hmac::{Signed, TimestampUnit};
use cms_edge::purge::webhook::settings::{Dialect, Settings};
use cms_edge::purge::webhook::signature::{Algorithm, Encoding};

use crate::support::{LEAST, WEBHOOK, after_least, no_mistake, one_mistake, read};

const STANDARD: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

/// The only webhook of what follows the least configuration.
#[track_caller]
fn webhook(text: &str) -> Settings {
    let config = read(&format!("{LEAST}{text}"), &[]).unwrap();
    config.webhooks().remove(0)
}

#[test]
fn webhooks_have_names_and_paths_of_their_own() {
    no_mistake(WEBHOOK);
    assert_eq!(
        after_least(&format!("{WEBHOOK}{WEBHOOK}")),
        [
            "proxy.toml:16: webhook[1].name: found \"w\", as in webhook[0]; allowed: a text that no other has",
            "proxy.toml:17: webhook[1].path: found \"/_cms-edge/w\", as in webhook[0]; allowed: a text that no other has",
        ]
    );
    one_mistake(
        &WEBHOOK.replace("/_cms-edge/w", "/w/{id}"),
        "proxy.toml:9: webhook[0].path: found \"/w/{id}\" (it matches more than one path); allowed: a path like \"/_cms-edge/webhook/demo\", without captures",
    );
}

#[test]
fn a_webhook_needs_a_strong_secret() {
    let with = |secrets: &str| WEBHOOK.replace("[\"0123456789abcdef\"]", secrets);
    let at = |key: &str, end: &str| format!("proxy.toml:11: webhook[0].secrets{key}: found {end}");
    let each = "a text of at least 16 characters, \"env:NAME\" or \"file:/path\"";
    one_mistake(
        &with("[]"),
        &at("", &format!("an empty list; allowed: a list, each {each}")),
    );
    one_mistake(
        &with("[\"0123456789abcde\"]"),
        &at("[0]", &format!("a text of 15 characters; allowed: {each}")),
    );
    let standard =
        |secret: &str| with(&format!("[\"{secret}\"]")).replace("\"hmac\"", "\"standard\"");
    let why = "a secret of Standard Webhooks is `whsec_` and the base64 of at least 24 bytes";
    for (secret, length) in [
        ("0123456789abcdef", 16),
        ("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY=", 38),
    ] {
        let found = format!("a text of {length} characters ({why}); allowed: {each}");
        one_mistake(&standard(secret), &at("[0]", &found));
    }
    no_mistake(&standard(STANDARD));
    let lacking = WEBHOOK.replace("secrets = ", "# ");
    assert!(
        after_least(&lacking)[0].starts_with("proxy.toml:7: webhook[0].secrets: found nothing; ")
    );
}

#[test]
fn settings_of_another_dialect_are_a_mistake() {
    let strapi = WEBHOOK.replace("\"hmac\"", "\"strapi\"");
    one_mistake(
        &strapi.replace(
            "[[webhook.rule]]",
            "hmac = { header = \"X-S\" }\n[[webhook.rule]]",
        ),
        "proxy.toml:12: webhook[0].hmac: found settings of dialect \"hmac\"; allowed: no hmac table, or dialect \"hmac\"",
    );
    one_mistake(
        &WEBHOOK.replace(
            "[[webhook.rule]]",
            "token_header = \"X-T\"\n[[webhook.rule]]",
        ),
        "proxy.toml:12: webhook[0].token_header: found a setting of dialects \"strapi\" and \"token\"; allowed: no token_header, or dialect \"strapi\" or \"token\"",
    );
    no_mistake(&strapi.replace(
        "[[webhook.rule]]",
        "token_header = \"X-T\"\n[[webhook.rule]]",
    ));
    no_mistake(&WEBHOOK.replace(
        "[[webhook.rule]]",
        "hmac = { header = \"X-S\" }\n[[webhook.rule]]",
    ));
}

#[test]
fn a_rule_purges_something_or_ignores() {
    one_mistake(
        &WEBHOOK.replace("everything = true", ""),
        "proxy.toml:12: webhook[0].rule[0]: found a rule that purges nothing; allowed: at least one of tags, urls, prefixes, hosts, or everything = true",
    );
    no_mistake(&WEBHOOK.replace("everything = true", "mode = \"ignore\""));
    one_mistake(
        &WEBHOOK.replace("everything = true", "mode = \"ignore\"\ntags = [\"a\"]"),
        "proxy.toml:14: webhook[0].rule[0].mode: found \"ignore\" in a rule that names something to purge; allowed: a rule with mode \"ignore\" names nothing to purge",
    );
    one_mistake(
        &WEBHOOK.replace("[\"*\"]", "[]"),
        "proxy.toml:13: webhook[0].rule[0].events: found an empty list; allowed: at least one event",
    );
    let (without, _) = WEBHOOK.split_once("[[webhook.rule]]").unwrap();
    one_mistake(
        without,
        "proxy.toml:7: webhook[0].rule: found no rule; allowed: at least one [[webhook.rule]]",
    );
}

#[test]
fn templates_and_conditions_of_a_rule_are_well_formed() {
    let with = |line: &str| WEBHOOK.replace("everything = true", line);
    one_mistake(
        &with("tags = [\"article:{data..id}\"]"),
        "proxy.toml:14: webhook[0].rule[0].tags[0]: found \"article:{data..id}\" (`data..id` is not a path such as `data.id`, `keys[0]` or `items[*].id`); allowed: a tag like \"article:{data.id}\"",
    );
    one_mistake(
        &with("urls = [\"articles/{data.slug}\"]"),
        "proxy.toml:14: webhook[0].rule[0].urls[0]: found \"articles/{data.slug}\" (it names nothing: it begins neither with `https://` or `http://` nor with a single `/`); allowed: a URL like \"https://www.example.org/articles/{data.slug}\", or its path for all hosts",
    );
    one_mistake(
        &with("prefixes = [\"/de/?a=b\"]"),
        "proxy.toml:14: webhook[0].rule[0].prefixes[0]: found \"/de/?a=b\" (it names nothing: a prefix has no query); allowed: a URL like \"https://www.example.org/de/\", or its path for all hosts",
    );
    one_mistake(
        &with("hosts = [\"a b\"]"),
        "proxy.toml:14: webhook[0].rule[0].hosts[0]: found \"a b\" (the host is missing or malformed); allowed: a host like \"de.example.org\"",
    );
    one_mistake(
        &with("collections = [\"a, b\"]\neverything = true"),
        "proxy.toml:14: webhook[0].rule[0].collections[0]: found \"a, b\" (it has a space or comma, which separate tags); allowed: a tag like \"article:{data.id}\"",
    );
    one_mistake(
        &with("everything = true\nwhen = { \"entry..x\" = \"!null\" }"),
        "proxy.toml:15: webhook[0].rule[0].when.\"entry..x\": found the path \"entry..x\" (`entry..x` is not a path such as `data.id`, `keys[0]` or `items[*].id`); allowed: a path like \"entry.publishedAt\"",
    );
    let config = read(
        &format!(
            "{LEAST}{}",
            with("everything = true\nwhen = { \"a.b\" = true, c = \"!null\" }")
        ),
        &[],
    )
    .unwrap();
    let condition = |path, value| Condition::parse(path, value).unwrap();
    let expected = [condition("a.b", "true"), condition("c", "!null")];
    assert_eq!(config.webhooks[0].rules[0].when, expected);
}

#[test]
fn a_signature_is_described_in_every_part() {
    let with =
        |table: &str| WEBHOOK.replace("[[webhook.rule]]", &format!("{table}\n[[webhook.rule]]"));
    let webhook = webhook(&with(
        "delivery_header = \"X-Delivery\"
        event_header = \"X-Event\"
        [webhook.hmac]
        header = \"X-Code\"
        prefix = \"\"
        encoding = \"base64url\"
        algorithm = \"sha512\"
        timestamp_header = \"X-Time\"
        timestamp_unit = \"ms\"
        signed = \"body+timestamp\"",
    ));
    let Dialect::Hmac { rule, secrets } = &webhook.dialect else {
        panic!("{webhook:?}");
    };
    assert_eq!((rule.header.as_str(), &*rule.prefix), ("x-code", ""));
    let writing = (rule.encoding, rule.algorithm);
    assert_eq!(writing, (Encoding::Base64Url, Algorithm::Sha512));
    let timestamp = rule.timestamp.as_ref().unwrap();
    assert_eq!(timestamp.header, "x-time");
    let form = (timestamp.unit, timestamp.signed);
    assert_eq!(form, (TimestampUnit::Milliseconds, Signed::BodyTimestamp));
    assert_eq!(secrets.len(), 1);
    assert_eq!(webhook.delivery_header.as_ref().unwrap(), "x-delivery");
    let events = webhook.events.as_ref().unwrap();
    assert!(events.paths.is_empty());
    assert_eq!(events.header.as_ref().unwrap(), "x-event");
    one_mistake(
        &with("hmac = { signed = \"body\" }"),
        "proxy.toml:12: webhook[0].hmac.signed: found a setting of timestamp_header; allowed: a timestamp_header beside it, or nothing",
    );
    one_mistake(
        &with("hmac = { algorithm = \"md5\" }"),
        "proxy.toml:12: webhook[0].hmac.algorithm: found \"md5\"; allowed: \"sha256\", \"sha1\" or \"sha512\"",
    );
}

#[test]
fn a_code_is_over_the_timestamp_too_unless_the_file_says_otherwise() {
    let hmac = "hmac = { timestamp_header = \"X-Time\" }\n[[webhook.rule]]";
    let webhook = webhook(&WEBHOOK.replace("[[webhook.rule]]", hmac));
    let Dialect::Hmac { rule, .. } = &webhook.dialect else {
        panic!("{webhook:?}");
    };
    let timestamp = rule.timestamp.as_ref().unwrap();
    let form = (timestamp.unit, timestamp.signed);
    assert_eq!(form, (TimestampUnit::Seconds, Signed::TimestampDotBody));
}

#[test]
fn a_token_stands_in_the_header_of_ones_choice() {
    let token = WEBHOOK.replace("\"hmac\"", "\"token\"");
    let rule = |text: &str| match webhook(text).dialect {
        Dialect::Token(rule) => rule,
        other => panic!("{other:?}"),
    };
    assert_eq!(rule(&token).header, "authorization");
    let named = token.replace("secrets", "token_header = \"X-Purge-Token\"\nsecrets");
    let named = rule(&named);
    assert_eq!(named.header, "x-purge-token");
    assert!(named.tokens[0].is(b"0123456789abcdef"));
}

#[test]
fn an_event_is_where_the_file_says() {
    let with = |line: &str| WEBHOOK.replace("secrets", &format!("{line}\nsecrets"));
    assert!(webhook(WEBHOOK).events.is_none());
    let events = webhook(&with("event_path = \"data.event\""))
        .events
        .unwrap();
    assert_eq!(events.paths[0].as_str(), "data.event");
    assert!(events.header.is_none());
    one_mistake(
        &with("event_path = \"events[*].name\""),
        "proxy.toml:11: webhook[0].event_path: found \"events[*].name\" (`events[*].name` goes through a list, but only one value can be used here); allowed: \"\", or a path in the payload like \"type\" or \"data.event\"",
    );
    let standard = with("delivery_header = \"X-D\"").replace("\"hmac\"", "\"standard\"");
    one_mistake(
        &standard.replace("0123456789abcdef", STANDARD),
        "proxy.toml:11: webhook[0].delivery_header: found a header beside webhook-id, which dialect \"standard\" has; allowed: \"\", or another dialect",
    );
}

#[test]
fn a_payload_that_lacks_something_widens_to_the_collections() {
    let collections = |lines: &str| {
        let webhook = webhook(&WEBHOOK.replace("everything = true", lines));
        let collections = webhook.rules[0].collections.iter();
        collections
            .map(|tag| tag.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let tags = "tags = [\"article:{id}\", \"articles\"]";
    assert_eq!(collections(tags), ["articles"]);
    let given = format!("{tags}\ncollections = [\"{{model}}\", \"all\"]");
    assert_eq!(collections(&given), ["{model}", "all"]);
    assert_eq!(collections(&format!("{tags}\ncollections = []")), [""; 0]);
}

#[test]
fn strapi_has_rules_of_its_own() {
    let (without, _) = WEBHOOK.split_once("[[webhook.rule]]").unwrap();
    let strapi = without.replace("\"hmac\"", "\"strapi\"");
    assert!(webhook(&strapi).rules.is_empty());
    let one = WEBHOOK.replace("\"hmac\"", "\"strapi\"");
    assert_eq!(webhook(&one).rules.len(), 1);
}
