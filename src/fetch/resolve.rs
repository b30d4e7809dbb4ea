//! The addresses behind a server's name: looked up again and again, one lookup at a time, and kept
//! while the name cannot be resolved.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::telemetry::origin_pool::{Lookup, PoolMetrics};

/// How many addresses of one name are kept.
const ADDRESSES_MAX: usize = 64;

/// How long a new connection waits for a lookup while there are addresses from an earlier one.
const PATIENCE_WITH_ADDRESSES: Duration = Duration::from_secs(1);

/// How long one lookup may take before it counts as failed. The system gives up on its own, but
/// not always soon.
const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// After a lookup that failed, while there are addresses from an earlier one.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
type Ask = dyn Fn(&str, u16) -> Answer + Send + Sync;

/// Who is asked for the addresses of a name: the system, unless given.
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<Ask>>);

impl Resolver {
    /// `ask` gets a name and a port, and answers with addresses, the best ones first.
    pub fn new<F, A>(ask: F) -> Self
    where
        F: Fn(&str, u16) -> A + Send + Sync + 'static,
        A: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Some(Arc::new(move |host, port| Box::pin(ask(host, port)))))
    }

    async fn ask(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            Some(ask) => ask(host, port).await,
            None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
        }
    }
}

/// The same asks: then what was resolved need not be resolved anew.
impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// One name and what is known of it.
#[derive(Debug)]
pub(super) struct Name {
    host: Box<str>,
    port: u16,
    /// The host is an address: there is nothing to look up.
    literal: Option<Arc<[SocketAddr]>>,
    resolver: Resolver,
    interval: Duration,
    state: Mutex<State>,
    /// Counts lookups that have ended.
    ended: watch::Sender<u64>,
    metrics: PoolMetrics,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<[SocketAddr]>>,
    /// When the next lookup is due; none before the first one.
    due: Option<Instant>,
    under_way: bool,
    /// What the last lookup failed with.
    failure: Option<Arc<io::Error>>,
}

impl Name {
    pub(super) fn new(
        host: &str,
        port: u16,
        resolver: Resolver,
        interval: Duration,
        metrics: PoolMetrics,
    ) -> Arc<Self> {
        let address = host.parse::<IpAddr>().ok();
        Arc::new(Self {
            host: host.into(),
            port,
            literal: address.map(|address| Arc::from([SocketAddr::new(address, port)])),
            resolver,
            interval,
            state: Mutex::default(),
            ended: watch::Sender::default(),
            metrics,
        })
    }

    /// The addresses as of at most one interval ago, the best ones first; older ones where the
    /// name cannot be resolved (quickly) any more. Waits as long as the first lookup takes: the
    /// caller has a deadline.
    pub(super) async fn addresses(self: &Arc<Self>) -> Result<Arc<[SocketAddr]>, Arc<io::Error>> {
        if let Some(literal) = &self.literal {
            return Ok(Arc::clone(literal));
        }
        let mut ended = self.ended.subscribe();
        if !self.look_up_if_due()
            && let Some(known) = &self.state.lock().known
        {
            return Ok(Arc::clone(known));
        }
        let known = self.known();
        // The sender is ours: it does not go away.
        let _ended = match &known {
            Some(_) => timeout(PATIENCE_WITH_ADDRESSES, ended.changed()).await.ok(),
            None => Some(ended.changed().await),
        };
        let state = self.state.lock();
        match (&state.known, &state.failure) {
            (Some(known), _) => Ok(Arc::clone(known)),
            (None, Some(failure)) => Err(Arc::clone(failure)),
            (None, None) => Err(Arc::new(io::ErrorKind::NotFound.into())),
        }
    }

    /// Whether the name still has this address, as far as is known.
    pub(super) fn has(&self, address: &SocketAddr) -> bool {
        let state = self.state.lock();
        let known = state.known.as_ref();
        known.is_none_or(|known| known.contains(address))
    }

    /// Starts a lookup if one is due and none is under way; it runs on its own, so that nobody who
    /// gives up ends it for others, and a resolver that hangs is asked once. Answers whether
    /// one is under way.
    pub(super) fn look_up_if_due(self: &Arc<Self>) -> bool {
        if self.literal.is_some() {
            return false;
        }
        let mut state = self.state.lock();
        if state.under_way {
            return true;
        }
        if state.due.is_some_and(|due| Instant::now() < due) {
            return false;
        }
        state.under_way = true;
        drop(state);
        tokio::spawn(Arc::clone(self).look_up());
        true
    }

    /// When the next lookup is due; never for an address.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state.lock().due
    }

    /// Changes whenever a lookup has ended.
    pub(super) fn lookups(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    fn known(&self) -> Option<Arc<[SocketAddr]>> {
        self.state.lock().known.clone()
    }

    async fn look_up(self: Arc<Self>) {
        // A panic in the resolver must not leave a lookup under way for ever.
        let end = End(&self);
        let answer = timeout(LOOKUP_MAX, self.resolver.ask(&self.host, self.port)).await;
        end.with(answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
    }

    fn end(&self, answer: io::Result<Vec<SocketAddr>>) {
        let found = answer.and_then(|mut found| {
            found.truncate(ADDRESSES_MAX);
            if found.is_empty() {
                let none = "the name has no address";
                return Err(io::Error::new(io::ErrorKind::NotFound, none));
            }
            Ok(Arc::<[SocketAddr]>::from(found))
        });
        let now = Instant::now();
        let mut state = self.state.lock();
        state.under_way = false;
        match found {
            Ok(found) => {
                let same = state
                    .known
                    .as_ref()
                    .is_some_and(|known| is_same(known, &found));
                let lookup = if same { Lookup::Same } else { Lookup::Changed };
                self.metrics.looked_up(lookup);
                state.known = Some(found);
                state.failure = None;
                state.due = Some(now + self.interval);
            }
            Err(error) => {
                self.metrics.looked_up(Lookup::Failed);
                let has_addresses = state.known.is_some();
                tracing::warn!(host = &*self.host, %error, has_addresses, "name not resolved");
                state.failure = Some(Arc::new(error));
                // Whoever has no address at all asks again at once.
                state.due = has_addresses.then(|| now + self.interval.min(PAUSE_AFTER_FAILURE));
            }
        }
        drop(state);
        self.ended.send_modify(|ended| *ended += 1);
    }
}

struct End<'a>(&'a Name);

impl End<'_> {
    fn with(self, answer: io::Result<Vec<SocketAddr>>) {
        self.0.end(answer);
        std::mem::forget(self);
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end(Err(io::Error::other("the lookup was given up")));
    }
}

fn is_same(known: &[SocketAddr], found: &[SocketAddr]) -> bool {
    known.len() == found.len() && found.iter().all(|address| known.contains(address))
}
