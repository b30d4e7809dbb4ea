//! Redis, as an operator would run it, and all that can happen to it.

use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::fleet::instances;
use super::relay::Relay;
use crate::random::Random;
use crate::support::redis_server::{Server, eventually};

/// How Redis is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Topology {
    /// One server that instances know, and a replica that nobody asks.
    Standalone,
    /// Two servers of which three Sentinels choose the master.
    Sentinel,
}

/// What happens to Redis. The master is the one that is it at that moment.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum RedisFault {
    /// The master is killed, and started empty. If that takes long, Sentinels promote the other one.
    Restart,
    /// FLUSHALL.
    Flush,
    /// SIGSTOP and SIGCONT of the master. If that takes long, Sentinels promote the other one, and
    /// there are two who think that they are it.
    Hang,
    /// The log without its records; its head stands elsewhere.
    Trim,
    /// All connections are closed.
    Disconnect,
    /// The replica is killed, and started empty.
    ReplicaRestart,
    /// Sentinels are told to promote the replica.
    Failover,
    /// The master is killed, and comes back when the other one is promoted.
    MasterLoss,
    /// A Sentinel is killed, and started again.
    SentinelRestart,
}

/// The running servers.
pub(crate) struct Servers {
    topology: Topology,
    running: Mutex<Running>,
    /// The way of each instance; none where Sentinels say where to go.
    relays: Vec<Relay>,
    /// The URLs of Sentinels.
    sentinels: Vec<String>,
}

struct Running {
    nodes: [Server; 2],
    sentinels: Vec<Server>,
}

const LOG: &str = "cms-edge:{default}:log";
const SENTINELS: usize = 3;
const NAME: &str = "mymaster";
/// For how long a master may hear nothing of its replica and still take writes, in seconds: as short
/// as a machine that is busy with other things allows.
const LAG_MAX: &str = "2";
const SPLIT: &str = "3s";
/// Until Sentinels see to it, see `Server::sentinel`, and long enough for them to do so.
const PROMOTION: Duration = Duration::from_millis(1500);

impl Topology {
    /// As `CHAOS_SERVERS` says.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "" | "sentinel" => Self::Sentinel,
            "standalone" => Self::Standalone,
            other => panic!("CHAOS_SERVERS={other}: it is standalone or sentinel"),
        }
    }

    /// The longest time from one fault to the next: about as long as it takes to recover from most.
    fn rest(self) -> Duration {
        match self {
            Self::Standalone => Duration::from_secs(5),
            Self::Sentinel => Duration::from_secs(10),
        }
    }

    fn faults(self) -> &'static [RedisFault] {
        use RedisFault::{
            Disconnect, Failover, Flush, Hang, MasterLoss, ReplicaRestart, Restart,
            SentinelRestart, Trim,
        };
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
            Self::Sentinel => &[
                Restart,
                Flush,
                Hang,
                Hang,
                Trim,
                Disconnect,
                ReplicaRestart,
                Failover,
                Failover,
                MasterLoss,
                SentinelRestart,
            ],
        }
    }
}

impl Servers {
    pub(crate) async fn start(topology: Topology) -> Self {
        let guarded = [
            "--min-replicas-to-write",
            "1",
            "--min-replicas-max-lag",
            LAG_MAX,
            // A handshake that was stopped half-way is given up after this, in seconds; until then
            // the master may take no writes.
            "--repl-timeout",
            "5",
            "--repl-ping-replica-period",
            "1",
            // Nobody else will come: a replica is served at once.
            "--repl-diskless-sync-delay",
            "0",
        ];
        let settings: &[&str] = match topology {
            Topology::Standalone => &[],
            Topology::Sentinel => &guarded,
        };
        let nodes = [Server::start(settings).await, Server::start(settings).await];
        follow(&nodes[1], nodes[0].port).await;
        let many = match topology {
            Topology::Standalone => 0,
            Topology::Sentinel => SENTINELS,
        };
        let sentinels: Vec<_> = (0..many).map(|_| Server::sentinel(nodes[0].port)).collect();
        let running = Running { nodes, sentinels };
        running.is_ready().await;
        let mut relays = Vec::new();
        if topology == Topology::Standalone {
            for _ in 0..instances() {
                relays.push(Relay::start(running.nodes[0].port).await);
            }
        }
        let sentinels = running.sentinels.iter();
        Self {
            topology,
            relays,
            sentinels: sentinels.map(|s| format!("127.0.0.1:{}", s.port)).collect(),
            running: Mutex::new(running),
        }
    }

    /// `[redis]` and `[purge_log]` of an instance, with times so short that what takes a lease takes
    /// little time.
    pub(crate) fn settings(&self, instance: usize) -> String {
        const TIMES: &str = "lease = \"1s\"\nrenew = \"200ms\"\ngone = \"1200ms\"\ntimeout = \"300ms\"\nspool = \"SPOOL\"\n";
        if let Some(relay) = self.relays.get(instance) {
            let url = format!("redis://127.0.0.1:{}", relay.port);
            return format!("[redis]\nurl = \"{url}\"\n[purge_log]\nurl = \"{url}\"\n{TIMES}");
        }
        format!(
            "[redis]\nurl = \"redis://{}\"\nmode = \"sentinel\"\nservers = {:?}\n\
             [purge_log]\nsplit = \"{SPLIT}\"\n{TIMES}",
            self.sentinels[0],
            &self.sentinels[1..],
        )
    }

