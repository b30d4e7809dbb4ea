//! The way to Redis, while there is one.
//!
//! A request that finds no way goes on without Redis at once. The first one that waits in vain
//! closes the way for all: a task looks, with pauses that grow, whether Redis answers in time
//! again, and opens it. So no request ever waits for a Redis that is known not to answer, and none
//! is the probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::asking::Asking;
use super::connect::{Connection, Servers, within};
use super::teller::{CALM, Teller, Trouble};
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
    /// Why the way was closed; nothing: an answer did not come in time.
    reason: Mutex<Option<String>>,
    told: Teller,
    /// When it was last told that Redis refuses commands, or has no room.
    told_of_refusal: Mutex<Option<Instant>>,
}

/// Connections that were found to work together.
pub struct Connections {
    lookups: Box<[Asking]>,
    /// Large values must not stand in the way of lookups.
    writes: Connection,
    /// Nor in that of claims, which requests wait for.
    claims: Connection,
    /// What was written by them.
    written: AtomicU64,
    /// They lead to the wrong server, or what comes from them cannot be understood.
    useless: AtomicBool,
}

/// What a failed command says about Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is not there, or cannot serve now.
    Down,
    /// It cannot serve this key now: its slot moves to another node.
    Moving,
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
/// How long a connection that nobody waits for may be silent.
const HEARS_WITHIN: Duration = Duration::from_secs(2);
/// Why it cannot be reached meanwhile.
const DRILL: &str = "a drill: it counts as unreachable";
/// Between words about refused commands.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(600);

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
            reason: Mutex::default(),
            told: Teller::default(),
            told_of_refusal: Mutex::default(),
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

    /// As [`Link::fail`], because of this.
    pub fn fail_by(&self, way: &Arc<Connections>, useless: bool, error: &RedisError) {
        *self.reason.lock() = Some(self.servers.explained_later(error));
        self.fail(way, useless);
    }

    /// A command was refused, which is a mistake in somebody's settings, or found no room.
    pub fn refused(&self, error: &RedisError) {
        let now = Instant::now();
        let mut told = self.told_of_refusal.lock();
        if told.is_some_and(|told| now.duration_since(told) < REFUSALS_TOLD_EVERY) {
            return;
        }
        *told = Some(now);
        drop(told);
        let (redis, error) = (self.servers.place(), self.servers.explained(error));
        tracing::warn!(redis, error, "Redis refuses to share responses");
    }

    /// What is wrong with Redis; nothing: it is asked, or was not found yet.
    pub fn trouble(&self) -> Option<Trouble> {
        self.told.trouble()
    }

    pub const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Opens the way, and opens it again whenever it was closed. Never ends.
    pub async fn keep_open(self: Arc<Self>) {
        let mut known: Option<Arc<Connections>> = None;
        let mut pause = PAUSE_MIN;
        loop {
            match self.find(known.take()).await {
                Ok(way) => {
                    let since = Instant::now();
                    *self.reason.lock() = None;
                    self.way.store(Some(Arc::clone(&way)));
                    self.metrics.breaker_open.set(0);
                    self.tell_well(self.told.is_well());
                    self.while_open().await;
                    let reason = self.reason.lock().take();
                    let late = || format!("no answer within {}.timeout", self.servers.section);
                    self.tell(&reason.unwrap_or_else(late));
                    if since.elapsed() > CALM {
                        pause = PAUSE_MIN;
                    }
                    known = Some(way);
                }
                Err(error) => self.tell(&self.servers.explained(&error)),
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn while_open(&self) {
        while let Some(way) = self.way() {
            if timeout(CALM, self.closed.notified()).await.is_ok() {
                continue;
            }
            match self.hears(&way).await {
                Ok(()) => self.tell_well(self.told.stays_well()),
                Err(error) => self.fail_by(&way, false, &error),
            }
        }
    }

    /// Says something on each connection, so that none is closed because nothing is said there, and
    /// so that no request is the first to find that one has ended.
    async fn hears(&self, way: &Connections) -> RedisResult<()> {
        for connection in &way.lookups {
            connection.hears(Instant::now() + HEARS_WITHIN).await?;
        }
        let (mut writes, mut claims) = (way.writes(), way.claims());
        let ping = cmd("PING");
        within(HEARS_WITHIN, ping.exec_async(&mut claims)).await?;
        // What is large may be under way here: late is not silent.
        let answer = timeout(HEARS_WITHIN, ping.exec_async(&mut writes)).await;
        answer.unwrap_or(Ok(()))
    }

    fn tell_well(&self, is_time: bool) {
        if is_time {
            let redis = self.servers.place();
            tracing::info!(redis, "Redis answers: responses are shared");
        }
    }

    fn tell(&self, error: &str) {
        let redis = self.servers.place();
        match self.told.fails(error) {
            Some(trouble) => tracing::warn!(
                redis,
                error,
                failures = trouble.failures,
                seconds = trouble.seconds(),
                "Redis cannot be used: going on without shared responses"
            ),
            None => tracing::debug!(redis, error, "Redis cannot be used"),
        }
    }

    /// Closes the way when an outage begins, as if the server had gone. Never ends.
    pub async fn heed_outages(self: Arc<Self>) {
        loop {
            self.outage.begun().await;
            if let Some(way) = self.way() {
                *self.reason.lock() = Some(DRILL.to_owned());
                self.fail(&way, true);
            }
            self.outage.ended().await;
        }
    }

    /// The connections that are there, if they work, or new ones.
    async fn find(&self, known: Option<Arc<Connections>>) -> RedisResult<Arc<Connections>> {
        if self.outage.left().is_some() {
            return Err((ErrorKind::Io, DRILL).into());
        }
        if let Some(known) = known
            && !known.useless.load(Ordering::Relaxed)
            && self.answers(&known).await.is_ok()
        {
            return Ok(known);
        }
        let mut lookups = Vec::with_capacity(self.lookups);
        for _ in 0..self.lookups {
            lookups.push(self.servers.open_for_lookups().await?);
        }
        let new = Connections {
            lookups: lookups.into(),
            writes: self.servers.open().await?,
            claims: self.servers.open().await?,
            written: AtomicU64::new(0),
            useless: AtomicBool::new(false),
        };
        self.answers(&new).await?;
        Ok(Arc::new(new))
    }

    /// Whether all of them answer as fast as requests need it.
    async fn answers(&self, way: &Connections) -> RedisResult<()> {
        for connection in &way.lookups {
            connection.ping(Instant::now() + self.patience).await?;
        }
        for mut connection in [way.writes(), way.claims()] {
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
    pub fn lookups(&self, hash: u64) -> &Asking {
        &self.lookups[hash as usize % self.lookups.len()]
    }

    pub fn writes(&self) -> Connection {
        self.writes.clone()
    }

    pub fn claims(&self) -> Connection {
        self.claims.clone()
    }

    /// Something was written.
    pub fn wrote(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was written: while that grows, what is late is behind something else.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
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
                | ServerErrorKind::ClusterDown,
            ) => Self::Down,
            ErrorKind::Server(ServerErrorKind::TryAgain) => Self::Moving,
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
