//! The connections to one server: which one the next request takes, and when one is given up.
//!
//! HTTP/1.1 connections carry one request at a time and wait here in between. HTTP/2 connections
//! stay here while they carry several. A task tends them for as long as there are any: it closes
//! what nobody uses, what is too old, and what leads to an address that the name has lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::{ConnectError, Connector, Fresh, Way};
use super::link::{Link, Sender, Standing, StreamUse};
use super::loan::Loan;
use super::resolve::Name;
use crate::telemetry::origin_pool::Retired;

/// Fields in the head of a response, and the bytes of that head. hyper looks at the latter after
/// each read, so that up to twice as many may be buffered.
pub(super) const RESPONSE_FIELDS_MAX: usize = 256;
const RESPONSE_HEAD_BYTES_MAX: usize = 256 * 1024;
const RESPONSE_HEAD_BYTES_MAX_HTTP2: u32 = 256 * 1024;

/// What a server may send of one response before we have taken it (RFC 9113 §5.2), in bytes. The
/// window of a connection is that of all its streams, so that a slow client stops nobody else's
/// response; at most the largest that there is.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// Bytes of one request's content that wait to be written.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;

/// An HTTP/2 connection with a request on it is asked whether it is alive when it has been silent
/// so long, and given up when no answer comes.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The tending task looks at least so often, and at most.
const TEND_AT_LEAST: Duration = Duration::from_secs(5);
const TEND_AT_MOST: Duration = Duration::from_millis(20);

/// Over which connection a request goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Via {
    /// One that is there already, if there is one.
    Pooled,
    /// One that was made after the request was.
    Fresh,
}

/// How many connections are kept, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// Unused connections; 0 keeps none at all.
    pub(super) idle_max: usize,
    pub(super) idle_time: Duration,
    pub(super) age_max: Duration,
    pub(super) streams_max: usize,
}

#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    keeping: Keeping,
    kept: Mutex<Kept>,
    /// Held while a connection is made that may be for many.
    opening: tokio::sync::Mutex<()>,
    /// The server has chosen HTTP/1.1 where it could have chosen HTTP/2.
    chose_http1: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one used last is the last.
    unused: Vec<(http1::SendRequest<Loan>, Arc<Standing>)>,
    shared: Vec<(http2::SendRequest<Loan>, Arc<Standing>)>,
    tended: bool,
}

impl Pool {
    pub(super) fn new(connector: Connector, keeping: Keeping) -> Arc<Self> {
        Arc::new(Self {
            connector,
            keeping,
            kept: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            chose_http1: AtomicBool::new(false),
        })
    }

    /// A connection to send one request on. With `http1`, one that speaks HTTP/1.1 and that no other
    /// request has to do with, before or after: it may become something else (RFC 9110 §7.8).
    pub(super) async fn link(
        self: &Arc<Self>,
        via: Via,
        http1: bool,
    ) -> Result<Link, ConnectError> {
        if via == Via::Pooled
            && !http1
            && let Some(link) = self.take(None)
        {
            return Ok(link);
        }
        let opened = timeout(self.connector.deadline, self.open(http1, via));
        opened.await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open(self: &Arc<Self>, http1: bool, via: Via) -> Result<Link, ConnectError> {
        let asked = Instant::now();
        let may_be_shared = !http1
            && self.keeping.idle_max > 0
            && self.connector.may_be_http2()
            && !self.chose_http1.load(Ordering::Relaxed);
        if !may_be_shared {
            return self.shake_hands(http1).await;
        }
        let _turn = self.opening.lock().await;
        let made_after = (via == Via::Fresh).then_some(asked);
        if let Some(link) = self.take(made_after) {
            return Ok(link);
        }
        self.shake_hands(http1).await
    }

    async fn shake_hands(self: &Arc<Self>, http1: bool) -> Result<Link, ConnectError> {
        let Fresh {
            stream,
            address,
            is_http2,
        } = self.connector.connect(http1).await?;
        let standing = Arc::new(Standing::new(address, Instant::now()));
        if !is_http2 {
            if !http1 {
                self.chose_http1.store(true, Ordering::Relaxed);
            }
            let handshake = http1::Builder::new()
                .max_headers(RESPONSE_FIELDS_MAX)
                .max_buf_size(RESPONSE_HEAD_BYTES_MAX)
                .handshake(stream);
            let (sender, connection) = handshake.await.map_err(ConnectError::Http)?;
            // Whoever uses the connection hears of its errors.
            tokio::spawn(async move { drop(connection.with_upgrades().await) });
            let pool = if http1 {
                Weak::new()
            } else {
                Arc::downgrade(self)
            };
            return Ok(Link::new(Sender::Http1(sender), standing, pool));
        }
        self.chose_http1.store(false, Ordering::Relaxed);
        let handshake = self.http2().handshake(stream);
        let (sender, connection) = handshake.await.map_err(ConnectError::Http)?;
        tokio::spawn(async move { drop(connection.await) });
        let in_use = StreamUse::begin(&standing);
        if self.keeping.idle_max > 0 {
            let mut kept = self.kept.lock();
            kept.shared.push((sender.clone(), Arc::clone(&standing)));
            self.tend(&mut kept);
        }
        let sender = Sender::Http2(sender, in_use);
        Ok(Link::new(sender, standing, Arc::downgrade(self)))
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let streams = u32::try_from(self.keeping.streams_max).unwrap_or(u32::MAX);
        let window = STREAM_WINDOW_BYTES.saturating_mul(streams);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(window.min(CONNECTION_WINDOW_BYTES_MAX))
            .initial_max_send_streams(self.keeping.streams_max)
            .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
            .max_header_list_size(RESPONSE_HEAD_BYTES_MAX_HTTP2)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT);
        builder
    }