    /// Its way to Redis, where that can be cut.
    pub(crate) fn relay(&self, instance: usize) -> Option<&Relay> {
        self.relays.get(instance)
    }

    /// How long nothing happens between two faults, at most.
    pub(crate) fn rest(&self) -> Duration {
        self.topology.rest()
    }

    /// One that may happen here.
    pub(crate) fn any_fault(&self, random: &mut Random) -> RedisFault {
        random.of(self.topology.faults())
    }

    /// Lets it happen, for so long; returns when it is over.
    pub(crate) async fn suffer(&self, fault: RedisFault, length: Duration) {
        let mut running = self.running.lock().await;
        let at = running.master().await;
        match fault {
            RedisFault::Restart => running.down(at, length).await,
            RedisFault::ReplicaRestart => running.down(1 - at, length).await,
            RedisFault::MasterLoss => running.down(at, PROMOTION + length).await,
            RedisFault::Flush => told(&running.nodes[at], &["FLUSHALL"]).await,
            RedisFault::Trim => told(&running.nodes[at], &["XTRIM", LOG, "MAXLEN", "0"]).await,
            RedisFault::Disconnect => {
                told(&running.nodes[at], &["CLIENT", "KILL", "TYPE", "normal"]).await;
            }
            RedisFault::Hang => {
                running.nodes[at].suspend();
                sleep(length).await;
                running.nodes[at].resume();
            }
            RedisFault::Failover => {
                told(&running.sentinels[0], &["SENTINEL", "FAILOVER", NAME]).await;
                sleep(length).await;
            }
            RedisFault::SentinelRestart => {
                let sentinel = &mut running.sentinels[SENTINELS - 1];
                sentinel.kill();
                sleep(length).await;
                sentinel.restart().await;
            }
        }
    }

    /// Who is what now, for whoever looks for the cause of something.
    pub(crate) async fn roles(&self) -> String {
        let running = self.running.lock().await;
        let [a, b] = &running.nodes;
        let (a, b) = (role(a).await, role(b).await);
        format!("{a}, {b}; the master is {}", running.master().await)
    }

    /// What an operator does who does not wait ten seconds until Sentinels see to it: the other one
    /// follows the master. Until then nobody is a master who takes writes.
    pub(crate) async fn mend(&self) {
        let running = self.running.lock().await;
        let at = running.master().await;
        let (master, other) = (&running.nodes[at], &running.nodes[1 - at]);
        if role(master).await.starts_with("master") {
            follow(other, master.port).await;
        }
    }
}

impl Running {
    /// Sentinels know each other, and the replica.
    async fn is_ready(&self) {
        eventually("Sentinels are ready", || async {
            let mut is_ready = true;
            for sentinel in &self.sentinels {
                for (what, many) in [("SENTINELS", SENTINELS - 1), ("REPLICAS", 1)] {
                    let asking = sentinel.try_ask(&["SENTINEL", what, NAME]).await;
                    let known: Vec<Value> = asking.unwrap_or_default();
                    is_ready &= known.len() == many;
                }
            }
            is_ready
        })
        .await;
    }

    /// Which node is the master, as a Sentinel knows it.
    async fn master(&self) -> usize {
        for sentinel in &self.sentinels {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            let Ok((_, port)) = sentinel.try_ask::<(String, u16)>(&words).await else {
                continue;
            };
            let found = self.nodes.iter().position(|node| node.port == port);
            return found.unwrap();
        }
        0
    }

    /// Killed, and started empty.
    async fn down(&mut self, at: usize, length: Duration) {
        self.nodes[at].kill();
        sleep(length).await;
        self.nodes[at].restart().await;
    }
}

/// `master` and how many follow it, or `slave` of which port and how that goes.
async fn role(server: &Server) -> String {
    let role = server.try_ask::<Vec<Value>>(&["ROLE"]).await;
    match role.as_deref() {
        Ok([Value::BulkString(role), _, Value::Array(replicas)]) if role == b"master" => {
            format!("master of {}", replicas.len())
        }
        Ok([_, _, Value::Int(port), Value::BulkString(how), ..]) => {
            format!("replica of {port}, {}", String::from_utf8_lossy(how))
        }
        other => format!("{other:?}"),
    }
}

async fn follow(server: &Server, port: u16) {
    told(server, &["REPLICAOF", "127.0.0.1", &port.to_string()]).await;
}

/// A server that refuses has its reasons: it may be the replica by now, or promoted already.
async fn told(server: &Server, words: &[&str]) {
    let _whatever: redis::RedisResult<Value> = server.try_ask(words).await;
}
