//! Editors: each changes something at the origin, has it purged at some instance, and waits for the
//! receipt. Who gets none asks another instance, as a CMS that repeats its webhook does.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::fleet::{Address, instances};
use super::line::Line;
use super::scene::Scene;
use super::site::{Published, Scope};
use crate::random::Random;

/// How long a receipt is waited for when the purge is sent.
const WAIT: &str = "/purge?wait=all&timeout=2s";
const WAIT_MAX: Duration = Duration::from_secs(4);
/// How long after the last fault a receipt may take to be complete.
const LATER_MAX: Duration = Duration::from_secs(90);
/// And how long one is asked after that no process knows: what its own had told the log may have been
/// lost with the log before anybody read it. What was purged is not served all the same.
const ORPHANED_MAX: Duration = Duration::from_secs(5);
/// Between two looks, and between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Receipts that are looked after at the same time; more are forgotten.
pub(crate) const OPEN_MAX: usize = 512;

/// A receipt that is not complete yet.
pub(crate) struct Open {
    published: Published,
    id: String,
    instance: usize,
    /// The process that gave it, as long as the instance is found there.
    address: Address,
    /// The processes that have said that they know it, as long as they are found there: the one that
    /// gave it, those that have read it in the log, one that took over its spool. Each has to see to
    /// its end, whatever becomes of the log and of the others.
    known_by: Vec<(usize, Address)>,
}

/// Publishes until the scene is quiet or so many publications were made, by all editors.
pub(crate) async fn publish(
    scene: Arc<Scene>,
    mut random: Random,
    pause_max: Duration,
    most: u64,
    open: mpsc::Sender<Open>,
) {
    let pause_max = u64::try_from(pause_max.as_millis()).unwrap().max(1);
    while scene.may_publish(most) {
        let published = scene.site.publish(Scope::random(&mut random));
        scene.note(|figures| figures.publishes += 1);
        let receipt = purged(&scene, &mut random, &published).await;
        if let Some(one) = receipt
            && open.try_send(one).is_err()
        {
            scene.note(|figures| figures.forgotten += 1);
        }
        sleep(Duration::from_millis(random.below(pause_max))).await;
    }
}

/// Has it purged by whoever gives a receipt; the receipt, unless it is complete.
async fn purged(scene: &Scene, random: &mut Random, published: &Published) -> Option<Open> {
    loop {
        let Some((instance, address)) = scene.fleet.any_live(random) else {
            sleep(PAUSE).await;
            continue;
        };
        if let Ok(open) = purge(scene, instance, address, published).await {
            return open;
        }
        scene.note(|figures| figures.repeated += 1);
        sleep(PAUSE).await;
    }
}

/// # Errors
/// It gave no receipt.
pub(crate) async fn purge(
    scene: &Scene,
    instance: usize,
    address: Address,
    published: &Published,
) -> Result<Option<Open>, ()> {
    let sent = Instant::now();
    let request = Request::post(WAIT);
    let command = &published.command;
    let asking = Line::default()
        .admin(address.admin, request, command, WAIT_MAX)
        .await;
    let (status, receipt) = asking.map_err(|_| ())?;
    if !matches!(status, StatusCode::OK | StatusCode::ACCEPTED) {
        return Err(());
    }
    let version = published.version;
    scene.event(&format!(
        "{version} at edge-{instance}: {} {} {command}",
        receipt["state"], receipt["id"]
    ));
    if heed(scene, published, &receipt) {
        scene.note(|figures| figures.propagated(sent.elapsed()));
        return Ok(None);
    }
    if receipt["state"] == "spooled" {
        scene.note(|figures| figures.spooled += 1);
    }
    Ok(Some(Open {
        published: published.clone(),
        id: receipt["id"].as_str().unwrap().to_owned(),
        instance,
        address,
        known_by: vec![(instance, address)],
    }))
}

/// Takes a receipt at its word; whether it is complete.
fn heed(scene: &Scene, published: &Published, receipt: &Value) -> bool {
    let mut known = scene.known.lock();
    let (pages, version) = (&published.pages, published.version);
    let is_complete = receipt["complete"] == true;
    if is_complete {
        known.complete(pages, version);
    }
    if receipt["state"] != "spooled" {
        let instances = receipt["instances"].as_array();
        for one in instances.into_iter().flatten() {
            let at = scene.fleet.named(one["name"].as_str().unwrap());
            if one["state"] == "applied" {
                known.applied(at.unwrap(), pages, version);
            }
        }
    }
    is_complete
}

/// Looks after the receipts that were not complete, until all are and no editor is left.
pub(crate) async fn look_after(scene: Arc<Scene>, mut opened: mpsc::Receiver<Open>) {
    let mut open: Vec<Open> = Vec::new();
    let mut is_closed = false;
    while !(is_closed && open.is_empty()) {
        while open.len() < OPEN_MAX {
            match opened.try_recv() {
                Ok(one) => open.push(one),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    is_closed = true;
                    break;
                }
            }
        }
        let mut left = Vec::new();
        for one in open {
            if let Some(still) = look(&scene, one).await {
                left.push(still);
            }
        }
        open = left;
        sleep(PAUSE).await;
    }
}

/// Nothing, if it is complete now or never will be as far as anybody knows.
async fn look(scene: &Scene, mut one: Open) -> Option<Open> {
    let mut unknown = 0;
    // Its own instance first: what is only spooled, the others do not know.
    for instance in (0..instances()).map(|at| (one.instance + at) % instances()) {
        let Some((_, address)) = scene.fleet.live(instance) else {
            continue;
        };
        let path = format!("/purge/{}", one.id);
        let asking = Line::default()
            .admin(address.admin, Request::get(path), "", WAIT_MAX)
            .await;
        match asking {
            Ok((StatusCode::OK | StatusCode::ACCEPTED, receipt)) => {
                if heed(scene, &one.published, &receipt) {
                    let version = one.published.version;
                    scene.event(&format!("{version} is complete"));
                    let is_own = address == one.address;
                    scene.note(|figures| {
                        figures.complete_later += 1;
                        figures.complete_elsewhere += u64::from(!is_own);
                    });
                    return None;
                }
                if !one.known_by.contains(&(instance, address)) {
                    one.known_by.push((instance, address));
                }
                if address == one.address {
                    break;
                }
            }
            Ok((StatusCode::NOT_FOUND, _)) => unknown += 1,
            _ => {}
        }
    }
    let runs = |(at, address): &(usize, Address)| scene.fleet.address(*at) == Some(*address);
    one.known_by.retain(runs);
    let quiet = scene.quiet_for();
    if !one.known_by.is_empty() {
        if quiet > LATER_MAX {
            let Published { version, .. } = one.published;
            scene.violation(&format!("the receipt of {version} is never complete"));
            return None;
        }
    } else if unknown == instances() || quiet > ORPHANED_MAX {
        scene.note(|figures| figures.orphaned += 1);
        return None;
    }
    Some(one)
}
