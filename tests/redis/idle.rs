//! Connections on which nobody says anything.

use crate::bench::{Bench, plain};
use crate::support::redis_server::{Server, eventually};

#[tokio::test]
async fn no_request_is_the_first_to_find_that_a_connection_has_ended() {
    let server = Server::start(&[]).await;
    let bench = Bench::before(&server).await;
    assert!(bench.put(&plain("/a", "hello").response()).await);
    let _killed: u64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    eventually("it is noticed", || async {
        bench.metric("redis_trips_total") == 1
    })
    .await;
    bench.is_open().await;
    assert_eq!(bench.find("/a", "").await.unwrap(), "hello");
    assert!(bench.put(&plain("/b", "hello").response()).await);
    assert_eq!(bench.lookups("failed"), 0);
    assert_eq!(bench.metric("redis_trips_total"), 1);
}
