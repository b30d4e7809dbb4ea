//! Bytes both ways between a client and an origin that have switched to another protocol
//! (RFC 9110 §7.8): what is in them is their affair; how long, and how many, is ours.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use crate::body::Body;
use crate::telemetry::upgrade::{Closed, Open, UpgradeMetrics};

/// What is on its way in one direction, in bytes.
const BUFFER_BYTES: usize = 8 * 1024;

/// How long one side may go on after the other has ended, with nothing moving.
const HALF_CLOSED_MAX: Duration = Duration::from_secs(10);

/// A tunnel is looked at so many times while it may idle: it is reaped up to that much later.
const LOOKS: u32 = 4;

/// The origin's side of a tunnel. It travels with the 101 to whoever has the client's side.
#[derive(Debug)]
pub struct Tunnel {
    origin: Upgraded,
    idle_timeout: Duration,
    metrics: Arc<UpgradeMetrics>,
    open: Open,
    _place: OwnedSemaphorePermit,
}

/// Extensions can be cloned; a tunnel is there once.
#[derive(Clone, Debug)]
struct HandedOver(Arc<Mutex<Option<Tunnel>>>);

impl Tunnel {
    /// Ends when nothing has moved for `idle_timeout`; holds `place` until then.
    pub fn new(
        origin: Upgraded,
        idle_timeout: Duration,
        metrics: Arc<UpgradeMetrics>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            origin,
            idle_timeout,
            open: metrics.tunnel(),
            metrics,
            _place: place,
        }
    }

    /// Puts it into the 101 that the client gets.
    pub fn hand_over(self, extensions: &mut Extensions) {
        extensions.insert(HandedOver(Arc::new(Mutex::new(Some(self)))));
    }

    /// Takes it out again; nothing where the response is no 101 with a tunnel.
    pub fn taken_from(response: &mut Response<Body>) -> Option<Self> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        let HandedOver(tunnel) = response.extensions_mut().remove()?;
        tunnel.lock().take()
    }

    /// Copies until it is over. `early` is what the client has sent already, behind its request.
    /// Dropped before that, it counts as cut by the drain.
    pub async fn run<C: AsyncRead + AsyncWrite>(mut self, client: C, early: Bytes) {
        self.open.ends_by(Closed::Drain);
        let origin = TokioIo::new(self.origin);
        let closed = copy((client, early), origin, self.idle_timeout, &self.metrics).await;
        self.open.ends_by(closed);
    }
}

async fn copy<C, O>(
    (client, early): (C, Bytes),
    origin: O,
    idle: Duration,
    metrics: &UpgradeMetrics,
) -> Closed
where
    C: AsyncRead + AsyncWrite,
    O: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_origin, to_origin) = split(origin);
    let moved = AtomicU64::new(0);
    let up = Way {
        patience: idle,
        moved: &moved,
        bytes: metrics.from_client(),
    };
    let down = Way {
        patience: idle,
        moved: &moved,
        bytes: metrics.from_origin(),
    };
    let mut up = pin!(up.copy(early, from_client, to_origin));
    let mut down = pin!(down.copy(Bytes::new(), from_origin, to_client));
    let (mut ended, mut patience) = (None, idle);
    let mut look = pin!(sleep(patience / LOOKS));
    let (mut seen, mut quiet) = (0, 0);
    loop {
        let end = tokio::select! {
            biased;
            end = &mut up, if ended != Some(Closed::Client) => (end, Closed::Client),
            end = &mut down, if ended != Some(Closed::Origin) => (end, Closed::Origin),
            () = &mut look => {
                let now = moved.load(Relaxed);
                quiet = if now == seen { quiet + 1 } else { 0 };
                seen = now;
                if quiet >= LOOKS {
                    return ended.unwrap_or(Closed::Idle);
                }
                look.as_mut().reset(Instant::now() + patience / LOOKS);
                continue;
            }
        };
        match (end, ended) {
            ((Err(error), _), _) if error.kind() == io::ErrorKind::TimedOut => return Closed::Idle,
            ((Err(_), _), _) => return ended.unwrap_or(Closed::Broken),
            ((Ok(()), _), Some(first)) => return first,
            ((Ok(()), side), None) => {
                ended = Some(side);
                patience = idle.min(HALF_CLOSED_MAX);
                quiet = 0;
                look.as_mut().reset(Instant::now() + patience / LOOKS);
            }
        }
    }
}

/// One direction of a tunnel.
struct Way<'t> {
    /// How long the receiver may take nothing, whatever it sends meanwhile.
    patience: Duration,
    moved: &'t AtomicU64,
    bytes: &'t Counter,
}

impl Way<'_> {
    /// Until the end of `from`, which `to` is told.
    async fn copy(
        self,
        early: Bytes,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        if !early.is_empty() {
            self.write(&mut to, &early).await?;
        }
        drop(early);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(count) => count,
                // Over TLS: gone without a word.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(error),
            };
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return to.shutdown().await;
            }
            self.write(&mut to, piece).await?;
        }
    }

    async fn write(&self, to: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<()> {
        let written = async {
            to.write_all(piece).await?;
            to.flush().await
        };
        timeout(self.patience, written)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        self.moved.fetch_add(1, Relaxed);
        self.bytes.inc_by(piece.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_nothing_ends_the_tunnel_however_much_it_sends() {
        let (mut client, near) = duplex(64);
        let (origin, far) = duplex(64);
        let (mut of_origin, mut to_origin) = split(origin);
        let metrics = UpgradeMetrics::default();
        let tunnel = copy((near, Bytes::new()), far, IDLE, &metrics);
        let chatting = async {
            loop {
                client.write_all(b"ping").await.unwrap();
                sleep(IDLE / 10).await;
            }
        };
        let flooding = async {
            loop {
                to_origin.write_all(&[0; 64]).await.unwrap();
            }
        };
        let reading = async {
            let mut buffer = [0; 64];
            while of_origin.read(&mut buffer).await.is_ok() {}
        };
        let began = Instant::now();
        let closed = tokio::select! {
            closed = tunnel => closed,
            () = chatting => unreachable!(),
            () = flooding => unreachable!(),
            () = reading => unreachable!(),
        };
        assert_eq!(closed, Closed::Idle);
        assert!(began.elapsed() <= IDLE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_goes_on_alone_and_says_nothing_is_not_waited_for_long() {
        let (mut client, near) = duplex(64);
        let (_origin, far) = duplex(64);
        let metrics = UpgradeMetrics::default();
        client.shutdown().await.unwrap();
        let began = Instant::now();
        let closed = copy((near, Bytes::new()), far, IDLE, &metrics).await;
        assert_eq!(closed, Closed::Client);
        assert!(began.elapsed() <= HALF_CLOSED_MAX * 2);
    }
}
