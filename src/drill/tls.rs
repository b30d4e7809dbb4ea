//! TLS towards the admin listener: whom the drill trusts, what it shows, and what went wrong.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::fetch::{self, Identity};

/// PEM files of the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Files {
    /// The authorities that may sign the certificate of an https:// listener; by default those of
    /// the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate shown to a listener with `admin.client_ca`, leaf first.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl Files {
    pub(super) const fn is_any(&self) -> bool {
        self.ca.is_some() || self.cert.is_some()
    }

    pub(super) const fn has_identity(&self) -> bool {
        self.cert.is_some()
    }

    /// # Errors
    /// A file cannot be read, or has not what it should.
    pub(super) fn config(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let ca = self.ca.as_deref().map(certificates).transpose()?;
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(Identity {
                chain: certificates(cert)?,
                key: Arc::new(PrivateKeyDer::from_pem_file(key).with_context(|| {
                    format!("--key: {} has no private key to read", key.display())
                })?),
                key_path: key.clone(),
            }),
            _ => None,
        };
        let config = fetch::client_config(ca.as_deref(), identity.as_ref());
        Ok(Arc::new(config.context("--ca, --cert and --key")?))
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.with_context(|| format!("{} cannot be read as PEM", path.display()))?;
    if read.is_empty() {
        bail!("{} has no certificate", path.display());
    }
    Ok(read)
}

/// What a failure over TLS means, as far as it is one of TLS.
pub(super) fn explained(error: &(dyn Error + 'static), has_identity: bool) -> Option<String> {
    let mut source = Some(error);
    while let Some(error) = source {
        let within = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let found = within.and_then(|within| within.downcast_ref());
        if let Some(found) = error.downcast_ref::<TlsError>().or(found) {
            return Some(said(found, has_identity));
        }
        source = error.source();
    }
    None
}

/// Whether the other side ended the connection without a word.
pub(super) fn is_broken_off(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                ErrorKind::BrokenPipe
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::UnexpectedEof
            );
        }
        let of_http = error.downcast_ref::<hyper::Error>();
        if of_http.is_some_and(|error| error.is_incomplete_message() || error.is_canceled()) {
            return true;
        }
        source = error.source();
    }
    false
}

fn said(error: &TlsError, has_identity: bool) -> String {
    match error {
        // A signature is another one where an authority of the same name has another key.
        TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "its certificate is not of an authority that is trusted here; --ca FILE names one"
            .to_owned(),
        TlsError::InvalidCertificate(why) => format!("its certificate is not accepted: {why}"),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "it demands a client certificate: --cert FILE and --key FILE".to_owned()
        }
        TlsError::AlertReceived(alert) if has_identity => {
            format!("it refuses the handshake, perhaps the certificate of --cert: {alert:?}")
        }
        TlsError::InvalidMessage(_) => "it does not speak TLS: http:// may be meant".to_owned(),
        error => format!("TLS: {error}"),
    }
}
