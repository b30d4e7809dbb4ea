//! What purges cost: a purge of a tag that a million stored responses carry, and a memory hit when
//! the log has 100,000 records.
//!
//! `cargo bench --bench purges`. It takes 2 GiB of memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may stop where it stands"
)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/origin.rs"]
mod origin;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::app::{App, Surroundings};
use cms_edge::clock::{SystemClock, Timestamp};
use cms_edge::config;
use cms_edge::entry::head::Head;
use cms_edge::entry::purges::{Mode, Purges};
use cms_edge::entry::scope::Scope;
use cms_edge::entry::{Content, StoredResponse, Tags};
use cms_edge::exchange::{Forwarded, Generation};
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::fields::vary::Vary;
use cms_edge::key::{CacheKey, Folding, KeyRule, TargetUri};
use cms_edge::policy::CacheRule;
use cms_edge::policy::storability::{Asked, assess};
use cms_edge::purge::local::LocalLog;
use cms_edge::purge::{Cause, Purge};
use cms_edge::store::Store;
use cms_edge::store::memory::{Memory, Settings};
use cms_edge::telemetry::purge::PurgeMetrics;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use bench::{connection, runtime};

const OBJECTS: usize = 1_000_000;
const RECORDS: usize = 100_000;
/// Hits of one round; the median of [`ROUNDS`] counts.
const HITS: usize = 200_000;
const ROUNDS: usize = 9;
/// Rounds of storing and purging; the median counts.
const PURGES: usize = 5;
const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

fn main() {
    let runtime = runtime();
    // `cargo test` runs benches, too, and only wants to know that they run.
    let part = match std::env::args().any(|argument| argument == "--bench") {
        true => 1,
        false => 1000,
    };
    for objects in [1000, OBJECTS / part] {
        runtime.block_on(purge_of_a_tag(objects));
    }
    runtime.block_on(hits_beside(RECORDS / part, HITS / part));
}

/// From the command to its receipt, wall-clock: the purge is in force when it returns.
async fn purge_of_a_tag(objects: usize) {
    let purges = Arc::new(Purges::new(Generation::new(1)));
    let log = LocalLog::new(
        Arc::clone(&purges),
        Arc::new(SystemClock),
        "bench",
        PurgeMetrics::unregistered(),
    );
    let memory = Memory::new(Settings {
        bytes_max: objects.max(100_000) * 2048,
        variants_max: 1,
    });
    let mut took = Vec::new();
    for _ in 0..PURGES {
        for at in 0..objects {
            memory
                .put(response(at, &purges), Generation::new(1))
                .await
                .unwrap();
        }
        assert_eq!(served(&memory, &purges, objects), objects);
        let purge = Purge::new(vec![Scope::tag("all")], Mode::Hard, Cause::Admin).unwrap();
        let began = tokio::time::Instant::now();
        log.record(&purge);
        took.push(began.elapsed());
        assert_eq!(served(&memory, &purges, objects), 0);
    }
    took.sort_unstable();
    let (median, most) = (took[PURGES / 2], took[PURGES - 1]);
    println!("purge of a tag that {objects} responses carry: median {median:?}, most {most:?}");
}

fn served(memory: &Memory, purges: &Purges, objects: usize) -> usize {
    let is_served = |at: &usize| {
        let variants = memory.get(&key(*at));
        variants
            .iter()
            .any(|entry| purges.admit(Arc::clone(entry)).is_some())
    };
    (0..objects).filter(is_served).count()
}

fn key(at: usize) -> CacheKey {
    let path = format!("/api/articles/{at}");
    let target = TargetUri::parse("https", "www.example.org", &path, None).unwrap();
    KeyRule::default().key(&target, &HeaderMap::new()).key
}

fn response(at: usize, purges: &Purges) -> Arc<StoredResponse> {
    let presented = HeaderMap::new();
    let asked = Asked {
        method: &Method::GET,
        headers: &presented,
        no_store: false,
    };
    let rule = CacheRule {
        ttl: Duration::from_secs(86_400),
        ..CacheRule::default()
    };
    let exchange = Forwarded::begin(NOW, purges.fence()).received(NOW);
    let storable = assess(asked, StatusCode::OK, HeaderMap::new(), exchange, &rule).unwrap();
    let vary = Vary::default();
    Arc::new(StoredResponse::seal(
        key(at).select(&vary, &presented, Folding::Careful),
        vary,
        &storable,
        Head::new(&HeaderMap::new(), &HeaderMap::new()),
        Tags::new(["all", "article"]),
        Content::new(Bytes::from_static(b"{}"), Coding::Identity, false),
    ))
}

/// Rounds with and without records take turns, so that the mood of the machine is the same for both.
async fn hits_beside(records: usize, hits: usize) {
    let without = Instance::start().await;
    let with = Instance::start().await;
    with.purge(records).await;
    let mut ratios = Vec::new();
    let (mut least, mut most) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (none, many) = (without.hits(hits).await, with.hits(hits).await);
        ratios.push(many / none);
        least.push(none);
        most.push(many);
    }
    println!(
        "memory hit: {:.3} µs of processor time without purges, {:.3} µs beside {records} records: \
         {:.3} times (median of the ratios of {ROUNDS} rounds)",
        median(least),
        median(most),
        median(ratios)
    );
}

struct Instance {
    proxy: Arc<cms_edge::proxy::Proxy<Arc<cms_edge::store::tiers::Tiers>>>,
    admin: std::net::SocketAddr,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl Instance {
    async fn start() -> Self {
        let origin = origin::origin(1024, "").await;
        let text = format!(
            "[server]\nhttps = []\nhttp = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             token = \"{TOKEN}\"\n[log]\naccess = \"off\"\nlevel = \"error\"\n[upstream.cms]\n\
             servers = [\"http://{origin}\"]\n\
             [[route]]\nname = \"article\"\npath = \"/api/articles/{{id}}\"\nupstream = \"cms\"\n\
             ttl = \"24h\"\ntags = [\"article:{{id}}\", \"articles\"]\n"
        );
        let config = config::parse(&text, "bench.toml", Path::new(""), []).expect("no mistakes");
        let app = App::bind(&config, Surroundings::default()).await.unwrap();
        let instance = Self {
            proxy: app.proxy(),
            admin: app.admin()[0],
        };
        tokio::spawn(app.serve(std::future::pending::<()>()));
        instance
    }

    /// Records in the log that cover nothing of what is asked for.
    async fn purge(&self, records: usize) {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let mut answer = vec![0; 16 << 10];
        for at in 0..records {
            let body = format!("{{\"tags\":[\"other:{at}\"]}}");
            let request = format!(
                "POST /purge HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {TOKEN}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let length = stream.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{at}");
        }
    }

    /// Microseconds of this process's processor time for each.
    async fn hits(&self, count: usize) -> f64 {
        // All of them have been looked at since the last purge.
        for at in 0..200 {
            self.hit(at).await;
        }
        let before = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        for at in 0..count {
            self.hit(at).await;
        }
        let after = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let micros = |time: rustix::time::Timespec| time.tv_sec * 1_000_000_000 + time.tv_nsec;
        #[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
        let each = (micros(after) - micros(before)) as f64 / 1000.0 / count.max(1) as f64;
        each
    }

    async fn hit(&self, at: usize) {
        let connection = connection();
        let request = Request::get(format!("/api/articles/{}", at % 100))
            .header("host", "www.example.org")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = self.proxy.handle(request, &connection).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