    /// A connection that is there already, the one used last first; with `made_after`, one for
    /// many that was made after that.
    fn take(self: &Arc<Self>, made_after: Option<Instant>) -> Option<Link> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.shared.retain(|(sender, standing)| {
            !sender.is_closed() && self.may_stay(standing, now, standing.is_unused())
        });
        let free = kept.shared.iter().find(|(_, standing)| {
            standing.streams() < self.keeping.streams_max
                && made_after.is_none_or(|then| standing.made() >= then)
        });
        if let Some((sender, standing)) = free {
            let sender = Sender::Http2(sender.clone(), StreamUse::begin(standing));
            let pool = Arc::downgrade(self);
            return Some(Link::new(sender, Arc::clone(standing), pool));
        }
        if made_after.is_some() {
            return None;
        }
        while let Some((sender, standing)) = kept.unused.pop() {
            if sender.is_ready() && self.may_stay(&standing, now, true) {
                return Some(Link::new(
                    Sender::Http1(sender),
                    standing,
                    Arc::downgrade(self),
                ));
            }
        }
        None
    }

    /// Takes a connection back that is ready for another request.
    pub(super) fn give_back(
        self: &Arc<Self>,
        sender: http1::SendRequest<Loan>,
        standing: Arc<Standing>,
    ) {
        let now = Instant::now();
        standing.touch(now);
        if sender.is_closed() || !self.may_stay(&standing, now, true) {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.unused.len() >= self.keeping.idle_max {
            drop(kept);
            self.connector.metrics.retired(Retired::PoolFull);
            return;
        }
        kept.unused.push((sender, standing));
        self.tend(&mut kept);
    }

    /// Whether a connection may be used again; counts why not.
    fn may_stay(&self, standing: &Standing, now: Instant, unused: bool) -> bool {
        let reason = if now >= standing.made() + self.keeping.age_max {
            Retired::Age
        } else if unused && now >= standing.touched() + self.keeping.idle_time {
            Retired::Idle
        } else if self.has_lost(standing) {
            Retired::AddressGone
        } else {
            return true;
        };
        self.connector.metrics.retired(reason);
        false
    }

    fn has_lost(&self, standing: &Standing) -> bool {
        match (self.name(), standing.address()) {
            (Some(name), Some(address)) => !name.has(&address),
            _ => false,
        }
    }

    const fn name(&self) -> Option<&Arc<Name>> {
        match &self.connector.way {
            Way::Tcp { name, .. } => Some(name),
            Way::Unix(_) => None,
        }
    }

    fn tend(self: &Arc<Self>, kept: &mut Kept) {
        if kept.tended {
            return;
        }
        kept.tended = true;
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let Some(living) = pool.upgrade() else { return };
                let lookups = living.name().map(|name| name.lookups());
                let Some(next) = living.sweep() else { return };
                drop(living);
                match lookups {
                    Some(mut lookups) => tokio::select! {
                        () = sleep_until(next) => {}
                        _ = lookups.changed() => {}
                    },
                    None => sleep_until(next).await,
                }
            }
        });
    }

    /// Gives up what is not to be used again, and answers when to look again; not at all when
    /// nothing is left.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.unused
            .retain(|(sender, standing)| !sender.is_closed() && self.may_stay(standing, now, true));
        kept.shared.retain(|(sender, standing)| {
            !sender.is_closed() && self.may_stay(standing, now, standing.is_unused())
        });
        let unused = kept.unused.iter().map(|(_, standing)| standing);
        let all = unused.chain(kept.shared.iter().map(|(_, standing)| standing));
        let latest = now + TEND_AT_LEAST;
        let end = |standing: &Arc<Standing>| {
            let aged = standing.made() + self.keeping.age_max;
            match standing.is_unused() {
                true => aged.min(standing.touched() + self.keeping.idle_time),
                false => aged,
            }
        };
        let Some(next) = all.map(end).min() else {
            kept.tended = false;
            return None;
        };
        drop(kept);
        let due = self.name().and_then(|name| {
            name.look_up_if_due();
            name.due()
        });
        // The end of a lookup that is under way is heard of.
        let due = due.filter(|due| *due > now).unwrap_or(latest);
        Some(next.min(due).clamp(now + TEND_AT_MOST, latest))
    }
}
