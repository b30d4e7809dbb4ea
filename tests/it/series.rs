//! A page that is purged faster than it is made: every reader is answered all the same, and the origin
//! is asked for it a few times at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cms_edge::fetch::flight::UNDER_WAY_MAX;
use tokio::task::JoinHandle;

use crate::support::origin::{Origin, Reply};
use crate::support::script::{Script, script};
use crate::support::short::{Field, reply, route, until};
use crate::support::stage::{Answer, Stage};

const EVERYTHING: &str = r#"{"everything":true}"#;
const ANOTHER: &str = r#"{"tags":["another"]}"#;
const SOFT: &str = r#"{"everything":true,"mode":"soft"}"#;
const FRESH: Field = ("cache-control", "max-age=60");

/// An instance, and how many requests it has been sent.
struct Series {
    stage: Arc<Stage>,
    sent: AtomicU64,
}

impl Series {
    async fn start(settings: &str) -> (Self, Script, Origin) {
        let (origin, script) = script().await;
        let stage = Arc::new(Stage::start(&origin, settings).await);
        let sent = AtomicU64::new(0);
        (Self { stage, sent }, script, origin)
    }

    /// A reader who waits for the origin, or for another one, when this returns.
    async fn reader(&self, fields: &'static [Field]) -> JoinHandle<Answer> {
        let stage = Arc::clone(&self.stage);
        let reader = tokio::spawn(async move { stage.get("/a", fields).await });
        self.sent.fetch_add(1, Ordering::SeqCst);
        let metric = r#"cms_edge_http_requests_total{version="1.1"}"#;
        until("the request", || async {
            // Each look is a request as well.
            let sent = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
            self.stage.metric(metric).await >= sent
        })
        .await;
        reader
    }

    async fn readers(&self, count: usize, fields: &'static [Field]) -> Vec<JoinHandle<Answer>> {
        let mut readers = Vec::new();
        for _ in 0..count {
            readers.push(self.reader(fields).await);
        }
        readers
    }

    async fn purge(&self, command: &str) {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.stage.purge(command).await;
    }
}

async fn texts(readers: impl IntoIterator<Item = JoinHandle<Answer>>) -> Vec<String> {
    let mut texts = Vec::new();
    for reader in readers {
        texts.push(reader.await.unwrap().text());
    }
    texts
}

#[tokio::test]
async fn however_often_it_is_purged_it_is_fetched_a_few_times_at_once() {
    let (series, mut script, origin) = Series::start("").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(series.reader(&[]).await);
        series.purge(EVERYTHING).await;
    }
    assert_eq!(origin.hits(), UNDER_WAY_MAX);
    let late = readers.split_off(UNDER_WAY_MAX);
    for reader in readers {
        script.asked().await.answer(reply("old", &[FRESH]));
        assert_eq!(reader.await.unwrap().text(), "old");
    }
    // They came behind a purge that none of those had left after.
    script.asked().await.answer(reply("new", &[FRESH]));
    assert_eq!(texts(late).await, ["new"; 20 - UNDER_WAY_MAX]);
    assert!(series.stage.get("/a", &[]).await.is_hit());
    script.is_quiet();
}

#[tokio::test]
async fn purges_of_something_else_leave_those_who_wait_what_comes_first() {
    let (series, mut script, origin) = Series::start("").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(series.reader(&[]).await);
        series.purge(ANOTHER).await;
    }
    for _ in 0..UNDER_WAY_MAX {
        script.asked().await.answer(reply("good", &[FRESH]));
    }
    assert_eq!(texts(readers).await, ["good"; 20]);
    assert_eq!(origin.hits(), UNDER_WAY_MAX);
    assert!(series.stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn those_whom_a_purged_answer_does_not_suit_wait_for_one_of_their_own() {
    let (series, mut script, origin) = Series::start("").await;
    let answer = |theme: &str| reply(theme.to_owned(), &[FRESH, ("vary", "x-theme")]);
    let first = series.reader(&[("x-theme", "dark")]).await;
    let light = series.readers(3, &[("x-theme", "light")]).await;
    let blue = series.readers(3, &[("x-theme", "blue")]).await;
    series.purge(EVERYTHING).await;
    script.asked().await.answer(answer("dark"));
    assert_eq!(first.await.unwrap().text(), "dark");
    // Both at once, and once for each; and those are purged on their way, too.
    let flights = [script.asked().await, script.asked().await];
    series.purge(EVERYTHING).await;
    for flight in flights {
        let theme = flight.request.headers["x-theme"]
            .to_str()
            .unwrap()
            .to_owned();
        flight.answer(answer(&theme));
    }
    assert_eq!(texts(light).await, ["light"; 3]);
    assert_eq!(texts(blue).await, ["blue"; 3]);
    assert_eq!(origin.hits(), 3);
}

#[tokio::test]
async fn who_asks_for_a_purged_variant_is_one_request_to_the_origin_with_all_others() {
    let (series, mut script, origin) = Series::start("").await;
    let fields = &[("x-theme", "dark")];
    let answer = || reply("dark", &[FRESH, ("vary", "x-theme")]);
    let first = series.reader(fields).await;
    script.asked().await.answer(answer());
    first.await.unwrap();
    series.purge(EVERYTHING).await;
    let readers = series.readers(5, fields).await;
    script.asked().await.answer(answer());
    assert_eq!(texts(readers).await, ["dark"; 5]);
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_soft_purge_on_its_way_leaves_those_who_waited_what_comes() {
    let (series, mut script, origin) = stale_at_once().await;
    let readers = series.readers(5, &[]).await;
    series.purge(SOFT).await;
    script.asked().await.answer(stale("a"));
    assert_eq!(texts(readers).await, ["a"; 5]);
    assert_eq!(origin.hits(), 1);
    script.is_quiet();
}

#[tokio::test]
async fn who_comes_after_a_soft_purge_waits_for_what_left_after_it() {
    let (series, mut script, origin) = stale_at_once().await;
    let before = series.reader(&[]).await;
    series.purge(SOFT).await;
    let after = series.readers(3, &[]).await;
    script.asked().await.answer(stale("old"));
    assert_eq!(before.await.unwrap().text(), "old");
    let flight = script.asked().await;
    series.purge(SOFT).await;
    flight.answer(stale("new"));
    assert_eq!(texts(after).await, ["new"; 3]);
    assert_eq!(origin.hits(), 2);
}

/// What may not be served stale, and always is.
async fn stale_at_once() -> (Series, Script, Origin) {
    Series::start(&route("stale_while_revalidate = \"0s\"")).await
}

fn stale(text: &'static str) -> Reply {
    reply(text, &[("cache-control", "max-age=0"), ("etag", "\"a\"")])
}
