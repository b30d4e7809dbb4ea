//! One fetch for all instances: whoever misses in Redis claims the key there, and others wait for
//! what comes of it.
//!
//! A claim is a key in the slot of what is fetched, with the holder's token and the fence that was
//! read before it was taken. It lives for [`LIFE`] and is renewed while the fetch runs, so that one
//! that died is soon replaced. Nothing depends on it but the number of fetches: what comes of one
//! is looked up and admitted like any other value.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, from_redis_value};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::connect::Mode;
use super::index::{self, Field};
use super::link::{Connections, Fault, jittered};
use crate::exchange::{Fence, Generation, Position};
use crate::store::claim::{APART, Claim, Claimed, Ending, Held, Want};

/// How long a claim holds that is not renewed: what a killed instance costs those that wait.
const LIFE: Duration = Duration::from_secs(2);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_millis(500);
/// The first pause between looks at another's claim, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Holders of a claim that one request waits for, one after another: where purges come faster than
/// what is fetched, each takes the place of the one before, and none brings anything.
const HOLDERS_MAX: usize = 2;
/// How long it may take to give one back. Nobody waits for it.
const END_DEADLINE: Duration = Duration::from_secs(2);
/// Claims that are asked for at once: more would not be answered in time by a Redis that is well.
pub(super) const ASKS_MAX: usize = 1024;
/// Claims of others that are waited for at once.
pub(super) const WAITS_MAX: usize = 1024;

/// In the place of a claim: what comes may not be shared.
const NOT_SHARED: &str = "-";
/// In the place of a claim: everybody for himself.
const EVERYBODY: &str = "0";

/// What the script answers.
struct Reply {
    state: String,
    digest: String,
    /// Nothing: it is the one that was seen.
    index: Vec<u8>,
    held: String,
    left: Duration,
}

/// A claim on its way to its end.
struct Holding {
    shared: Arc<Shared>,
    name: String,
    own: String,
    /// What is put in its place.
    next: (&'static str, Duration),
    _renewing: AbortOnDropHandle<()>,
}

/// A question for a claim. Dropped before the answer came, it gives back what it may have brought.
struct Asking {
    shared: Arc<Shared>,
    way: Arc<Connections>,
    name: String,
    own: String,
    is_answered: bool,
}

/// Counts who waits.
struct Waiting<'s>(&'s Shared);

impl Shared {
    pub(super) async fn claim(self: &Arc<Self>, want: &Want<'_>) -> Claimed {
        if self.settings.collapse_wait.is_zero() {
            return Claimed::Unclaimed;
        }
        let (claimed, outcome) = self.settle(want).await;
        self.metrics.claims.asked(outcome);
        claimed
    }

