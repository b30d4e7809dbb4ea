//! Which of two instances fetches, step by step: each tier is an instance of its own.

use std::time::Duration;

use cms_edge::entry::purges::{Mode, Purges};
use cms_edge::entry::scope::Scope;
use cms_edge::exchange::{Generation, Position};
use cms_edge::fields::vary::Vary;
use cms_edge::key::{EntryKey, Folding};
use cms_edge::store::Variants;
use cms_edge::store::claim::{APART, Claim, Claimed, Ending, Want};
use cms_edge::store::redis::Settings;
use http::header::ACCEPT;

use crate::bench::{Bench, GENERATION, key, plain, presented, servers, settings, varied};
use crate::failing::{Between, Mood};
use crate::support::redis_server::{Server, eventually};

/// A tier, and what its instance knows of purges.
struct Instance {
    bench: Bench,
    purges: Purges,
}

impl Instance {
    async fn start(server: &Server) -> Self {
        Self::with(settings(servers(&server.url())), GENERATION).await
    }

    async fn with(settings: Settings, generation: Generation) -> Self {
        Self {
            bench: Bench::with(settings).await,
            purges: Purges::new(generation),
        }
    }

    /// Asks for the claim of `/a`, of which the last look found nothing.
    async fn claim(&self, waits: bool) -> Claimed {
        self.claim_for("", flight(""), waits).await
    }

    async fn claim_for(&self, accept: &str, flight: EntryKey, waits: bool) -> Claimed {
        let presented = presented(accept);
        let want = Want {
            key: &key("/a"),
            flight: &flight,
            presented: &presented,
            folding: Folding::Careful,
            seen: &Variants::default(),
            purges: &self.purges,
            waits,
        };
        self.bench.redis.claim(&want).await
    }

    fn asked(&self, outcome: &str) -> u64 {
        let series = format!("redis_claims_total{{outcome=\"{outcome}\"}}");
        self.bench.metric(&series)
    }
}

/// Of requests that accept this; empty: it is not known that they differ.
fn flight(accept: &str) -> EntryKey {
    let vary = match accept {
        "" => Vary::default(),
        _ => Vary::from_names([ACCEPT]),
    };
    key("/a").select(&vary, &presented(accept), Folding::Careful)
}

/// Whether a claim for this path can be taken; it is given back at once.
pub(crate) async fn can_claim(bench: &Bench, path: &str) -> bool {
    let claimed = claim_of(bench, &Purges::new(GENERATION), path).await;
    matches!(claimed, Claimed::Mine(_))
}

async fn claim_of(bench: &Bench, purges: &Purges, path: &str) -> Claimed {
    let (key, presented) = (key(path), presented(""));
    let want = Want {
        key: &key,
        flight: &key.select(&Vary::default(), &presented, Folding::Careful),
        presented: &presented,
        folding: Folding::Careful,
        seen: &Variants::default(),
        purges,
        waits: false,
    };
    bench.redis.claim(&want).await
}

