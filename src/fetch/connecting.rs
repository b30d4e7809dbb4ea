//! What an operator says about connections to origin servers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::resolve::Resolver;

/// How connections are made, and how long they are used. The defaults are those of the
/// configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Connecting {
    pub protocol: Protocol,
    /// Requests at a time on one HTTP/2 connection; at least 1. More connections are opened for
    /// more requests, and a server that allows fewer gets fewer.
    pub streams_max: usize,
    /// No connection older than this is used for another request.
    pub age_max: Duration,
    /// How old what is known of a name's addresses may become.
    pub dns_interval: Duration,
    /// The name that is asked for by SNI and that server certificates have to be valid for; none =
    /// the host of the server.
    pub server_name: Option<ServerName<'static>>,
    /// What is shown to servers that ask who connects.
    pub identity: Option<Identity>,
    pub resolver: Resolver,
}

impl Default for Connecting {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            streams_max: 100,
            age_max: Duration::from_secs(600),
            dns_interval: Duration::from_secs(30),
            server_name: None,
            identity: None,
            resolver: Resolver::default(),
        }
    }
}

/// What is spoken with the servers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    #[default]
    Http1,
    /// On connections without TLS without asking first (RFC 9113 §3.3).
    Http2,
    /// What a server chooses in the TLS handshake (RFC 7301); HTTP/1.1 without TLS.
    Auto,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// End-entity certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Arc<PrivateKeyDer<'static>>,
    /// Where the key came from, for messages.
    pub key_path: PathBuf,
}
