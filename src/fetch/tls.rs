//! TLS towards the origin servers.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::SetupError;

/// A client that trusts `ca`, or the system's roots when none are given, and speaks HTTP/1.1.
pub(super) fn client_config(
    ca: Option<&[CertificateDer<'static>]>,
) -> Result<Arc<ClientConfig>, SetupError> {
    let roots = match ca {
        Some(certificates) => given_roots(certificates)?,
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