    /// Asks until it is known who fetches, and says how it came about.
    async fn settle(self: &Arc<Self>, want: &Want<'_>) -> (Claimed, &'static str) {
        let end = Instant::now() + self.settings.collapse_wait;
        let token = getrandom::u64().unwrap_or_default();
        let (mut seen, mut over) = (String::new(), String::new());
        let (mut pause, mut waiting) = (PAUSE_MIN, None);
        let (mut holder, mut holders) = (String::new(), 0);
        loop {
            if !want.purges.may_serve() {
                return (Claimed::Unclaimed, "fenced");
            }
            let own = claim_text(token, want.purges.fence());
            let reply = match self.ask_for_claim(want, &own, &seen, &over).await {
                Ok(reply) => reply,
                Err(outcome) => return (Claimed::Unclaimed, outcome),
            };
            let is_mine = reply.state == "taken";
            let holding = is_mine.then(|| self.hold(want, own));
            if want.is_told_by(&reply.index) {
                let outcome = if waiting.is_some() {
                    "awaited"
                } else {
                    "changed"
                };
                return (Claimed::Changed, outcome);
            }
            if let Some(holding) = holding {
                let outcome = if over.is_empty() {
                    "mine"
                } else {
                    "taken_over"
                };
                return (Claimed::Mine(Claim::new(holding)), outcome);
            }
            if Instant::now() >= end {
                return (Claimed::Unclaimed, "waited_out");
            }
            seen = reply.digest;
            if reply.state == "changed" {
                continue;
            }
            match reply.held.as_str() {
                NOT_SHARED => return (Claimed::NotShared(reply.left), "not_shared"),
                EVERYBODY => return (Claimed::Unclaimed, "everybody"),
                held if !want.is_of_use(held) => {
                    over = reply.held;
                    continue;
                }
                _ if !want.waits => return (Claimed::Theirs, "theirs"),
                _ => {}
            }
            if reply.held != holder {
                holder = reply.held;
                holders += 1;
            }
            if holders > HOLDERS_MAX {
                return (Claimed::Unclaimed, "waited_out");
            }
            if waiting.is_none() {
                let Ok(place) = self.claim_waits.try_acquire() else {
                    return (Claimed::Unclaimed, "busy");
                };
                waiting = Some((place, Waiting::new(self)));
            }
            self.metrics.claims.polls.inc();
            sleep(jittered(pause).min(end - Instant::now())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Within the deadline of lookups; the error is the outcome.
    async fn ask_for_claim(
        self: &Arc<Self>,
        want: &Want<'_>,
        own: &str,
        seen: &str,
        over: &str,
    ) -> Result<Reply, &'static str> {
        let _place = self.claim_asks.try_acquire().map_err(|_| "busy")?;
        let way = self.link.way().ok_or("skipped")?;
        let namespace = &self.settings.namespace;
        let names = [
            index::name(namespace, want.key),
            index::claim_name(namespace, want.flight),
        ];
        let keys = [names[0].as_bytes(), names[1].as_bytes()];
        let life = LIFE.as_millis().to_string();
        let arguments = [own, life.as_str(), seen, over].map(str::as_bytes);
        let mut connection = way.claims();
        let mut asking = Asking {
            shared: Arc::clone(self),
            way: Arc::clone(&way),
            name: names[1].clone(),
            own: own.to_owned(),
            is_answered: false,
        };
        let script = self.claim.run(&mut connection, &keys, &arguments);
        let answer = timeout(self.settings.timeout, script).await;
        asking.is_answered = answer.is_ok();
        match answer {
            Ok(Ok(value)) => Reply::read(value).ok_or("failed"),
            Ok(Err(error)) => Err(match self.judge(&way, &error) {
                Fault::Full => "full",
                Fault::Refused | Fault::Type => "refused",
                Fault::Down | Fault::Useless | Fault::Moving => "failed",
            }),
            Err(_) => {
                // The client of a cluster pauses while a slot moves, and connects again by itself;
                // lookups tell whether there is an answer.
                if self.settings.servers.mode != Mode::Cluster {
                    self.link.fail(&way, false);
                }
                Err("deadline")
            }
        }
    }

    /// Renews it until it is dropped.
    fn hold(self: &Arc<Self>, want: &Want<'_>, own: String) -> Holding {
        let name = index::claim_name(&self.settings.namespace, want.flight);
        let renewing = {
            let (shared, name, own) = (Arc::clone(self), name.clone(), own.clone());
            async move {
                loop {
                    sleep(RENEWED_EVERY).await;
                    let renewed = shared.unclaim(&name, &own, &own, LIFE);
                    if timeout(LIFE, renewed).await == Ok(Some(false)) {
                        shared.metrics.claims.lost.inc();
                        return;
                    }
                }
            }
        };
        self.metrics.claims.held.inc();
        Holding {
            shared: Arc::clone(self),
            name,
            own,
            next: ("", Duration::ZERO),
            _renewing: AbortOnDropHandle::new(tokio::spawn(renewing)),
        }
    }

    /// Whether it was still held; nothing: Redis does not say.
    async fn unclaim(&self, name: &str, own: &str, next: &str, lasts: Duration) -> Option<bool> {
        let way = self.link.way()?;
        self.unclaim_by(&way, name, own, next, lasts).await
    }

    async fn unclaim_by(
        &self,
        way: &Arc<Connections>,
        name: &str,
        own: &str,
        next: &str,
        lasts: Duration,
    ) -> Option<bool> {
        let mut connection = way.claims();
        let lasts = lasts.as_millis().max(1).to_string();
        let arguments = [own, next, &lasts].map(str::as_bytes);
        let keys = [name.as_bytes()];
        let script = self.unclaim.run(&mut connection, &keys, &arguments);
        match script.await {
            Ok(Value::Int(done)) => Some(done == 1),
            Ok(_) => None,
            Err(error) => {
                self.judge(way, &error);
                None
            }
        }
    }
}

impl Want<'_> {
    /// Whether an index has something for this request that the last look did not find.
    fn is_told_by(&self, index: &[u8]) -> bool {
        let Ok(lines) = index::lines(index, self.purges.generation()) else {
            return false;
        };
        let mut is_empty = true;
        for line in lines {
            let Ok(line) = line else { return false };
            let Ok(vary) = line.vary() else { return false };
            let key = self.key.select(&vary, self.presented, self.folding);
            if line.is_in(&Field::of(key.secondary())) {
                return !self.seen.has(&key, line.fence(), line.response_time);
            }
            is_empty = false;
        }
        // Now it is known what requests differ by.
        self.seen.is_empty() && !is_empty
    }

    /// Whether what the holder of a claim brings may be served here: no purge that was applied here
    /// since its fence could cover it.
    fn is_of_use(&self, held: &str) -> bool {
        fence_of(held).is_some_and(|fence| self.purges.still_open(fence, self.key))
    }
}

impl Reply {
    fn read(value: Value) -> Option<Self> {
        type Words = (String, String, Vec<u8>, String, i64);
        let (state, digest, index, held, left): Words = from_redis_value(value).ok()?;
        Some(Self {
            state,
            digest,
            index,
            held,
            left: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
        })
    }
}

impl Held for Holding {
    fn end(mut self: Box<Self>, ending: Ending) {
        self.next = match ending {
            Ending::Shared => ("", Duration::ZERO),
            Ending::NotShared(lasts) if !lasts.is_zero() => (NOT_SHARED, lasts),
            Ending::NotShared(_) => (EVERYBODY, APART),
            Ending::Apart(lasts) => (EVERYBODY, lasts),
        };
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shared.metrics.claims.held.dec();
        let shared = Arc::clone(&self.shared);
        let (name, own) = (
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.own),
        );
        let (next, lasts) = self.next;
        in_background(async move {
            shared.unclaim(&name, &own, next, lasts).await;
        });
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let (shared, way) = (Arc::clone(&self.shared), Arc::clone(&self.way));
        let (name, own) = (
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.own),
        );
        in_background(async move {
            // Behind the question, on the same connection.
            let nothing = Duration::ZERO;
            shared.unclaim_by(&way, &name, &own, "", nothing).await;
        });
    }
}

