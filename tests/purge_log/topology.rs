//! A log behind Sentinels, in a cluster, behind TLS and a socket: masters die with what they were
//! told last, and nothing older is served after a complete receipt.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::StatusCode;
use tokio::task::JoinHandle;

use super::edge::{EVERYTHING, Edge, Versions};
use crate::support::redis_server::{Server, eventually, free_port, tls_files};
use crate::support::redis_topology::{Cluster, Sentinels, cut_off, is_master};

const STATE: &str = "cms-edge:{default}:state";

/// Two instances, each with a reader to whom nothing older may be shown than the floor.
struct Site {
    edges: [Arc<Edge>; 2],
    versions: Versions,
    floor: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    readers: Vec<JoinHandle<u64>>,
}

impl Site {
    /// `keys` of `[purge_log]`, and what follows it.
    async fn start(redis: &Server, keys: &str) -> Self {
        let versions = Versions::start().await;
        let a = Arc::new(Edge::start_with("a", redis, &versions, keys).await);
        let b = Arc::new(Edge::start_with("b", redis, &versions, keys).await);
        let (floor, is_over) = (Arc::default(), Arc::default());
        let mut site = Self {
            edges: [a, b],
            versions,
            floor,
            is_over,
            readers: Vec::new(),
        };
        site.all_serve().await;
        let readers = site.edges.iter().map(|edge| site.read_at(edge)).collect();
        site.readers = readers;
        site
    }

    fn read_at(&self, edge: &Arc<Edge>) -> JoinHandle<u64> {
        let (edge, floor) = (Arc::clone(edge), Arc::clone(&self.floor));
        let is_over = Arc::clone(&self.is_over);
        tokio::spawn(async move {
            let mut answers = 0;
            while !is_over.load(Ordering::SeqCst) {
                let least = floor.load(Ordering::SeqCst);
                let answer = edge.get("/page").await;
                assert_eq!(answer.status, StatusCode::OK);
                let version: u64 = answer.text().parse().unwrap();
                assert!(version >= least, "{version} after the receipt of {least}");
                answers += 1;
            }
            answers
        })
    }

    async fn all_serve(&self) {
        for edge in &self.edges {
            edge.serves().await;
        }
    }

    /// Publishes, purges, lets `fail` happen, and waits for the receipt.
    async fn purges_through(&self, fail: impl Future<Output = ()>) {
        let published = self.versions.publish();
        let (_, receipt) = self.edges[0].purge_locally(EVERYTHING).await;
        fail.await;
        let receipt = self.edges[0].completed(&receipt["id"]).await;
        let version = published.parse().unwrap();
        self.floor.store(version, Ordering::SeqCst);
        assert_eq!(receipt["complete"], true, "{receipt}");
        for edge in &self.edges {
            assert_eq!(edge.get("/page").await.text(), published);
        }
    }

    /// One serves what the other has stored in Redis.
    async fn share(&self, folder: &str) {
        const HITS: &str = "cms_edge_hits_total{tier=\"redis\"}";
        let [a, b] = &self.edges;
        let (before, pages) = (b.metric(HITS).await, AtomicU64::new(0));
        eventually("b serves what a has stored", || async {
            let page = pages.fetch_add(1, Ordering::SeqCst);
            let path = format!("/{folder}/{page}");
            a.get(&path).await;
            b.get(&path).await;
            b.metric(HITS).await > before
        })
        .await;
    }

    /// Both serve, take part in one log, and never showed anything older.
    async fn ends_well(mut self, generations: u64) {
        self.all_serve().await;
        self.purges_through(async {}).await;
        self.all_serve().await;
        let receipt = self.edges[1].purge(EVERYTHING).await;
        let instances = receipt["instances"].as_array().unwrap();
        assert_eq!(instances.len(), 2, "{receipt}");
        for edge in &self.edges {
            let joined = edge.metric("cms_edge_purge_log_generations_total").await;
            assert_eq!(joined, generations);
        }
        self.is_over.store(true, Ordering::SeqCst);
        for reader in self.readers.drain(..) {
            assert!(reader.await.unwrap() > 0);
        }
    }
}

/// Another master is promoted only when the one before is dead.
const SPLIT: &str = "split = \"1s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_a_purge_outlasts_the_master_that_knew_of_it() {
    let mut redis = Sentinels::start().await;
    let site = Site::start(&redis.nodes[0], &format!("{}{SPLIT}", redis.keys())).await;
    site.purges_through(async {}).await;
    // By default a master takes writes without its replicas.
    eventually("it has looked", || async {
        let unguarded = site.edges[0].metric("cms_edge_purge_log_unguarded");
        unguarded.await == 1
    })
    .await;
    cut_off(&redis.nodes[0]).await;
    site.purges_through(async {
        let head = ["HGET", STATE, "head"];
        assert_eq!(redis.nodes[0].ask::<u64>(&head).await, 2);
        assert_eq!(redis.nodes[1].ask::<u64>(&head).await, 1);
        redis.nodes[0].kill();
        redis.has_failed_over().await;
    })
    .await;
    site.ends_well(2).await;
}

