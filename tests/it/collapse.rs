//! One request to the origin for many that want the same, and none of them gets what is another's.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::origin::{Origin, PATIENCE, Reply};
use crate::support::script::script;
use crate::support::short::{Field, Gate, reply, route, until, with};
use crate::support::stage::{Answer, Stage};

/// An origin that counts, and lets the first answer go when the gate is open.
async fn gated(
    gate: &Gate,
    answer: impl Fn(usize) -> Reply + Clone + Send + Sync + 'static,
) -> Origin {
    let (gate, count) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    Origin::start(move |_| {
        let (gate, answer) = (gate.clone(), answer.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            gate.pass().await;
            answer(number)
        }
    })
    .await
}

/// As many clients at the same time; each with a field that has its number in place of `{}`.
fn clients(stage: &Arc<Stage>, count: usize, field: Field) -> JoinSet<Answer> {
    let mut clients = JoinSet::new();
    for number in 0..count {
        let stage = Arc::clone(stage);
        clients.spawn(async move {
            let value = field.1.replace("{}", &number.to_string());
            stage.get("/a", &[(field.0, &value)]).await
        });
    }
    clients
}

const NOBODY: Field = ("x-client", "{}");

/// Waits until so many requests of clients wait for the origin or for each other: on one thread
/// whatever was begun has come that far.
async fn received(stage: &Stage, count: u64) {
    let looks = AtomicU64::new(0);
    let metric = r#"cms_edge_http_requests_total{version="1.1"}"#;
    until("requests", || async {
        // Each look is a request as well.
        let own = looks.fetch_add(1, Ordering::SeqCst) + 1;
        stage.metric(metric).await >= count + own
    })
    .await;
}

#[tokio::test]
async fn two_hundred_concurrent_misses_are_one_request_to_the_origin() {
    let gate = Gate::shut();
    let origin = gated(&gate, |_| {
        reply("shared", &[("cache-control", "max-age=60")])
    })
    .await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let clients = clients(&stage, 200, NOBODY);
    received(&stage, 200).await;
    gate.open();
    let answers = clients.join_all().await;
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|answer| answer.text() == "shared"));
    assert_eq!(origin.hits(), 1);
    let collapsed = |answer: &&Answer| answer.cache_status().contains("; collapsed");
    assert_eq!(answers.iter().filter(collapsed).count(), 199);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_that_come_and_go_all_the_time_are_one_request_too() {
    // No gate: some clients look just before the answer is stored, and lead just after.
    for _ in 0..20 {
        let origin = gated(&open(), |_| reply("a", &[("cache-control", "max-age=60")])).await;
        let stage = Arc::new(Stage::start(&origin, "").await);
        clients(&stage, 50, NOBODY).join_all().await;
        assert_eq!(origin.hits(), 1);
    }
}

fn open() -> Gate {
    let gate = Gate::shut();
    gate.open();
    gate
}

#[tokio::test]
async fn what_is_stale_at_once_is_still_one_answer_for_all_who_waited() {
    let gate = Gate::shut();
    let fields: &[Field] = &[("cache-control", "max-age=0"), ("etag", "\"a\"")];
    let origin = gated(&gate, move |_| reply("shared", fields)).await;
    let settings = route("stale_while_revalidate = \"0s\"");
    let stage = Arc::new(Stage::start(&origin, &settings).await);
    let clients = clients(&stage, 20, NOBODY);
    received(&stage, 20).await;
    gate.open();
    for answer in clients.join_all().await {
        assert_eq!(answer.text(), "shared");
    }
    assert_eq!(origin.hits(), 1);
    // Who comes later has not waited, and gets a validated one.
    stage.clock.advance(Duration::from_secs(1));
    stage.get("/a", &[]).await;
    assert_eq!(origin.hits(), 2);
}

/// An answer for its client alone: the first when the gate is open, the others when as many are
/// at the origin at once as the barrier says. Were they sent one after another, none would end.
async fn personal(gate: &Gate, at_once: &Arc<Barrier>, fields: &'static [Field]) -> Origin {
    let (gate, at_once) = (gate.clone(), Arc::clone(at_once));
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request| {
        let (gate, at_once) = (gate.clone(), Arc::clone(&at_once));
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                gate.pass().await;
            } else {
                at_once.wait().await;
            }
            let client = request
                .header("x-client")
                .or_else(|| request.header("authorization"));
            let client = client.unwrap_or_default().to_owned();
            with(
                Reply::ok(client).header("x-number", &number.to_string()),
                fields,
            )
        }
    })
    .await
}

