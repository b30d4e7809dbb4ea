//! A cluster that moves its slots.

use std::time::Duration;

use cms_edge::store::redis::Settings;
use cms_edge::store::redis::connect::{Mode, Servers};

use crate::bench::{Bench, plain, servers, settings};
use crate::claims::can_claim;
use crate::support::redis_topology::Cluster;

#[tokio::test]
async fn a_slot_that_moves_closes_the_way_for_nobody() {
    let cluster = Cluster::start().await;
    let bench = Bench::with(Settings {
        // Shorter than the client's pauses between its attempts.
        timeout: Duration::from_millis(100),
        ..settings(Servers {
            mode: Mode::Cluster,
            ..servers(&cluster.nodes[0].url())
        })
    })
    .await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    let mut names = Vec::new();
    for node in &cluster.nodes[..3] {
        names.extend(node.ask::<Vec<String>>(&["KEYS", "*"]).await);
    }
    let [name] = &names[..] else {
        panic!("{names:?}")
    };
    let [from, _] = cluster.owner(name).await;
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let slot = from.ask::<u64>(&["CLUSTER", "KEYSLOT", name]).await;
    let slot = slot.to_string();
    for (node, how, other) in [(to, "IMPORTING", from), (from, "MIGRATING", to)] {
        let id: String = other.ask(&["CLUSTER", "MYID"]).await;
        let _ok: String = node.ask(&["CLUSTER", "SETSLOT", &slot, how, &id]).await;
    }
    // The response is here still, and a claim would be there already: both are not to be had at once.
    for _ in 0..5 {
        assert!(!can_claim(&bench, "/a").await);
    }
    assert_eq!(bench.metric("redis_trips_total"), 0);
}
