//! Whom lookups ask: a server by a lane of its own, or a cluster by its client.

use ::redis::aio::ConnectionLike;
use ::redis::{ConnectionInfo, ErrorKind, RedisError, RedisResult, Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, Mode, Servers, within};
use super::lane::{Lane, Missed, Values};

/// See the module.
pub enum Asking {
    Lane(Lane),
    Cluster(Connection),
}

impl Servers {
    /// A new connection for lookups, within `connect_timeout`.
    ///
    /// # Errors
    /// Whatever keeps Redis from answering.
    pub async fn open_for_lookups(&self) -> RedisResult<Asking> {
        let lane = async |info: &ConnectionInfo| {
            let deadline = Instant::now() + self.connect_timeout;
            Lane::open(info, self.ca.as_deref(), deadline).await
        };
        if self.mode == Mode::Cluster {
            return self.open().await.map(Asking::Cluster);
        }
        if self.mode == Mode::Standalone {
            let lane = within(self.connect_timeout, lane(&self.first)).await;
            return lane.map(Asking::Lane);
        }
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no Sentinel is named"));
        for sentinel in self.addresses() {
            let asked = async {
                let client = self.master_of(sentinel).await?;
                lane(client.get_connection_info()).await
            };
            match within(self.connect_timeout, asked).await {
                Ok(lane) => return Ok(Asking::Lane(lane)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Asking {
    /// The values of a command, whose first word is its name and whose second one is its key.
    pub(super) async fn values(
        &self,
        words: &[&[u8]],
        deadline: Instant,
    ) -> Result<Values, Missed> {
        let connection = match self {
            Self::Lane(lane) => return lane.values(words, deadline).await,
            Self::Cluster(connection) => connection,
        };
        let mut command = ::redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        let mut connection = connection.clone();
        let reply = connection.req_packed_command(&command);
        match timeout_at(deadline, reply).await {
            Err(_) => Err(Missed::Deadline),
            Ok(reply) => reply.and_then(values).map_err(Missed::Failed),
        }
    }

    /// As [`Asking::ping`]; what answers somebody else at length counts as well.
    ///
    /// # Errors
    /// It has ended, or is silent.
    pub async fn hears(&self, deadline: Instant) -> RedisResult<()> {
        match self {
            Self::Lane(lane) => lane.hears(deadline).await,
            Self::Cluster(_) => self.ping(deadline).await,
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not, or not in time.
    pub async fn ping(&self, deadline: Instant) -> RedisResult<()> {
        match self {
            Self::Lane(lane) => lane.ping(deadline).await,
            Self::Cluster(connection) => {
                let mut connection = connection.clone();
                let ping = cmd("PING");
                let span = deadline.saturating_duration_since(Instant::now());
                within(span, ping.exec_async(&mut connection)).await
            }
        }
    }
}

fn values(reply: Value) -> RedisResult<Values> {
    let values = match reply {
        Value::Array(values) => values,
        Value::ServerError(error) => return Err(error.into()),
        _ => return Err(senseless()),
    };
    let values: RedisResult<Vec<Option<Vec<u8>>>> = values
        .into_iter()
        .map(|value| match value {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(senseless()),
        })
        .collect();
    Values::of(&values?).ok_or_else(senseless)
}

pub(super) fn senseless() -> RedisError {
    let text = "the reply is of another type than the command's";
    (ErrorKind::UnexpectedReturnType, text).into()
}