/// As a machine that is paused and goes on: it still takes itself for the master.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_wakes_after_its_successor_was_promoted_gives_no_lease() {
    let redis = Sentinels::start().await;
    let site = Site::start(&redis.nodes[0], &format!("{}{SPLIT}", redis.keys())).await;
    site.purges_through(async {
        redis.nodes[0].suspend();
        redis.has_failed_over().await;
    })
    .await;
    site.all_serve().await;
    site.purges_through(async { redis.nodes[0].resume() }).await;
    eventually("the first is a replica of the second", || async {
        // Sentinel ends the connections of a master that it demotes.
        let asked = redis.nodes[0].try_ask::<String>(&["INFO", "replication"]);
        asked.await.is_ok_and(|info| info.contains("role:slave"))
    })
    .await;
    // A master that gets its first replica has another stamp at times: a new generation, no harm.
    site.all_serve().await;
    let joined = site.edges[0].metric("cms_edge_purge_log_generations_total");
    let joined = joined.await;
    site.ends_well(joined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_purge_outlasts_the_master_of_its_slot() {
    let mut redis = Cluster::start().await;
    let site = Site::start(&redis.nodes[0], &format!("{}{SPLIT}", redis.keys())).await;
    site.purges_through(async {}).await;
    let [master, replica] = redis.owner(STATE).await;
    let keys: Vec<String> = redis.nodes[master].ask(&["KEYS", "cms-edge:*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    cut_off(&redis.nodes[master]).await;
    site.purges_through(async {
        redis.nodes[master].kill();
        is_master(&redis.nodes[replica]).await;
    })
    .await;
    site.ends_well(2).await;
}

/// The slot goes to another node, with all that is in it.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_the_log_is_followed_to_where_its_slot_goes() {
    let redis = Cluster::start().await;
    let site = Site::start(&redis.nodes[0], &format!("{}{SPLIT}", redis.keys())).await;
    let [from, _] = redis.owner(STATE).await;
    let to = (from + 1) % 3;
    let mut ids = Vec::new();
    for at in [from, to] {
        ids.push(redis.nodes[at].ask::<String>(&["CLUSTER", "MYID"]).await);
    }
    let slot: u64 = redis.nodes[0].ask(&["CLUSTER", "KEYSLOT", STATE]).await;
    let slot = slot.to_string();
    site.purges_through(async {
        let take = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]];
        let _ok: String = redis.nodes[to].ask(&take).await;
        let give = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]];
        let _ok: String = redis.nodes[from].ask(&give).await;
        let port = redis.nodes[to].port.to_string();
        let log = STATE.replace("state", "log");
        let mut go = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        go.extend([STATE, &log]);
        let _ok: String = redis.nodes[from].ask(&go).await;
        for node in [to, from] {
            let told = ["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]];
            let _ok: String = redis.nodes[node].ask(&told).await;
        }
    })
    .await;
    assert_eq!(redis.owner(STATE).await[0], to);
    site.ends_well(2).await;
}

/// What docs/purging.md says that a user needs.
const RIGHTS: [&str; 6] = [
    ">password-of-edge",
    "~cms-edge:*",
    "+@read",
    "+@write",
    "+@scripting",
    "+info",
];

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_its_own_and_a_user_with_the_least_rights() {
    let folder = tempfile::tempdir().unwrap();
    let files = tls_files(folder.path());
    let [cert, key, ca] = files.each_ref().map(|file| file.display().to_string());
    let port = free_port().to_string();
    let mut settings = vec!["--tls-port", &port, "--tls-auth-clients", "no"];
    settings.extend(["--tls-cert-file", &cert, "--tls-key-file", &key]);
    settings.extend(["--tls-ca-cert-file", &ca, "--user", "edge", "on"]);
    settings.extend(RIGHTS);
    let redis = Server::start(&settings).await;
    let url = format!("url = \"rediss://edge:password-of-edge@localhost:{port}\"\n");
    let site = Site::start(&redis, &format!("{url}ca = \"{ca}\"\n")).await;
    site.purges_through(async {}).await;
    // Another authority: nothing is shared with whoever answers there.
    let stranger = Edge::start_with("stranger", &redis, &site.versions, &url).await;
    let status = stranger.purge_locally(EVERYTHING).await.0;
    assert_eq!(status, StatusCode::ACCEPTED);
    site.ends_well(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_rights_are_enough_behind_sentinels_and_in_a_cluster() {
    let (sentinels, cluster) = tokio::join!(Sentinels::start(), Cluster::start());
    let with_user = |keys: String| {
        let user = "redis://edge:password-of-edge@";
        format!("{}{SPLIT}", keys.replacen("redis://", user, 1))
    };
    for node in sentinels.nodes.iter().chain(&cluster.nodes) {
        let mut words = vec!["ACL", "SETUSER", "edge", "on"];
        words.extend(RIGHTS);
        let _ok: String = node.ask(&words).await;
    }
    for (node, keys) in [
        (&sentinels.nodes[0], sentinels.keys()),
        (&cluster.nodes[0], cluster.keys()),
    ] {
        let site = Site::start(node, &with_user(keys)).await;
        site.ends_well(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_will_do() {
    let redis = Server::start(&[]).await;
    let url = |socket: &Path| format!("url = \"redis+unix://{}\"\n", socket.display());
    let site = Site::start(&redis, &url(&redis.socket())).await;
    site.ends_well(1).await;
}

/// The log is where `[redis]` is, and how it is reached stands there alone.
#[tokio::test(flavor = "multi_thread")]
async fn store_and_log_behind_the_same_sentinels_fail_over_together() {
    let mut redis = Sentinels::start().await;
    let keys = format!("url = \"\"\n{SPLIT}[redis]\n{}", redis.keys());
    let site = Site::start(&redis.nodes[0], &keys).await;
    site.share("before").await;
    cut_off(&redis.nodes[0]).await;
    site.purges_through(async {
        redis.nodes[0].kill();
        redis.has_failed_over().await;
    })
    .await;
    site.share("after").await;
    site.ends_well(2).await;
}
