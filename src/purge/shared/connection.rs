//! The connections to Redis: one for scripts, and one on which the tail waits. Every wait for an
//! answer has a deadline; whoever misses one gives both up and connects again, later each time.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep, timeout};

use super::record::Record;
use super::scripts::senseless;
use crate::exchange::Position;
use crate::store::redis::connect;

/// Where Redis is.
pub(super) struct Servers {
    pub(super) servers: connect::Servers,
    /// A key of the log: all of them have one slot.
    pub(super) key: String,
    /// How long it may take to connect, and to answer.
    pub(super) timeout: Duration,
}

/// Both connections. A clone is for the same.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) scripts: MultiplexedConnection,
    tail: MultiplexedConnection,
    timeout: Duration,
}

/// Pauses between attempts, each about twice as long as the one before.
pub(super) struct Pauses {
    next: Duration,
    connected: Option<Instant>,
}

/// How long one look at the tail waits for a record.
const BLOCK: Duration = Duration::from_secs(1);
/// Records that one look takes: 10 MB, if each is as long as one can be.
const RECORDS_MAX: usize = 100;
/// Commands that wait to be written to one connection.
const PIPELINE_COMMANDS_MAX: usize = 1024;
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(5);

impl Servers {
    /// Both to the same server, which is looked for anew each time.
    pub(super) async fn open(&self) -> RedisResult<Link> {
        let client = self.servers.owner(&self.key).await?;
        let (scripts, tail) = tokio::try_join!(self.one(&client, true), self.one(&client, false))?;
        Ok(Link {
            scripts,
            tail,
            timeout: self.timeout,
        })
    }

    async fn one(&self, client: &Client, has_deadline: bool) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(has_deadline.then_some(self.timeout))
            .set_pipeline_buffer_size(PIPELINE_COMMANDS_MAX);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        // What is sent while it connects has no deadline of its own.
        match timeout(self.timeout, connecting).await {
            Ok(connection) => connection,
            Err(_) => Err(late()),
        }
    }
}

impl Link {
    /// The records after `position`, as soon as there are any; nothing: there were none for
    /// [`BLOCK`].
    pub(super) async fn records(&mut self, log: &str, after: Position) -> RedisResult<Vec<Record>> {
        let mut command = redis::cmd("XREAD");
        command
            .arg("COUNT")
            .arg(RECORDS_MAX)
            .arg("BLOCK")
            .arg(BLOCK.as_millis() as u64)
            .arg("STREAMS")
            .arg(log)
            .arg(format!("{}-0", after.ordinal()));
        let read = command.query_async::<Value>(&mut self.tail);
        match timeout(BLOCK + self.timeout, read).await {
            Ok(answer) => records(answer?),
            Err(_) => Err(late()),
        }
    }
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self {
            next: PAUSE_MIN,
            connected: None,
        }
    }

    pub(super) fn connected(&mut self) {
        self.connected = Some(Instant::now());
    }

    /// Waits before the next attempt: half of the pause, and a random part of the other half.
    pub(super) async fn pause(&mut self) {
        let held = self.connected.take().map(|since| since.elapsed());
        if held.is_some_and(|held| held >= GOOD) {
            self.next = PAUSE_MIN;
        }
        let half = self.next / 2;
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let part = half.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.next = (self.next * 2).min(PAUSE_MAX);
        sleep(half + part).await;
    }
}

fn records(answer: Value) -> RedisResult<Vec<Record>> {
    let entries = match answer {
        Value::Nil => return Ok(Vec::new()),
        // RESP2: [[key, entries]]
        Value::Array(mut streams) => match streams.pop() {
            Some(Value::Array(mut stream)) => stream.pop(),
            _ => None,
        },
        // RESP3: {key: entries}
        Value::Map(mut streams) => streams.pop().map(|(_, entries)| entries),
        _ => None,
    };
    let Some(Value::Array(entries)) = entries else {
        return Err(senseless());
    };
    let read = |entry: Value| -> RedisResult<Record> {
        let (id, fields): (String, Vec<String>) = redis::from_redis_value(entry)?;
        Record::read(&id, fields).ok_or_else(senseless)
    };
    entries.into_iter().map(read).collect()
}

fn late() -> RedisError {
    RedisError::from((ErrorKind::Io, "Redis did not answer in time"))
}
