//! Names and their addresses.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use cms_edge::fetch::{Kind, Resolver};
use http::Uri;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::*;

const CHANGED: &str = ",result=\"changed\"";
const FAILED: &str = ",result=\"failed\"";
const GONE: &str = ",reason=\"address_gone\"";

/// A name service whose answers a test sets. None: it fails.
#[derive(Clone, Default)]
struct Names(Arc<Shared>);

#[derive(Default)]
struct Shared {
    addresses: Mutex<Option<Vec<SocketAddr>>>,
    asked: Mutex<Vec<(String, u16)>>,
}

impl Names {
    fn of(addresses: &[SocketAddr]) -> Self {
        let names = Self::default();
        names.set(Some(addresses));
        names
    }

    fn set(&self, addresses: Option<&[SocketAddr]>) {
        *self.0.addresses.lock() = addresses.map(<[_]>::to_vec);
    }

    fn asked(&self) -> Vec<(String, u16)> {
        self.0.asked.lock().clone()
    }

    fn resolver(&self) -> Resolver {
        let shared = Arc::clone(&self.0);
        Resolver::new(move |host, port| {
            shared.asked.lock().push((host.to_owned(), port));
            let answer = shared.addresses.lock().clone();
            std::future::ready(answer.ok_or_else(|| io::Error::other("no name service")))
        })
    }

    fn stage(&self) -> Stage {
        let server: Uri = "http://cms.internal:8000".parse().unwrap();
        let mut stage = Stage::at(server);
        stage.settings.connecting.resolver = self.resolver();
        stage.settings.connecting.dns_interval = Duration::from_millis(20);
        stage
    }
}

async fn saying(what: &'static str) -> Origin {
    Origin::start(move |_| std::future::ready(Reply::ok(what))).await
}

#[tokio::test]
async fn connections_to_addresses_that_a_name_has_lost_are_closed_and_the_new_ones_are_used() {
    let (old, new) = (saying("old").await, saying("new").await);
    let names = Names::of(&[old.address()]);
    let stage = names.stage();
    let upstream = stage.upstream();
    for _ in 0..3 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "old");
    }
    names.set(Some(&[new.address()]));
    stage.reaches("origin_lookups_total", CHANGED, 2).await;
    old.lost(1).await;
    assert_eq!(stage.count("origin_connections_retired_total", GONE), 1);
    assert_eq!(get(&upstream, "/").await.unwrap(), "new");
    assert_eq!((old.connections(), new.connections()), (1, 1));
    let asked = names.asked();
    assert!(
        asked
            .iter()
            .all(|asked| *asked == ("cms.internal".to_owned(), 8000))
    );
}

#[tokio::test]
async fn an_exchange_on_a_lost_address_ends_well_and_its_connection_is_not_kept() {
    let (pieces, reply) = Reply::pieces();
    let reply = Mutex::new(Some(reply));
    let old = Origin::start(move |_| std::future::ready(reply.lock().take().unwrap())).await;
    let new = saying("new").await;
    let names = Names::of(&[old.address()]);
    let stage = names.stage();
    let upstream = stage.upstream();
    let response = upstream.send(request("/")).await.unwrap();
    names.set(Some(&[new.address()]));
    // Asks for the name because it opens a connection.
    stage.reaches("origin_lookups_total", CHANGED, 1).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "new");
    pieces.send(Bytes::from_static(b"whole")).await.unwrap();
    drop(pieces);
    assert_eq!(content(response).await.unwrap(), "whole");
    old.lost(1).await;
}

#[tokio::test]
async fn addresses_that_stay_keep_their_connections() {
    let origin = saying("same").await;
    let names = Names::of(&[origin.address()]);
    let stage = names.stage();
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "same");
    stage
        .reaches("origin_lookups_total", ",result=\"same\"", 2)
        .await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "same");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn while_a_name_cannot_be_resolved_its_last_addresses_stay() {
    let origin = saying("still there").await;
    let names = Names::of(&[origin.address()]);
    let mut stage = names.stage();
    stage.settings.pool_idle_max = 0;
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "still there");
    for answer in [None, Some(&[][..])] {
        names.set(answer);
        let failed = stage.count("origin_lookups_total", FAILED);
        while stage.count("origin_lookups_total", FAILED) == failed {
            assert_eq!(get(&upstream, "/").await.unwrap(), "still there");
        }
    }
}

#[tokio::test]
async fn a_name_that_never_had_an_address_is_asked_for_again_by_the_next_request() {
    let origin = saying("here").await;
    let names = Names::default();
    let mut stage = names.stage();
    stage.settings.retries = 0;
    let upstream = stage.upstream();
    assert_eq!(failure(&upstream, request("/")).await.kind, Kind::Resolve);
    names.set(Some(&[origin.address()]));
    assert_eq!(get(&upstream, "/").await.unwrap(), "here");
}

#[tokio::test]
async fn requests_that_come_together_ask_for_a_name_once_and_wait_no_longer_than_their_deadline() {
    let origin = saying("found").await;
    let (address, door) = (origin.address(), Arc::new(Semaphore::new(0)));
    let asked = Arc::new(Mutex::new(0));
    let mut stage = Names::default().stage();
    stage.settings.connecting.dns_interval = PATIENCE;
    stage.settings.connecting.resolver = Resolver::new({
        let (asked, door) = (Arc::clone(&asked), Arc::clone(&door));
        move |_, _| {
            *asked.lock() += 1;
            let door = Arc::clone(&door);
            async move {
                door.acquire().await.unwrap().forget();
                Ok(vec![address])
            }
        }
    });
    stage.settings.retries = 0;
    stage.settings.connect_timeout = SHORT;
    let upstream = stage.upstream();
    assert_eq!(
        failure(&upstream, request("/")).await.kind,
        Kind::ConnectTimeout
    );
    assert_eq!(
        failure(&upstream, request("/")).await.kind,
        Kind::ConnectTimeout
    );
    assert_eq!(*asked.lock(), 1);
    door.add_permits(1);
    stage.reaches("origin_lookups_total", CHANGED, 1).await;
    assert_eq!(get_together(&upstream, 10, "found").await, 10);
    assert_eq!(*asked.lock(), 1);
}

#[tokio::test]
async fn a_name_service_that_hangs_stops_nobody_who_has_addresses() {
    let origin = saying("there").await;
    let (address, first) = (origin.address(), Mutex::new(true));
    let mut stage = Names::default().stage();
    stage.settings.pool_idle_max = 0;
    stage.settings.connecting.resolver = Resolver::new(move |_, _| {
        let answers = std::mem::take(&mut *first.lock());
        async move {
            if answers {
                return Ok(vec![address]);
            }
            std::future::pending().await
        }
    });
    let upstream = stage.upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "there");
    tokio::time::sleep(SHORT).await;
    assert_eq!(get(&upstream, "/").await.unwrap(), "there");
}

#[tokio::test]
async fn the_next_address_of_a_name_is_tried_when_one_refuses() {
    let origin = saying("second").await;
    let refusing = support::origin::refusing().await;
    let refusing: SocketAddr = refusing.authority().unwrap().as_str().parse().unwrap();
    let names = Names::of(&[refusing, origin.address()]);
    let upstream = names.stage().upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "second");
}
