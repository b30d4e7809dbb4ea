//! A hundred editors publish while readers read: no reader whose request began after a receipt
//! was given sees an older version. The history is checked, and so is the checker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::decode::decoded;
use crate::support::origin::{Origin, Received, Reply};
use crate::support::stage::Stage;

const SEED: u64 = 0x00c0_ffee;
const LANGUAGES: [&str; 4] = ["en", "de", "fr", "pt-BR"];
const CODINGS: [&str; 3] = ["identity", "gzip", "br"];
const ARTICLES: usize = 3;
const KEYS: usize = ARTICLES * LANGUAGES.len();
const EDITORS: u64 = 100;
const READERS: u64 = 24;
const LASTS: Duration = Duration::from_secs(3);
/// … and on a machine that is slow.
const LASTS_AT_MOST: Duration = Duration::from_secs(60);
/// The longest pause of an editor.
const PAUSE_MS_MAX: usize = 400;

const ROUTE: &str = r#"
[[route]]
name = "articles"
path = "/api/articles/{id}"
upstream = "origin"
tags = ["article:{id}", "article:{id}:{language}"]
stale_while_revalidate = "5s"
[route.language]
supported = ["en", "de", "fr", "pt-BR"]
default = "en"
sources = ["header"]
"#;

/// What is published, and what receipts have promised.
#[derive(Default)]
struct Site {
    current: [AtomicU64; KEYS],
    promised: [AtomicU64; KEYS],
    validated: AtomicU64,
    done: AtomicBool,
}

/// One read: what had been promised when it began, and what it got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Read {
    key: usize,
    promised: u64,
    seen: u64,
}

/// Reads of something older than was promised before they began.
fn violations(history: &[Read]) -> Vec<Read> {
    let is_older = |read: &&Read| read.seen < read.promised;
    history.iter().filter(is_older).copied().collect()
}

#[test]
fn the_check_of_the_history_finds_an_older_version() {
    let read = |promised, seen| Read {
        key: 0,
        promised,
        seen,
    };
    let good = [read(0, 0), read(1, 1), read(1, 2), read(2, 2)];
    assert_eq!(violations(&good), []);
    let bad = [read(1, 1), read(2, 1), read(2, 2)];
    assert_eq!(violations(&bad), [read(2, 1)]);
}

/// Random enough for choosing, and the same for each run (SplitMix64).
struct Dice(u64);

