//! The whole play: everything starts, serves, is published to and broken; then it is quiet, and must
//! come to rest by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::fleet::instances;
use super::gremlins;
use super::publisher;
use super::readers::{self, Client};
use super::scene::Scene;
use super::servers::Topology;
use super::site::{LANGUAGES, Scope};
use crate::random::Random;

/// Clients of each instance, editors, and how often they do something. On a machine that is busy,
/// less often: the play goes by time.
const READERS_OF_INSTANCE: usize = 3;
const READER_PACE: Duration = Duration::from_millis(25);
const EDITORS: usize = 6;
const EDITOR_PAUSE_MAX: Duration = Duration::from_millis(400);

/// How long everything may take to come to rest. No page has a lifetime as short as this.
const REST_MAX: Duration = Duration::from_secs(120);

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) publishes: u64,
    pub(crate) time: Duration,
}

/// Plays it; panics over a violation, with all that is known of it.
pub(crate) async fn play(seed: u64, topology: Topology, bounds: Bounds) {
    println!("chaos: CHAOS_SEED={seed}, {topology:?}, {bounds:?}");
    let mut random = Random::new(seed);
    let scene = Arc::new(Scene::start(random.next(), topology, None).await);
    until(&scene, "all instances serve hits", serve_hits).await;
    let mut readers = JoinSet::new();
    for at in 0..instances() * READERS_OF_INSTANCE {
        let (instance, language) = (at % instances(), at % LANGUAGES.len());
        let own = Random::new(random.next());
        let scene = Arc::clone(&scene);
        readers.spawn(readers::read(scene, instance, language, own, READER_PACE));
    }
    let mut others = JoinSet::new();
    let (open, opened) = mpsc::channel(publisher::OPEN_MAX);
    others.spawn(publisher::look_after(Arc::clone(&scene), opened));
    let mut gremlins = JoinSet::new();
    gremlins.spawn(gremlins::trouble_instances(
        Arc::clone(&scene),
        Random::new(random.next()),
    ));
    gremlins.spawn(gremlins::trouble_redis(
        Arc::clone(&scene),
        Random::new(random.next()),
    ));
    let mut editors = JoinSet::new();
    for _ in 0..EDITORS {
        let own = Random::new(random.next());
        let (scene, open) = (Arc::clone(&scene), open.clone());
        editors.spawn(publisher::publish(
            scene,
            own,
            EDITOR_PAUSE_MAX,
            bounds.publishes,
            open,
        ));
    }
    drop(open);
    // All have published what they may, or the time is over.
    let _time_is_over = timeout(bounds.time, all(&mut editors)).await;
    scene.quieten();
    say(&scene, "quiet");
    all(&mut editors).await;
    say(&scene, "the last purge was taken");
    all(&mut gremlins).await;
    scene.servers.mend().await;
    all(&mut others).await;
    say(&scene, "all is mended, and receipts are complete");
    until(&scene, "all instances have the newest versions", converged).await;
    until(&scene, "all instances serve hits again", serve_hits).await;
    until(&scene, "a receipt names all instances", all_are_named).await;
    scene.finish();
    all(&mut readers).await;
    tell(&scene, seed);
}

async fn all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// Waits until it is so.
pub(crate) async fn until(scene: &Scene, what: &str, is_so: impl AsyncFn(&Scene) -> bool) {
    let end = Instant::now() + REST_MAX;
    while !is_so(scene).await {
        if Instant::now() > end {
            let events = scene.note(|figures| figures.events());
            panic!("never: {what}\n{events}\n{}", scene.fleet.logs());
        }
        sleep(Duration::from_millis(50)).await;
    }
    say(scene, what);
}

fn say(scene: &Scene, what: &str) {
    scene.event(what);
    if !scene.is_verbose {
        println!("{:9.3} {what}", scene.elapsed().as_secs_f64());
    }
}

/// Every page in every language is a hit, everywhere, when it is asked for twice.
pub(crate) async fn serve_hits(scene: &Scene) -> bool {
    for instance in 0..instances() {
        let mut client = Client::new(instance, LANGUAGES[0]);
        client.ask(scene, 0, false).await;
        let again = client.ask(scene, 0, false).await;
        if !again.is_some_and(|(is_hit, _)| is_hit) {
            return false;
        }
    }
    true
}

/// Every page in every language is the newest, everywhere.
async fn converged(scene: &Scene) -> bool {
    let everybody = (0..instances() * LANGUAGES.len()).map(|at| async move {
        let mut client = Client::new(at % instances(), LANGUAGES[at / instances()]);
        for page in 0..scene.site.count() {
            let newest = scene.site.version(page);
            let got = client.ask(scene, page, false).await;
            if got.is_none_or(|(_, version)| version != newest) {
                return false;
            }
        }
        true
    });
    let everywhere = futures_util::future::join_all(everybody).await;
    everywhere.into_iter().all(|is_newest| is_newest)
}

async fn all_are_named(scene: &Scene) -> bool {
    let published = scene.site.publish(Scope::Everything);
    let (instance, address) = scene.fleet.live(0).unwrap();
    let purged = publisher::purge(scene, instance, address, &published).await;
    let known = scene.known.lock();
    matches!(purged, Ok(None))
        && (0..instances()).all(|at| known.floor(at, 0).applied == published.version)
}

fn tell(scene: &Scene, seed: u64) {
    let took = scene.elapsed();
    let (asked, not_modified) = scene.site.asked();
    scene.note(|figures| {
        println!("{figures}");
        println!("the origin           {asked} requests, {not_modified} answered with 304");
        println!("time                 {took:.1?}");
        assert!(
            figures.violations == 0,
            "CHAOS_SEED={seed}: {} violations\n{}\n\n{}\n\n{}",
            figures.violations,
            figures.kept.join("\n"),
            figures.events(),
            scene.fleet.logs()
        );
        assert!(
            figures.complete > 0 && figures.hits > 0,
            "nothing was shown"
        );
    });
}
