//! TLS, users, sockets, Sentinels, clusters.

use crate::bench::{Bench, at_socket, plain, servers, settings, varied};
use crate::claims::can_claim;
use crate::support::redis_server::{Server, eventually, free_port, tls_files};
use crate::support::redis_topology::{Cluster, Sentinels};
use cms_edge::store::redis::connect::{Mode, Servers};

#[tokio::test]
async fn redis_is_reached_by_its_socket() {
    let server = Server::start(&[]).await;
    let bench = Bench::with(settings(at_socket(&server))).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
}

#[tokio::test]
async fn tls_is_verified_and_a_user_has_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key, ca] = tls_files(folder.path());
    let port = free_port().to_string();
    let path = |path: &std::path::Path| path.display().to_string();
    let (cert, key, ca_path) = (path(&cert), path(&key), path(&ca));
    let server = Server::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca_path,
        "--tls-auth-clients",
        "no",
        "--user",
        "edge",
        "on",
        ">secret",
        "~{test:*",
        "+@all",
    ])
    .await;
    let url = format!("rediss://edge:secret@localhost:{port}");
    let trusting = Servers {
        ca: Some(std::fs::read(&ca).unwrap()),
        ..servers(&url)
    };
    let bench = Bench::with(settings(trusting.clone())).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
    // An authority that it does not have, a wrong name, a wrong password.
    let wrong = [
        servers(&url),
        Servers {
            first: redis::IntoConnectionInfo::into_connection_info(
                url.replace("localhost", "127.0.0.1"),
            )
            .unwrap(),
            ..trusting.clone()
        },
        Servers {
            first: redis::IntoConnectionInfo::into_connection_info(
                url.replace("secret", "guessed"),
            )
            .unwrap(),
            ..trusting
        },
    ];
    for servers in wrong {
        assert!(servers.open().await.is_err(), "{servers:?}");
    }
    drop(server);
}

#[tokio::test]
async fn sentinels_lead_to_the_master_and_to_the_next_one() {
    let mut redis = Sentinels::start().await;
    let ports = redis.sentinels.iter().map(|sentinel| sentinel.port);
    let bench = Bench::with(settings(Servers {
        mode: Mode::Sentinel,
        others: ports.map(|port| ("127.0.0.1".to_owned(), port)).collect(),
        // The first Sentinel is not there.
        ..servers(&format!("redis://127.0.0.1:{}", free_port()))
    }))
    .await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
    redis.nodes[0].kill();
    eventually("the way is closed", || async {
        bench.ask("/a", "").await.is_err() || bench.metric("redis_breaker_open") == 1
    })
    .await;
    redis.has_failed_over().await;
    eventually("it is written to", || async {
        bench.put(&plain("/b", "again").response()).await
    })
    .await;
    assert_eq!(bench.find("/b", "").await.unwrap(), "again");
}

#[tokio::test]
async fn a_cluster_serves_from_all_its_nodes_and_survives_one() {
    let mut nodes = Cluster::start().await.nodes;
    let bench = Bench::with(settings(Servers {
        mode: Mode::Cluster,
        others: vec![("127.0.0.1".to_owned(), nodes[1].port)],
        ..servers(&nodes[0].url())
    }))
    .await;
    let paths: Vec<String> = (0..30).map(|at| format!("/{at}")).collect();
    for path in &paths {
        for accept in ["a", "b"] {
            assert!(bench.put(&varied(path, accept, path).response()).await);
        }
    }
    for path in &paths {
        assert_eq!(bench.find(path, "a").await.unwrap(), path.as_str());
    }
    for master in &nodes[..3] {
        let keys: u64 = master.ask(&["DBSIZE"]).await;
        assert!(keys > 0);
    }
    for path in &paths {
        let path = format!("/new{path}");
        assert!(can_claim(&bench, &path).await, "{path}");
    }
    assert_eq!(bench.metric("redis_trips_total"), 0);
    eventually("replicas have what masters have", || async {
        let mut sum = 0;
        for node in &nodes {
            sum += node.ask::<usize>(&["DBSIZE"]).await;
        }
        sum == 2 * paths.len()
    })
    .await;
    nodes[1].kill();
    eventually("all is found again", || async {
        let mut found = 0;
        for path in &paths {
            let reply = bench.ask(path, "a").await;
            found += usize::from(reply.is_ok_and(|reply| reply.entry.is_some()));
        }
        found == paths.len()
    })
    .await;
    eventually("all is written again", || async {
        let mut written = 0;
        for path in &paths {
            let entry = varied(path, "c", path).response();
            written += usize::from(bench.put(&entry).await);
        }
        written == paths.len()
    })
    .await;
}
