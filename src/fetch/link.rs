//! One request's hold on a connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::loan::Loan;
use super::pool::Pool;

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Link {
    sender: Sender,
    standing: Arc<Standing>,
    pool: Weak<Pool>,
}

#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Loan>),
    Http2(http2::SendRequest<Loan>, StreamUse),
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Standing {
    address: Option<SocketAddr>,
    made: Instant,
    /// It has carried an exchange.
    used: AtomicBool,
    load: Mutex<Load>,
}

#[derive(Debug)]
struct Load {
    /// Requests on it now; counted for HTTP/2 alone.
    streams: usize,
    /// When it was last used.
    touched: Instant,
}

impl Standing {
    pub(super) const fn new(address: Option<SocketAddr>, now: Instant) -> Self {
        Self {
            address,
            made: now,
            used: AtomicBool::new(false),
            load: Mutex::new(Load {
                streams: 0,
                touched: now,
            }),
        }
    }

    pub(super) const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(super) const fn made(&self) -> Instant {
        self.made
    }

    pub(super) fn touched(&self) -> Instant {
        self.load.lock().touched
    }

    pub(super) fn touch(&self, now: Instant) {
        self.load.lock().touched = now;
    }

    pub(super) fn streams(&self) -> usize {
        self.load.lock().streams
    }

    pub(super) fn is_unused(&self) -> bool {
        self.streams() == 0
    }
}

/// One request on an HTTP/2 connection, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamUse(Arc<Standing>);

impl StreamUse {
    pub(super) fn begin(standing: &Arc<Standing>) -> Self {
        standing.load.lock().streams += 1;
        Self(Arc::clone(standing))
    }
}

impl Drop for StreamUse {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut load = self.0.load.lock();
        load.streams = load.streams.saturating_sub(1);
        load.touched = now;
    }
}

impl Link {
    pub(super) const fn new(sender: Sender, standing: Arc<Standing>, pool: Weak<Pool>) -> Self {
        Self {
            sender,
            standing,
            pool,
        }
    }

    pub(super) const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(..))
    }

    /// Whether the connection had carried an exchange before.
    pub(super) fn is_reused(&self) -> bool {
        self.standing.used.load(Ordering::Acquire)
    }

    /// Sends `request` and waits for the head of the response. The error has the request again if
    /// none of it was sent. Dropping the future gives the exchange up, and with HTTP/1.1 the
    /// connection.
    pub(super) async fn send(
        self,
        request: Request<Loan>,
    ) -> Result<Response<Arriving>, TrySendError<Request<Loan>>> {
        match self.sender {
            Sender::Http1(mut sender) => {
                let response = sender.try_send_request(request).await?;
                self.standing.used.store(true, Ordering::Release);
                return_when_ready(sender, self.standing, self.pool);
                Ok(response.map(|incoming| Arriving {
                    incoming,
                    _in_use: None,
                }))
            }
            Sender::Http2(mut sender, in_use) => {
                let response = sender.try_send_request(request).await?;
                self.standing.used.store(true, Ordering::Release);
                Ok(response.map(|incoming| Arriving {
                    incoming,
                    _in_use: Some(in_use),
                }))
            }
        }
    }
}

/// The connection is ready when the exchange is over, both ways; never when it has broken off.
fn return_when_ready(
    mut sender: http1::SendRequest<Loan>,
    standing: Arc<Standing>,
    pool: Weak<Pool>,
) {
    let give_back = move |sender| {
        if let Some(pool) = pool.upgrade() {
            pool.give_back(sender, standing);
        }
    };
    if sender.is_ready() {
        give_back(sender);
        return;
    }
    tokio::spawn(async move {
        if sender.ready().await.is_ok() {
            give_back(sender);
        }
    });
}

/// The content of a response, as the connection delivers it.
#[derive(Debug)]
pub(super) struct Arriving {
    incoming: Incoming,
    _in_use: Option<StreamUse>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
