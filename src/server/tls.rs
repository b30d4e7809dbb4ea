//! TLS of the listeners: which certificate for which name, loaded from PEM with errors that say
//! what is wrong where.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Mutex;

use super::certificate_files::Stamp;
pub use super::certificate_files::{KeepCurrent, keep_current};
use super::not_after::not_after;

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS on the listeners of `Settings::https`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first is the default: for clients that name no server, or one that no certificate has.
    pub certificates: Vec<Certificate>,
    pub min_version: MinVersion,
    /// The authorities of client certificates: with them, who has none is not let in.
    pub client_ca: Option<Pem>,
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
    #[error("the client authority in {ca} cannot be used: {reason}")]
    ClientCa { ca: Pem, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificates in use. They can be replaced while connections are served.
#[derive(Debug)]
pub struct Certificates {
    table: ArcSwap<Table>,
    provider: Arc<CryptoProvider>,
    /// Held while a table is made: the last that was asked for is the one in use.
    replacing: Mutex<()>,
}

#[derive(Debug)]
struct Table {
    /// At least one; the first is the default.
    certificates: Vec<Loaded>,
    /// Where the certificate for a name is in `certificates`.
    exact: HashMap<String, usize>,
    /// By what follows the first label.
    wildcard: HashMap<String, usize>,
    /// What was loaded, and how the files looked before.
    sources: Vec<Certificate>,
    stamp: Stamp,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    /// The names it is used for and those that stand in it, in lower case.
    names: HashSet<String>,
    /// When the first certificate of the chain ends, in seconds since the Unix epoch.
    not_after: Option<u64>,
}

impl Certificates {
    /// Loads `certificates`, of which the first is the default.
    pub async fn load(certificates: &[Certificate]) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let table = ArcSwap::from_pointee(load_table(certificates, &provider).await?);
        Ok(Self {
            table,
            provider,
            replacing: Mutex::default(),
        })
    }

    /// Uses `certificates` from the next handshake on; keeps the old ones if one cannot be loaded.
    pub async fn replace(&self, certificates: &[Certificate]) -> Result<(), TlsError> {
        let _replacing = self.replacing.lock().await;
        let table = load_table(certificates, &self.provider).await?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Loads the certificates in use again where their files are not what they were. `None`: they
    /// are.
    pub(super) async fn reload(&self) -> Option<(Stamp, Result<(), TlsError>)> {
        let _replacing = self.replacing.lock().await;
        let sources = {
            let table = self.table.load();
            table.sources.clone()
        };
        let stamp = Stamp::of(&sources).await;
        if stamp == self.table.load().stamp {
            return None;
        }
        let loaded = load_table(&sources, &self.provider).await;
        let outcome = loaded.map(|table| self.table.store(Arc::new(table)));
        Some((stamp, outcome))
    }

    /// When the first of the certificates in use ends, in seconds since the Unix epoch.
    pub fn not_after(&self) -> Option<u64> {
        let table = self.table.load();
        let ends = table.certificates.iter();
        ends.filter_map(|certificate| certificate.not_after).min()
    }

    /// What a handshake with this server name presents; `None` where there is nothing else.
    pub(super) fn presented(&self, sni: Option<&str>) -> Option<Presented> {
        let table = self.table.load_full();
        let sni = sni.map(str::to_ascii_lowercase);
        (table.certificates.len() > 1).then(|| Presented {
            index: table.locate(sni.as_deref()),
            table,
            sni,
        })
    }
}

impl Table {
    /// The certificate for a name in lower case.
    fn locate(&self, name: Option<&str>) -> usize {
        const DEFAULT: usize = 0;
        let Some(name) = name else {
            return DEFAULT;
        };
        let exact = self.exact.get(name);
        let parent = || name.split_once('.').map(|(_, parent)| parent);
        let found = exact.or_else(|| self.wildcard.get(parent()?));
        found.copied().unwrap_or(DEFAULT)
    }
}

/// The certificate that one connection was given.
#[derive(Debug)]
pub(super) struct Presented {
    table: Arc<Table>,
    index: usize,
    sni: Option<String>,
}

impl Presented {
    /// Whether a request for `host` is in its place on this connection (RFC 9110 §15.5.20): another
    /// connection, with `host` as its server name, would be given the same certificate, or this one
    /// is good for `host` too, so that a client may reuse the connection (RFC 9113 §9.1.1).
    ///
    /// A host that no certificate is for belongs to the default one, as an address does.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_named = |sni: &String| sni.eq_ignore_ascii_case(host);
        if self.sni.as_ref().is_some_and(is_named) {
            return true;
        }
        let host = host.to_ascii_lowercase();
        self.table.locate(Some(&host)) == self.index || self.covers(&host)
    }

    fn covers(&self, host: &str) -> bool {
        let Some(certificate) = self.table.certificates.get(self.index) else {
            return false;
        };
        let wildcard = || {
            host.split_once('.')
                .map(|(_, parent)| format!("*.{parent}"))
        };
        certificate.names.contains(host)
            || wildcard().is_some_and(|name| certificate.names.contains(&name))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let certificate = table.certificates.get(table.locate(name.as_deref()))?;
        Some(Arc::clone(&certificate.key))
    }
}

