//! Real Redis servers together: a master and its replica under three Sentinels, and a cluster of
//! three masters with a replica each.

#![allow(
    dead_code,
    reason = "each test binary uses the part of this module that it needs"
)]

use redis::Value;

use super::redis_server::{Server, eventually, free_port};

/// A master, its replica, and three Sentinels that know both.
pub(crate) struct Sentinels {
    /// The first master, then its replica.
    pub(crate) nodes: [Server; 2],
    pub(crate) sentinels: [Server; 3],
}

/// Three masters, then a replica of each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Sentinels {
    pub(crate) async fn start() -> Self {
        let master = Server::start(&[]).await;
        let of = master.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &of]).await;
        let sentinels = [(); 3].map(|()| Server::sentinel(master.port));
        eventually("Sentinels know each other and the replica", || async {
            let mut ready = true;
            for sentinel in &sentinels {
                let known: Vec<Value> = sentinel
                    .try_ask(&["SENTINEL", "SENTINELS", "mymaster"])
                    .await
                    .unwrap_or_default();
                let replicas: Vec<Value> = sentinel
                    .try_ask(&["SENTINEL", "REPLICAS", "mymaster"])
                    .await
                    .unwrap_or_default();
                ready &= known.len() == 2 && replicas.len() == 1;
            }
            ready
        })
        .await;
        let sentinels = Self {
            nodes: [master, replica],
            sentinels,
        };
        is_in_step(&sentinels.nodes[1]).await;
        sentinels
    }

    /// The keys `url`, `mode` and `servers` of a section. The first Sentinel is not there.
    pub(crate) fn keys(&self) -> String {
        let port = |sentinel: &Server| format!("\"127.0.0.1:{}\"", sentinel.port);
        format!(
            "url = \"redis://127.0.0.1:{}\"\nmode = \"sentinel\"\nservers = [{}]\n",
            free_port(),
            self.sentinels.each_ref().map(port).join(", "),
        )
    }

    /// The second node is the master when this returns.
    pub(crate) async fn has_failed_over(&self) {
        is_master(&self.nodes[1]).await;
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let nodes: Vec<Server> = (0..6)
            .map(|_| {
                let bus = free_port().to_string();
                let settings = [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-port",
                    &bus,
                    "--cluster-config-file",
                    "nodes.conf",
                ];
                Server::spawn(free_port(), &settings)
            })
            .collect();
        for node in &nodes {
            node.is_there().await;
        }
        let mut command = tokio::process::Command::new("redis-cli");
        command.args(["--cluster", "create"]);
        for node in &nodes {
            command.arg(format!("127.0.0.1:{}", node.port));
        }
        command.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let made = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&made.stdout);
        assert!(made.status.success(), "{said}");
        for node in &nodes {
            eventually("the cluster is whole", || async {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok")
            })
            .await;
        }
        for replica in &nodes[3..] {
            is_in_step(replica).await;
        }
        Self { nodes }
    }

    /// The keys `url`, `mode` and `servers` of a section: two of the nodes.
    pub(crate) fn keys(&self) -> String {
        format!(
            "url = \"{}\"\nmode = \"cluster\"\nservers = [\"127.0.0.1:{}\"]\n",
            self.nodes[0].url(),
            self.nodes[1].port
        )
    }

    /// The master of the key's slot, and its replica.
    pub(crate) async fn owner(&self, key: &str) -> [usize; 2] {
        let mut found = None;
        for (at, node) in self.nodes.iter().enumerate() {
            if node.try_ask::<u64>(&["EXISTS", key]).await.is_ok() {
                found = Some(at);
            }
        }
        let master = found.unwrap();
        let id: String = self.nodes[master].ask(&["CLUSTER", "MYID"]).await;
        let line: Vec<String> = self.nodes[master].ask(&["CLUSTER", "REPLICAS", &id]).await;
        let of = |node: &Server| line[0].contains(&format!("127.0.0.1:{}@", node.port));
        let replica = self.nodes.iter().position(of).unwrap();
        [master, replica]
    }
}

/// What is written to the master from now on reaches no replica.
pub(crate) async fn cut_off(master: &Server) {
    let _ok: String = master
        .ask(&["ACL", "SETUSER", "default", "-psync", "-sync"])
        .await;
    let _killed: u64 = master.ask(&["CLIENT", "KILL", "TYPE", "replica"]).await;
}

pub(crate) async fn is_master(node: &Server) {
    eventually("the replica is the master", || async {
        let role: Vec<Value> = node.try_ask(&["ROLE"]).await.unwrap_or_default();
        role.first() == Some(&Value::BulkString(b"master".to_vec()))
    })
    .await;
}

async fn is_in_step(replica: &Server) {
    eventually("the replica has what its master has", || async {
        let info: String = replica.ask(&["INFO", "replication"]).await;
        info.contains("master_link_status:up")
    })
    .await;
}
