//! Chaos: five instances of the program itself, a real Redis, an origin whose pages have versions,
//! clients, editors – and everything fails, again and again: instances are killed, stopped in their
//! tracks and restarted, Redis fails over, is killed, emptied, stopped and trimmed.
//!
//! Every answer is held to docs/purge-log.md; `chaos/check.rs` says exactly to what. When it is quiet
//! again, every instance must come to serve hits of the newest versions, although no page's lifetime
//! ends in a day. `-- --nocapture` shows the figures, and the seed.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CHAOS_SEED` | what happens, and when, as far as it does not hang on the machine | from the clock |
//! | `CHAOS_SECONDS` | how long things are published and fail | 40; any time with `CHAOS_PUBLISHES` |
//! | `CHAOS_PUBLISHES` | publications after which it is enough | as many as there is time for |
//! | `CHAOS_INSTANCES` | instances, 2 to 16 | 5 |
//! | `CHAOS_SERVERS` | how Redis is run: `sentinel` or `standalone` | `sentinel` |
//! | `CHAOS_VERBOSE` | `1`: every event is printed when it happens | the last ones are, with a violation |

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod program;
    pub(crate) mod redis_server;
}

/// The play and its parts.
#[path = "chaos"]
mod kit {
    pub(crate) mod check;
    pub(crate) mod figures;
    pub(crate) mod fleet;
    pub(crate) mod gremlins;
    pub(crate) mod line;
    pub(crate) mod play;
    pub(crate) mod publisher;
    pub(crate) mod readers;
    pub(crate) mod relay;
    pub(crate) mod scene;
    pub(crate) mod servers;
    pub(crate) mod site;
}

#[path = "oracle/random.rs"]
mod random;

#[cfg(feature = "sabotage")]
#[path = "chaos/sabotage.rs"]
mod sabotage;

use std::time::Duration;

use cms_edge::clock::{Clock, SystemClock};

use kit::play::{Bounds, play};
use kit::servers::Topology;

const SECONDS: u64 = 40;
/// With a number of publications to reach.
const SECONDS_MAX: u64 = 4 * 60 * 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_older_is_served_whatever_fails() {
    let publishes = number("CHAOS_PUBLISHES");
    let seconds = number("CHAOS_SECONDS").unwrap_or(match publishes {
        Some(_) => SECONDS_MAX,
        None => SECONDS,
    });
    let bounds = Bounds {
        publishes: publishes.unwrap_or(u64::MAX),
        time: Duration::from_secs(seconds),
    };
    let topology = Topology::named(&variable("CHAOS_SERVERS").unwrap_or_default());
    play(seed(), topology, bounds).await;
}

fn seed() -> u64 {
    number("CHAOS_SEED").unwrap_or_else(|| SystemClock.now().as_secs())
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
