//! How every attack runs: in quiet, under attack, and what is left afterwards.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::arena::{Arena, Holdings, is_strict};
use super::readers::{Answers, Phase, READERS_COUNT, Readers};
use super::swarm::Bounds;

/// Requests that the readers make first, so that what they ask for is stored.
const WARM_UP: usize = 100;

/// How long the quiet phase takes; in strict mode, where its p99 counts, longer.
const QUIET: Duration = Duration::from_millis(400);
const QUIET_STRICT: Duration = Duration::from_secs(5);

/// How many times the p99 of quiet that of an attack may be, in strict mode.
const P99_RATIO_MAX: f64 = 3.0;

/// File descriptors that may be open afterwards beyond those of before: connections to the origin
/// that are kept for later (`pool_idle_max`), and a few.
const DESCRIPTORS_SLACK: usize = 64 + 8;

/// What must hold of an attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) name: &'static str,
    /// The limits of which at least one must have been reached; empty: it stays below all.
    pub(crate) limits: &'static [&'static str],
    /// How much resident memory may grow, in MiB.
    pub(crate) growth: u64,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// It is more work for the origin than that can do: readers ask for what is stored, and are
    /// answered, but their time is not held to that in quiet.
    pub(crate) is_on_origin: bool,
}

/// Runs an attack among readers and holds the server to the terms.
pub(crate) async fn play(arena: &Arena, terms: Terms, attack: impl AsyncFnOnce(Bounds)) {
    let other = arena.origin.is_none().then_some(arena.path.as_str());
    let readers = Readers::start(arena.target, &arena.host, other, terms.is_on_origin);
    readers.answered(Phase::WarmUp, WARM_UP).await;
    readers.enter(Phase::Quiet);
    sleep(if is_strict() { QUIET_STRICT } else { QUIET }).await;
    readers.answered(Phase::Quiet, 1).await;
    let before = arena.holdings().await;
    let reached_before = arena.reached(terms.limits).await;

    readers.enter(Phase::Attack);
    let bounds = Bounds::of(terms.connections, terms.time);
    let begin = Instant::now();
    let most = Cell::new(before.resident);
    let watch = async {
        loop {
            most.set(most.get().max(arena.resident()));
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = attack(bounds) => {}
        () = watch => {}
    }
    let most = most.get();
    let took = begin.elapsed();
    readers.answered(Phase::Attack, READERS_COUNT).await;

    readers.enter(Phase::After);
    let has_reached = async |arena: &Arena| arena.reached(terms.limits).await > reached_before;
    let is_counted =
        terms.limits.is_empty() || reached_before.is_none() || arena.until(has_reached).await;
    let is_over = arena
        .until(async |arena| is_as_before(arena, before).await)
        .await;
    let after = arena.holdings().await;
    let reached = arena.reached(terms.limits).await;
    readers.answered(Phase::After, READERS_COUNT).await;
    let answers = readers.end().await;
    let ratio = report(
        &terms,
        &answers,
        [before.resident, most, after.resident],
        took,
    );
    if let (Some(reached), Some(before)) = (reached, reached_before) {
        eprintln!("  {:?} counted {} times", terms.limits, reached - before);
    }
    assert_eq!(answers.failures, Vec::<String>::new(), "{}", terms.name);
    assert!(
        answers.count(Phase::Attack) > 0,
        "{}: no reader",
        terms.name
    );
    assert!(is_counted, "{}: none of {:?}", terms.name, terms.limits);
    assert!(is_over, "{}: it left {after:?} of {before:?}", terms.name);
    let grown = most.max(after.resident).saturating_sub(before.resident) / 1024;
    assert!(grown <= terms.growth, "{}: grew by {grown} MiB", terms.name);
    if let Some(origin) = &arena.origin {
        // It stays in the cache whatever others do; a running instance may have had it before.
        assert!(origin.pages() <= 1, "{}: the readers' page", terms.name);
    }
    assert!(
        !is_strict() || terms.is_on_origin || ratio <= P99_RATIO_MAX,
        "{}: the readers' p99 is {ratio:.1} times that in quiet",
        terms.name
    );
}

/// Nothing has gone wrong; else all of it is told.
#[track_caller]
pub(crate) fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn is_as_before(arena: &Arena, before: Holdings) -> bool {
    let now = arena.holdings().await;
    // The readers have an exchange and its memory under way at any time.
    let readers = u64::try_from(READERS_COUNT).unwrap();
    now.connections <= before.connections.max(readers)
        && now.descriptors <= before.descriptors + DESCRIPTORS_SLACK
        && now.exchanges <= before.exchanges + readers
        && now.work <= before.work + readers * 256 * 1024
}

/// Writes the figures; the p99 under attack in times of that in quiet.
fn report(terms: &Terms, answers: &Answers, memory: [u64; 3], took: Duration) -> f64 {
    let [before, most, after] = memory.map(|kib| kib / 1024);
    let at = |phase, percent| answers.percentile(phase, percent) as f64 / 1000.0;
    let ratio = at(Phase::Attack, 99) / at(Phase::Quiet, 99).max(0.001);
    eprintln!(
        "{}: readers p50 {:.2} -> {:.2} ms, p99 {:.2} -> {:.2} ms (x{ratio:.1}), {} requests in \
         {:.1} s, {} failed; resident {before} -> {most} -> {after} MiB",
        terms.name,
        at(Phase::Quiet, 50),
        at(Phase::Attack, 50),
        at(Phase::Quiet, 99),
        at(Phase::Attack, 99),
        answers.count(Phase::Attack),
        took.as_secs_f64(),
        answers.failures.len(),
    );
    ratio
}