/// Gives a claim back. At the end of the process it runs out.
fn in_background(giving_back: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            let _late = timeout(END_DEADLINE, giving_back).await;
        });
    }
}

impl<'s> Waiting<'s> {
    fn new(shared: &'s Shared) -> Self {
        shared.metrics.claims.waiting.inc();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics.claims.waiting.dec();
    }
}

fn claim_text(token: u64, fence: Fence) -> String {
    let mut text = String::with_capacity(56);
    let (generation, position) = (fence.generation.token(), fence.position.ordinal());
    let _infallible = write!(text, "{token:016x} {generation:016x} {position}");
    text
}

fn fence_of(claim: &str) -> Option<Fence> {
    let mut words = claim.split(' ').skip(1);
    let generation = u64::from_str_radix(words.next()?, 16).ok()?;
    let position = words.next()?.parse().ok()?;
    Some(Fence {
        generation: Generation::new(generation),
        position: Position::new(position),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_tells_the_fence_of_its_holder() {
        let fence = Fence {
            generation: Generation::new(u64::MAX),
            position: Position::new(7),
        };
        assert_eq!(fence_of(&claim_text(3, fence)), Some(fence));
        for text in ["", NOT_SHARED, EVERYBODY, "1 2", "1 x 3", "1 2 -3"] {
            assert_eq!(fence_of(text), None, "{text}");
        }
    }
}
