//! Attacks on the real program over real sockets, while others go on reading.
//!
//! Each attack starts `cms-edge serve` before an origin that records every byte it receives, lets
//! honest readers ask for pages, first in quiet, then under the attack, and holds the server to it:
//! no reader goes without their page, memory stays within the bound that stands with the attack,
//! the limit that stopped it is counted in `/metrics`, and when it is over nothing is left of it,
//! neither connections nor file descriptors nor work memory. `-- --nocapture` shows the figures:
//! the readers' p50 and p99 in quiet and under attack, the server's resident memory.
//!
//! By hand, the same attacks go to a running instance; see `docs/attacks.md`:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `ATTACK_TARGET` | `address:port` without TLS of the instance; on 127.0.0.0/8 or ::1 only, unless `ATTACK_ELSEWHERE=1` says that it is yours | one is started for each attack |
//! | `ATTACK_ADMIN` | `address:port` of its admin listener; without it, nothing is asserted of its metrics | |
//! | `ATTACK_PID` | its process; without it, nothing is asserted of its memory | |
//! | `ATTACK_ORIGIN` | the `address:port` of its upstream, where the recording origin is to listen; without it, attacks that need to see what arrives there are skipped | |
//! | `ATTACK_HOST` | the Host that its pages are asked for with | `www.example.test` |
//! | `ATTACK_PATH` | a cached page, where `ATTACK_ORIGIN` is not set | `/` |
//! | `ATTACK_CONNECTIONS` | connections of an attack, at most | each attack's own, at most 300 |
//! | `ATTACK_SECONDS` | how long it goes on; with the deadlines of `proxy.toml` at least 90 | each attack's own, at most 4 |
//! | `ATTACK_STRICT` | `1`: the readers' p99 under attack may be three times that in quiet, no more | not asserted |
//!
//! With `ATTACK_TARGET` or `ATTACK_STRICT` the attacks run one after the other.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod program;
}

/// What every attack needs: where it happens, who watches, what it may do.
#[path = "attack"]
mod kit {
    pub(crate) mod arena;
    pub(crate) mod hpack;
    pub(crate) mod peer;
    pub(crate) mod readers;
    pub(crate) mod recorder;
    pub(crate) mod scene;
    pub(crate) mod swarm;
}

/// HPACK bombs and responses that are held back by windows.
#[path = "attack/bombs.rs"]
mod bombs;
/// Private pages under names that look public.
#[path = "attack/deception.rs"]
mod deception;
/// Requests of HTTP/2 that must not become others in HTTP/1.
#[path = "attack/downgrade.rs"]
mod downgrade;
/// Heads that are too many or too large.
#[path = "attack/heads.rs"]
mod heads;
/// Fields that change a page and not its key.
#[path = "attack/poisoning.rs"]
mod poisoning;
/// Clients that take their time.
#[path = "attack/slow.rs"]
mod slow;
/// HTTP/1 requests on whose end parsers disagree.
#[path = "attack/smuggling.rs"]
mod smuggling;
/// Frames of HTTP/2 that cost their sender nothing.
#[path = "attack/streams.rs"]
mod streams;
/// Pages that vary without end.
#[path = "attack/vary.rs"]
mod vary;
