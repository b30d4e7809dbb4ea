//! The fence: a purge cannot lose to a fetch. Whoever sends a first byte after the receipt never
//! gets what was purged, whatever was on its way meanwhile.

/// Exchanges that are under way while it is purged.
mod flights;
/// Which of two fetches counts.
mod order;
/// Soft purges, and what is stale.
mod stale;
/// Every form of what is stored.
mod stored;
/// Answers with 304.
mod validation;

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::support::origin::{Origin, Reply};
use crate::support::script::{Script, script, until};
use crate::support::stage::{Answer, Stage};

/// Every way to name `/de/articles/1`, which carries the tag `article:1`.
const SCOPES: [&str; 6] = [
    r#"{"tags":["article:1"]}"#,
    r#"{"urls":["http://www.example.test/de/articles/1"]}"#,
    r#"{"urls":["/de/articles/1"]}"#,
    r#"{"prefixes":["http://www.example.test/de"]}"#,
    r#"{"hosts":["www.example.test"]}"#,
    r#"{"everything":true}"#,
];
const PATH: &str = "/de/articles/1";
const TAG: &str = r#"{"tags":["article:1"]}"#;
const SOFT: &str = r#"{"tags":["article:1"],"mode":"soft"}"#;

async fn stage() -> (Arc<Stage>, Script, Origin) {
    let (origin, script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    (stage, script, origin)
}

fn article(text: &str) -> Reply {
    tagged(text).header("cache-control", "max-age=60")
}

fn tagged(text: &str) -> Reply {
    Reply::ok(text.to_owned())
        .header("surrogate-key", "article:1")
        .header("etag", &format!("\"{text}\""))
}

fn with_window(text: &str) -> Reply {
    tagged(text).header("cache-control", "max-age=10, stale-while-revalidate=60")
}

/// A client of its own, under way.
fn client(stage: &Arc<Stage>) -> JoinHandle<Answer> {
    let stage = Arc::clone(stage);
    tokio::spawn(async move { stage.get(PATH, &[]).await })
}

/// Fills the cache with `reply`.
async fn fill(stage: &Arc<Stage>, script: &mut Script, reply: Reply) -> Answer {
    let client = client(stage);
    script.asked().await.answer(reply);
    client.await.unwrap()
}

/// Asks until the stored answer is `text`.
async fn until_stored(stage: &Stage, text: &str) {
    until("the new content", async || {
        stage.get(PATH, &[]).await.text() == text
    })
    .await;
}
