//! Connections to Redis: one server, the master that Sentinels name, or a cluster.

use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline,
    RedisError, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::time::timeout;

/// Where Redis is, and how to get in.
#[derive(Clone, Debug)]
pub struct Servers {
    /// What the configuration calls them, `redis` or `purge_log`: errors name its keys.
    pub section: &'static str,
    pub mode: Mode,
    /// The server, a Sentinel, or a node of the cluster; credentials and database, which hold for
    /// all Redis servers.
    pub first: ConnectionInfo,
    /// Further Sentinels, or nodes: host and port.
    pub others: Vec<(String, u16)>,
    /// What Sentinels call the master.
    pub master: String,
    /// Whether Sentinels are shown the credentials, too.
    pub sentinel_auth: bool,
    /// Authorities in PEM; nothing: the system's.
    pub ca: Option<Vec<u8>>,
    /// How long it may take to get a connection that has answered once.
    pub connect_timeout: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Standalone,
    Sentinel,
    Cluster,
}

/// A connection that many requests share; a clone is the same one. Replies come in the order of the
/// requests, and the reply of a request that was given up is dropped when it comes.
#[derive(Clone)]
pub enum Connection {
    Single(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

/// Commands that wait to be written to one connection.
const PIPELINE_COMMANDS_MAX: usize = 1024;

impl Servers {
    /// A new connection, within `connect_timeout`.
    ///
    /// # Errors
    /// Whatever keeps Redis from answering.
    pub async fn open(&self) -> RedisResult<Connection> {
        match self.mode {
            Mode::Standalone => {
                let client = self.client(self.first.clone())?;
                within(self.connect_timeout, self.single(&client)).await
            }
            Mode::Sentinel => self.master().await,
            Mode::Cluster => within(self.connect_timeout, self.cluster()).await,
        }
    }

    async fn single(&self, client: &Client) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            // Who waits has a deadline of its own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_COMMANDS_MAX);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.map(Connection::Single)
    }

    /// Asks one Sentinel after the other, so that one that hangs does not hide the rest.
    async fn master(&self) -> RedisResult<Connection> {
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no Sentinel is named"));
        for sentinel in self.addresses() {
            let asked = async {
                let client = self.master_of(sentinel).await?;
                self.single(&client).await
            };
            match within(self.connect_timeout, asked).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The master that this Sentinel names, and that says so itself.
    pub(super) async fn master_of(&self, sentinel: ConnectionAddr) -> RedisResult<Client> {
        let mut sentinel = self.sentinel(sentinel)?.build()?;
        sentinel.async_get_client().await
    }

    fn sentinel(&self, address: ConnectionAddr) -> RedisResult<SentinelClientBuilder> {
        let is_tls = matches!(address, ConnectionAddr::TcpTls { .. });
        let master = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new([address], &self.master, master)?;
        let redis = self.first.redis_settings();
        builder = builder.set_client_to_redis_db(redis.db());
        if let Some(user) = redis.username() {
            builder = builder.set_client_to_redis_username(user);
            if self.sentinel_auth {
                builder = builder.set_client_to_sentinel_username(user);
            }
        }
        if let Some(password) = redis.password() {
            builder = builder.set_client_to_redis_password(password);
            if self.sentinel_auth {
                builder = builder.set_client_to_sentinel_password(password);
            }
        }
        if is_tls {
            let certificates = || self.certificates();
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates());
        }
        Ok(builder)
    }

    async fn cluster(&self) -> RedisResult<Connection> {
        let node = |address| self.first.clone().set_addr(address);
        let mut builder = ClusterClientBuilder::new(self.addresses().map(node))
            .connection_timeout(self.connect_timeout)
            .response_timeout(self.connect_timeout)
            // Redirections; who waits gives up by a deadline of its own.
            .retries(3)
            .min_retry_wait(10)
            .max_retry_wait(100);
        if self.ca.is_some() {
            builder = builder.certs(self.certificates());
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Connection::Cluster(Box::new(connection)))
    }

    pub(super) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        match (info.addr(), &self.ca) {
            (ConnectionAddr::TcpTls { .. }, Some(_)) => {
                Client::build_with_tls(info, self.certificates())
            }
            _ => Client::open(info),
        }
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: None,
            root_cert: self.ca.clone(),
        }
    }

    /// The first, and the others as it is reached.
    pub(super) fn addresses(&self) -> impl Iterator<Item = ConnectionAddr> {
        let is_tls = matches!(self.first.addr(), ConnectionAddr::TcpTls { .. });
        let others = self.others.iter().map(move |(host, port)| match is_tls {
            true => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host.clone(), *port),
        });
        std::iter::once(self.first.addr().clone()).chain(others)
    }
}

pub(super) async fn within<T>(
    span: Duration,
    work: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match timeout(span, work).await {
        Ok(done) => done,
        Err(_) => Err((ErrorKind::Io, "it does not answer in time").into()),
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(single) => single.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(single) => single.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(single) => single.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
