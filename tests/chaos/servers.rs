//! Redis, as an operator would run it, and all that can happen to it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::random::Random;
use crate::support::redis_server::Server;

/// How Redis is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Topology {
    /// One server that instances know, and a replica that nobody asks.
    Standalone,
}

/// What happens to Redis.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum RedisFault {
    /// Killed, and started empty.
    Restart,
    /// FLUSHALL.
    Flush,
    /// SIGSTOP and SIGCONT.
    Hang,
    /// The log without its records; its head stands elsewhere.
    Trim,
    /// All connections are closed.
    Disconnect,
    /// The replica is killed, and started empty.
    ReplicaRestart,
}

/// The running servers.
pub(crate) struct Servers {
    topology: Topology,
    nodes: Mutex<[Server; 2]>,
    url: String,
}

const LOG: &str = "cms-edge:{default}:log";

impl Topology {
    /// As `CHAOS_SERVERS` says.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "" | "standalone" => Self::Standalone,
            other => panic!("CHAOS_SERVERS={other}: it is standalone"),
        }
    }

    fn faults(self) -> &'static [RedisFault] {
        use RedisFault::{Disconnect, Flush, Hang, ReplicaRestart, Restart, Trim};
        match self {
            Self::Standalone => &[
                Restart,
                Flush,
                Hang,
                Hang,
                Trim,
                Disconnect,
                Disconnect,
                ReplicaRestart,
            ],
        }
    }
}

impl Servers {
    pub(crate) async fn start(topology: Topology) -> Self {
        let master = Server::start(&[]).await;
        let port = master.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &port]).await;
        Self {
            topology,
            url: master.url(),
            nodes: Mutex::new([master, replica]),
        }
    }

    /// `[redis]` and `[purge_log]` of an instance, with times so short that what takes a lease takes
    /// little time.
    pub(crate) fn settings(&self) -> String {
        let Self { url, .. } = self;
        match self.topology {
            Topology::Standalone => format!(
                "[redis]\nurl = \"{url}\"\n\
                 [purge_log]\nurl = \"{url}\"\nlease = \"1s\"\nrenew = \"200ms\"\ngone = \"1200ms\"\n\
                 timeout = \"300ms\"\nspool = \"SPOOL\"\n"
            ),
        }
    }

    /// One that may happen here.
    pub(crate) fn any_fault(&self, random: &mut Random) -> RedisFault {
        random.of(self.topology.faults())
    }

    /// Lets it happen, for so long; returns when it is over.
    pub(crate) async fn suffer(&self, fault: RedisFault, length: Duration) {
        let mut nodes = self.nodes.lock().await;
        let [master, replica] = &mut *nodes;
        match fault {
            RedisFault::Restart => down(master, length).await,
            RedisFault::ReplicaRestart => down(replica, length).await,
            RedisFault::Flush => told(master, &["FLUSHALL"]).await,
            RedisFault::Trim => told(master, &["XTRIM", LOG, "MAXLEN", "0"]).await,
            RedisFault::Disconnect => told(master, &["CLIENT", "KILL", "TYPE", "normal"]).await,
            RedisFault::Hang => {
                master.suspend();
                sleep(length).await;
                master.resume();
            }
        }
    }
}

async fn down(server: &mut Server, length: Duration) {
    server.kill();
    sleep(length).await;
    server.restart().await;
}

async fn told(server: &Server, words: &[&str]) {
    let _number_or_ok: redis::Value = server.ask(words).await;
}
