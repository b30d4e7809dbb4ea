//! Who lets things fail: one for the instances, one for Redis, each one thing after the other. What
//! they break they mend, before they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::fleet::instances;
use super::scene::Scene;
use crate::random::Random;

/// How long something is broken, and how long nothing is afterwards, at most. A log that is lost
/// gives no receipt for more than a second; some rests let everybody come to rest.
const BROKEN_MAX: Duration = Duration::from_millis(2500);
const REST_MAX: Duration = Duration::from_millis(2500);

/// After how many faults of Redis of a hundred an operator puts things in order.
const MENDED_PERCENT: u64 = 60;

/// What happens to an instance.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL, and started again.
    Kill,
    /// SIGSTOP and SIGCONT.
    Stop,
    /// SIGTERM, and started again.
    End,
    /// Nothing comes from Redis, and nothing arrives there. Where there is no way to cut: [`Fault::Stop`].
    Cut,
}

const FAULTS: [Fault; 8] = [
    Fault::Cut,
    Fault::Cut,
    Fault::Kill,
    Fault::Kill,
    Fault::Stop,
    Fault::Stop,
    Fault::Stop,
    Fault::End,
];

/// Does it to instances until the scene is quiet.
pub(crate) async fn trouble_instances(scene: Arc<Scene>, mut random: Random) {
    while !scene.is_quiet() {
        rest(&scene, &mut random, REST_MAX).await;
        // Mostly one, sometimes more; never all, so that purges are taken by somebody.
        let many = match random.below(10) {
            0 => instances() - 1,
            1..3 => 2,
            _ => 1,
        };
        let mut chosen: Vec<usize> = (0..instances()).collect();
        while chosen.len() > many {
            let out = usize::try_from(random.below(chosen.len() as u64)).unwrap();
            chosen.swap_remove(out);
        }
        let suffering = chosen.iter().map(|at| {
            let fault = random.of(&FAULTS);
            let length = length(&mut random, BROKEN_MAX);
            suffer(&scene, *at, fault, length)
        });
        let suffering: Vec<_> = suffering.collect();
        futures_util::future::join_all(suffering).await;
    }
}

/// Does it to Redis until the scene is quiet.
pub(crate) async fn trouble_redis(scene: Arc<Scene>, mut random: Random) {
    while !scene.is_quiet() {
        rest(&scene, &mut random, scene.servers.rest()).await;
        let fault = scene.servers.any_fault(&mut random);
        let length = length(&mut random, BROKEN_MAX);
        scene.fault(
            &format!("Redis {fault:?}"),
            &format!("Redis {fault:?} {length:?}"),
        );
        scene.servers.suffer(fault, length).await;
        if random.percent(MENDED_PERCENT) {
            scene.servers.mend().await;
        }
        let roles = scene.servers.roles().await;
        scene.event(&format!("Redis {fault:?} is over: {roles}"));
    }
}

async fn suffer(scene: &Scene, at: usize, fault: Fault, length: Duration) {
    let relay = scene.servers.relay(at);
    let fault = match fault {
        Fault::Cut if relay.is_none() => Fault::Stop,
        fault => fault,
    };
    scene.fault(
        &format!("{fault:?}"),
        &format!("edge-{at} {fault:?} {length:?}"),
    );
    let fleet = &scene.fleet;
    match (fault, relay) {
        (Fault::Cut, Some(relay)) => {
            relay.cut();
            sleep(length).await;
            relay.mend();
        }
        (Fault::Stop | Fault::Cut, _) => {
            fleet.stop(at).await;
            sleep(length).await;
            fleet.resume(at).await;
        }
        (Fault::Kill | Fault::End, _) => {
            if matches!(fault, Fault::Kill) {
                fleet.kill(at).await;
            } else {
                fleet.end(at).await;
            }
            sleep(length / 2).await;
            fleet.run(at).await;
        }
    }
    scene.event(&format!("edge-{at} {fault:?} is over"));
}

async fn rest(scene: &Scene, random: &mut Random, most: Duration) {
    let most = if random.percent(10) { most * 2 } else { most };
    let mut left = length(random, most);
    // In pieces, so that the end is not waited for.
    let piece = Duration::from_millis(100);
    while !scene.is_quiet() && !left.is_zero() {
        sleep(left.min(piece)).await;
        left = left.saturating_sub(piece);
    }
}

/// Mostly short.
fn length(random: &mut Random, most: Duration) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap();
    Duration::from_millis(20 + random.below(most).min(random.below(most)))
}
