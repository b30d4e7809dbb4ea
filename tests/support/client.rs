//! A client over TLS: with the version, the protocol and the trust that a test wants.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::stage::{Answer, whole};

/// What a client speaks, and whom it trusts.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) version: &'static SupportedProtocolVersion,
    /// `h2` or `http/1.1`.
    pub(crate) protocol: &'static str,
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

impl Client {
    /// One GET over a connection of its own, which is really of that kind.
    pub(crate) async fn get(&self, to: SocketAddr, host: &str, path: &str) -> Answer {
        let stream = self.connect(to, host).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(self.version.version));
        assert_eq!(session.alpn_protocol(), Some(self.protocol.as_bytes()));
        let request = Request::get(format!("https://{host}{path}"));
        let stream = TokioIo::new(stream);
        let response = if self.protocol == "h2" {
            let executor = TokioExecutor::new();
            let (mut sender, connection) = http2::handshake(executor, stream).await.unwrap();
            tokio::spawn(connection);
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let request = Request::get(path).header("host", host);
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            sender.send_request(request).await.unwrap()
        };
        whole(response).await
    }

    /// A connection, with the certificate checked for `host`.
    pub(crate) async fn connect(
        &self,
        to: SocketAddr,
        host: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![self.protocol.as_bytes().to_vec()];
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let stream = TcpStream::connect(to).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}
