//! What may not be stored, and what failed, makes nobody wait for another instance.

use super::fleet::{Fleet, Held};
use crate::support::origin::Reply;
use crate::support::redis_server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_one_client_lets_all_others_go_at_once() {
    let redis = Server::start(&[]).await;
    let held = Held::start(|request| match request.target.as_str() {
        "/probe" => Reply::ok("probe").header("cache-control", "max-age=60"),
        _ => Reply::ok("mine").header("set-cookie", "id=1"),
    })
    .await;
    let fleet = Fleet::start(4, &redis, &held.origin).await;
    let clients = fleet.crowd(0..4, 5, "/cart");
    held.was_asked("/cart", 1).await;
    let leader = fleet.leader().await;
    fleet.waits((0..4).filter(|at| *at != leader)).await;
    assert_eq!(held.asked("/cart"), 1);
    held.answer(1);
    // All that waited ask at the same time: none of them waits for another's answer.
    held.was_asked("/cart", 20).await;
    let before = held.asked("/cart");
    // Nor do those that come now, to whichever instance.
    let more = fleet.crowd(0..4, 5, "/cart");
    held.was_asked("/cart", before + 20).await;
    held.answer_all();
    for answer in clients
        .await
        .unwrap()
        .into_iter()
        .chain(more.await.unwrap())
    {
        assert_eq!(answer.text(), "mine");
    }
    assert_eq!(held.asked("/cart"), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_each_instance_asks_for_itself() {
    let redis = Server::start(&[]).await;
    let held = Held::start(|request| match request.target.as_str() {
        "/probe" => Reply::ok("probe").header("cache-control", "max-age=60"),
        _ => Reply::new(500),
    })
    .await;
    let fleet = Fleet::start(4, &redis, &held.origin).await;
    let clients = fleet.crowd(0..4, 5, "/broken");
    held.was_asked("/broken", 1).await;
    let leader = fleet.leader().await;
    fleet.waits((0..4).filter(|at| *at != leader)).await;
    held.answer(1);
    held.was_asked("/broken", 4).await;
    held.answer_all();
    for answer in clients.await.unwrap() {
        assert_eq!(answer.status.as_u16(), 500);
    }
    assert_eq!(held.asked("/broken"), 4);
}
