//! Where the server and the admin listener listen, and with which certificates.

use crate::support::{no_mistake, one_mistake};

#[test]
fn https_needs_a_certificate_and_a_certificate_needs_https() {
    one_mistake(
        "[server]\nhttps = [\"127.0.0.1:8443\"]\n",
        "proxy.toml:8: server.https: found https listeners without a certificate; allowed: no address, or at least one [[certificate]]",
    );
    one_mistake(
        "[[certificate]]\ncert = \"c\"\nkey = \"k\"\n",
        "proxy.toml:7: certificate[0]: found a certificate without https listeners; allowed: no [[certificate]], or an address in server.https",
    );
}

#[test]
fn a_redirect_needs_https() {
    one_mistake(
        "[server]\nhttp_mode = \"redirect\"\n",
        "proxy.toml:8: server.http_mode: found \"redirect\" without https listeners; allowed: \"serve\", or an address in server.https",
    );
}

#[test]
fn two_listeners_on_one_address_collide() {
    one_mistake(
        "[server]\nhttp = [\"127.0.0.1:81\",\n\"0.0.0.0:81\"]\n",
        "proxy.toml:9: server.http[1]: found 0.0.0.0:81, which collides with 127.0.0.1:81 of server.http[0]; allowed: an address that no other listener has",
    );
    one_mistake(
        "[admin]\nlisten = \"127.0.0.1:8080\"\n",
        "proxy.toml:8: admin.listen: found 127.0.0.1:8080, which collides with 127.0.0.1:8080 of server.http[0]; allowed: an address that no other listener has",
    );
    no_mistake(
        "[server]\nhttp = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"[::1]:80\", \"127.0.0.1:80\"]\n",
    );
}

#[test]
fn a_proxy_listens_somewhere() {
    one_mistake(
        "[server]\nhttp = []\n",
        "proxy.toml:8: server.http: found no address to listen on; allowed: at least one address in server.http or server.https",
    );
}

#[test]
fn an_admin_listener_that_others_reach_needs_a_token() {
    one_mistake(
        "[admin]\nlisten = \"0.0.0.0:9090\"\n",
        "proxy.toml:8: admin.listen: found 0.0.0.0:9090, which others reach, without a token; allowed: a loopback address like \"127.0.0.1:9090\", an admin.token, or an admin.client_ca",
    );
    no_mistake("[admin]\nlisten = \"0.0.0.0:9090\"\ntoken = \"0123456789abcdef\"\n");
    no_mistake(
        "[admin]\nlisten = \"0.0.0.0:9090\"\ntls_cert = \"c\"\ntls_key = \"k\"\nclient_ca = \"a\"\n",
    );
}

#[test]
fn tls_of_the_admin_listener_is_whole_or_not_there() {
    one_mistake(
        "[admin]\ntls_cert = \"c\"\n",
        "proxy.toml:8: admin.tls_cert: found a certificate without its key; allowed: \"\", or also an admin.tls_key",
    );
    one_mistake(
        "[admin]\ntls_key = \"k\"\n",
        "proxy.toml:8: admin.tls_key: found a key without its certificate; allowed: \"\", or also an admin.tls_cert",
    );
    one_mistake(
        "[admin]\nclient_ca = \"a\"\n",
        "proxy.toml:8: admin.client_ca: found client certificates without TLS; allowed: \"\", or also an admin.tls_cert and an admin.tls_key",
    );
}

#[test]
fn the_preload_list_has_its_terms() {
    one_mistake(
        "[tls]\nhsts = \"364d\"\nhsts_include_subdomains = true\nhsts_preload = true\n",
        "proxy.toml:10: tls.hsts_preload: found true, without what the list asks for; allowed: false, or tls.hsts of at least \"365d\" and hsts_include_subdomains",
    );
    no_mistake("[tls]\nhsts = \"365d\"\nhsts_include_subdomains = true\nhsts_preload = true\n");
}
