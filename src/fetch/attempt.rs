//! One attempt: one request over one connection, with its deadlines, and what its failure means.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::header::UPGRADE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, timeout};

use super::error::{Error, Kind};
use super::link::Arriving;
use super::loan::Loan;
use super::pool::{RESPONSE_FIELDS_MAX, Via};
use super::server::Server;
use super::shape::Shape;
use crate::fields::upgrade;
use crate::telemetry::origin::UpstreamMetrics;

/// What all attempts of an upstream share.
#[derive(Debug)]
pub(super) struct Connections {
    first_byte_timeout: Duration,
    metrics: UpstreamMetrics,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The connection had carried an exchange before this one.
    pub(super) connection_reused: bool,
}

impl Connections {
    /// `first_byte_timeout` begins when there is a connection, and covers sending the content of
    /// the request.
    pub(super) const fn new(first_byte_timeout: Duration, metrics: UpstreamMetrics) -> Self {
        Self {
            first_byte_timeout,
            metrics,
        }
    }

    /// Sends `request`, and waits for the head of its response.
    pub(super) async fn exchange(
        &self,
        server: &Server,
        mut request: Request<Loan>,
        via: Via,
    ) -> Result<Response<Arriving>, Failure> {
        let shape = Shape::of(&request);
        // RFC 9113 §8.6: HTTP/2 has no upgrades.
        let protocol = request.headers().get(UPGRADE).cloned();
        let http1 = protocol.is_some();
        let fault = request.body().fault();
        loop {
            let link = server.pool.link(via, http1).await;
            let link = link.map_err(|error| Failure {
                connection_reused: false,
                error: Error::from_source(error.kind(), error),
            })?;
            let connection_reused = link.is_reused();
            request = shape
                .apply(request, link.is_http2())
                .map_err(|error| Failure {
                    connection_reused: false,
                    error,
                })?;
            let sent = Instant::now();
            let outcome = timeout(self.first_byte_timeout, link.send(request)).await;
            let mut error = match outcome {
                Ok(Ok(response)) => return self.judge(response, sent, protocol.as_ref()),
                Ok(Err(error)) => error,
                Err(_) => return Err(Failure::of_answer(Kind::FirstByteTimeout)),
            };
            match error.take_message() {
                // Not a byte of it was written, because the connection had been closed while it
                // was unused: it may be repeated whatever its method.
                Some(unsent) if connection_reused => request = unsent,
                _ => {
                    let error = match fault.take() {
                        Some(source) => Error::from_source(Kind::RequestBody, source),
                        None => of_exchange(error),
                    };
                    return Err(Failure {
                        error,
                        connection_reused,
                    });
                }
            }
        }
    }

    fn judge(
        &self,
        response: Response<Arriving>,
        sent: Instant,
        protocol: Option<&HeaderValue>,
    ) -> Result<Response<Arriving>, Failure> {
        self.metrics.first_byte(sent.elapsed());
        // RFC 9110 §7.8: a server "MUST NOT switch to a protocol that was not indicated".
        let is_asked_for =
            |protocol: &HeaderValue| upgrade::is_to(response.headers(), protocol.as_bytes());
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        // HTTP/2 bounds the bytes of a head alone.
        let is_long = response.headers().len() > RESPONSE_FIELDS_MAX;
        if is_long || switches && !protocol.is_some_and(is_asked_for) {
            return Err(Failure::of_answer(Kind::InvalidResponse));
        }
        Ok(response)
    }
}

impl Failure {
    const fn of_answer(kind: Kind) -> Self {
        Self {
            error: Error::new(kind),
            connection_reused: false,
        }
    }
}

fn of_exchange(error: TrySendError<Request<Loan>>) -> Error {
    let error = error.into_error();
    Error::from_source(kind_of(&error), error)
}

fn kind_of(error: &hyper::Error) -> Kind {
    if error.is_parse() {
        return Kind::InvalidResponse;
    }
    if error.is_user() {
        return Kind::RequestBody;
    }
    // With TLS 1.3 a server refuses us only after the handshake looked complete.
    if find::<io::Error>(error).is_some_and(is_tls) {
        return Kind::Tls;
    }
    find::<h2::Error>(error).map_or(Kind::Closed, kind_of_http2)
}

/// RFC 9113 §8.7: a stream that was refused, or that is beyond the last one that a GOAWAY names,
/// was not processed. h2 ends only the latter with the GOAWAY.
fn kind_of_http2(error: &h2::Error) -> Kind {
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && (error.is_go_away() || is_refused) {
        return Kind::Refused;
    }
    if error.is_library() {
        return Kind::InvalidResponse;
    }
    Kind::Closed
}

fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