fn mine(claimed: Claimed) -> Claim {
    match claimed {
        Claimed::Mine(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_fetches_and_what_it_stores_ends_the_wait() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let claim = mine(one.claim(true).await);
    assert!(matches!(other.claim(false).await, Claimed::Theirs));
    let waiting = other.claim(true);
    let fetching = async {
        eventually("it waits", || async {
            other.bench.metric("redis_claims_waiting") == 1
        })
        .await;
        assert!(one.bench.put(&plain("/a", "hello").response()).await);
        claim.end(Ending::Shared);
    };
    let (waited, ()) = tokio::join!(waiting, fetching);
    assert!(matches!(waited, Claimed::Changed), "{waited:?}");
    assert_eq!((one.asked("mine"), other.asked("awaited")), (1, 1));
    assert_eq!(other.bench.metric("redis_claims_waiting"), 0);
    assert_eq!(one.bench.metric("redis_claims_held"), 0);
    eventually("nothing is left of it", || async {
        server.ask::<u64>(&["DBSIZE"]).await == 1
    })
    .await;
}

#[tokio::test]
async fn who_has_not_seen_what_is_there_looks_again_instead_of_fetching() {
    let server = Server::start(&[]).await;
    let one = Instance::start(&server).await;
    assert!(one.bench.put(&plain("/a", "hello").response()).await);
    assert!(matches!(one.claim(true).await, Claimed::Changed));
    assert_eq!(one.asked("changed"), 1);
}

#[tokio::test]
async fn a_claim_that_is_dropped_is_taken_by_another() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let claim = mine(one.claim(true).await);
    let waiting = other.claim(true);
    let leaving = async {
        eventually("it waits", || async {
            other.bench.metric("redis_claims_waiting") == 1
        })
        .await;
        drop(claim);
    };
    let (waited, ()) = tokio::join!(waiting, leaving);
    drop(mine(waited));
}

#[tokio::test]
async fn who_leaves_while_it_asks_leaves_no_claim_behind() {
    let server = Server::start(&[]).await;
    let between = Between::start(server.port).await;
    let url = format!("redis://127.0.0.1:{}", between.port);
    let far = Instance::with(settings(servers(&url)), GENERATION).await;
    let slow = Mood::Slow(Duration::from_millis(500));
    between.mood.send_replace(slow);
    {
        let mut asking = std::pin::pin!(far.claim(true));
        let there = eventually("the claim is there", || async {
            server.ask::<u64>(&["DBSIZE"]).await == 1
        });
        tokio::select! {
            claimed = &mut asking => panic!("{claimed:?}"),
            () = there => {}
        }
    }
    eventually("it is given back, and does not run out", || async {
        let stats: String = server.ask(&["INFO", "commandstats"]).await;
        let expired: String = server.ask(&["INFO", "stats"]).await;
        assert!(expired.contains("expired_keys:0"));
        stats.contains("cmdstat_unlink:")
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_misses_does_not_drown_redis() {
    let server = Server::start(&[]).await;
    let one = Instance::start(&server).await;
    let paths: Vec<String> = (0..3000).map(|at| format!("/{at}")).collect();
    let claims = paths
        .iter()
        .map(|path| claim_of(&one.bench, &one.purges, path));
    let claimed = futures_util::future::join_all(claims).await;
    let is_mine = |claimed: &&Claimed| matches!(claimed, Claimed::Mine(_));
    let mine = claimed.iter().filter(is_mine).count();
    let busy = usize::try_from(one.asked("busy")).unwrap();
    assert!(mine >= 1024, "{mine}");
    assert!(busy > 0);
    assert_eq!(mine + busy, paths.len());
    assert_eq!(one.bench.metric("redis_trips_total"), 0);
}

#[tokio::test]
async fn it_is_renewed_while_it_is_held() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let claim = mine(one.claim(true).await);
    let short = Instance::with(
        Settings {
            // Longer than a claim lives that is not renewed.
            collapse_wait: Duration::from_secs(3),
            ..settings(servers(&server.url()))
        },
        GENERATION,
    )
    .await;
    assert!(matches!(short.claim(true).await, Claimed::Unclaimed));
    assert_eq!(short.asked("waited_out"), 1);
    assert!(matches!(other.claim(false).await, Claimed::Theirs));
    drop(claim);
    assert_eq!(one.bench.metric("redis_claims_lost_total"), 0);
}

#[tokio::test]
async fn what_is_not_shared_or_failed_lets_everybody_go() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    mine(one.claim(true).await).end(Ending::Apart(APART));
    eventually("everybody fetches", || async {
        let claimed = other.claim(false).await;
        matches!(claimed, Claimed::Unclaimed)
    })
    .await;
    assert!(other.asked("everybody") > 0);
    // For a second. Then one does again.
    let mut claim = None;
    while claim.is_none() {
        if let Claimed::Mine(mine) = one.claim(true).await {
            claim = Some(mine);
        }
    }
    let minute = Duration::from_secs(60);
    claim.unwrap().end(Ending::NotShared(minute));
    eventually("it is not shared", || async {
        let claimed = other.claim(true).await;
        matches!(claimed, Claimed::NotShared(left) if left > Duration::from_secs(30))
    })
    .await;
}

#[tokio::test]
async fn a_claim_from_before_a_purge_is_taken_over() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let claim = mine(one.claim(true).await);
    other
        .purges
        .apply(Position::new(1), Mode::Hard, [&Scope::tag("any")]);
    let newer = mine(other.claim(true).await);
    assert_eq!(other.asked("taken_over"), 1);
    // Who holds it no more ends nothing.
    claim.end(Ending::NotShared(Duration::from_secs(60)));
    eventually("it was told to end", || async {
        one.bench.metric("redis_claims_held") == 0
    })
    .await;
    assert!(matches!(one.claim(false).await, Claimed::Theirs));
    drop(newer);
}

#[tokio::test]
async fn where_each_claim_is_overtaken_by_a_purge_who_waits_fetches_in_the_end() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let mut claim = mine(one.claim(true).await);
    let mut waiting = std::pin::pin!(other.claim(true));
    // Were it to wait for each, nobody would ever come to an end.
    for position in 1.. {
        let looks = other.bench.metric("redis_claim_polls_total");
        let looking = eventually("it looks again", || async {
            other.bench.metric("redis_claim_polls_total") > looks
        });
        tokio::select! {
            waited = &mut waiting => {
                assert!(matches!(waited, Claimed::Unclaimed), "{waited:?}");
                break;
            }
            () = looking => {}
        }
        one.purges
            .apply(Position::new(position), Mode::Hard, [&Scope::tag("any")]);
        claim = mine(one.claim(true).await);
        assert!(position < 10, "it waits for any number of them");
    }
    assert_eq!(other.asked("waited_out"), 1);
    drop(claim);
}

