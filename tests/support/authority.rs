//! A certificate authority for tests: certificates for servers, and its own for who trusts them.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// An authority nobody knows.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The authority's own certificate: the root to trust.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// The same as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// TLS for a server called `name`, with a certificate of this authority.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        Arc::new(self.configured(name, None))
    }

    /// The same that offers these protocols (ALPN).
    pub(crate) fn server_speaking(&self, name: &str, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = self.configured(name, None);
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The same for clients alone that show a certificate of this authority, too.
    pub(crate) fn server_for_known_clients(&self, name: &str) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Arc::new(self.configured(name, Some(verifier.build().unwrap())))
    }

    /// A certificate of this authority, and its key.
    pub(crate) fn issue(
        &self,
        name: &str,
    ) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let (certificate, key) = self.signed(name);
        (certificate.der().clone(), key.serialize_der().into())
    }

    /// The same as PEM.
    pub(crate) fn issue_pem(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.signed(name);
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn configured(&self, name: &str, clients: Option<Arc<dyn ClientCertVerifier>>) -> ServerConfig {
        let (certificate, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        builder
            .with_single_cert(vec![certificate], key.into())
            .unwrap()
    }
}
