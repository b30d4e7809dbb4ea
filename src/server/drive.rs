//! hyper's connections, as far as whoever drives them cares.

use std::pin::Pin;

use hyper::body::{Body, Incoming};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;

use crate::body::BodyError;

/// A connection that is served when it is polled. hyper-util has such a trait too, but not for
/// connections that may be upgraded.
pub(super) trait Drive: Future<Output = Result<(), hyper::Error>> {
    /// Asks it to close as its protocol closes connections.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, B, S> Drive for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<BodyError>,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BodyError>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, B, S, E> Drive for http2::Connection<I, S, E>
where
    I: Read + Write + Unpin,
    B: Body + 'static,
    B::Error: Into<BodyError>,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BodyError>,
    E: Http2ServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