/// Each client gets the answer to its own request, and the origin had them all at once.
async fn assert_personal(settings: &str, client: Field, fields: &'static [Field]) {
    let (gate, at_once) = (Gate::shut(), Arc::new(Barrier::new(19)));
    let origin = personal(&gate, &at_once, fields).await;
    let stage = Arc::new(Stage::start(&origin, settings).await);
    let first = clients(&stage, 20, client);
    received(&stage, 20).await;
    gate.open();
    let answers = timeout(PATIENCE, first.join_all()).await;
    let answers = answers.expect("requests that do not wait for each other");
    let of: HashSet<String> = answers.iter().map(Answer::text).collect();
    let numbers: HashSet<String> = answers.iter().map(|a| a.field("x-number")).collect();
    assert_eq!((of.len(), numbers.len()), (20, 20), "{fields:?}");
    assert_eq!(origin.hits(), 20);

    // Later ones know from the mark that there is nothing to wait for.
    let later = timeout(PATIENCE, clients(&stage, 19, client).join_all()).await;
    let later = later.expect("requests that are not collapsed");
    assert!(
        later
            .iter()
            .all(|answer| !answer.cache_status().contains("collapsed"))
    );
    assert_eq!(origin.hits(), 39);
}

#[tokio::test]
async fn without_marks_those_who_waited_still_go_on_all_at_once() {
    let (gate, at_once) = (Gate::shut(), Arc::new(Barrier::new(19)));
    let origin = personal(&gate, &at_once, &[("set-cookie", "session=1")]).await;
    let stage = Stage::start(&origin, &route("hit_for_miss = \"0s\"")).await;
    let stage = Arc::new(stage);
    let clients = clients(&stage, 20, NOBODY);
    received(&stage, 20).await;
    gate.open();
    let answers = timeout(PATIENCE, clients.join_all()).await;
    let answers = answers.expect("requests that do not wait for each other");
    let of: HashSet<String> = answers.iter().map(Answer::text).collect();
    assert_eq!(of.len(), 20);
}

