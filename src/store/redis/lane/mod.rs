//! A connection for lookups, which many requests share.
//!
//! The commands of all requests that are ready at the same time leave in one write, and what has
//! come is read at once: system calls are most of what a lookup costs. Replies come in the order of
//! the commands. A command that was given up keeps its place, so that its reply goes to nobody.

mod driver;
mod stream;
mod wire;

use std::sync::Arc;
use std::task::Waker;

use ::redis::{ConnectionInfo, ErrorKind, RedisError, RedisResult};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::driver::Driver;
pub(super) use self::wire::Values;
use super::asking::senseless;

/// See the module. Dropped, it closes the connection.
pub struct Lane {
    queue: Arc<Mutex<Queue>>,
    _drives: AbortOnDropHandle<()>,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Missed {
    Deadline,
    /// The reply is on its way, and so large that the deadline has passed.
    Large,
    /// It passed behind such a reply to somebody else.
    Behind,
    /// Too many commands wait already, or a large reply is on its way that takes its time.
    Busy,
    Failed(RedisError),
}

/// What Redis says.
#[derive(Debug)]
enum Reply {
    Values(Values),
    /// A status, such as OK.
    Status,
}

/// Between those who ask and the one who writes and reads.
#[derive(Default)]
struct Queue {
    /// Commands that are not on their way yet.
    commands: Vec<u8>,
    /// Who asked them, in their order.
    asked: Vec<Asked>,
    /// Commands without a reply, those on their way included.
    outstanding: usize,
    /// Of the driver, while it sleeps.
    driver: Option<Waker>,
    /// A large reply keeps others waiting.
    is_blocked: bool,
    is_closed: bool,
}

struct Asked {
    /// Nothing: it was told that the deadline has passed.
    reply: Option<oneshot::Sender<Result<Reply, Missed>>>,
    deadline: Instant,
}

/// Commands without a reply: twice as many as lookups that may wait, because those that were given
/// up keep their place.
const OUTSTANDING_MAX: usize = 2 * super::LOOKUPS_MAX;

impl Lane {
    /// Connects and introduces itself, within `deadline`. `ca`: authorities in PEM; nothing: the
    /// system's.
    ///
    /// # Errors
    /// Whatever keeps Redis from answering.
    pub(super) async fn open(
        info: &ConnectionInfo,
        ca: Option<&[u8]>,
        deadline: Instant,
    ) -> RedisResult<Self> {
        let stream = stream::connect(info.addr(), ca).await?;
        let queue = Arc::<Mutex<Queue>>::default();
        let driver = Driver::new(stream, Arc::clone(&queue));
        let lane = Self {
            queue,
            _drives: AbortOnDropHandle::new(tokio::spawn(driver.run())),
        };
        let settings = info.redis_settings();
        match (settings.username(), settings.password()) {
            (Some(user), Some(password)) => lane.tell(&["AUTH", user, password], deadline).await?,
            (None, Some(password)) => lane.tell(&["AUTH", password], deadline).await?,
            (_, None) => {}
        }
        if settings.db() != 0 {
            let database = settings.db().to_string();
            lane.tell(&["SELECT", &database], deadline).await?;
        }
        Ok(lane)
    }

    /// Asks for values: as many as the command names, at most [`wire::VALUES_MAX`].
    pub(super) async fn values(
        &self,
        words: &[&[u8]],
        deadline: Instant,
    ) -> Result<Values, Missed> {
        match self.ask(words, deadline).await? {
            Reply::Values(values) => Ok(values),
            Reply::Status => Err(Missed::Failed(senseless())),
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not, or not in time.
    pub(super) async fn ping(&self, deadline: Instant) -> RedisResult<()> {
        self.tell(&["PING"], deadline).await
    }

    /// Whether it answers, or is busy with an answer.
    ///
    /// # Errors
    /// It has ended, or is silent.
    pub(super) async fn hears(&self, deadline: Instant) -> RedisResult<()> {
        match self.ask(&[b"PING"], deadline).await {
            Ok(_) | Err(Missed::Large | Missed::Behind | Missed::Busy) => Ok(()),
            Err(Missed::Deadline) => Err(late()),
            Err(Missed::Failed(error)) => Err(error),
        }
    }

    async fn tell(&self, words: &[&str], deadline: Instant) -> RedisResult<()> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        match self.ask(&words, deadline).await {
            Ok(Reply::Status) => Ok(()),
            Ok(Reply::Values(_)) => Err(senseless()),
            Err(Missed::Failed(error)) => Err(error),
            Err(Missed::Deadline | Missed::Large | Missed::Behind | Missed::Busy) => Err(late()),
        }
    }

    async fn ask(&self, words: &[&[u8]], deadline: Instant) -> Result<Reply, Missed> {
        let (reply, answer) = oneshot::channel();
        let driver = {
            let mut queue = self.queue.lock();
            if queue.is_closed {
                return Err(Missed::Failed(closed()));
            }
            if queue.is_blocked || queue.outstanding >= OUTSTANDING_MAX {
                return Err(Missed::Busy);
            }
            queue.outstanding += 1;
            wire::put_command(&mut queue.commands, words);
            queue.asked.push(Asked {
                reply: Some(reply),
                deadline,
            });
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Missed::Failed(closed())))
    }
}

fn late() -> RedisError {
    (ErrorKind::Io, "it does not answer in time").into()
}

fn closed() -> RedisError {
    (ErrorKind::Io, "the connection is closed").into()
}

#[cfg(test)]
mod tests;
