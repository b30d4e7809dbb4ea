//! Redis fails in each way it can while 500 requests a second come, most of which Redis would have
//! answered: nobody gets an error, nobody waits for it once it is known to fail, the origin is not
//! asked by more at once than it may be, and nothing has to be restarted.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::failing::{Between, Mood};
use crate::readers::{READERS, Readers};
use crate::support::origin::{Origin, Reply};
use crate::support::program::Program;
use crate::support::redis_server::{Server, eventually};
use crate::support::redis_topology::Sentinels;
use crate::support::stage::{Answer, exchange, whole};

/// Exchanges with the origin at once.
const CAP: usize = 4;
/// Requests that are answered while Redis fails.
const MEANWHILE: u64 = 500;

/// One at a time: each is half the machine.
static ONE: Mutex<()> = Mutex::const_new(());

/// An instance whose only memory is Redis, and its readers.
struct Scene {
    edge: Program,
    origin: Origin,
    readers: Readers,
    _folder: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Scene {
    /// Returns when hits come from Redis.
    async fn start(redis: &str) -> Self {
        let one = ONE.lock().await;
        let origin = Origin::start(|request| async move {
            Reply::ok(request.target).header("cache-control", "max-age=600")
        })
        .await;
        let text = format!(
            "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstream.origin]\nservers = [\"{}\"]\nconcurrency = {CAP}\n\
             [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
             [cache]\nmemory = \"0B\"\n[redis]\n{redis}\n",
            origin.uri().to_string().trim_end_matches('/')
        );
        let folder = tempfile::tempdir().unwrap();
        let edge = Program::serve(folder.path(), &text).await;
        let readers = Readers::start(edge.http[0]);
        let scene = Self {
            edge,
            origin,
            readers,
            _folder: folder,
            _one: one,
        };
        scene.is_well().await;
        scene
    }

    async fn metric(&self, series: &str) -> u64 {
        let request = http::Request::get("/metrics").header("host", "admin");
        let request = request.body(http_body_util::Full::default()).unwrap();
        let metrics: Answer = whole(exchange(self.edge.admin, request).await).await;
        let text = metrics.text();
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or(0)
    }

    async fn lookups(&self, outcome: &str) -> u64 {
        let series = format!("cms_edge_redis_lookups_total{{outcome=\"{outcome}\"}}");
        self.metric(&series).await
    }

    /// Hits come from Redis, and go on doing so.
    async fn is_well(&self) {
        let hits = self.lookups("hit").await;
        eventually("hits come from Redis", || async {
            self.metric("cms_edge_redis_breaker_open").await == 0
                && self.lookups("hit").await >= hits + 100
        })
        .await;
    }

    /// Redis is given up, and readers read on without it.
    async fn does_without(&self) {
        eventually("Redis is given up", || async {
            self.metric("cms_edge_redis_breaker_open").await == 1
        })
        .await;
        // Those who were waiting have their answers.
        self.readers.read_on(MEANWHILE / 5).await;
        let before = self.asked().await;
        self.readers.read_on(MEANWHILE).await;
        let [skipped, waited, hits] = self.asked().await;
        assert!(skipped > before[0]);
        assert_eq!([waited, hits], before[1..], "somebody asked it");
    }

    /// Lookups that asked nobody, those that waited in vain, and those that found something.
    async fn asked(&self) -> [u64; 3] {
        [
            self.lookups("skipped").await,
            self.lookups("deadline").await,
            self.lookups("hit").await,
        ]
    }

    /// What holds however Redis failed.
    async fn end(self) {
        let trips = self.metric("cms_edge_redis_trips_total").await;
        let of_claims = "cms_edge_redis_claims_total{outcome=\"deadline\"}";
        let waits = self.lookups("deadline").await + self.metric(of_claims).await;
        // Each reader waits once at most for each time that Redis is given up.
        assert!(waits <= trips * READERS, "{waits} waits, {trips} trips");
        assert!(self.origin.in_flight_max() <= CAP);
        assert_eq!(self.readers.stop().await, 0, "errors to readers");
    }
}

fn url(port: u16) -> String {
    format!("url = \"redis://127.0.0.1:{port}\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_empty() {
    let mut redis = Server::start(&[]).await;
    let scene = Scene::start(&url(redis.port)).await;
    redis.kill();
    scene.does_without().await;
    redis.restart().await;
    scene.is_well().await;
    // And at once.
    redis.restart().await;
    scene.is_well().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_its_tracks() {
    let redis = Server::start(&[]).await;
    let scene = Scene::start(&url(redis.port)).await;
    redis.suspend();
    scene.does_without().await;
    redis.resume();
    scene.is_well().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slower_than_a_request_may_wait() {
    let redis = Server::start(&[]).await;
    let between = Between::start(redis.port).await;
    let scene = Scene::start(&url(between.port)).await;
    between
        .mood
        .send_replace(Mood::Slow(Duration::from_millis(200)));
    scene.does_without().await;
    between.mood.send_replace(Mood::Well);
    scene.is_well().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answering_garbage() {
    let redis = Server::start(&[]).await;
    let between = Between::start(redis.port).await;
    let scene = Scene::start(&url(between.port)).await;
    between.mood.send_replace(Mood::Nonsense);
    scene.does_without().await;
    between.mood.send_replace(Mood::Well);
    scene.is_well().await;
    assert_eq!(scene.metric("cms_edge_redis_corrupt_total").await, 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full() {
    let redis = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let scene = Scene::start(&url(redis.port)).await;
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let hits = scene.lookups("hit").await;
    scene.readers.read_on(MEANWHILE).await;
    // It still answers with what it has, and refuses the rest.
    assert!(scene.lookups("hit").await > hits);
    for series in ["redis_writes", "redis_claims"] {
        let full = format!("cms_edge_{series}_total{{outcome=\"full\"}}");
        assert!(scene.metric(&full).await > 0, "{series}");
    }
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    scene.is_well().await;
    let stored = "cms_edge_redis_writes_total{outcome=\"stored\"}";
    let before = scene.metric(stored).await;
    eventually("it is written to", || async {
        scene.metric(stored).await > before
    })
    .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed() {
    let redis = Server::start(&[]).await;
    let scene = Scene::start(&url(redis.port)).await;
    for _ in 0..5 {
        let _ok: String = redis.ask(&["FLUSHALL"]).await;
        scene.readers.read_on(MEANWHILE / 5).await;
    }
    scene.is_well().await;
    assert!(scene.lookups("miss").await > 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_over() {
    let mut redis = Sentinels::start().await;
    let [first, second, third] = &redis.sentinels;
    let settings = format!(
        "{}\nmode = \"sentinel\"\nservers = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]",
        url(first.port),
        second.port,
        third.port
    );
    let scene = Scene::start(&settings).await;
    redis.nodes[0].kill();
    scene.does_without().await;
    redis.has_failed_over().await;
    scene.is_well().await;
    scene.end().await;
}