#[tokio::test]
async fn another_generation_is_not_waited_for() {
    let server = Server::start(&[]).await;
    let one = Instance::start(&server).await;
    let tier = settings(servers(&server.url()));
    let other = Instance::with(tier, Generation::new(7)).await;
    let _claim = mine(one.claim(true).await);
    drop(mine(other.claim(true).await));
}

#[tokio::test]
async fn who_learns_what_requests_differ_by_looks_again() {
    let server = Server::start(&[]).await;
    let (one, other) = (
        Instance::start(&server).await,
        Instance::start(&server).await,
    );
    let claim = mine(one.claim_for("text/a", flight(""), true).await);
    assert!(one.bench.put(&varied("/a", "text/a", "a").response()).await);
    let claimed = other.claim_for("text/b", flight(""), true).await;
    assert!(matches!(claimed, Claimed::Changed), "{claimed:?}");
    drop(claim);
    // Now each kind of request has a claim of its own.
    let b = one.claim_for("text/b", flight("text/b"), true).await;
    let c = other.claim_for("text/c", flight("text/c"), false).await;
    assert!(!matches!(c, Claimed::Theirs), "{b:?} {c:?}");
}

#[tokio::test]
async fn without_a_wait_nobody_is_told_of_a_fetch() {
    let server = Server::start(&[]).await;
    let off = Instance::with(
        Settings {
            collapse_wait: Duration::ZERO,
            ..settings(servers(&server.url()))
        },
        GENERATION,
    )
    .await;
    assert!(matches!(off.claim(true).await, Claimed::Unclaimed));
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn a_claim_of_another_kind_is_no_reason_to_wait() {
    let server = Server::start(&[]).await;
    let one = Instance::start(&server).await;
    let claim = mine(one.claim(true).await);
    let names: Vec<String> = server.ask(&["KEYS", "*:claim:*"]).await;
    let _ok: String = server.ask(&["SET", &names[0], "nonsense"]).await;
    assert!(matches!(one.claim(true).await, Claimed::Unclaimed));
    assert_eq!(one.asked("refused"), 1);
    drop(claim);
    assert_eq!(one.bench.metric("redis_breaker_open"), 0);
}
