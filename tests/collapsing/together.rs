//! One request at the origin, however many instances and clients want it.

use futures_util::future::join_all;

use super::fleet::{Fleet, Held};
use crate::support::origin::Reply;
use crate::support::redis_server::Server;

fn page() -> Reply {
    Reply::ok("page").header("cache-control", "max-age=60")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_of_ten_instances_are_one_request() {
    let (redis, held) = (Server::start(&[]).await, Held::start(|_| page()).await);
    let fleet = Fleet::start(10, &redis, &held.origin).await;
    let clients = fleet.crowd(0..10, 100, "/cold");
    held.was_asked("/cold", 1).await;
    let leader = fleet.leader().await;
    fleet.waits((0..10).filter(|at| *at != leader)).await;
    held.answer_all();
    let answers = clients.await.unwrap();
    assert_eq!(answers.len(), 1000);
    assert!(answers.iter().all(|answer| answer.text() == "page"));
    assert_eq!(held.asked("/cold"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_language_is_asked_for_once() {
    const LANGUAGES: [&str; 5] = ["de", "fr", "pt-BR", "en", "it"];
    let redis = Server::start(&[]).await;
    let held = Held::start(|request| {
        Reply::ok(
            request
                .header("accept-language")
                .unwrap_or("none")
                .to_owned(),
        )
        .header("cache-control", "max-age=60")
        .header("vary", "accept-language")
    })
    .await;
    let fleet = Fleet::start(10, &redis, &held.origin).await;
    held.answer_all();
    let wanted = (0..10).flat_map(|at| LANGUAGES.map(|language| (at, language)));
    let asking = wanted.flat_map(|wanted| [wanted; 4]).map(|(at, language)| {
        let fleet = &fleet;
        async move {
            let fields = [("accept-language", language)];
            (language, fleet.get(at, "/cold", &fields).await)
        }
    });
    for (language, answer) in join_all(asking).await {
        assert_eq!(answer.text(), language);
    }
    assert_eq!(held.asked("/cold"), LANGUAGES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_is_validated_once_for_all() {
    let redis = Server::start(&[]).await;
    let held = Held::start(|request| {
        let reply = match request.headers.contains_key("if-none-match") {
            true => Reply::new(304),
            false => Reply::ok("page"),
        };
        reply
            .header("cache-control", "max-age=1, stale-while-revalidate=60")
            .header("etag", "\"1\"")
    })
    .await;
    let fleet = Fleet::start(3, &redis, &held.origin).await;
    held.answer(1);
    for at in 0..3 {
        assert_eq!(fleet.get(at, "/a", &[]).await.text(), "page");
    }
    assert_eq!(held.asked("/a"), 1);
    // The first that finds it stale asks; the others serve it meanwhile and ask nobody.
    crate::support::redis_server::eventually("it is stale", || async {
        fleet.get(0, "/a", &[]).await;
        held.asked("/a") == 2
    })
    .await;
    for at in [1, 2, 0, 1, 2] {
        assert_eq!(fleet.get(at, "/a", &[]).await.text(), "page");
    }
    for at in [1, 2] {
        let theirs = "cms_edge_redis_claims_total{outcome=\"theirs\"}";
        crate::support::redis_server::eventually("it has asked Redis", || async {
            fleet.metric(at, theirs).await > 0
        })
        .await;
    }
    assert_eq!(held.asked("/a"), 2);
}
