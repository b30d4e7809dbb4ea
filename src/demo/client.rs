//! The client of `demo --check`: one connection a request, with deadlines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Speaks HTTP, and HTTPS to servers with one certificate.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
}

/// For a whole exchange.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

impl Client {
    /// # Errors
    /// The text is no certificate.
    pub fn trusting(certificate_pem: &str) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// # Errors
    /// There is no answer within ten seconds, or no whole one.
    pub async fn https(
        &self,
        to: SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Bytes>> {
        let exchange = async {
            let stream = TcpStream::connect(to).await?;
            let name = ServerName::try_from("localhost")?;
            let stream = self.tls.connect(name, stream).await?;
            exchange(stream, to, request).await
        };
        timeout(DEADLINE, exchange)
            .await
            .context("no answer within ten seconds")?
    }

    /// # Errors
    /// There is no answer within ten seconds, or no whole one.
    pub async fn http(
        &self,
        to: SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Bytes>> {
        let exchange = async { exchange(TcpStream::connect(to).await?, to, request).await };
        timeout(DEADLINE, exchange)
            .await
            .context("no answer within ten seconds")?
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    to: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    request.headers_mut().insert(HOST, to.to_string().parse()?);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}
