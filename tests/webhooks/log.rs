//! What a purge finds in the log, and what it leaves there.

use std::collections::BTreeSet;
use std::sync::Arc;

use cms_edge::entry::purges::Mode;
use cms_edge::entry::scope::Scope;
use cms_edge::purge::log::{Log, LogError, Wait};
use cms_edge::purge::receipt::{Receipt, ReceiptId};
use cms_edge::purge::{Cause, Purge};
use serde_json::json;
use tokio::sync::Barrier;

use crate::senders::{DETAIL, demo};
use crate::support::{NOW, OLD_KEY, deliver, signed, stage};

struct Unreachable;

impl Log for Unreachable {
    async fn append_and_wait(&self, _: Purge, _: Wait) -> Result<Receipt, LogError> {
        Err(LogError::Unavailable)
    }

    async fn receipt(&self, _: ReceiptId) -> Result<Option<Receipt>, LogError> {
        Err(LogError::Unavailable)
    }
}

#[tokio::test]
async fn a_purge_that_is_not_in_the_log_is_not_answered_as_if_it_were() {
    let stage = stage();
    let webhook = stage.webhook_on(Arc::new(Unreachable), demo());
    let answer = deliver(&webhook, &signed(OLD_KEY, "msg_1", NOW, DETAIL), DETAIL).await;
    assert_eq!(answer.status, 503);
    assert_eq!(stage.metrics.webhook_count("demo", "log-failed"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_purges_have_dense_positions_and_are_applied_when_they_return() {
    const PURGES: usize = 100;
    let stage = Arc::new(stage());
    let barrier = Arc::new(Barrier::new(PURGES));
    let tasks: Vec<_> = (0..PURGES)
        .map(|at| {
            let (stage, barrier) = (Arc::clone(&stage), Arc::clone(&barrier));
            tokio::spawn(async move {
                let scopes = vec![Scope::tag(format!("t{at}"))];
                let purge = Purge::new(scopes, Mode::Hard, Cause::Admin).unwrap();
                barrier.wait().await;
                let receipt = stage.log.append(purge).await.unwrap();
                let position = receipt.id.position.ordinal();
                assert!(stage.position() >= position, "applied before the receipt");
                position
            })
        })
        .collect();
    let mut positions = BTreeSet::new();
    for task in tasks {
        positions.insert(task.await.unwrap());
    }
    let dense: BTreeSet<u64> = (1..=PURGES as u64).collect();
    assert_eq!(positions, dense);
    assert_eq!(stage.position(), PURGES as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_delivery_that_arrives_many_times_at_once_is_appended_once() {
    const TIMES: usize = 32;
    let stage = stage();
    let webhook = Arc::new(stage.webhook(demo()));
    let barrier = Arc::new(Barrier::new(TIMES));
    let tasks: Vec<_> = (0..TIMES)
        .map(|_| {
            let (webhook, barrier) = (Arc::clone(&webhook), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let headers = signed(OLD_KEY, "msg_1", NOW, DETAIL);
                let answer = deliver(&webhook, &headers, DETAIL).await;
                answer.json["duplicate"] == json!(false)
            })
        })
        .collect();
    let mut firsts = 0;
    for task in tasks {
        firsts += usize::from(task.await.unwrap());
    }
    assert_eq!((firsts, stage.position()), (1, 1));
}
