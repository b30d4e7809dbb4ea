//! A small origin server that speaks HTTP/2, plain or with TLS, frame by frame where it must.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response, Uri};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// One request and the means to answer it.
pub(crate) struct Exchange {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
}

impl Exchange {
    /// 200 with this content.
    pub(crate) fn ok(self, content: impl Into<Bytes>) {
        self.answer(content, None);
    }

    /// 200 with this content and these trailers.
    pub(crate) fn answer(mut self, content: impl Into<Bytes>, trailers: Option<HeaderMap>) {
        let mut stream = self
            .respond
            .send_response(Response::new(()), false)
            .unwrap();
        stream
            .send_data(content.into(), trailers.is_none())
            .unwrap();
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers).unwrap();
        }
    }

    /// RST_STREAM.
    pub(crate) fn reset(mut self, reason: h2::Reason) {
        self.respond.send_reset(reason);
    }

    /// Everything that the client sends.
    pub(crate) async fn content(&mut self) -> Result<Vec<u8>, h2::Error> {
        let body = self.request.body_mut();
        let mut content = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }
}

/// A running origin server.
pub(crate) struct Http2Origin {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    heads: Mutex<Vec<Request<()>>>,
}

impl Http2Origin {
    pub(crate) async fn start<H, F>(tls: Option<Arc<rustls::ServerConfig>>, handler: H) -> Self
    where
        H: Fn(Exchange) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (secure, shared) = (tls.is_some(), Arc::<Shared>::default());
        let accepting = tokio::spawn({
            let (shared, handler) = (Arc::clone(&shared), Arc::new(handler));
            async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    let (shared, handler) = (Arc::clone(&shared), Arc::clone(&handler));
                    let tls = tls.clone().map(TlsAcceptor::from);
                    tokio::spawn(async move {
                        match tls {
                            Some(tls) => {
                                let stream = tls.accept(tcp).await.unwrap();
                                converse(stream, number, &shared, &*handler).await;
                            }
                            None => converse(tcp, number, &shared, &*handler).await,
                        }
                    });
                }
            }
        })
        .abort_handle();
        Self {
            address,
            secure,
            shared,
            accepting,
        }
    }

    pub(crate) fn uri(&self) -> Uri {
        let uri = if self.secure {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        };
        uri.parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<Request<()>> {
        self.shared.heads.lock().clone()
    }
}

impl Drop for Http2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse<T, H, F>(transport: T, connection: usize, shared: &Shared, handler: &H)
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Exchange) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(mut server) = h2::server::handshake(transport).await else {
        return;
    };
    while let Some(Ok((request, respond))) = server.accept().await {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.version_mut() = request.version();
        *head.headers_mut() = request.headers().clone();
        shared.heads.lock().push(head);
        tokio::spawn(handler(Exchange {
            request,
            respond,
            connection,
        }));
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const HEADERS: u8 = 1;

/// Takes one request and says that it was not looked at: GOAWAY with the last stream 0
/// (RFC 9113 §6.8). Then waits until the other side has gone.
pub(crate) async fn go_away(mut tcp: TcpStream) -> std::io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    tcp.read_exact(&mut preface).await?;
    tcp.write_all(&frame(SETTINGS, &[])).await?;
    loop {
        let mut head = [0; 9];
        tcp.read_exact(&mut head).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        tcp.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            break;
        }
    }
    tcp.write_all(&frame(GOAWAY, &[0; 8])).await?;
    tcp.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![
        0,
        0,
        u8::try_from(payload.len()).unwrap(),
        kind,
        0,
        0,
        0,
        0,
        0,
    ];
    frame.extend_from_slice(payload);
    frame
}
