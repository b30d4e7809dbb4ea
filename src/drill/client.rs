//! The admin listener, as commands of the command line ask it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::figures::Figures;
use super::tls::{self, Files};

/// Whose admin listener is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Whom {
    /// The admin listener of the instance, http:// or https://.
    #[arg(
        long = "admin",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090"
    )]
    pub(super) url: String,
    /// Where its admin token stands: env:NAME or file:/path.
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "env:CMS_EDGE_ADMIN__TOKEN"
    )]
    token: String,
    #[command(flatten)]
    tls: Files,
}

/// See the module.
pub struct Admin {
    url: Uri,
    bearer: HeaderValue,
    /// With `https://`.
    tls: Option<Arc<ClientConfig>>,
    /// A certificate is shown to who asks for one.
    has_identity: bool,
}

/// For one exchange.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of an answer: metrics of many routes and languages.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes of an answer that are shown.
const SHOWN_BYTES_MAX: usize = 300;

/// The token that stands at `place`: `env:NAME` or `file:/path`. It is no argument itself, which
/// every user of the machine could read.
///
/// # Errors
/// There is none.
fn token(place: &str) -> anyhow::Result<String> {
    let token = match place.split_once(':') {
        Some(("env", name)) => std::env::var(name)
            .with_context(|| format!("the admin token: the variable {name} is not set"))?,
        Some(("file", path)) => std::fs::read_to_string(path)
            .with_context(|| format!("the admin token: {path} cannot be read"))?,
        _ => bail!("--token says where the admin token stands: env:NAME or file:/path"),
    };
    Ok(token.trim().to_owned())
}

impl Admin {
    /// # Errors
    /// There is no token, or it is none; it is no `http://` or `https://` URL; or the files of TLS
    /// cannot be used.
    pub fn new(whom: &Whom) -> anyhow::Result<Self> {
        let (url, files, token) = (&whom.url, &whom.tls, token(&whom.token)?);
        let url: Uri = url
            .parse()
            .with_context(|| format!("`{url}` is not a URL"))?;
        let tls = match url.scheme_str() {
            Some("http") if files.is_any() => {
                bail!("`{url}`: --ca, --cert and --key are for https://")
            }
            Some("http") => None,
            Some("https") => Some(files.config()?),
            _ => bail!("`{url}`: only http:// and https:// can be asked"),
        };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the admin token has characters that no token has")?;
        bearer.set_sensitive(true);
        Ok(Self {
            url,
            bearer,
            tls,
            has_identity: files.has_identity(),
        })
    }

    /// # Errors
    /// There is no answer, or it is none to this question.
    pub async fn json(&self, method: &str, path: &str) -> anyhow::Result<Value> {
        let body = self.ask(method, path).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("{} does not speak as cms-edge does", self.url))
    }

    /// # Errors
    /// There is no answer.
    pub(super) async fn figures(&self) -> anyhow::Result<Figures> {
        let body = self.ask("GET", "/metrics").await?;
        Ok(Figures::read(&String::from_utf8_lossy(&body)))
    }

    async fn ask(&self, method: &str, path: &str) -> anyhow::Result<Bytes> {
        let exchange = timeout(DEADLINE, self.exchange(method, path)).await;
        let exchange = exchange.with_context(|| format!("{} does not answer", self.url))?;
        let (status, body) = exchange.with_context(|| format!("{} cannot be asked", self.url))?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let shown = text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX));
        bail!(
            "{} answers {status} to {method} {path}: {}",
            self.url,
            shown.unwrap_or_default().trim()
        )
    }

    async fn exchange(&self, method: &str, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let authority = self.url.authority().context("the URL names no host")?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = authority.port_u16();
        let usual = if self.tls.is_some() { 443 } else { 80 };
        let stream = TcpStream::connect((host, port.unwrap_or(usual))).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority.as_str())
            .header(AUTHORIZATION, &self.bearer)
            .body(Empty::<Bytes>::new())?;
        match &self.tls {
            None => over(stream, request).await.map_err(plain),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())?;
                let connecting = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
                let stream = connecting.await.map_err(|error| {
                    let said = tls::explained(&error, self.has_identity);
                    said.map_or_else(
                        || anyhow!(error).context("it ends the handshake: http:// may be meant"),
                        anyhow::Error::msg,
                    )
                })?;
                let exchange = over(stream, request).await;
                exchange.map_err(|error| self.secured(error))
            }
        }
    }

    /// What went wrong after the handshake: with TLS 1.3 a client certificate is judged then.
    fn secured(&self, error: anyhow::Error) -> anyhow::Error {
        if let Some(said) = tls::explained(error.as_ref(), self.has_identity) {
            return anyhow!(said);
        }
        if tls::is_broken_off(error.as_ref()) && !self.has_identity {
            return error.context(
                "it ends the connection; it may demand a client certificate: --cert FILE and --key FILE",
            );
        }
        error
    }
}

async fn over<S>(stream: S, request: Request<Empty<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = match sender.send_request(request).await {
        Ok(response) => response.into_parts(),
        // The connection may know more of why it ended.
        Err(error) if error.is_canceled() => match connection.await {
            Ok(Err(cause)) => return Err(cause.into()),
            _ => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    Ok((head.status, body))
}

/// What went wrong without TLS.
fn plain(error: anyhow::Error) -> anyhow::Error {
    let of_http = error.downcast_ref::<hyper::Error>();
    if of_http.is_some_and(hyper::Error::is_parse) || tls::is_broken_off(error.as_ref()) {
        return error.context("it does not answer plain HTTP: https:// may be meant");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_somewhere_and_is_no_argument() {
        assert!(token("secret").is_err());
        assert!(token("env:NO_SUCH_VARIABLE_AT_ALL").is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "secret\n").unwrap();
        assert_eq!(
            token(&format!("file:{}", path.display())).unwrap(),
            "secret"
        );
    }

    #[test]
    fn only_http_and_https_are_asked() {
        let folder = tempfile::tempdir().unwrap();
        let admin = |url: &str, token: &str| {
            let path = folder.path().join("token");
            std::fs::write(&path, token).unwrap();
            Admin::new(&Whom {
                url: url.to_owned(),
                token: format!("file:{}", path.display()),
                tls: Files::default(),
            })
        };
        assert!(admin("http://127.0.0.1:9090", "t").is_ok());
        for url in ["ftp://a.example", "127.0.0.1:9090", "/x"] {
            assert!(admin(url, "t").is_err(), "{url}");
        }
        assert!(admin("http://a", "a\nb").is_err());
    }
}
