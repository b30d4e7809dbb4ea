//! How connections to a CMS are made: the keys of `[upstream.NAME]` that say so.

use std::path::PathBuf;

use rustls_pki_types::ServerName;

use super::section::{Section, Wrong, default};
use super::server::{Content, optional_file};
use crate::fetch::{Connecting, Protocol, Resolver};

/// Where a client certificate and its key are.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// The client certificate is not read yet.
pub(super) fn read(s: &Section<'_>) -> (Connecting, Option<ClientCertificate>) {
    let protocols = [
        ("http1", Protocol::Http1),
        ("http2", Protocol::Http2),
        ("auto", Protocol::Auto),
    ];
    let connecting = Connecting {
        protocol: s.choice(
            "protocol",
            Protocol::Http1,
            &protocols,
            "What is spoken with the CMS. auto takes HTTP/2 where a server offers it in the TLS \
             handshake; http2 speaks it to http servers without asking, and fails where they \
             cannot. Upgrades (WebSocket) take HTTP/1.1 whatever is said here.",
        ),
        streams_max: s.count(
            "streams_max",
            100,
            1..=10_000,
            "Requests at a time on one HTTP/2 connection; beyond it another one is opened. Low: \
             more connections. High: one lost connection fails more requests.",
        ),
        age_max: s.duration(
            "connection_age_max",
            "10m",
            "1s"..="1d",
            "How old a connection may be and still take another request. Short: more handshakes. \
             Long: servers behind one address are found late.",
        ),
        dns_interval: s.duration(
            "dns_interval",
            "30s",
            "1s"..="1h",
            "How long the addresses of a server's name are believed. Then it is resolved again, and \
             connections to addresses it has lost take no more requests; while it cannot be \
             resolved the last addresses stay. Long: a CMS that moves is found late.",
        ),
        server_name: server_name(s),
        identity: None,
        resolver: Resolver::default(),
    };
    (connecting, client_certificate(s))
}

fn server_name(s: &Section<'_>) -> Option<ServerName<'static>> {
    let taken = s.text(
        "server_name",
        default(""),
        "\"\", or a host name like \"cms.example.org\"",
        "The name that https servers are asked for (SNI) and that their certificates must have. \
         Empty: the host in the server's URL. The check itself cannot be turned off.",
        |text| match text {
            "" => Ok(None),
            name => match ServerName::try_from(name) {
                Ok(name) => Ok(Some(name.to_owned())),
                Err(_) => Err(Wrong::default()),
            },
        },
    );
    taken.flatten()
}

fn client_certificate(s: &Section<'_>) -> Option<ClientCertificate> {
    let cert = optional_file(
        s,
        "client_cert",
        Content::Certificate,
        "The certificate shown to https servers that ask who connects, leaf first. Empty: none.",
    );
    let key = optional_file(
        s,
        "client_key",
        Content::Key,
        "Its private key, readable by nobody else.",
    );
    match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientCertificate { cert, key }),
        (None, None) => None,
        (cert, _) => {
            let (given, lacking) = match cert {
                Some(_) => ("client_cert", "client_key"),
                None => ("client_key", "client_cert"),
            };
            // A path that was refused was told of already.
            if !s.is_given(lacking) {
                let found = format!("`{given}` without `{lacking}`");
                s.object(given, &found, "both or none");
            }
            None
        }
    }
}
