//! The one server that has a key and takes writes for it: for whoever needs a connection of its own
//! there, and wants no command repeated behind its back.

use ::redis::{Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, cmd};

use super::connect::{Mode, Servers, within};

/// Redirections that are followed: a cluster that changes gives two or three.
const REDIRECTIONS_MAX: usize = 5;

impl Servers {
    /// The server, the master, or the master of the key's slot. Sentinels and nodes are asked in
    /// their order, each for up to `connect_timeout`, until one leads to a server that takes a write.
    ///
    /// # Errors
    /// Whatever was wrong with the last one that was asked.
    pub async fn owner(&self, key: &str) -> RedisResult<Client> {
        if self.mode == Mode::Standalone {
            return self.client(self.first.clone());
        }
        let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no server is named"));
        for address in self.addresses() {
            let asked = async {
                if self.mode == Mode::Cluster {
                    return self.follow(address, key).await;
                }
                let client = self.master_of(address).await?;
                takes_writes(&client, key).await.map(|()| client)
            };
            match within(self.connect_timeout, asked).await {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// From a node of a cluster to the one that has the slot.
    async fn follow(&self, node: ConnectionAddr, key: &str) -> RedisResult<Client> {
        let mut address = node;
        let mut redirections = 0;
        loop {
            let client = self.client(self.first.clone().set_addr(address.clone()))?;
            let Err(error) = takes_writes(&client, key).await else {
                return Ok(client);
            };
            redirections += 1;
            match redirected(&error, &address) {
                Some(next) if redirections <= REDIRECTIONS_MAX => address = next,
                _ => return Err(error),
            }
        }
    }
}

/// PERSIST changes nothing here, and is refused where writes are: by a replica, by a master without
/// enough replicas, and by a cluster that is down.
async fn takes_writes(client: &Client, key: &str) -> RedisResult<()> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    cmd("PERSIST").arg(key).exec_async(&mut connection).await
}

/// Where MOVED leads. A node that knows no name for another one says only its port.
fn redirected(error: &RedisError, asked: &ConnectionAddr) -> Option<ConnectionAddr> {
    let (place, _slot) = error.redirect_node()?;
    let (host, port) = place.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let named = |known: &str| match host {
        "" => known.to_owned(),
        host => host.to_owned(),
    };
    match asked {
        ConnectionAddr::Tcp(known, _) => Some(ConnectionAddr::Tcp(named(known), port)),
        ConnectionAddr::TcpTls { host: known, .. } => Some(ConnectionAddr::TcpTls {
            host: named(known),
            port,
            insecure: false,
            tls_params: None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(to: &str) -> RedisError {
        let answer = format!("-MOVED 77 {to}\r\n");
        let value = ::redis::parse_redis_value(answer.as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn a_node_without_a_name_has_that_of_the_one_that_was_asked() {
        let asked = ConnectionAddr::Tcp("redis-1".to_owned(), 6379);
        for (to, found) in [
            ("10.0.0.7:6380", Some(("10.0.0.7", 6380))),
            (":6381", Some(("redis-1", 6381))),
            ("::1:6379", Some(("::1", 6379))),
            ("redis-2:x", None),
        ] {
            let found = found.map(|(host, port)| ConnectionAddr::Tcp(host.to_owned(), port));
            assert_eq!(redirected(&moved(to), &asked), found, "{to}");
        }
    }
}
