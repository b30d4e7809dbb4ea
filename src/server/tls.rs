//! TLS of the listeners: which certificate for which name, loaded from PEM with errors that say
//! what is wrong where.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS on the listeners of `Settings::https`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first is the default: for clients that name no server, or one that no certificate has.
    pub certificates: Vec<Certificate>,
    pub min_version: MinVersion,
}

/// A certificate chain, its key, and the names it is used for.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, end-entity certificate first.
    pub cert_pem: Pem,
    /// The key: PKCS #8, PKCS #1 or SEC 1.
    pub key_pem: Pem,
    /// Exact names, or `*.` and a name for one label in front of it. Empty = the DNS names of the
    /// certificate.
    pub hosts: Vec<String>,
}

/// Where PEM text is.
#[derive(Clone, Eq, PartialEq)]
pub enum Pem {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// The oldest protocol version that is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("there is no certificate for the HTTPS listeners")]
    NoCertificates,
    #[error("cannot read {pem}: {source}")]
    Read { pem: Pem, source: std::io::Error },
    #[error("{pem} is not valid PEM: {source}")]
    Pem { pem: Pem, source: pem::Error },
    #[error("{0} contains no certificate")]
    NoCertificate(Pem),
    #[error("{0} contains no private key")]
    NoKey(Pem),
    #[error("the key in {key} does not match the certificate in {cert}")]
    Mismatch { cert: Pem, key: Pem },
    #[error("the certificate in {cert} cannot be used with the key in {key}: {source}")]
    Unusable {
        cert: Pem,
        key: Pem,
        source: Box<rustls::Error>,
    },
    #[error("the certificate in {cert} cannot be read: {reason}")]
    Unreadable { cert: Pem, reason: String },
    #[error("the certificate in {0} names no host: give it `hosts`")]
    NoNames(Pem),
    #[error("`{host}` is no host name for the certificate in {cert}")]
    Host { cert: Pem, host: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificates in use. They can be replaced while connections are served.
#[derive(Debug)]
pub struct Certificates {
    table: ArcSwap<Table>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Table {
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the first label.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Loads `certificates`, of which the first is the default.
    pub async fn load(certificates: &[Certificate]) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let table = ArcSwap::from_pointee(load_table(certificates, &provider).await?);
        Ok(Self { table, provider })
    }

    /// Uses `certificates` from the next handshake on; keeps the old ones if one cannot be loaded.
    pub async fn replace(&self, certificates: &[Certificate]) -> Result<(), TlsError> {
        let table = load_table(certificates, &self.provider).await?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let table = self.table.load();
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return Arc::clone(&table.default);
        };
        let exact = table.exact.get(&name);
        let parent = || name.split_once('.').map(|(_, parent)| parent);
        let found = exact.or_else(|| table.wildcard.get(parent()?));
        Arc::clone(found.unwrap_or(&table.default))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()))
    }
}

/// The rustls configuration of the listeners.
pub(super) fn server_config(
    certificates: Arc<Certificates>,
    min_version: MinVersion,
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match min_version {
        MinVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        MinVersion::Tls13 => &[&version::TLS13],
    };
    let provider = Arc::clone(&certificates.provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}

async fn load_table(
    certificates: &[Certificate],
    provider: &CryptoProvider,
) -> Result<Table, TlsError> {
    let mut default = None;
    let mut exact = HashMap::new();
    let mut wildcard = HashMap::new();
    for certificate in certificates {
        let key = Arc::new(load_key(certificate, provider).await?);
        let names = names(certificate, &key)?;
        if names.is_empty() && default.is_some() {
            return Err(TlsError::NoNames(certificate.cert_pem.clone()));
        }
        default.get_or_insert_with(|| Arc::clone(&key));
        for name in names {
            let (table, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut wildcard, parent.to_owned()),
                None => (&mut exact, name),
            };
            table.entry(name).or_insert_with(|| Arc::clone(&key));
        }
    }
    Ok(Table {
        default: default.ok_or(TlsError::NoCertificates)?,
        exact,
        wildcard,
    })
}

async fn load_key(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let Certificate {
        cert_pem, key_pem, ..
    } = certificate;
    let chain = CertificateDer::pem_slice_iter(&cert_pem.read().await?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| cert_pem.invalid(source))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(cert_pem.clone()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&key_pem.read().await?).map_err(|source| match source {
            pem::Error::NoItemsFound => TlsError::NoKey(key_pem.clone()),
            source => key_pem.invalid(source),
        })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| {
        let (cert, key) = (cert_pem.clone(), key_pem.clone());
        match source {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { cert, key },
            source => TlsError::Unusable {
                cert,
                key,
                source: Box::new(source),
            },
        }
    })
}

/// The names a certificate is used for, in lower case.
fn names(certificate: &Certificate, key: &CertifiedKey) -> Result<Vec<String>, TlsError> {
    if certificate.hosts.is_empty() {
        let unreadable = |reason: String| TlsError::Unreadable {
            cert: certificate.cert_pem.clone(),
            reason,
        };
        let der = key.end_entity_cert()?;
        let parsed =
            webpki::EndEntityCert::try_from(der).map_err(|error| unreadable(error.to_string()))?;
        let names = parsed.valid_dns_names().map(str::to_ascii_lowercase);
        return Ok(names.collect());
    }
    let name = |host: &String| match is_host(host.strip_prefix("*.").unwrap_or(host)) {
        true => Ok(host.to_ascii_lowercase()),
        false => Err(TlsError::Host {
            cert: certificate.cert_pem.clone(),
            host: host.clone(),
        }),
    };
    certificate.hosts.iter().map(name).collect()
}

fn is_host(name: &str) -> bool {
    rustls_pki_types::DnsName::try_from(name).is_ok()
}

impl Pem {
    async fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => tokio::fs::read(path)
                .await
                .map_err(|source| TlsError::Read {
                    pem: self.clone(),
                    source,
                }),
        }
    }

    fn invalid(&self, source: pem::Error) -> TlsError {
        TlsError::Pem {
            pem: self.clone(),
            source,
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Bytes(_) => f.write_str("the PEM text in memory"),
        }
    }
}

/// Never shows what may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
