//! The way to Redis, while there is one.
//!
//! A request that finds no way goes on without Redis at once. The first one that waits in vain
//! closes the way for all: a task looks, with pauses that grow, whether Redis answers in time
//! again, and opens it. So no request ever waits for a Redis that is known not to answer, and none
//! is the probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::connect::{Connection, Servers};
use crate::outage::Outage;
use crate::telemetry::redis::RedisMetrics;

/// See the module.
pub struct Link {
    way: ArcSwapOption<Connections>,
    closed: Notify,
    servers: Servers,
    lookups: usize,
    /// In which Redis must answer.
    patience: Duration,
    outage: Outage,
    metrics: Arc<RedisMetrics>,
}

/// Connections that were found to work together.
pub struct Connections {
    lookups: Box<[Connection]>,
    /// Large values must not stand in the way of lookups.
    writes: Connection,
    /// They lead to the wrong server, or what comes from them cannot be understood.
    useless: AtomicBool,
}

/// What a failed command says about Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is not there, or cannot serve now.
    Down,
    /// It is not the server that is wanted, or not understood.
    Useless,
    /// What is stored is of another type than ours.
    Type,
    /// It has no memory left.
    Full,
    /// It refuses the command.
    Refused,
}

/// The first pause before Redis is asked again, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A way that was open for so long was a good one: pauses begin anew.
const CALM: Duration = Duration::from_secs(10);

impl Link {
    /// `patience`: how long a request may wait. [`Link::keep_open`] must run beside it.
    pub fn new(
        servers: Servers,
        lookups: usize,
        patience: Duration,
        outage: Outage,
        metrics: Arc<RedisMetrics>,
    ) -> Self {
        metrics.breaker_open.set(1);
        Self {
            way: ArcSwapOption::empty(),
            closed: Notify::new(),
            servers,
            lookups: lookups.max(1),
            patience,
            outage,
            metrics,
        }
    }

    /// Nothing: Redis is not asked now.
    pub fn way(&self) -> Option<Arc<Connections>> {
        self.way.load_full()
    }

    /// Closes `way` for all, because it failed.
    pub fn fail(&self, way: &Arc<Connections>, useless: bool) {
        way.useless.fetch_or(useless, Ordering::Relaxed);
        let before = self.way.compare_and_swap(way, None);
        if before
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, way))
        {
            self.metrics.breaker_open.set(1);
            self.metrics.trips.inc();
            self.closed.notify_one();
        }
    }

    /// Opens the way, and opens it again whenever it was closed. Never ends.
    pub async fn keep_open(self: Arc<Self>) {
        let mut known: Option<Arc<Connections>> = None;
        let mut pause = PAUSE_MIN;
        let mut is_told = false;
        loop {
            match self.find(known.take()).await {
                Ok(way) => {
                    tracing::info!("Redis answers");
                    is_told = false;
                    let since = Instant::now();
                    self.way.store(Some(Arc::clone(&way)));
                    self.metrics.breaker_open.set(0);
                    while self.way.load().is_some() {
                        self.closed.notified().await;
                    }
                    tracing::warn!("Redis does not answer in time: going on without it");
                    if since.elapsed() > CALM {
                        pause = PAUSE_MIN;
                    }
                    known = Some(way);
                }
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::warn!(%error, "Redis cannot be reached: going on without it");
                }
                Err(error) => tracing::debug!(%error, "Redis cannot be reached"),
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Closes the way when an outage begins, as if the server had gone. Never ends.
    pub async fn heed_outages(self: Arc<Self>) {
        loop {
            self.outage.begun().await;
            if let Some(way) = self.way() {
                self.fail(&way, true);
            }
            self.outage.ended().await;
        }
    }

    /// The connections that are there, if they work, or new ones.
    async fn find(&self, known: Option<Arc<Connections>>) -> RedisResult<Arc<Connections>> {
        if self.outage.left().is_some() {
            return Err((ErrorKind::Io, "a drill: it counts as unreachable").into());
        }
        if let Some(known) = known
            && !known.useless.load(Ordering::Relaxed)
            && self.answers(&known).await.is_ok()
        {
            return Ok(known);
        }
        let mut lookups = Vec::with_capacity(self.lookups);
        for _ in 0..self.lookups {
            lookups.push(self.servers.open().await?);
        }
        let new = Connections {
            lookups: lookups.into(),
            writes: self.servers.open().await?,
            useless: AtomicBool::new(false),
        };
        self.answers(&new).await?;
        Ok(Arc::new(new))
    }

    /// Whether all of them answer as fast as requests need it.
    async fn answers(&self, way: &Connections) -> RedisResult<()> {
        for connection in way.lookups.iter().chain([&way.writes]) {
            let mut connection = connection.clone();
            let ping = cmd("PING");
            match timeout(self.patience, ping.exec_async(&mut connection)).await {
                Ok(answer) => answer?,
                Err(_) => return Err((ErrorKind::Io, "it does not answer in time").into()),
            }
        }
        Ok(())
    }
}

impl Connections {
    /// The connection for what has this hash.
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the index is taken modulo the number of connections, of which there is one"
    )]
    pub fn lookups(&self, hash: u64) -> Connection {
        self.lookups[hash as usize % self.lookups.len()].clone()
    }

    pub fn writes(&self) -> Connection {
        self.writes.clone()
    }
}

impl Fault {
    pub fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Useless,
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::Useless,
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::Down,
            ErrorKind::Server(_) | ErrorKind::Extension => match error.code() {
                Some("WRONGTYPE") => Self::Type,
                Some("OOM") => Self::Full,
                Some("NOAUTH") => Self::Useless,
                _ => Self::Refused,
            },
            _ => Self::Down,
        }
    }
}

/// Half of `pause` and up to half more: instances that lost Redis together come back apart.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    let part = f64::from(random) / f64::from(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(part)
}