impl Dice {
    const fn of(player: u64) -> Self {
        Self(SEED ^ player.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_an_older_version_after_a_receipt() {
    let site = Arc::new(Site::default());
    let origin = origin(&site).await;
    let stage = Arc::new(Stage::start(&origin, ROUTE).await);
    let history = Arc::new(Mutex::new(Vec::new()));

    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (stage, site, history) = (Arc::clone(&stage), Arc::clone(&site), Arc::clone(&history));
        readers.spawn(async move {
            let mut dice = Dice::of(1000 + reader);
            while !site.done.load(SeqCst) {
                let read = read(&stage, &site, &mut dice).await;
                history.lock().push(read);
            }
        });
    }
    let mut editors = JoinSet::new();
    for editor in 0..EDITORS {
        let (stage, site) = (Arc::clone(&stage), Arc::clone(&site));
        editors.spawn(async move {
            let mut dice = Dice::of(editor);
            while !site.done.load(SeqCst) {
                sleep(Duration::from_millis(dice.below(PAUSE_MS_MAX) as u64)).await;
                publish(&stage, &site, &mut dice).await;
                // Time passes too, so that responses get stale and are validated.
                stage.clock.advance(Duration::from_millis(500));
            }
        });
    }
    // It is a test only if all this happens, however slow the machine is.
    let deadline = Instant::now() + LASTS_AT_MOST;
    let least = Instant::now() + LASTS;
    let mut missing = missing(&stage, &site, &history).await;
    while (!missing.is_empty() || Instant::now() < least) && Instant::now() < deadline {
        sleep(Duration::from_millis(50)).await;
        missing = self::missing(&stage, &site, &history).await;
    }
    site.done.store(true, SeqCst);
    while let Some(player) = editors.join_next().await {
        player.unwrap();
    }
    while let Some(player) = readers.join_next().await {
        player.unwrap();
    }

    let history = history.lock().clone();
    let violations = violations(&history);
    assert_eq!(violations, [], "seed {SEED:#x}, of {} reads", history.len());
    assert_eq!(missing, [""; 0], "in {} reads", history.len());
}

/// What has not happened yet of all that the history must hold to say something.
async fn missing(stage: &Stage, site: &Site, history: &Mutex<Vec<Read>>) -> Vec<&'static str> {
    let mut missing = Vec::new();
    let mut needs = |what, happened: bool| {
        if !happened {
            missing.push(what);
        }
    };
    needs("300 reads", history.lock().len() > 300);
    let promised = |read: &Read| read.promised > 1;
    needs(
        "a read after two receipts",
        history.lock().iter().any(promised),
    );
    needs("a validation", site.validated.load(SeqCst) > 0);
    let metrics = stage.admin("/metrics").await.text();
    let counted = |series: &str| {
        let mut lines = metrics.lines();
        lines.any(|line| line.starts_with(series) && !line.ends_with(" 0"))
    };
    needs(
        "a purge in flight",
        counted("cms_edge_purged_in_flight_total"),
    );
    for outcome in ["hit", "stale", "miss", "collapsed"] {
        let series = format!(r#"cms_edge_requests_total{{route="articles",outcome="{outcome}"}}"#);
        needs(outcome, counted(&series));
    }
    missing
}

/// A CMS that reads its content at one moment and takes its time before and after.
async fn origin(site: &Arc<Site>) -> Origin {
    let site = Arc::clone(site);
    let asked = AtomicU64::new(0);
    Origin::start(move |request| {
        let site = Arc::clone(&site);
        let mut dice = Dice::of(2000 + asked.fetch_add(1, SeqCst));
        async move {
            latency(&mut dice).await;
            let key = key_of(&request);
            let version = site.current[key].load(SeqCst);
            latency(&mut dice).await;
            let etag = format!("\"{key}-{version}\"");
            let reply = if request.header("if-none-match") == Some(&*etag) {
                site.validated.fetch_add(1, SeqCst);
                Reply::new(304)
            } else {
                let padding = "x".repeat(1500);
                let body = format!(r#"{{"key":{key},"version":{version},"body":"{padding}"}}"#);
                Reply::ok(body).header("content-type", "application/json")
            };
            reply
                .header("etag", &etag)
                .header("cache-control", "max-age=3")
        }
    })
    .await
}

async fn latency(dice: &mut Dice) {
    if dice.below(3) > 0 {
        sleep(Duration::from_millis(dice.below(8) as u64)).await;
    }
}

fn key_of(request: &Received) -> usize {
    let id = request.target.rsplit('/').next().unwrap();
    let id: usize = id.parse().unwrap();
    let language = request.header("accept-language").unwrap();
    let language = LANGUAGES.iter().position(|known| *known == language);
    id * LANGUAGES.len() + language.expect("a supported language")
}

async fn read(stage: &Stage, site: &Site, dice: &mut Dice) -> Read {
    let key = dice.below(KEYS);
    let (id, language) = (key / LANGUAGES.len(), LANGUAGES[key % LANGUAGES.len()]);
    let languages = [
        language.to_owned(),
        format!("{language};q=0.9, x;q=0.1"),
        format!("tlh, {language};q=0.5"),
    ];
    let fields = [
        ("accept-language", &*languages[dice.below(3)]),
        ("accept-encoding", CODINGS[dice.below(3)]),
    ];
    let promised = site.promised[key].load(SeqCst);
    let answer = stage.get(&format!("/api/articles/{id}"), &fields).await;
    assert_eq!(answer.status.as_u16(), 200);
    let body: Value = serde_json::from_slice(&decoded(&answer)).unwrap();
    assert_eq!(body["key"], key, "another page, or another language");
    Read {
        key,
        promised,
        seen: body["version"].as_u64().unwrap(),
    }
}

/// Changes the content first, as a CMS does; what the receipt then promises is remembered.
async fn publish(stage: &Stage, site: &Site, dice: &mut Dice) {
    let key = dice.below(KEYS);
    let (id, language) = (key / LANGUAGES.len(), LANGUAGES[key % LANGUAGES.len()]);
    let version = site.current[key].fetch_add(1, SeqCst) + 1;
    let purge = match dice.below(30) {
        0 => r#"{"everything":true}"#.to_owned(),
        1 => r#"{"prefixes":["/api/articles"]}"#.to_owned(),
        2 => r#"{"hosts":["www.example.test"]}"#.to_owned(),
        3..=6 => format!(r#"{{"urls":["https://www.example.test/api/articles/{id}"]}}"#),
        7..=10 => format!(r#"{{"tags":["article:{id}"]}}"#),
        _ => format!(r#"{{"tags":["article:{id}:{language}"]}}"#),
    };
    stage.purge(&purge).await;
    site.promised[key].fetch_max(version, SeqCst);
}
