//! The keys that say how connections to a CMS are made.

use std::fs;
use std::path::Path;

use cms_edge::config;

use crate::support::{no_mistake, one_mistake};

#[test]
fn a_client_certificate_and_its_key_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["edge".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    fs::write(&cert, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let upstream = "[upstream.b]\nservers = [\"https://b\"]\n";
    let cert = format!("client_cert = {:?}\n", cert.to_str().unwrap());
    let key = format!("client_key = {:?}\n", key.to_str().unwrap());
    one_mistake(
        &format!("{upstream}{cert}"),
        "proxy.toml:9: upstream.b.client_cert: found `client_cert` without `client_key`; allowed: both or none",
    );
    one_mistake(
        &format!("{upstream}{key}"),
        "proxy.toml:9: upstream.b.client_key: found `client_key` without `client_cert`; allowed: both or none",
    );
    no_mistake(&format!("{upstream}{cert}{key}"));
}

#[test]
fn a_socket_in_the_file_system_has_an_absolute_path() {
    no_mistake("[upstream.b]\nservers = [\"unix:/run/b.sock\", \"http://b\"]\n");
    one_mistake(
        "[upstream.b]\nservers = [\"unix:b.sock\"]\n",
        "proxy.toml:8: upstream.b.servers[0]: found \"unix:b.sock\" (behind unix: stands an absolute path); allowed: a URL of scheme, host and port like \"http://127.0.0.1:8000\", or \"unix:/run/cms.sock\"",
    );
    one_mistake(
        "[upstream.b]\nservers = [\"unix:/b\", \"unix:/b\"]\n",
        "proxy.toml:8: upstream.b.servers: found one server twice; allowed: each server once",
    );
}

#[test]
fn a_server_name_is_one_that_a_certificate_can_have() {
    no_mistake("[upstream.b]\nservers = [\"https://10.0.0.1\"]\nserver_name = \"cms.internal\"\n");
    one_mistake(
        "[upstream.b]\nservers = [\"https://b\"]\nserver_name = \"cms internal\"\n",
        "proxy.toml:9: upstream.b.server_name: found \"cms internal\"; allowed: \"\", or a host name like \"cms.example.org\"",
    );
}

#[test]
fn the_check_of_certificates_has_no_switch() {
    let text = "[upstream.b]\nservers = [\"https://b\"]\nverify = false\n";
    let config = format!("[upstream.cms]\nservers = [\"http://127.0.0.1:8000\"]\n{text}");
    let mistakes = config::parse(&config, "proxy.toml", Path::new(""), []).unwrap_err();
    let said = mistakes.to_string();
    assert!(
        said.contains("upstream.b.verify: found an unknown key"),
        "{said}"
    );
}
