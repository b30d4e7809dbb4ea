//! The admin listener, as the drill asks it.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::figures::Figures;

/// See the module.
pub struct Admin {
    url: Uri,
    bearer: HeaderValue,
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
pub fn token(place: &str) -> anyhow::Result<String> {
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
    /// It is no `http://` URL, or the token is none.
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let url: Uri = url
            .parse()
            .with_context(|| format!("`{url}` is not a URL"))?;
        if url.scheme_str() != Some("http") || url.authority().is_none() {
            bail!("`{url}`: only http:// can be asked");
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the admin token has characters that no token has")?;
        bearer.set_sensitive(true);
        Ok(Self { url, bearer })
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
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority.as_str())
            .header(AUTHORIZATION, &self.bearer)
            .body(Empty::<Bytes>::new())?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        connection.abort();
        Ok((head.status, body))
    }
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
    fn only_plain_http_is_asked() {
        assert!(Admin::new("http://127.0.0.1:9090", "t").is_ok());
        for url in ["https://a.example", "127.0.0.1:9090", "/x"] {
            assert!(Admin::new(url, "t").is_err(), "{url}");
        }
        assert!(Admin::new("http://a", "a\nb").is_err());
    }
}
