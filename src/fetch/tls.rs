//! TLS towards the origin servers: 1.2 or newer, always with a certificate that is checked.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::SetupError;
use super::connecting::{Connecting, Identity, Protocol};

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS of one upstream. Sessions are resumed, also between the two.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    /// Offers what the upstream's protocol says.
    pub(super) usual: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone, for what HTTP/2 cannot carry.
    pub(super) http1: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts `ca`, or the system's roots when none are given.
    pub(super) fn new(
        ca: Option<&[CertificateDer<'static>]>,
        connecting: &Connecting,
    ) -> Result<Self, SetupError> {
        let mut http1 = client_config(ca, connecting.identity.as_ref())?;
        http1.alpn_protocols = vec![HTTP1.to_vec()];
        let mut usual = http1.clone();
        usual.alpn_protocols = match connecting.protocol {
            Protocol::Http1 => vec![HTTP1.to_vec()],
            Protocol::Http2 => vec![HTTP2.to_vec()],
            Protocol::Auto => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        };
        Ok(Self {
            usual: Arc::new(usual),
            http1: Arc::new(http1),
        })
    }
}

/// Without ALPN. Trusts `ca`, or the system's roots when none are given.
///
/// # Errors
/// A root or the identity cannot be used, or there are no roots.
pub fn client_config(
    ca: Option<&[CertificateDer<'static>]>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, SetupError> {
    let roots = match ca {
        Some(certificates) => given_roots(certificates)?,
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|source| SetupError::Identity {
                path: identity.key_path.clone(),
                source,
            }),
    }
}

fn given_roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(SetupError::Ca)?;
    }
    if roots.is_empty() {
        return Err(SetupError::NoRoots);
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, SetupError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root certificate of the system could not be read");
    }
    let mut roots = RootCertStore::empty();
    // Systems ship certificates that are not valid roots; the others are still good.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(SetupError::NoRoots);
    }
    Ok(roots)
}
