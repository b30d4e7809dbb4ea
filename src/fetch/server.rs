//! Where an origin server is, and what it is called.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use rustls_pki_types::ServerName;

use super::SetupError;
use super::pool::Pool;

/// Where a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// `http://host[:port]` or `https://host[:port]`.
    Url(Uri),
    /// A socket in the file system; HTTP without TLS. Its `Host` is `localhost` where the server
    /// says what it is called.
    Unix(PathBuf),
}

impl From<Uri> for Address {
    fn from(url: Uri) -> Self {
        Self::Url(url)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The authority as the value of `Host`.
    pub(super) host: HeaderValue,
    /// Instead of the authority.
    pub(super) socket: Option<PathBuf>,
    /// `host[:port]` or `unix:/path`, as configured.
    pub(super) name: Box<str>,
    /// What its certificate has to be valid for; none: no TLS.
    pub(super) certificate_name: Option<ServerName<'static>>,
}

/// A member of an upstream.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) site: Site,
    pub(super) pool: Arc<Pool>,
}

impl Server {
    /// As configured.
    pub(super) fn name(&self) -> &str {
        &self.site.name
    }
}

impl Site {
    pub(super) fn new(address: &Address) -> Result<Self, SetupError> {
        let unusable = || SetupError::Server(address.clone());
        let url = match address {
            Address::Url(url) => url,
            Address::Unix(path) if path.is_absolute() => {
                return Ok(Self {
                    scheme: Scheme::HTTP,
                    authority: Authority::from_static("localhost"),
                    host: HeaderValue::from_static("localhost"),
                    name: address.to_string().into(),
                    socket: Some(path.clone()),
                    certificate_name: None,
                });
            }
            Address::Unix(_) => return Err(unusable()),
        };
        let scheme = url.scheme().ok_or_else(unusable)?.clone();
        let authority = url.authority().ok_or_else(unusable)?.clone();
        let known_scheme = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if !known_scheme || !is_bare || authority.as_str().contains('@') {
            return Err(unusable());
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| unusable())?;
        // Whatever cannot be in a certificate cannot be connected to either.
        let certificate_name =
            ServerName::try_from(bare(authority.host()).to_owned()).map_err(|_| unusable())?;
        Ok(Self {
            certificate_name: (scheme == Scheme::HTTPS).then_some(certificate_name),
            scheme,
            name: authority.as_str().into(),
            authority,
            host,
            socket: None,
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.certificate_name.is_some()
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        bare(self.authority.host())
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Result<Site, SetupError> {
        Site::new(&Address::Url(url.parse().unwrap()))
    }

    #[test]
    fn a_server_is_a_scheme_and_an_authority() {
        assert_eq!(&*site("https://cms").unwrap().name, "cms");
        assert_eq!(&*site("http://[::1]:81/").unwrap().name, "[::1]:81");
        for unusable in [
            "ftp://cms",
            "/cms",
            "http://cms/api",
            "http://u:p@cms",
            "http://cms/?a",
        ] {
            assert!(site(unusable).is_err(), "{unusable}");
        }
    }

    #[test]
    fn a_socket_in_the_file_system_has_an_absolute_path() {
        let site = |path: &str| Site::new(&Address::Unix(path.into()));
        let socket = site("/run/cms.sock").unwrap();
        assert_eq!(&*socket.name, "unix:/run/cms.sock");
        assert_eq!(socket.host, "localhost");
        assert!(site("run/cms.sock").is_err());
    }

    #[test]
    fn a_certificate_has_to_be_valid_for_the_host_without_brackets_or_port() {
        for (server, expected) in [
            ("https://cms.example.org:8443", "cms.example.org"),
            ("https://[::1]:8443", "::1"),
            ("https://127.0.0.1", "127.0.0.1"),
        ] {
            let name = site(server).unwrap().certificate_name.unwrap();
            assert_eq!(name.to_str(), expected);
        }
    }
}