/// The rustls configuration of the listeners.
pub(super) async fn server_config(
    certificates: Arc<Certificates>,
    settings: &Settings,
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match settings.min_version {
        MinVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        MinVersion::Tls13 => &[&version::TLS13],
    };
    let provider = Arc::clone(&certificates.provider);
    let verifier = match &settings.client_ca {
        Some(ca) => client_verifier(ca, &provider).await?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.ignore_client_order = true;
    // Its keys are made anew every six hours, and good for twelve.
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}

/// The suites in our order, the cheapest of the strong ones first: it is what browsers choose on
/// machines with AES instructions, which by now are nearly all.
fn provider() -> CryptoProvider {
    const FIRST: [CipherSuite; 3] = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    let mut provider = default_provider();
    // Stable: TLS 1.3 stays before TLS 1.2.
    let suites = &mut provider.cipher_suites;
    suites.sort_by_key(|suite| !FIRST.contains(&suite.suite()));
    provider
}

/// Lets in who has a certificate of these authorities, and nobody else.
async fn client_verifier(
    ca: &Pem,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |reason: String| TlsError::ClientCa {
        ca: ca.clone(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for root in chain(ca).await? {
        let added = roots.add(root);
        added.map_err(|error| unusable(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

async fn load_table(
    certificates: &[Certificate],
    provider: &CryptoProvider,
) -> Result<Table, TlsError> {
    // Before the files are read: what changes while they are is seen as a change.
    let stamp = Stamp::of(certificates).await;
    let mut table = Table {
        certificates: Vec::new(),
        exact: HashMap::new(),
        wildcard: HashMap::new(),
        sources: certificates.to_vec(),
        stamp,
    };
    for (index, certificate) in certificates.iter().enumerate() {
        let key = Arc::new(load_key(certificate, provider).await?);
        let own = names_within(certificate, &key)?;
        let names = names(certificate, &own)?;
        if names.is_empty() && index > 0 {
            return Err(TlsError::NoNames(certificate.cert_pem.clone()));
        }
        for name in &names {
            let (places, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut table.wildcard, parent),
                None => (&mut table.exact, name.as_str()),
            };
            places.entry(name.to_owned()).or_insert(index);
        }
        table.certificates.push(Loaded {
            not_after: key.cert.iter().filter_map(|der| not_after(der)).min(),
            names: names.into_iter().chain(own).collect(),
            key,
        });
    }
    if table.certificates.is_empty() {
        return Err(TlsError::NoCertificates);
    }
    Ok(table)
}

async fn load_key(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let Certificate {
        cert_pem, key_pem, ..
    } = certificate;
    let chain = chain(cert_pem).await?;
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

/// All certificates in a PEM text; at least one.
async fn chain(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&pem.read().await?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| pem.invalid(source))?;
    match chain.is_empty() {
        true => Err(TlsError::NoCertificate(pem.clone())),
        false => Ok(chain),
    }
}

/// The DNS names that stand in a certificate, in lower case.
fn names_within(certificate: &Certificate, key: &CertifiedKey) -> Result<Vec<String>, TlsError> {
    let unreadable = |reason: String| TlsError::Unreadable {
        cert: certificate.cert_pem.clone(),
        reason,
    };
    let der = key.end_entity_cert()?;
    let parsed =
        webpki::EndEntityCert::try_from(der).map_err(|error| unreadable(error.to_string()))?;
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase);
    Ok(names.collect())
}

/// The names a certificate is used for, in lower case.
fn names(certificate: &Certificate, own: &[String]) -> Result<Vec<String>, TlsError> {
    if certificate.hosts.is_empty() {
        return Ok(own.to_vec());
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
