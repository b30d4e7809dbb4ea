//! Secrets, certificates and keys: where they come from, and that no secret is shown.

use std::fs;

use cms_edge::config;
use cms_edge::server::tls::Pem;

use crate::support::{LEAST, WEBHOOK, after_least, read};

#[test]
fn secrets_come_from_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-a-file-0123456\n").unwrap();
    let text = format!("[admin]\ntoken = \"env:TOKEN\"\n[purge]\ntoken = \"file:token\"\n{LEAST}");
    let environment = [("TOKEN".to_owned(), "from-a-variable-0123".to_owned())];
    let config = config::parse(&text, "proxy.toml", folder.path(), environment).unwrap();
    assert!(config.admin.token.unwrap().is(b"from-a-variable-0123"));
    assert!(config.purge.token.unwrap().is(b"from-a-file-0123456"));
}

#[test]
fn a_secret_that_cannot_be_had_names_its_key() {
    let text =
        format!("[admin]\ntoken = \"env:NOPE\"\n[purge]\ntoken = \"file:/nowhere/token\"\n{LEAST}");
    let allowed = "allowed: \"\", a text of at least 16 characters, \"env:NAME\" or \"file:/path\"";
    assert_eq!(
        read(&text, &[]).unwrap_err(),
        [
            format!(
                "proxy.toml:2: admin.token: found \"env:NOPE\" (there is no such variable); {allowed}"
            ),
            format!(
                "proxy.toml:4: purge.token: found \"file:/nowhere/token\" (No such file or directory); {allowed}"
            ),
        ]
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = [
        "hunter2-a",
        "hunter2-b",
        "whsec_hunter2",
        "hunter2-hunter2-hunter2",
    ];
    let [token, from_variable, standard, in_url] = secrets;
    let text = format!(
        "[admin]\ntoken = \"{token}\"\n[purge]\ntoken = \"env:T\"\n{}{WEBHOOK}",
        LEAST.replace("http://", &format!("http://root:{in_url}@"))
    );
    let text = text
        .replace("\"hmac\"", "\"standard\"")
        .replace("0123456789abcdef", &format!("{standard}\", \"{in_url}"));
    let mistakes = read(&text, &[("T", from_variable)]).unwrap_err();
    assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
    assert!(!mistakes.concat().contains("hunter2"), "{mistakes:#?}");
    let alone = WEBHOOK.replace("[\"0123456789abcdef\"]", "\"hunter2-hunter2-hunter2\"");
    let mistakes = after_least(&alone);
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].contains("found a text of 23 characters; "),
        "{mistakes:?}"
    );
    let redis = format!("[redis]\nurl = \"rediss://edge:{in_url}@a#insecure\"\n{LEAST}");
    let mistakes = read(&redis, &[]).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(!mistakes[0].contains("hunter2"), "{mistakes:?}");
    let good = format!(
        "[admin]\ntoken = \"{in_url}\"\n[redis]\nurl = \"redis://edge:{in_url}@a\"\n{LEAST}"
    );
    let good = read(&good, &[]).unwrap();
    let shown = format!("{good:?} {:?}", good.redis().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn certificates_and_keys_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let pair = rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).unwrap();
    write("cert.pem", &pair.cert.pem());
    write("key.pem", &pair.signing_key.serialize_pem());
    let with = |cert: &str, key: &str| {
        let text = format!(
            "[server]\nhttps = [\"127.0.0.1:8443\"]\n[[certificate]]\ncert = \"{cert}\"\nkey = \"{key}\"\n{LEAST}"
        );
        write("proxy.toml", &text);
        config::load(&folder.path().join("proxy.toml"), [])
    };
    let config = with("cert.pem", "key.pem").unwrap();
    let key = Pem::File(folder.path().join("key.pem"));
    assert_eq!(config.certificates[0].key_pem, key);
    let found = with("none.pem", "cert.pem").unwrap_err().to_string();
    let (first, second) = found.split_once('\n').unwrap();
    let line = |end: &str| format!("{}{end}", folder.path().join("proxy.toml").display());
    assert_eq!(
        first,
        line(
            ":4: certificate[0].cert: found \"none.pem\" (No such file or directory); allowed: the path of a PEM file"
        )
    );
    assert_eq!(
        second,
        line(
            ":5: certificate[0].key: found \"cert.pem\" (there is no private key in it); allowed: the path of a PEM file"
        )
    );
}
