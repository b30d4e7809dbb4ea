//! The bytes of one connection to an origin server, and the deadline on writing them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};
use tokio_rustls::client::TlsStream;

use crate::telemetry::origin::Level;

/// One connection to an origin server.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    write_patience: Duration,
    /// Runs while something waits to be written. Nobody else watches an upload whose response is
    /// there already, nor the last words of TLS.
    stalled: Option<Pin<Box<Sleep>>>,
    _open: Level,
}

#[derive(Debug)]
pub(super) enum Transport {
    Plain(TokioIo<TcpStream>),
    Unix(TokioIo<UnixStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Transport {
    fn as_io(&mut self) -> Pin<&mut dyn Io> {
        match self {
            Self::Plain(io) => Pin::new(io),
            Self::Unix(io) => Pin::new(io),
            Self::Tls(io) => Pin::new(io),
        }
    }
}

trait Io: Read + Write + Unpin {}
impl<T: Read + Write + Unpin> Io for T {}

impl Stream {
    /// `write_patience` is how long the origin server may take nothing while something is there
    /// for it. `open` counts the connection.
    pub(super) const fn new(transport: Transport, write_patience: Duration, open: Level) -> Self {
        Self {
            transport,
            write_patience,
            stalled: None,
            _open: open,
        }
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let outcome = write(self.transport.as_io(), cx);
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        self.stalled
            .get_or_insert_with(|| Box::pin(sleep(self.write_patience)))
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.transport.as_io().poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(io) => io.is_write_vectored(),
            Transport::Unix(io) => io.is_write_vectored(),
            Transport::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, pieces))
    }
}