#[tokio::test]
async fn a_clients_no_store_concerns_its_own_request_alone() {
    let gate = Gate::shut();
    let origin = gated(&gate, |_| reply("a", &[("cache-control", "max-age=60")])).await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let own = clients(&stage, 1, ("cache-control", "no-store"));
    origin.saw(1).await;
    let others = clients(&stage, 20, NOBODY);
    received(&stage, 21).await;
    assert_eq!(
        origin.hits(),
        2,
        "nobody waits for an answer that is not stored"
    );
    gate.open();
    let own = own.join_all().await;
    assert!(own[0].cache_status().contains("request-no-store"));
    others.join_all().await;
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn answers_that_set_cookies_are_each_clients_own() {
    let fields = &[("set-cookie", "session=1"), ("cache-control", "max-age=60")];
    assert_personal("", NOBODY, fields).await;
}

#[tokio::test]
async fn private_answers_are_each_clients_own() {
    assert_personal("", NOBODY, &[("cache-control", "private, max-age=60")]).await;
    assert_personal("", NOBODY, &[("cache-control", "no-store")]).await;
}

#[tokio::test]
async fn answers_to_authorised_requests_are_each_clients_own() {
    let authorised = ("authorization", "Bearer {}");
    // Also on a route that does not pass such requests by.
    let settings = route("[route.bypass]\nheader = []");
    assert_personal(&settings, authorised, &[("cache-control", "max-age=60")]).await;
}

#[tokio::test]
async fn authorised_requests_pass_by_a_cached_route() {
    let origin = Origin::start(|request| async move {
        reply(
            request
                .header("authorization")
                .unwrap_or("nobody")
                .to_owned(),
            &[],
        )
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    assert_eq!(stage.get("/a", &[]).await.text(), "nobody");
    let own = stage.get("/a", &[("authorization", "Bearer x")]).await;
    assert_eq!(own.text(), "Bearer x");
    // RFC 9111 §3.5 keeps it out of the shared caches behind this one.
    assert_eq!(own.field("cache-control"), "");
    assert_eq!(stage.get("/a", &[]).await.text(), "nobody");
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_mark_ends_and_what_can_be_stored_again_is() {
    let origin = gated(&open(), |number| {
        let reply = Reply::ok("a").header("cache-control", "max-age=60");
        if number < 2 {
            reply.header("set-cookie", "a=b")
        } else {
            reply
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("hit_for_miss = \"10s\"")).await;
    for _ in 0..2 {
        assert!(!stage.get("/a", &[]).await.is_hit());
    }
    // Marked as it still is, the third can be stored, which takes the mark away.
    stage.get("/a", &[]).await;
    assert!(stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 3);
}

#[tokio::test]
async fn a_leader_whose_client_leaves_still_brings_the_answer() {
    let gate = Gate::shut();
    let origin = gated(&gate, |_| reply("a", &[("cache-control", "max-age=60")])).await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let leader = clients(&stage, 1, NOBODY);
    origin.saw(1).await;
    let follower = clients(&stage, 1, NOBODY);
    received(&stage, 2).await;
    drop(leader);
    let open = r#"cms_edge_connections_open{scheme="http"}"#;
    // The follower's, and that of whoever asks.
    until("the leader to be gone", || async {
        stage.metric(open).await <= 2
    })
    .await;
    gate.open();
    assert_eq!(follower.join_all().await[0].text(), "a");
    assert!(stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_alone_still_fills_the_store() {
    let gate = Gate::shut();
    let origin = gated(&gate, |_| reply("a", &[("cache-control", "max-age=60")])).await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let leader = clients(&stage, 1, NOBODY);
    origin.saw(1).await;
    drop(leader);
    gate.open();
    until("the end of the fill", || async {
        stage.metric("cms_edge_fills").await == 0
    })
    .await;
    assert!(stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn a_failure_is_one_failure_for_all_who_wait() {
    let failures: [(fn() -> Reply, StatusCode); 3] = [
        (Reply::hang_up, StatusCode::BAD_GATEWAY),
        (
            || Reply::raw("not HTTP at all\r\n\r\n"),
            StatusCode::BAD_GATEWAY,
        ),
        (|| Reply::new(503), StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (failure, status) in failures {
        let gate = Gate::shut();
        let origin = gated(&gate, move |_| failure()).await;
        let stage = Arc::new(Stage::start(&origin, "").await);
        let clients = clients(&stage, 30, NOBODY);
        received(&stage, 30).await;
        gate.open();
        let answers = clients.join_all().await;
        assert!(answers.iter().all(|answer| answer.status == status));
        assert_eq!(origin.hits(), 1, "{status}");
        let told = |answer: &&Answer| !answer.field("proxy-status").is_empty();
        assert!(
            answers.iter().filter(told).count() >= 29,
            "one is the origin's own"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_error_does_not_end_collapsing() {
    let gate = Gate::shut();
    let origin = gated(&gate, |number| match number {
        0 => Reply::new(503),
        _ => reply("a", &[("cache-control", "max-age=60")]),
    })
    .await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    gate.open();
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(1));
    clients(&stage, 20, NOBODY).join_all().await;
    assert_eq!(origin.hits(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_collapsed_each_for_itself() {
    let fields: &[Field] = &[("cache-control", "max-age=60"), ("vary", "x-theme")];
    let count = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { reply(request.header("x-theme").unwrap().to_owned(), fields) }
    })
    .await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let mut clients = JoinSet::new();
    for number in 0..60 {
        let stage = Arc::clone(&stage);
        let theme = ["dark", "light", "none"][number % 3];
        clients.spawn(async move { (theme, stage.get("/a", &[("x-theme", theme)]).await) });
    }
    for (theme, answer) in clients.join_all().await {
        assert_eq!(answer.text(), theme, "{}", answer.cache_status());
    }
    // Until Vary is known all are one flight, so that a few may have had to go on their own.
    assert!(origin.hits() < 12, "{} requests", origin.hits());
}

#[tokio::test]
async fn what_finds_no_room_in_memory_is_not_waited_for_one_after_another() {
    let gate = Gate::shut();
    let large = "x".repeat(2 << 20);
    let at_once = Arc::new(Barrier::new(9));
    let count = Arc::new(AtomicUsize::new(0));
    let (waiting, first) = (Arc::clone(&at_once), gate.clone());
    let origin = Origin::start(move |_| {
        let (large, first) = (large.clone(), first.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        let waiting = Arc::clone(&waiting);
        async move {
            match number {
                0 => first.pass().await,
                // Were they sent one after another, none would end.
                _ => {
                    waiting.wait().await;
                }
            }
            reply(large, &[("cache-control", "max-age=60")])
        }
    })
    .await;
    let settings = format!("[cache]\nmemory = \"1MiB\"\n{}", route(""));
    let stage = Arc::new(Stage::start(&origin, &settings).await);
    let clients = clients(&stage, 10, NOBODY);
    received(&stage, 10).await;
    gate.open();
    let answers = timeout(PATIENCE, clients.join_all()).await;
    let answers = answers.expect("requests that are not collapsed");
    assert!(answers.iter().all(|answer| answer.body.len() == 2 << 20));
    assert_eq!(origin.hits(), 10);
}

#[tokio::test]
async fn purges_that_overtake_a_flight_send_none_of_its_followers_to_the_origin() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let before = clients(&stage, 20, NOBODY);
    received(&stage, 20).await;
    let flight = script.asked().await;
    stage.purge(r#"{"everything":true}"#).await;
    flight.answer(reply("old", &[("cache-control", "max-age=60")]));
    for answer in before.join_all().await {
        // They had asked before the purge was confirmed.
        assert_eq!(answer.text(), "old");
        let status = answer.cache_status();
        assert!(status.contains("purged-in-flight"), "{status}");
    }
    assert_eq!(origin.hits(), 1);
    script.is_quiet();
}

#[tokio::test]
async fn a_purged_answer_is_shared_only_with_those_whom_its_vary_selects() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let get = |theme: &'static str| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.get("/a", &[("x-theme", theme)]).await })
    };
    let dark = get("dark");
    let flight = script.asked().await;
    let light = get("light");
    received(&stage, 2).await;
    stage.purge(r#"{"everything":true}"#).await;
    let fields: &[Field] = &[("cache-control", "max-age=60"), ("vary", "x-theme")];
    flight.answer(reply("dark", fields));
    assert_eq!(dark.await.unwrap().text(), "dark");
    script.asked().await.answer(reply("light", fields));
    assert_eq!(light.await.unwrap().text(), "light");
}
